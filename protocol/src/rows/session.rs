//! `sessions`, `skipped`, `header_keys`, `pairs`: the ratchets of device pairs.
//!
//! The session itself is one small row, written once a batch; message keys that were passed over
//! are rows of up to [`crate::limits::SKIPPED_RUN`] keys, read when a message asks for one.

use core::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use super::{DataClass, KeyPart, Scope, Table};
use crate::crypto::Secret;
use crate::id::{DeviceId, SessionId};
use crate::session::{KeyKind, OldHeaderKey, Pqxdh, Session, SkippedAt};
use crate::time::UnixMillis;

/// (device, session) → [`SessionRow`].
pub static SESSIONS: Table = Table {
    name: "sessions",
    key: &[
        KeyPart::shown("device", DeviceId::LENGTH),
        KeyPart::shown("session", SessionId::LENGTH),
    ],
    scope: Scope::Home,
    class: DataClass::Keys,
    purpose: "to encrypt to a device and to open what it made",
    ttl: "35 d after it was replaced",
    subject: "the contact",
};

/// (session, ratchet, chain, first number) → [`SkippedRow`].
pub static SKIPPED: Table = Table {
    name: "skipped",
    key: &[
        KeyPart::shown("session", SessionId::LENGTH),
        KeyPart::shown("ratchet", 1),
        KeyPart::shown("chain", 4),
        KeyPart::shown("first", 4),
    ],
    scope: Scope::Home,
    class: DataClass::Keys,
    purpose: "to open messages that come later than others",
    ttl: "35 d",
    subject: "the contact",
};

/// (session, chain) → [`HeaderKeyRow`].
pub static HEADER_KEYS: Table = Table {
    name: "header_keys",
    key: &[KeyPart::shown("session", SessionId::LENGTH), KeyPart::shown("chain", 4)],
    scope: Scope::Home,
    class: DataClass::Keys,
    purpose: "to recognise messages that come later than others",
    ttl: "35 d",
    subject: "the contact",
};

/// (device, session that brought the root) → [`QueueNumberRow`].
pub static QUEUE_NUMBERS: Table = Table {
    name: "queue_numbers",
    key: &[
        KeyPart::shown("device", DeviceId::LENGTH),
        KeyPart::shown("session", SessionId::LENGTH),
    ],
    scope: Scope::Home,
    class: DataClass::Operations,
    purpose: "to give hosts another queue of a contact each month",
    ttl: "as the queue root",
    subject: "the contact",
};

/// device → [`crate::session::Pair`].
pub static PAIRS: Table = Table {
    name: "pairs",
    key: &[KeyPart::shown("device", DeviceId::LENGTH)],
    scope: Scope::Home,
    class: DataClass::Keys,
    purpose: "to decide which session and which queue a device pair uses",
    ttl: "400 d after the last sign of the device",
    subject: "the contact",
};

/// Where the queue of a root stands in which the peer leaves mail.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueNumberRow {
    /// The number that the peer was told.
    pub n: u32,
    /// When it is raised next; 0 while that was not drawn.
    pub raise_at: UnixMillis,
    /// The queue above is being registered, to be told of then.
    pub raising: bool,
    /// The number before, which is still registered.
    pub old: Option<u32>,
    /// Since when the peer is known to know `n`.
    pub known_at: Option<UnixMillis>,
}

/// A session and what goes with it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionRow {
    /// The session.
    pub session: Session,
    /// Rides with every message until the peer was heard.
    pub handshake: Option<Pqxdh>,
    /// Skipped keys of the EC ratchet that are stored.
    pub skipped_ec: u32,
    /// Skipped keys of the KEM ratchet that are stored.
    pub skipped_pq: u32,
    /// Old header keys that are stored.
    pub headers: u32,
    /// When the part of the KEM epoch under way was last sent, and how often it was repeated.
    pub kem_sent: Option<(UnixMillis, u8)>,
}

/// Message keys that follow each other; those that were used are wiped.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedRow {
    /// When they were passed over.
    pub since: UnixMillis,
    /// 32 bytes each; zero bytes stand for a key that was used.
    #[serde(with = "serde_bytes")]
    keys: Vec<u8>,
}

/// An old header key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderKeyRow {
    /// When its chain ended.
    pub since: UnixMillis,
    /// The key with the number of its chain.
    pub key: OldHeaderKey,
}

/// The key of a row of [`SESSIONS`].
#[must_use]
pub fn session_key(device: &DeviceId, session: &SessionId) -> Vec<u8> {
    [&device.as_bytes()[..], session.as_bytes()].concat()
}

/// The start of all keys of [`SKIPPED`] of one ratchet of a session.
#[must_use]
pub fn skipped_prefix(session: &SessionId, kind: KeyKind) -> Vec<u8> {
    let ratchet = match kind {
        KeyKind::Ec => 0,
        KeyKind::Pq => 1,
    };
    [&session.as_bytes()[..], &[ratchet]].concat()
}

/// The key of the row of [`SKIPPED`] that begins there.
#[must_use]
pub fn skipped_key(session: &SessionId, at: SkippedAt) -> Vec<u8> {
    let prefix = skipped_prefix(session, at.kind);
    [&prefix[..], &at.chain.to_be_bytes(), &at.n.to_be_bytes()].concat()
}

/// The number of the first message key of a row of [`SKIPPED`], from its key.
#[must_use]
pub fn skipped_first(key: &[u8]) -> Option<u32> {
    key.last_chunk().map(|first| u32::from_be_bytes(*first))
}

/// The key of a row of [`HEADER_KEYS`].
#[must_use]
pub fn header_key(session: &SessionId, chain: u32) -> Vec<u8> {
    [&session.as_bytes()[..], &chain.to_be_bytes()].concat()
}

impl SkippedRow {
    /// Packs keys.
    #[must_use]
    pub fn new(keys: &[Secret<32>], since: UnixMillis) -> Self {
        let mut packed = Vec::with_capacity(keys.len().saturating_mul(32));
        for key in keys {
            packed.extend_from_slice(key.expose());
        }
        Self { since, keys: packed }
    }

    /// The key at an index, unless it was used.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Secret<32>> {
        let key = self.keys.as_chunks::<32>().0.get(index)?;
        (*key != [0; 32]).then(|| Secret::new(*key))
    }

    /// Wipes the key at an index. Returns whether there was one.
    pub fn wipe(&mut self, index: usize) -> bool {
        let Some(key) = self.keys.as_chunks_mut::<32>().0.get_mut(index) else { return false };
        let there = *key != [0; 32];
        key.zeroize();
        there
    }

    /// How many keys are left.
    #[must_use]
    pub fn left(&self) -> u32 {
        let left = self.keys.as_chunks::<32>().0.iter().filter(|key| **key != [0; 32]).count();
        u32::try_from(left).unwrap_or(u32::MAX)
    }
}

impl Drop for SkippedRow {
    fn drop(&mut self) {
        self.keys.zeroize();
    }
}

impl fmt::Debug for SkippedRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SkippedRow")
    }
}
