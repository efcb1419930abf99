//! The group-commit thread: many batches, one flush.
//!
//! ```text
//! take one, and all that is queued behind it (≤ 1,024 operations, ≤ 4 MiB) ─► seal ─► one engine
//! commit ─► answer each, in order ─► the next group, which has formed meanwhile: no timer
//! ```
//!
//! Rule: what is committed together fails together, and after a failure every later batch is refused:
//! it may rest on one that is not there. Source: STORE-NOTES, "Shape that works".

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use crate::batch::{CommitError, Durable, SealedBatch};
use crate::prepare::Preparation;
use crate::reader::Base;

/// Batches that wait before `commit` blocks: two for each of 64 callers (ARCHITECTURE: a loop has at
/// most two under way).
const MAX_QUEUED: usize = 128;
/// Operations in one flush, unless one batch has more (STORE-NOTES).
const MAX_OPERATIONS: usize = 1_024;
/// Bytes in one flush, unless one batch has more (STORE-NOTES).
const MAX_BYTES: usize = 4 << 20;

type Outcome = Result<Durable, CommitError>;

struct Job {
    batch: SealedBatch,
    answer: Box<dyn FnOnce(Outcome) + Send>,
}

/// The thread, seen from outside.
pub(crate) struct Committer {
    queue: Mutex<Option<SyncSender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    batches: AtomicU64,
    flushes: AtomicU64,
}

impl Committer {
    /// Starts the thread.
    pub(crate) fn start(base: Arc<Base>) -> std::io::Result<Self> {
        let (queue, jobs) = sync_channel(MAX_QUEUED);
        let counts = Arc::new(Counts::default());
        let theirs = Arc::clone(&counts);
        let run = move || Worker { base, jobs, counts: theirs, held: None }.run();
        let thread = thread::Builder::new().name("commit".into()).spawn(run)?;
        Ok(Self { queue: Mutex::new(Some(queue)), thread: Mutex::new(Some(thread)), counts })
    }

    /// Queues a batch; blocks while the queue is full.
    pub(crate) fn submit(&self, batch: SealedBatch, answer: Box<dyn FnOnce(Outcome) + Send>) {
        let queue = lock(&self.queue).clone();
        let job = Job { batch, answer };
        let refused = match queue {
            Some(queue) => queue.send(job).err().map(|error| error.0),
            None => Some(job),
        };
        if let Some(job) = refused {
            (job.answer)(Err(CommitError::Broken));
        }
    }

    /// Batches made durable, and the flushes that it took.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (count(&self.counts.batches), count(&self.counts.flushes))
    }

    /// Takes no more, and waits until everything queued is answered.
    pub(crate) fn close(&self) {
        drop(lock(&self.queue).take());
        let thread = lock(&self.thread).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the commit thread panicked");
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The thread, seen from inside.
struct Worker {
    base: Arc<Base>,
    jobs: Receiver<Job>,
    counts: Arc<Counts>,
    /// Taken from the queue, and did not fit the last group.
    held: Option<Job>,
}

impl Worker {
    fn run(mut self) {
        let mut is_broken = false;
        while let Some(first) = self.held.take().or_else(|| self.jobs.recv().ok()) {
            let group = self.gather(first);
            let outcome = if is_broken { Err(CommitError::Broken) } else { self.write(&group) };
            if outcome.is_ok() {
                let batches = u64::try_from(group.len()).unwrap_or(u64::MAX);
                self.counts.batches.fetch_add(batches, Ordering::Relaxed);
                self.counts.flushes.fetch_add(1, Ordering::Relaxed);
            }
            is_broken |= outcome.is_err();
            for job in group {
                let outcome = outcome.clone();
                if catch_unwind(AssertUnwindSafe(|| (job.answer)(outcome))).is_err() {
                    tracing::error!("the answer to a batch panicked");
                }
            }
        }
    }

    /// What is queued behind a job and may share its flush.
    fn gather(&mut self, first: Job) -> Vec<Job> {
        let (mut operations, mut bytes) = (first.batch.operations(), first.batch.bytes());
        let mut group = vec![first];
        loop {
            let next = match self.jobs.try_recv() {
                Ok(next) => next,
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return group,
            };
            operations = operations.saturating_add(next.batch.operations());
            bytes = bytes.saturating_add(next.batch.bytes());
            // Expectations are about what is committed, so nothing uncommitted may stand before.
            let is_apart = !next.batch.expectations.is_empty();
            if operations > MAX_OPERATIONS || bytes > MAX_BYTES || is_apart {
                self.held = Some(next);
                return group;
            }
            group.push(next);
        }
    }

    fn write(&self, group: &[Job]) -> Outcome {
        let mut preparation = Preparation::new(&self.base);
        for job in group {
            preparation.add(&job.batch)?;
        }
        preparation.commit()
    }
}
