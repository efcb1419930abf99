//! Lines that a device takes later: its disk is low, or it would have to keep too many keys today.
//!
//! ```text
//! refused ──retry_after──► one line asks ──taken──► all go again
//!    ▲                          │ refused: twice as long, an hour at most
//!    └──────────────────────────┘
//! ```
//! Rule: one line asks for all, since each that goes again is encrypted at a new position, and positions
//! may be what is short over there.
//! Source: PROTOCOL §7 "Direct"; `protocol/spec/streams.md`, "Direct".

use std::collections::BTreeSet;

use crate::time::Millis;

/// The shortest and the longest wait before one asks.
const FIRST: Millis = Millis::from_secs(1);
const LAST: Millis = Millis::from_hours(1);

/// What a device has put off on its direct stream.
#[derive(Debug, Default)]
pub(super) struct Busy {
    lines: BTreeSet<u64>,
    /// When one of them asks; none while one does.
    at: Option<Millis>,
    asks: Option<u64>,
    wait: Millis,
}

impl Busy {
    /// A line was refused for now; returns when one asks.
    pub(super) fn refused(&mut self, number: u64, retry_after: Millis, now: Millis) -> Millis {
        let known = self.at.filter(|_| self.asks != Some(number));
        self.lines.insert(number);
        let at = known.unwrap_or_else(|| {
            self.asks = None;
            let twice = self.wait.saturating_mul(2).0;
            self.wait = Millis(twice.max(retry_after.0).clamp(FIRST.0, LAST.0));
            now.saturating_add(self.wait)
        });
        self.at = Some(at);
        at
    }

    /// The line that asks now, if it is time; one that has what it needs need not.
    pub(super) fn due(&mut self, now: Millis, needs: impl Fn(&u64) -> bool) -> Option<u64> {
        self.at.filter(|at| *at <= now)?;
        self.at = None;
        self.lines.retain(needs);
        self.asks = self.lines.pop_first();
        self.asks
    }

    /// A line was taken; returns those that go again, if it was the one that asked.
    pub(super) fn taken(&mut self, number: u64) -> BTreeSet<u64> {
        if self.asks != Some(number) {
            return BTreeSet::new();
        }
        core::mem::take(self).lines
    }

    /// A line goes again by itself.
    pub(super) fn left(&mut self, number: u64) {
        self.lines.remove(&number);
    }

    /// A line has ended; if it was the one that asked, the next one does.
    pub(super) fn ended(&mut self, number: u64) {
        self.left(number);
        if self.asks == Some(number) {
            self.asks = None;
            self.at = Some(Millis(0));
        }
    }

    /// When one asks.
    pub(super) const fn at(&self) -> Option<Millis> {
        self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Millis = Millis::from_secs(60);

    fn busy(count: u64) -> Busy {
        let mut busy = Busy::default();
        for number in 1..=count {
            assert_eq!(busy.refused(number, MINUTE, Millis(number)), Millis(60_001));
        }
        busy
    }

    #[test]
    fn one_asks_for_all_and_each_time_later() {
        let mut busy = busy(3);
        assert_eq!(busy.due(Millis(60_000), |_| true), None);
        let mut now = Millis(60_001);
        for minutes in [2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(busy.due(now, |_| true), Some(1));
            assert_eq!(busy.due(now, |_| true), None, "one at a time");
            let next = busy.refused(1, MINUTE, now);
            assert_eq!(next, now.saturating_add(MINUTE.saturating_mul(minutes)));
            // Another one that is refused meanwhile waits with the rest.
            assert_eq!(busy.refused(9, MINUTE, now), next);
            now = next;
        }
        assert_eq!(busy.due(now, |_| true), Some(1));
        assert_eq!(busy.taken(2), BTreeSet::new(), "it did not ask");
        assert_eq!(busy.taken(1), BTreeSet::from([2, 3, 9]));
        assert_eq!(busy.at(), None);
    }

    #[test]
    fn what_was_asked_by_one_that_ended_or_needs_nothing_the_next_one_asks() {
        let mut busy = busy(4);
        let now = MINUTE.saturating_mul(2);
        assert_eq!(busy.due(now, |number| *number > 1), Some(2));
        busy.ended(2);
        busy.left(3);
        assert_eq!(busy.due(now, |_| true), Some(4));
        busy.ended(4);
        assert_eq!((busy.due(now, |_| true), busy.at()), (None, None));
    }

    #[test]
    fn no_wait_is_shorter_than_a_second_or_longer_than_an_hour() {
        for (asked, waits) in [(Millis(0), FIRST), (Millis(u64::MAX), LAST)] {
            assert_eq!(Busy::default().refused(1, asked, Millis(5)), Millis(waits.0 + 5));
        }
    }
}
