//! Bounds what waits for a loop, so that its one channel can be read in one place.

use std::sync::{Condvar, Mutex, PoisonError};

/// Counts what waits; full means that the sender waits, or is told.
pub(super) struct Gate {
    waiting: Mutex<usize>,
    freed: Condvar,
    limit: usize,
}

impl Gate {
    pub(super) fn new(limit: usize) -> Self {
        Self { waiting: Mutex::new(0), freed: Condvar::new(), limit }
    }

    /// Takes a place; waits for one.
    pub(super) fn enter(&self) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        while *waiting >= self.limit {
            waiting = self.freed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        *waiting = waiting.saturating_add(1);
    }

    /// Takes a place if there is one.
    pub(super) fn try_enter(&self) -> bool {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let free = *waiting < self.limit;
        if free {
            *waiting = waiting.saturating_add(1);
        }
        free
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) == 0
    }

    /// Gives places back.
    pub(super) fn leave(&self, count: usize) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        *waiting = waiting.saturating_sub(count);
        self.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_gate_says_so_until_somebody_leaves() {
        let gate = Gate::new(2);
        gate.enter();
        assert!(gate.try_enter() && !gate.try_enter());
        gate.leave(1);
        assert!(gate.try_enter());
        gate.leave(2);
        assert!(gate.is_empty());
    }
}
