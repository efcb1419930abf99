//! The group-commit thread: many batches, one flush.
//!
//! ```text
//! take one, and all that is queued behind it (≤ 1,024 operations, ≤ 4 MiB) ─► seal ─► one engine
//! commit ─► answer each, in order ─► the next group, which has formed meanwhile: no timer
//! ```
//! Where nothing is queued, a caller that has nothing else to do writes its batch itself
//! ([`Committer::commit_here`]): two changes of thread less.
//!
//! Rule: what is committed together fails together, and after a failure every later batch is refused:
//! it may rest on one that is not there. Source: STORE-NOTES, "Shape that works".

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
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
    writer: Arc<Writer>,
}

/// Who writes, one group at a time.
struct Writer {
    base: Arc<Base>,
    is_broken: Mutex<bool>,
    /// Batches that were queued and are not answered.
    queued: AtomicUsize,
    batches: AtomicU64,
    flushes: AtomicU64,
}

impl Committer {
    /// Starts the thread.
    pub(crate) fn start(base: Arc<Base>) -> std::io::Result<Self> {
        let (queue, jobs) = sync_channel(MAX_QUEUED);
        let writer = Arc::new(Writer {
            base,
            is_broken: Mutex::new(false),
            queued: AtomicUsize::new(0),
            batches: AtomicU64::new(0),
            flushes: AtomicU64::new(0),
        });
        let theirs = Arc::clone(&writer);
        let run = move || Worker { writer: theirs, jobs, held: None }.run();
        let thread = thread::Builder::new().name("commit".into()).spawn(run)?;
        Ok(Self { queue: Mutex::new(Some(queue)), thread: Mutex::new(Some(thread)), writer })
    }

    /// Queues a batch; blocks while the queue is full.
    pub(crate) fn submit(&self, batch: SealedBatch, answer: Box<dyn FnOnce(Outcome) + Send>) {
        let queue = lock(&self.queue).clone();
        let job = Job { batch, answer };
        self.writer.queued.fetch_add(1, Ordering::AcqRel);
        let refused = match queue {
            Some(queue) => queue.send(job).err().map(|error| error.0),
            None => Some(job),
        };
        if let Some(job) = refused {
            self.writer.queued.fetch_sub(1, Ordering::AcqRel);
            (job.answer)(Err(CommitError::Broken));
        }
    }

    /// Writes a batch on the caller's thread if nothing is queued or being written; gives it back
    /// otherwise.
    pub(crate) fn commit_here(&self, batch: SealedBatch) -> Result<Outcome, SealedBatch> {
        let is_open = lock(&self.queue).is_some();
        if !is_open || self.writer.queued.load(Ordering::Acquire) > 0 {
            return Err(batch);
        }
        let free = match self.writer.is_broken.try_lock() {
            Ok(free) => free,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(batch),
        };
        Ok(self.writer.write(free, &[&batch]))
    }

    /// Batches made durable, and the flushes that it took.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (count(&self.writer.batches), count(&self.writer.flushes))
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

impl Writer {
    /// Writes a group as one; what comes after a failure is refused.
    fn write(&self, mut is_broken: MutexGuard<'_, bool>, group: &[&SealedBatch]) -> Outcome {
        if *is_broken {
            return Err(CommitError::Broken);
        }
        // A panic in between leaves the store refusing, not half trusted.
        *is_broken = true;
        let outcome = self.prepared(group);
        *is_broken = outcome.is_err();
        if outcome.is_ok() {
            let batches = u64::try_from(group.len()).unwrap_or(u64::MAX);
            self.batches.fetch_add(batches, Ordering::Relaxed);
            self.flushes.fetch_add(1, Ordering::Relaxed);
        }
        outcome
    }

    fn prepared(&self, group: &[&SealedBatch]) -> Outcome {
        let mut preparation = Preparation::new(&self.base);
        for batch in group {
            preparation.add(batch)?;
        }
        preparation.commit()
    }
}

/// The thread, seen from inside.
struct Worker {
    writer: Arc<Writer>,
    jobs: Receiver<Job>,
    /// Taken from the queue, and did not fit the last group.
    held: Option<Job>,
}

impl Worker {
    fn run(mut self) {
        while let Some(first) = self.held.take().or_else(|| self.jobs.recv().ok()) {
            let group = self.gather(first);
            let batches: Vec<&SealedBatch> = group.iter().map(|job| &job.batch).collect();
            let outcome = self.writer.write(lock(&self.writer.is_broken), &batches);
            let count = group.len();
            for job in group {
                let outcome = outcome.clone();
                if catch_unwind(AssertUnwindSafe(|| (job.answer)(outcome))).is_err() {
                    tracing::error!("the answer to a batch panicked");
                }
            }
            self.writer.queued.fetch_sub(count, Ordering::AcqRel);
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
}
