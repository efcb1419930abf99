//! The engine alone, for measuring: no encryption, no views, no group of batches.
//!
//! What the node does is compared with a loop over this, in the same run.

use std::path::Path;
use std::sync::Arc;

use crate::batch::{Batch, StoredWrite};
use crate::engine::{Engine, EngineError, Kind, journaled};

/// One write of a [`Bare`] commit; `None` deletes.
#[derive(Debug, Clone)]
pub struct BareWrite {
    /// The table.
    pub table: &'static str,
    /// The key as it is stored.
    pub key: Vec<u8>,
    /// The value as it is stored.
    pub value: Option<Vec<u8>>,
}

/// An engine under the same rules as the store's, and nothing above it.
pub struct Bare {
    engine: Arc<dyn Engine>,
}

impl Bare {
    /// Opens a folder of its own; without the journal that a store has in front of its engine.
    ///
    /// # Errors
    /// [`EngineError`] if it cannot be opened.
    pub fn open(
        (folder, kind): (&Path, Kind),
        cache_bytes: u64,
        tables: &[&'static str],
    ) -> Result<Self, EngineError> {
        Ok(Self { engine: kind.open(folder, cache_bytes, tables)? })
    }

    /// The same with its journal.
    ///
    /// # Errors
    /// [`EngineError`] if it cannot be opened.
    pub fn journaled(
        (folder, kind): (&Path, Kind),
        cache_bytes: u64,
        tables: &[&'static str],
    ) -> Result<Self, EngineError> {
        let engine = kind.open(folder, cache_bytes, tables)?;
        Ok(Self { engine: journaled(engine, folder, tables)? })
    }

    /// Writes at once, and returns when it is on stable storage.
    ///
    /// # Errors
    /// [`EngineError`] if it is not.
    pub fn commit(&self, writes: &[BareWrite]) -> Result<(), EngineError> {
        let stored = |write: &BareWrite| StoredWrite {
            table: write.table,
            key: write.key.clone(),
            value: write.value.clone(),
        };
        let batch = Batch { expectations: Vec::new(), writes: writes.iter().map(stored).collect() };
        self.engine.commit(&batch).map(drop)
    }
}
