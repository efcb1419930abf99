//! One atomic write over several tables, before and after encryption, and the proof that it is on
//! disk.
//!
//! | type | keys | values | made by |
//! |---|---|---|---|
//! | [`SealedBatch`] | as stored | plain | `View::take` |
//! | `Batch` | as stored | as stored | the commit thread |
//!
//! Rule: a [`Durable`] exists only if an engine finished a flush: nothing else can make one.

use core::fmt;
use std::sync::Arc;

use godwit_protocol::rows::Table;

use crate::engine::EngineError;
use crate::vault::VaultError;

/// The word of an engine that a batch is on stable storage.
#[derive(Debug, Clone)]
pub struct Durable(());

impl Durable {
    /// For engines alone, after a finished flush.
    pub(crate) fn flushed() -> Self {
        Self(())
    }
}

/// Why a batch is not on disk.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// The engine did not write it.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A value could not be encrypted, or the key of its owner could not be read.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// An earlier batch failed, or the store was closed: open it again.
    #[error("refused, since an earlier batch failed or the store is closed")]
    Broken,
}

/// A key and what is written there; `None` deletes.
#[derive(Clone)]
pub(crate) struct StoredWrite {
    pub(crate) table: &'static str,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Option<Vec<u8>>,
}

/// What an engine writes as one.
#[derive(Default)]
pub(crate) struct Batch {
    /// Rows as they must be before; `value: None` for absent.
    pub(crate) expectations: Vec<StoredWrite>,
    /// In order: a later write to the same key wins.
    pub(crate) writes: Vec<StoredWrite>,
}

/// A key, as stored, and a plain value.
pub(crate) struct PlainWrite {
    pub(crate) table: &'static Table,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Option<Arc<[u8]>>,
}

/// What a view wrote between two `take`s, closed: it can only be committed.
pub struct SealedBatch {
    pub(crate) number: u64,
    pub(crate) expectations: Vec<PlainWrite>,
    /// Owners whose rows and key go, before anything is written.
    pub(crate) erased: Vec<Vec<u8>>,
    pub(crate) writes: Vec<PlainWrite>,
}

impl SealedBatch {
    /// Which batch of its view this is; for `View::durable`.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// How many operations it has.
    #[must_use]
    pub fn operations(&self) -> usize {
        self.writes.len().saturating_add(self.erased.len()).saturating_add(self.expectations.len())
    }

    /// Bytes of keys and values.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let size = |write: &PlainWrite| {
            write.key.len().saturating_add(write.value.as_ref().map_or(0, |value| value.len()))
        };
        self.writes.iter().map(size).fold(0, usize::saturating_add)
    }
}

impl fmt::Debug for SealedBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedBatch({}, {} operations)", self.number, self.operations())
    }
}
