//! Pairwise sessions "GW1": bundle, handshake, two ratchets, message; which session of a pair; the
//! pair's queues.
//!
//! | file | what it is |
//! |---|---|
//! | `prekeys`, `bundle` | what a device keeps and what it publishes |
//! | `pqxdh`, `transcript`, `handshake` | how a session begins |
//! | `chain`, `ec`, `kem` | the symmetric chain, the Double Ratchet, the KEM ratchet |
//! | `message`, `state`, `skipped` | bytes, the session as a value, what it leaves to the rows |
//! | `queue_root` | queue ids, tokens, and the mark on every envelope |
//! | `pair/` | pure decisions about all sessions of a device pair |
//!
//! Rules: a message is safe while either ratchet holds; nothing enters state until the body has
//! opened; whatever does not open has one remedy, a new session one generation up.
//! Source: PROTOCOL §4, §7; `spec/session.md`.

mod bundle;
mod chain;
mod ec;
mod handshake;
mod kem;
mod message;
mod pair;
mod pqxdh;
mod prekeys;
mod queue_root;
mod skipped;
mod state;
mod transcript;

pub use bundle::{Bundle, BundleError, BundleParts, BundleTimeError, device_id};
pub use chain::KeyKind;
pub use handshake::{HandshakeError, LocalParty, Started, initiate, respond};
pub use kem::KemAccept;
pub use message::MESSAGE_OVERHEAD;
pub use pair::{AdmitError, Made, MadeClaim, Pair, PairRoot, Relation, Remedy, Summary};
pub use pqxdh::{Cause, PQXDH, Pqxdh, PqxdhError, Purpose, Via};
pub use prekeys::Prekeys;
pub use queue_root::{QueueRoot, QueueRoots};
pub use skipped::{OldHeaderKey, SkippedAt, SkippedKeys, SkippedRun};
pub use state::{MAX_SESSION, Opened, Position, Role, Session};

use crate::crypto::opaque_debug;

/// Why a content is not encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncryptError {
    /// The content does not fit a message of that length.
    #[error("{got} bytes of content do not fit a message of {length}")]
    TooLong {
        /// The length of the message, in bytes.
        length: usize,
        /// The length of the content, in bytes.
        got: usize,
    },
    /// The answering side has received nothing yet.
    #[error("nothing was received in this session yet")]
    NothingReceived,
    /// Too many messages without an answer.
    #[error("waiting for the peer to answer")]
    WaitingForPeer,
    /// The peer's ratchet key contributes nothing.
    #[error("the peer's key contributes nothing")]
    PeerKey,
}

/// Why a message does not open: one counter each, 0 in every ordinary run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum OpenError {
    /// No header key fits.
    #[error("no header key fits")]
    NoHeader,
    /// The message key was used or is kept no longer.
    #[error("the message's key is gone")]
    KeysGone,
    /// The commitment or the body does not hold.
    #[error("the body does not open")]
    BodyFailed,
    /// A KEM epoch that is not derived here.
    #[error("an unknown KEM epoch")]
    PqUnknown,
    /// More than [`crate::limits::MAX_SKIP`] ahead in its chain.
    #[error("too far ahead")]
    TooFarAhead,
}

impl From<chain::TooFarAhead> for OpenError {
    fn from(_: chain::TooFarAhead) -> Self {
        Self::TooFarAhead
    }
}

#[cfg(test)]
pub(crate) mod tests;
