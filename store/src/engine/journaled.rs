//! An engine with a journal in front of it.
//!
//! ```text
//! commit ─► a record in the journal, synced ─► active memtable ─► durable
//!                 half full: active becomes frozen, the journal turns to its other half
//! checkpoint, beside: frozen ─► the engine, part by part ─► the number of its last record, durable ─► frozen goes
//! open: the records above that number become the memtables again
//! ```
//!
//! Rules: the number tells what the engine has, so a record is never put over a later one; the number is
//! written behind everything, and whatever ends the program before it, the journal has all of it once
//! more. Whoever reads meanwhile finds in the memtable what the engine has in part. A batch that is too
//! large for the journal goes to the engine, behind everything before it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use godwit_protocol::rows::{Direction, Row};

use super::checkpoint::{APPLIED, Checkpoints, Shared, TABLE, applied};
use super::guard::Guard;
use super::journal::{FILE, Found, HALF, Journal, Record, record};
use super::memtable::{Layers, Memtable};
use super::merge::Stored;
use super::{Engine, EngineError, EngineStats, is_empty};
use crate::batch::{Batch, Durable};

/// Rows of one checkpoint, before the commit that goes beyond: short rows fill memory before the journal.
const MAX_ROWS: usize = 512;

/// An engine and its journal.
pub(super) struct Journaled {
    shared: Arc<Shared>,
    log: Mutex<Log>,
    folder: PathBuf,
    tables: BTreeSet<&'static str>,
    guard: Guard,
}

/// What a commit works on.
#[derive(Default)]
struct Log {
    /// Made with the first commit: who only reads changes nothing.
    journal: Option<Journal>,
    /// The number of the last record.
    last: u64,
    checkpoints: Option<Checkpoints>,
}

impl Journaled {
    /// Puts the journal of a folder in front of its engine.
    pub(super) fn open(
        engine: Arc<dyn Engine>,
        folder: &Path,
        tables: &[&'static str],
    ) -> Result<Self, EngineError> {
        let found = match engine.get(TABLE, APPLIED)? {
            Some(applied) => {
                let applied = <[u8; 8]>::try_from(applied.as_slice());
                let damaged = |_| EngineError::Damaged(format!("`{TABLE}` holds no number"));
                Some(Journal::open(folder, u64::from_be_bytes(applied.map_err(damaged)?), tables)?)
            }
            None if folder.join(FILE).exists() => {
                // It was being made, and is empty: no record comes before the engine says so.
                if Journal::open(folder, 0, tables)?.last > 0 {
                    let said = format!("the engine has lost what the file `{FILE}` goes on from");
                    return Err(EngineError::Damaged(said));
                }
                None
            }
            None => None,
        };
        if let Some(fault) = found.as_ref().and_then(|found| found.fault) {
            return Err(EngineError::Damaged(format!("the file `{FILE}`: {fault}")));
        }
        Ok(Self::new(engine, folder, tables, found))
    }

    /// Lays what is left of a damaged folder's journal over what is left of its engine.
    pub(super) fn salvage(engine: Arc<dyn Engine>, folder: &Path, tables: &[&'static str]) -> Self {
        let applied = engine.get(TABLE, APPLIED).ok().flatten();
        let applied = applied.and_then(|applied| applied.as_slice().try_into().ok());
        let applied = applied.map_or(0, u64::from_be_bytes);
        let found = Journal::open(folder, applied, tables).ok();
        Self::new(engine, folder, tables, found)
    }

    fn new(
        engine: Arc<dyn Engine>,
        folder: &Path,
        tables: &[&'static str],
        found: Option<Found>,
    ) -> Self {
        let (mut layers, mut log) = (Layers::default(), Log::default());
        if let Some(Found { journal, last, older, newer, .. }) = found {
            layers.frozen = (!older.is_empty()).then(|| Arc::new(memtable(older)));
            layers.active = memtable(newer);
            log = Log { journal: Some(journal), last, checkpoints: None };
        }
        let shared = Arc::new(Shared { engine, layers: RwLock::new(layers) });
        let (log, folder) = (Mutex::new(log), folder.to_owned());
        Self {
            shared,
            log,
            folder,
            tables: tables.iter().copied().collect(),
            guard: Guard::default(),
        }
    }

    /// Whether a batch may be written: its tables are known, and rows are what it expects.
    fn permit(&self, batch: &Batch) -> Result<(), EngineError> {
        for write in batch.writes.iter().chain(&batch.expectations) {
            if !self.tables.contains(write.table) {
                return Err(EngineError::NoTable(write.table.to_owned()));
            }
        }
        for expected in &batch.expectations {
            if self.shared.get(expected.table, &expected.key)? != expected.value {
                return Err(EngineError::Unexpected { table: expected.table });
            }
        }
        Ok(())
    }

    fn record(&self, log: &mut Log, batch: &Batch) -> Result<(), EngineError> {
        if batch.writes.is_empty() {
            return Ok(());
        }
        let number = log.last.saturating_add(1);
        let record = record(number, &batch.writes);
        if record.len() > HALF {
            self.checkpoint_all(log)?;
            let writes = batch.writes.clone();
            self.shared.engine.commit(&Batch { expectations: Vec::new(), writes })?;
            return Ok(());
        }
        log.look()?;
        let journal = match &mut log.journal {
            Some(journal) => journal,
            None => log.journal.insert(self.begin()?),
        };
        if !journal.has_room(&record) || self.shared.read().active.rows() >= MAX_ROWS {
            self.freeze(log)?;
            log.turn(&self.shared);
        }
        if let Some(journal) = &mut log.journal {
            journal.append(&record)?;
        }
        log.last = number;
        self.shared.write().active.write(number, batch.writes.clone());
        Ok(())
    }

    /// The journal of an engine that had none: it is there before the engine says so.
    fn begin(&self) -> Result<Journal, EngineError> {
        let journal = Journal::make(&self.folder)?;
        self.shared.engine.commit(&Batch { expectations: Vec::new(), writes: vec![applied(0)] })?;
        Ok(journal)
    }

    /// Lets the active memtable be frozen, once the one before is in the engine.
    fn freeze(&self, log: &mut Log) -> Result<(), EngineError> {
        log.finish(&self.shared)?;
        let mut layers = self.shared.write();
        let active = core::mem::take(&mut layers.active);
        layers.frozen = (active.rows() > 0).then(|| Arc::new(active));
        Ok(())
    }

    fn checkpoint_all(&self, log: &mut Log) -> Result<(), EngineError> {
        self.freeze(log)?;
        self.shared.checkpoint()
    }
}

impl Log {
    /// Goes on in the other half while a checkpoint runs beside.
    fn turn(&mut self, shared: &Arc<Shared>) {
        if let Some(journal) = &mut self.journal {
            journal.turn();
        }
        if self.checkpoints.is_none() {
            self.checkpoints = Checkpoints::start(shared).ok();
        }
        // Where there is no thread, whoever turns next does it.
        if let Some(checkpoints) = &mut self.checkpoints {
            checkpoints.begin();
        }
    }

    /// What became of a checkpoint, if it has ended.
    fn look(&mut self) -> Result<(), EngineError> {
        self.checkpoints.as_mut().map_or(Ok(()), Checkpoints::look)
    }

    /// Waits until nothing is frozen.
    fn finish(&mut self, shared: &Shared) -> Result<(), EngineError> {
        if let Some(checkpoints) = &mut self.checkpoints {
            checkpoints.wait()?;
        }
        shared.checkpoint()
    }
}

impl Engine for Journaled {
    fn get(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.guard.run(|| self.shared.get(table, key))
    }

    fn scan(
        &self,
        table: &str,
        from: &[u8],
        to: &[u8],
        limit: usize,
        direction: Direction,
    ) -> Result<Vec<Row>, EngineError> {
        self.guard.run(|| {
            let written = self.shared.read().page(table, (from, to), (limit, direction));
            let engine = &*self.shared.engine;
            if written.is_empty() || is_empty(from, to) {
                return engine.scan(table, from, to, limit, direction);
            }
            Stored::new(engine, table, (from, to), direction).under(written, limit)
        })
    }

    fn commit(&self, batch: &Batch) -> Result<Durable, EngineError> {
        self.guard.run(|| {
            let mut log = lock(&self.log);
            self.permit(batch)?;
            self.record(&mut log, batch)?;
            Ok(Durable::flushed())
        })
    }

    fn write(&self, batch: &Batch) -> Result<(), EngineError> {
        self.commit(batch).map(drop)
    }

    fn settle(&self) -> Result<(), EngineError> {
        self.guard.run(|| self.checkpoint_all(&mut lock(&self.log)))
    }

    fn stats(&self) -> Result<EngineStats, EngineError> {
        let stats = self.guard.run(|| self.shared.engine.stats());
        let EngineStats { bytes, free_bytes } = stats?;
        // Its lock is held while the disk is waited for.
        let journal = fs::metadata(self.folder.join(FILE)).map_or(0, |file| file.len());
        Ok(EngineStats { bytes: bytes.saturating_add(journal), free_bytes })
    }
}

fn memtable(records: Vec<Record>) -> Memtable {
    let mut memtable = Memtable::default();
    for Record { number, writes } in records {
        memtable.write(number, writes);
    }
    memtable
}

fn lock(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
