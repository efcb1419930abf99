//! Who waits for the answer to which command.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

pub(super) struct Answers<T> {
    waiting: Mutex<HashMap<u64, oneshot::Sender<T>>>,
    next: AtomicU64,
}

impl<T> Default for Answers<T> {
    fn default() -> Self {
        Self { waiting: Mutex::default(), next: AtomicU64::new(1) }
    }
}

impl<T> Answers<T> {
    /// A number for a command, and where its answer comes.
    pub(super) fn await_one(&self) -> (u64, oneshot::Receiver<T>) {
        let request = self.next.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        self.lock().insert(request, answer);
        (request, answered)
    }

    /// Nobody will answer.
    pub(super) fn forget(&self, request: u64) {
        self.lock().remove(&request);
    }

    /// Gives an answer; whoever asked may have gone.
    pub(super) fn answer(&self, request: u64, answer: T) {
        if let Some(waiting) = self.lock().remove(&request) {
            let _ = waiting.send(answer);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<T>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
