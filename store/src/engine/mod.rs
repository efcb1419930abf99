//! The engine: six synchronous methods over named tables of ordered bytes.
//!
//! | method | guarantees |
//! |---|---|
//! | `get` | the whole value, or none |
//! | `scan` | an owned page of whole rows, in order |
//! | `commit` | atomic over all tables **and** on stable storage when it returns |
//! | `write` | as `commit`, and on stable storage when the next commit returns |
//! | `settle` | what was committed is in the engine's own files |
//! | `stats` | bytes used and bytes free |
//!
//! No type, iterator or lifetime of an implementation leaks. After an error that leaves it unknown
//! what is on disk, an engine answers [`EngineError::Broken`] to everything until it is opened
//! again: what it holds in memory may not be on disk. Giving space back is not offered: a store is
//! rewritten for that ([`crate::rewrite`]). Source: STORE-NOTES, "The engine is a choice behind five
//! methods".

mod checkpoint;
mod guard;
mod journal;
mod journaled;
mod memory;
mod memtable;
mod merge;
mod pieces;
mod redb;
mod sled;

use std::io;
use std::path::Path;
use std::sync::Arc;

use godwit_protocol::rows::{Direction, Row};

use crate::batch::{Batch, Durable};

pub(crate) use guard::sync_names;
pub(crate) use journal::{FILE as JOURNAL, UNFINISHED as UNFINISHED_JOURNAL};
use journaled::Journaled;
pub use memory::{Fault, Held, MemoryEngine};
pub(crate) use redb::RedbEngine;
pub(crate) use sled::SledEngine;

/// Which engine keeps a store on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The default.
    Sled,
    /// For hosts with millions of rows.
    Redb,
}

impl Kind {
    /// Its name, as configuration and folders have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sled => "sled",
            Self::Redb => "redb",
        }
    }

    /// The one with a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Sled, Self::Redb].into_iter().find(|kind| kind.name() == name)
    }

    /// Looks for damage that reading every row does not find; the folder must not be open.
    pub(crate) fn verify(self, folder: &Path) -> Result<(), EngineError> {
        match self {
            // sled compares what it reads with a checksum each time.
            Self::Sled => Ok(()),
            Self::Redb => RedbEngine::verify(folder),
        }
    }

    /// Opens what can be read of a damaged folder, the journal's rows where the engine has none.
    pub(crate) fn salvage(
        self,
        folder: &Path,
        cache_bytes: u64,
        tables: &[&'static str],
    ) -> Arc<dyn Engine> {
        let own = own(tables);
        let part = self.open(folder, cache_bytes, tables).or_else(|error| match self {
            Self::Sled => Err(error),
            Self::Redb => Ok(Arc::new(RedbEngine::read(folder, &own)?)),
        });
        let part = part.unwrap_or_else(|_| Arc::new(MemoryEngine::new()));
        Arc::new(Journaled::salvage(part, folder, tables))
    }

    /// Opens a folder of its files, or makes it: without the journal in front of it, which must be
    /// empty. `cache_bytes` is a hint.
    pub(crate) fn open(
        self,
        folder: &Path,
        cache_bytes: u64,
        tables: &[&'static str],
    ) -> Result<Arc<dyn Engine>, EngineError> {
        Ok(match self {
            Self::Sled => Arc::new(SledEngine::open(folder, cache_bytes, &own(tables))?),
            Self::Redb => Arc::new(RedbEngine::open(folder, cache_bytes, &own(tables))?),
        })
    }
}

/// The tables of an engine on disk: those that are asked for, and the journal's.
fn own(tables: &[&'static str]) -> Vec<&'static str> {
    tables.iter().copied().chain([checkpoint::TABLE]).collect()
}

/// Puts the journal of a folder in front of the engine of that folder. It is made with the first commit.
pub(crate) fn journaled(
    engine: Arc<dyn Engine>,
    folder: &Path,
    tables: &[&'static str],
) -> Result<Arc<dyn Engine>, EngineError> {
    Ok(Arc::new(Journaled::open(engine, folder, tables)?))
}

/// Why an engine did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineError {
    /// The file system refused.
    #[error("input or output failed: {0}")]
    Io(#[source] Arc<io::Error>),
    /// What is stored makes no sense, or the engine failed over it.
    #[error("damaged: {0}")]
    Damaged(String),
    /// The pieces of one row do not come to its value; other rows can be read.
    #[error("a row of `{table}` is damaged")]
    NotWhole {
        /// The table.
        table: String,
        /// The row's key, as stored.
        key: Vec<u8>,
    },
    /// An earlier error left it unknown what is on disk.
    #[error("stopped after an earlier error; open the store again")]
    Broken,
    /// A row is not what the batch expected; nothing was written.
    #[error("a row of `{table}` is not what was expected")]
    Unexpected {
        /// The table.
        table: &'static str,
    },
    /// No such table was named when the engine was opened.
    #[error("there is no table `{0}`")]
    NoTable(String),
}

impl EngineError {
    /// Whether the reason is that the disk is full.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::Io(error) if matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        ))
    }
}

impl From<io::Error> for EngineError {
    fn from(error: io::Error) -> Self {
        Self::Io(Arc::new(error))
    }
}

/// What an engine uses and has left, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EngineStats {
    /// Bytes used on disk, or in memory by keys and values.
    pub(crate) bytes: u64,
    /// Bytes free on the file system; none for an engine without one.
    pub(crate) free_bytes: Option<u64>,
}

/// Ordered bytes in named tables.
pub(crate) trait Engine: Send + Sync {
    /// The value under a key.
    fn get(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError>;

    /// At most `limit` rows with `from ≤ key < to`; an empty `to` is no upper end.
    fn scan(
        &self,
        table: &str,
        from: &[u8],
        to: &[u8],
        limit: usize,
        direction: Direction,
    ) -> Result<Vec<Row>, EngineError>;

    /// Checks every expectation against what is committed, then writes in order: all or nothing,
    /// and on stable storage when it returns.
    fn commit(&self, batch: &Batch) -> Result<Durable, EngineError>;

    /// Writes as well, without what is expected, and durable with the next commit alone: a part of what
    /// a journal has.
    fn write(&self, batch: &Batch) -> Result<(), EngineError>;

    /// Brings what was committed to where nothing else is needed to read it.
    fn settle(&self) -> Result<(), EngineError> {
        Ok(())
    }

    /// What it uses and has left.
    fn stats(&self) -> Result<EngineStats, EngineError>;
}

/// Whether a range can hold no key.
fn is_empty(from: &[u8], to: &[u8]) -> bool {
    !to.is_empty() && from >= to
}

#[cfg(test)]
mod tests;
