//! What the machines know of storage: tables declared once, and four ways to touch a row.
//!
//! Every stored table is a [`Table`] declared in a file of this folder, with what it keeps about
//! whom; a table that is not in [`tables`] cannot be opened by a home's store. Values are encoded through
//! [`crate::wire::codec`], keys are hand-made and big-endian, so that scans are ordered.
//!
//! Source: DATA.md; ARCHITECTURE, "Modules".

pub mod contact;
pub mod evidence;
pub mod home;
pub mod host;
pub mod mailbox;
pub mod memory;
pub mod message;
pub mod outbox;
pub mod recorder;
pub mod session;
pub mod steps;
pub mod typed;

/// How sensitive what a table keeps is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataClass {
    /// What people wrote.
    Content,
    /// Secret keys.
    Keys,
    /// Who talks to whom, where and when.
    Metadata,
    /// The node's own bookkeeping.
    Operations,
}

/// Whose key encrypts the values of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The home's own.
    Home,
    /// That of the owner named by the first key part; erasing the owner destroys it.
    Owner,
}

/// One part of a table's key, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyPart {
    /// What it is.
    pub name: &'static str,
    /// How many bytes it has; `None` for a last part of any length.
    pub length: Option<usize>,
    /// Whether the store keeps `HMAC(k_index, part)` (of the same length) in its place: such a part
    /// is found by equality, never by range, and is not given back by a scan.
    pub hidden: bool,
}

impl KeyPart {
    /// A part stored as it is.
    #[must_use]
    pub const fn shown(name: &'static str, length: usize) -> Self {
        Self { name, length: Some(length), hidden: false }
    }
    /// A part stored as a keyed hash of the same length (at most 32 bytes).
    #[must_use]
    pub const fn hidden(name: &'static str, length: usize) -> Self {
        Self { name, length: Some(length), hidden: true }
    }
    /// A last part of any length, stored as it is.
    #[must_use]
    pub const fn rest(name: &'static str) -> Self {
        Self { name, length: None, hidden: false }
    }
}

/// One stored table, with what it keeps about people.
#[derive(Debug, PartialEq, Eq)]
pub struct Table {
    /// The name of its tree; never reused for another meaning.
    pub name: &'static str,
    /// The parts of its key.
    pub key: &'static [KeyPart],
    /// Whose key encrypts its values.
    pub scope: Scope,
    /// How sensitive it is.
    pub class: DataClass,
    /// Why it is kept.
    pub purpose: &'static str,
    /// How long a row is kept.
    pub ttl: &'static str,
    /// Whom a row is about.
    pub subject: &'static str,
}

/// Every table of a person's home.
#[must_use]
pub fn tables() -> Vec<&'static Table> {
    vec![
        &contact::CONTACTS,
        &contact::DIRECTORY,
        &evidence::PROOFS,
        &evidence::SERVED,
        &evidence::BROKEN,
        &evidence::LEFT,
        &home::HOME,
        &home::CHANGES,
        &home::SEEN,
        &home::INVITES,
        &host::OWN_HOSTS,
        &host::REGISTERED,
        &host::PEER_HOSTS,
        &message::MESSAGES,
        &message::TIMELINE,
        &message::CONVERSATIONS,
        &outbox::OUTBOX,
        &session::SESSIONS,
        &session::SKIPPED,
        &session::HEADER_KEYS,
        &session::PAIRS,
        &session::QUEUE_NUMBERS,
    ]
}

/// Which end of a range a scan starts at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the lowest key up.
    Forward,
    /// From the highest key down.
    Backward,
}

/// The store cannot read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the store cannot read: {0}")]
pub struct RowsError(pub String);

/// A key and its value.
pub type Row = (Vec<u8>, Vec<u8>);

/// Reading rows.
pub trait ReadRows {
    /// The value under a key.
    ///
    /// # Errors
    /// [`RowsError`] if the store cannot be read or the value was altered.
    fn get(&self, table: &'static Table, key: &[u8]) -> Result<Option<Vec<u8>>, RowsError>;

    /// At most `limit` (≤ 512) rows with `from ≤ key < to`, in the given direction. An empty `to`
    /// means no upper end. Hidden parts must be equal in `from` and `to` (they are hashed in both).
    ///
    /// # Errors
    /// As [`ReadRows::get`].
    fn scan(
        &self,
        table: &'static Table,
        from: &[u8],
        to: &[u8],
        limit: usize,
        direction: Direction,
    ) -> Result<Vec<Row>, RowsError>;
}

/// Reading and writing rows; what is written is read back at once.
pub trait Rows: ReadRows {
    /// Writes a row.
    fn put(&mut self, table: &'static Table, key: &[u8], value: Vec<u8>);
    /// Deletes a row; deleting what is not there does nothing.
    fn delete(&mut self, table: &'static Table, key: &[u8]);
    /// Deletes every row of an owner in the tables of scope [`Scope::Owner`], and destroys its key.
    fn erase_owner(&mut self, owner: &[u8]);
}

/// The first key after every key that starts with `prefix`; empty (no end) if there is none.
#[must_use]
pub fn prefix_end(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return end;
        }
    }
    end
}
