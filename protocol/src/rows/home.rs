//! `home`: the node's own single values, by name.

use serde::{Deserialize, Serialize};

use super::{DataClass, KeyPart, Scope, Table};
use crate::endpoint::Faults;
use crate::time::UnixMillis;

/// name → value.
pub static HOME: Table = Table {
    name: "home",
    key: &[KeyPart::rest("name")],
    scope: Scope::Home,
    class: DataClass::Keys,
    purpose: "the node's own keys and counters",
    ttl: "as long as the home",
    subject: "the person",
};

/// The name in [`HOME`] of where this node was last reached: a list of addresses.
pub const ADDRESSES: &[u8] = b"addresses";

/// The name in [`HOME`] that says: this home was mended, or is the one of two that is kept; it goes on
/// as PROTOCOL §4 says of a restored one, at its next start. Any value.
pub const RESTORED: &[u8] = b"restored";

/// The name in [`HOME`] of when this home last found that it lacks rows that it had: an [`UnixMillis`].
pub const LOST_ROWS_AT: &[u8] = b"lost_rows_at";

/// The name in [`HOME`] of when a host last said nothing of a newer copy of this home: an [`UnixMillis`],
/// an hour late at most.
pub const PROVED_AT: &[u8] = b"proved_at";

/// change number of the first → [`ChangesRow`].
pub static CHANGES: Table = Table {
    name: "changes",
    key: &[KeyPart::shown("number", 8)],
    scope: Scope::Home,
    class: DataClass::Metadata,
    purpose: "events for the person's own programs",
    ttl: "7 d",
    subject: "the person and its contacts",
};

/// (hour of the envelope's end, envelope id) → [`SeenRow`].
pub static SEEN: Table = Table {
    name: "seen",
    key: &[KeyPart::shown("hour", 4), KeyPart::shown("envelope", 16)],
    scope: Scope::Home,
    class: DataClass::Operations,
    purpose: "to show a message once",
    ttl: "8 d after the envelope's end",
    subject: "nobody",
};

/// invite → [`InviteRow`].
pub static INVITES: Table = Table {
    name: "invites",
    key: &[KeyPart::shown("invite", 16)],
    scope: Scope::Home,
    class: DataClass::Keys,
    purpose: "to let invited strangers in",
    ttl: "30 d",
    subject: "nobody yet",
};

/// What changed in one batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangesRow {
    /// When.
    pub at: UnixMillis,
    /// What, numbered from the row's key on.
    pub changes: Vec<crate::endpoint::Change>,
}

/// An envelope that was opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenRow {
    /// The content in it, if it is receipted.
    pub message: Option<crate::id::MessageId>,
    /// When it was last receipted.
    pub receipted_at: UnixMillis,
}

/// How old this home knows itself to be (PROTOCOL §4, the fence).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FenceRow {
    /// Grows with every start, and as messages are encrypted.
    pub fence: u64,
    /// Drawn whenever it grows.
    pub mark: [u8; 16],
    /// When it last grew.
    pub grown_at: UnixMillis,
    /// Where it stood after the last leap: what hosts show from before is old news.
    pub leapt_to: u64,
    /// When this home was last found to be older than it was.
    pub behind_at: Option<UnixMillis>,
    /// Found behind twice: two copies are alive, and this one sends nothing.
    pub two_homes: bool,
}

/// An invite that was given out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InviteRow {
    /// Until when it is good.
    pub expires: UnixMillis,
    /// Whether somebody came by it.
    pub used: bool,
}

/// The counters of a home.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountersRow {
    /// The number of the last change.
    pub change: u64,
    /// The number of the last outbox line.
    pub line: u64,
    /// The newest time that this home committed.
    pub newest: UnixMillis,
    /// Mail that did not open.
    pub faults: Faults,
    /// Receipts that make a message deposited; 0 for the default.
    pub k: u8,
}
