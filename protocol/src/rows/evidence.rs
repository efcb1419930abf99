//! What shows that a host did not keep its word: its receipts, what was served, what was found.

use serde::{Deserialize, Serialize};

use super::{DataClass, KeyPart, Scope, Table};
use crate::content::Evidence;
use crate::crypto::SignatureBytes;
use crate::id::{AccountId, DeviceId, EnvelopeId, HostId, OwnerKey};
use crate::time::{UnixHours, UnixMillis};

/// (line of the outbox, host) → [`Evidence`]: its receipt for the envelope that it has.
pub static PROOFS: Table = Table {
    name: "proofs",
    key: &[
        KeyPart::shown("device", DeviceId::LENGTH),
        KeyPart::shown("number", 8),
        KeyPart::shown("host", HostId::LENGTH),
    ],
    scope: Scope::Home,
    class: DataClass::Metadata,
    purpose: "to show what a host signed for and did not serve",
    ttl: "as its line of the outbox",
    subject: "the recipient and the host's operator",
};

/// (hour of the envelope's end, envelope id) → nothing: an own host served it, and it did not open.
pub static SERVED: Table = Table {
    name: "served",
    key: &[KeyPart::shown("hour", 4), KeyPart::shown("envelope", EnvelopeId::LENGTH)],
    scope: Scope::Home,
    class: DataClass::Operations,
    purpose: "not to say of a host that it kept back what was of no use here",
    ttl: "8 d after the envelope's end",
    subject: "nobody",
};

/// (host, hash of the envelope) → [`BrokenRow`].
pub static BROKEN: Table = Table {
    name: "broken_words",
    key: &[KeyPart::shown("host", HostId::LENGTH), KeyPart::shown("envelope", 32)],
    scope: Scope::Home,
    class: DataClass::Metadata,
    purpose: "to show the person which host did not serve what it signed for, with the proof",
    ttl: "180 d after it was found",
    subject: "the contact of that message and the host's operator",
};

/// host → [`LeftRow`].
pub static LEFT: Table = Table {
    name: "left_hosts",
    key: &[KeyPart::shown("host", HostId::LENGTH)],
    scope: Scope::Home,
    class: DataClass::Operations,
    purpose: "to show that a host has erased what it had; not to say of it that it kept that back",
    ttl: "35 d after it was left",
    subject: "the person",
};

/// A word that a host broke.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokenRow {
    /// What it signed for.
    pub evidence: Evidence,
    /// The contact whose message it was.
    pub with: AccountId,
    /// Whether it is a host of ours, found out here; else the contact's, which says so.
    pub ours: bool,
    /// When it was found.
    pub at: UnixMillis,
    /// Used again by its person since: shown, and held against it no longer.
    pub forgiven: bool,
}

/// A host that was left.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftRow {
    /// When.
    pub at: UnixMillis,
    /// Its word for each of the two owner keys that everything under it is gone; none of a host that
    /// could not be asked.
    pub erased: Vec<ErasedWord>,
}

/// A host's word that an owner is gone, as [`crate::mailbox::check_erasure`] reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasedWord {
    /// The owner.
    pub owner: OwnerKey,
    /// When, rounded down to the hour.
    pub hour: UnixHours,
    /// By the host's node key.
    pub signature: SignatureBytes,
}

/// The key of a line's proof.
#[must_use]
pub fn proof_key(line: &[u8], host: HostId) -> Vec<u8> {
    [line, host.as_bytes()].concat()
}
