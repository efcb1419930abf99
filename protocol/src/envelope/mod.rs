//! What travels and what a mailbox stores: envelopes of six sizes, and the seal around what has no
//! answered session yet.
//!
//! Source: PROTOCOL §6; `spec/envelope.md`.

mod bucket;
#[expect(clippy::module_inception, reason = "the folder's one idea is the file's")]
mod envelope;
mod seal;

pub use bucket::Bucket;
pub use envelope::{ENVELOPE_HEADER, Envelope, EnvelopeError, revoke_hash};
pub use seal::{
    SEAL_OVERHEAD, SealTarget, UnsealError, peek_key_id, seal, sealed_message_length, unseal,
};

#[cfg(test)]
mod tests;
