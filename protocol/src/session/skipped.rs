//! Keys of messages that were passed over, and header keys of chains that ended: they are rows.
//!
//! A session names what it needs ([`SkippedAt`]) and what it leaves behind ([`SkippedRun`],
//! [`OldHeaderKey`]); it holds none of them.

use serde::{Deserialize, Serialize};

use super::chain::KeyKind;
use super::opaque_debug;
use crate::crypto::Secret;

/// Where a skipped message key belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SkippedAt {
    /// Of which ratchet.
    pub kind: KeyKind,
    /// The number of the receiving chain, or the epoch.
    pub chain: u32,
    /// The number of the message in it.
    pub n: u32,
}

/// Message keys that follow each other, to be stored.
#[derive(Clone, PartialEq, Eq)]
pub struct SkippedRun {
    /// Where the first belongs.
    pub first: SkippedAt,
    /// The keys, at most [`crate::limits::MAX_SKIP`].
    pub keys: Vec<Secret<32>>,
}

/// The skipped keys that a position asked for.
#[derive(Clone, Default)]
pub struct SkippedKeys {
    /// For [`super::Position::ec_key`].
    pub ec: Option<Secret<32>>,
    /// For [`super::Position::pq_key`].
    pub pq: Option<Secret<32>>,
}

/// The header key of a receiving chain that ended with messages missing.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OldHeaderKey {
    /// The number of the chain.
    pub chain: u32,
    /// Its header key.
    pub key: Secret<32>,
}

opaque_debug!(SkippedRun, SkippedKeys, OldHeaderKey);
