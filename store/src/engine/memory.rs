//! The engine of the simulator and of crash tests: ordered maps, and a disk that can be imagined.
//!
//! What was committed is kept apart from what was only applied: a write is applied, then synced;
//! until it is synced its undo is kept, so that [`MemoryEngine::crash`] means exactly the last
//! durable commit, at a cost that does not grow with the store.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use godwit_protocol::rows::{Direction, Row};

use super::{Engine, EngineError, EngineStats, is_empty};
use crate::batch::{Batch, Durable, StoredWrite};

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// What goes wrong with a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The disk is full: nothing is applied.
    DiskFull,
    /// It is applied, then the sync fails: a crash loses it.
    SyncFailed,
}

/// An engine without a disk.
#[derive(Default)]
pub struct MemoryEngine {
    state: RwLock<State>,
    /// Held while syncing.
    gate: Mutex<()>,
}

#[derive(Default)]
struct State {
    tables: HashMap<&'static str, Rows>,
    bytes: usize,
    /// How to take back what is applied and not synced, oldest first.
    undo: Vec<StoredWrite>,
    fault: Option<Fault>,
    /// Commits before it, and whether this is the one.
    before_fault: usize,
    fault_due: bool,
    syncs: u64,
    broken: bool,
}

/// Holds every sync back until it is dropped.
#[derive(Debug)]
pub struct Held<'a>(#[expect(dead_code, reason = "held, not read")] MutexGuard<'a, ()>);

impl MemoryEngine {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What a restart finds: exactly the last durable commit. This engine is dead from then on.
    #[must_use]
    pub fn crash(&self) -> Self {
        let mut state = core::mem::take(&mut *self.write());
        for write in core::mem::take(&mut state.undo).into_iter().rev() {
            state.put(write);
        }
        state.fault = None;
        state.broken = false;
        self.write().broken = true;
        Self { state: RwLock::new(state), gate: Mutex::default() }
    }

    /// Lets the next commit fail.
    pub fn fail_next(&self, fault: Fault) {
        self.fail_after(0, fault);
    }

    /// Lets a commit fail after so many that do not.
    pub fn fail_after(&self, commits: usize, fault: Fault) {
        let mut state = self.write();
        state.fault = Some(fault);
        state.before_fault = commits;
    }

    /// Holds every sync back while the answer lives: what is committed meanwhile waits.
    #[must_use]
    pub fn hold(&self) -> Held<'_> {
        Held(self.gate.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How many syncs have been finished.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.read().map_or(0, |state| state.syncs)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> Result<std::sync::RwLockReadGuard<'_, State>, EngineError> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        if state.broken { Err(EngineError::Broken) } else { Ok(state) }
    }

    fn apply(&self, batch: &Batch) -> Result<(), EngineError> {
        let mut state = self.write();
        if state.broken {
            return Err(EngineError::Broken);
        }
        for expected in &batch.expectations {
            let found = state.tables.get(expected.table).and_then(|rows| rows.get(&expected.key));
            if found != expected.value.as_ref() {
                return Err(EngineError::Unexpected { table: expected.table });
            }
        }
        state.fault_due = state.before_fault == 0;
        state.before_fault = state.before_fault.saturating_sub(1);
        if state.fault_due && state.fault == Some(Fault::DiskFull) {
            state.fault = None;
            state.broken = true;
            return Err(io::Error::from(io::ErrorKind::StorageFull).into());
        }
        for write in &batch.writes {
            let before = state.put(write.clone());
            state.undo.push(before);
        }
        Ok(())
    }
}

impl core::fmt::Debug for MemoryEngine {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("MemoryEngine")
    }
}

impl State {
    /// Writes, and returns what undoes it.
    fn put(&mut self, write: StoredWrite) -> StoredWrite {
        let StoredWrite { table, key, value } = write;
        let rows = self.tables.entry(table).or_default();
        let size = |value: &Vec<u8>| key.len().saturating_add(value.len());
        self.bytes = self.bytes.saturating_add(value.as_ref().map_or(0, size));
        let before = match value {
            Some(value) => rows.insert(key.clone(), value),
            None => rows.remove(&key),
        };
        self.bytes = self.bytes.saturating_sub(before.as_ref().map_or(0, size));
        StoredWrite { table, key, value: before }
    }
}

impl Engine for MemoryEngine {
    fn get(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        Ok(self.read()?.tables.get(table).and_then(|rows| rows.get(key)).cloned())
    }

    fn scan(
        &self,
        table: &str,
        from: &[u8],
        to: &[u8],
        limit: usize,
        direction: Direction,
    ) -> Result<Vec<Row>, EngineError> {
        let state = self.read()?;
        let Some(rows) = state.tables.get(table).filter(|_| !is_empty(from, to)) else {
            return Ok(Vec::new());
        };
        let end = if to.is_empty() { Bound::Unbounded } else { Bound::Excluded(to) };
        let range = rows.range::<[u8], _>((Bound::Included(from), end));
        let owned = |(key, value): (&Vec<u8>, &Vec<u8>)| (key.clone(), value.clone());
        Ok(match direction {
            Direction::Forward => range.take(limit).map(owned).collect(),
            Direction::Backward => range.rev().take(limit).map(owned).collect(),
        })
    }

    fn commit(&self, batch: &Batch) -> Result<Durable, EngineError> {
        self.apply(batch)?;
        let _held = self.hold();
        let mut state = self.write();
        if state.broken {
            return Err(EngineError::Broken);
        }
        if state.fault_due && state.fault.take() == Some(Fault::SyncFailed) {
            state.broken = true;
            return Err(io::Error::other("the sync failed").into());
        }
        state.undo.clear();
        state.syncs = state.syncs.saturating_add(1);
        Ok(Durable::flushed())
    }

    fn write(&self, batch: &Batch) -> Result<(), EngineError> {
        self.apply(batch)
    }

    fn stats(&self) -> Result<EngineStats, EngineError> {
        let bytes = u64::try_from(self.read()?.bytes).unwrap_or(u64::MAX);
        Ok(EngineStats { bytes, free_bytes: None })
    }
}
