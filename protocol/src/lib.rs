//! What godwit's bytes mean and what must happen, without any I/O.
//!
//! The contract of this crate:
//!
//! 1. Two things have time, peers and timers, and they are machines: [`endpoint`] (a person's node)
//!    and [`mailbox::host`] (a host of mailboxes). Inputs go in with the time and a source of
//!    randomness, outputs come out. Everything else is a value with ordinary methods.
//! 2. [`rows::Rows`] is all that the machines know of storage. A read shows everything written so
//!    far; what a failed `handle` wrote is thrown away.
//! 3. On `Err` the state is unchanged. Bytes from a peer never panic.
//! 4. Outputs are released by the disk: see [`machine::Output`].
//! 5. Types carry progress: a constructor is private to its step, so no check can be skipped.
//!
//! | module | what it is |
//! |---|---|
//! | [`limits`] | every bound: name, value, unit, why |
//! | [`id`], [`time`] | newtypes; checked time |
//! | [`crypto`] | typed thin wrappers over primitives |
//! | [`wire`] | the codec, frames, requests and answers of each stream |
//! | [`identity`] | recovery phrase, sigchain, links |
//! | [`session`] | bundle, handshake, the two ratchets, which session |
//! | [`envelope`] | what travels and what a mailbox stores; the seal |
//! | [`content`] | what is inside a message, one file per kind |
//! | [`conversation`] | conversation ids |
//! | [`mailbox`] | receipts, stamps, tokens, owner keys; the machine of a mailbox host |
//! | [`record`] | a device's signed list of hosts |
//! | [`rows`] | every stored table, declared once |
//! | [`clock`] | whether a node's own clock can be believed |
//! | [`endpoint`] | the machine of a person's node |
//! | `sim` (feature `sim`) | a seeded world around the two machines |

#[cfg(test)]
mod beyond;
pub mod clock;
pub mod content;
pub mod conversation;
pub mod crypto;
#[cfg(test)]
mod decoders;
pub mod endpoint;
pub mod envelope;
pub mod id;
pub mod identity;
pub mod limits;
pub mod machine;
pub mod mailbox;
pub mod record;
pub mod rows;
pub mod session;
#[cfg(feature = "sim")]
pub mod sim;
pub mod time;
#[cfg(test)]
mod vectors;
pub mod wire;
