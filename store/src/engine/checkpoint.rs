//! From the frozen memtable to the engine, on a thread of its own.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread::{self, JoinHandle};

use super::guard::panicked;
use super::memtable::Layers;
use super::{Engine, EngineError};
use crate::batch::{Batch, StoredWrite};

/// The engine's own table of it: what the engine has of the journal.
pub(super) const TABLE: &str = "_journal";
/// Its only key: the number of the last record that it has.
pub(super) const APPLIED: &[u8] = b"applied";

type Outcome = Result<(), EngineError>;

/// What a checkpoint works on.
pub(super) struct Shared {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) layers: RwLock<Layers>,
}

/// The thread beside: one for all checkpoints, since each thread has memory of its own.
pub(super) struct Checkpoints {
    ask: Option<SyncSender<()>>,
    ended: Receiver<Outcome>,
    is_running: bool,
    thread: Option<JoinHandle<()>>,
}

impl Shared {
    pub(super) fn read(&self) -> RwLockReadGuard<'_, Layers> {
        self.layers.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Layers> {
        self.layers.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value under a key, wherever it is.
    pub(super) fn get(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        let written = self.read().get(table, key);
        written.map_or_else(|| self.engine.get(table, key), Ok)
    }

    /// Writes what is frozen to the engine, if something is.
    pub(super) fn checkpoint(&self) -> Result<(), EngineError> {
        let Some(frozen) = self.read().frozen.clone() else { return Ok(()) };
        for batch in frozen.batches() {
            self.engine.write(&batch)?;
        }
        let writes = vec![applied(frozen.last())];
        self.engine.commit(&Batch { expectations: Vec::new(), writes })?;
        self.write().frozen = None;
        Ok(())
    }
}

impl Checkpoints {
    /// Starts the thread; it waits.
    pub(super) fn start(shared: &Arc<Shared>) -> io::Result<Self> {
        let (ask, asked) = sync_channel(1);
        let (end, ended) = sync_channel(1);
        let theirs = Arc::clone(shared);
        let run = move || {
            for () in asked {
                let done = catch_unwind(AssertUnwindSafe(|| theirs.checkpoint()));
                if end.send(done.unwrap_or_else(panicked)).is_err() {
                    return;
                }
            }
        };
        let thread = thread::Builder::new().name("checkpoint".into()).spawn(run)?;
        Ok(Self { ask: Some(ask), ended, is_running: false, thread: Some(thread) })
    }

    /// Lets it write what is frozen; the one before has ended.
    pub(super) fn begin(&mut self) {
        self.is_running = self.ask.as_ref().is_some_and(|ask| ask.send(()).is_ok());
    }

    /// What became of it, if it has ended.
    pub(super) fn look(&mut self) -> Outcome {
        let ended = self.is_running.then(|| self.ended.try_recv().ok());
        self.take(ended.flatten())
    }

    /// What became of it, once it has ended.
    pub(super) fn wait(&mut self) -> Outcome {
        let ended = self.is_running.then(|| self.ended.recv());
        self.take(ended.map(|it| it.unwrap_or(Err(EngineError::Broken))))
    }

    fn take(&mut self, ended: Option<Outcome>) -> Outcome {
        self.is_running &= ended.is_none();
        ended.unwrap_or(Ok(()))
    }
}

impl Drop for Checkpoints {
    /// Whoever closes an engine opens its folder again: nothing works on it any more then.
    fn drop(&mut self) {
        drop(self.ask.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the checkpoint thread panicked");
        }
    }
}

/// The row that says what the engine has.
pub(super) fn applied(number: u64) -> StoredWrite {
    let value = Some(number.to_be_bytes().to_vec());
    StoredWrite { table: TABLE, key: APPLIED.to_vec(), value }
}
