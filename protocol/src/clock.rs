//! Whether this node's own clock can be believed: no irreversible act on the word of one clock.
//!
//! | doubt | raised when the wall clock | what time is used meanwhile |
//! |---|---|---|
//! | own | lies before the newest time that this node committed, at a start | that time and what has passed since |
//! | own | moved against the monotonic clock by more than an hour | where it was, and what has passed since |
//! | own | lies a month after the newest committed time at a start | the wall clock's |
//! | hosts' | differs by more than an hour from the median of three own hosts or more | the wall clock's |
//!
//! A day of agreement ends a doubt. An own host that shows the wall clock's time lets that be used at
//! once, not erased by. Source: PROTOCOL §7, last rule.

use std::collections::BTreeMap;

use crate::id::HostId;
use crate::limits::{CLOCK_SLACK, LONG_AWAY, MAX_CLOCK_DIFFERENCE, MEDIAN_HOSTS};
use crate::time::{Millis, Time, UnixMillis};

const DAY: Millis = Millis::from_days(1);

/// Watches one node's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockWatch {
    /// Both clocks when they were last taken together.
    base: Time,
    /// What is believed instead of the wall clock.
    believed: Option<Time>,
    /// Since when, by the monotonic clock, the wall clock has been in doubt.
    doubted_since: Option<Millis>,
    /// What own hosts said last, and when.
    hosts: BTreeMap<HostId, Time>,
    /// Since when hosts say something else.
    differs_since: Option<Millis>,
}

/// Where a clock stands that stood at `then` and goes on.
fn now_at(then: Time, now: Time) -> UnixMillis {
    then.wall.saturating_add(now.since_start.saturating_sub(then.since_start))
}

fn agree(a: UnixMillis, b: UnixMillis) -> bool {
    a.since(b).max(b.since(a)) <= MAX_CLOCK_DIFFERENCE
}

impl ClockWatch {
    /// Begins to watch; `newest` is the newest wall time that this node committed, 0 for none.
    #[must_use]
    pub fn new(newest: UnixMillis, now: Time) -> Self {
        let behind = newest.since(now.wall) > CLOCK_SLACK;
        let ahead = newest.0 > 0 && now.wall.since(newest) > LONG_AWAY;
        Self {
            base: now,
            believed: behind.then_some(Time { wall: newest, ..now }),
            doubted_since: (behind || ahead).then_some(now.since_start),
            hosts: BTreeMap::new(),
            differs_since: None,
        }
    }

    /// Looks at both clocks.
    pub fn look(&mut self, now: Time) {
        let expected = now_at(self.base, now);
        if !agree(expected, now.wall) {
            self.believed = self.believed.or(Some(Time { wall: expected, ..now }));
            self.base = now;
            self.doubted_since = Some(now.since_start);
        }
        // It came back.
        self.believed = self.believed.filter(|then| !agree(now_at(*then, now), now.wall));
        let over = |since: Millis| now.since_start.saturating_sub(since) >= DAY;
        if self.doubted_since.is_some_and(over) {
            self.doubted_since = None;
            self.believed = None;
        }
        if self.hosts_differ(now) {
            self.differs_since = Some(now.since_start);
        } else if self.differs_since.is_some_and(over) {
            self.differs_since = None;
        }
    }

    /// An own host says what time it is; peers are not asked.
    pub fn hear(&mut self, host: HostId, says: UnixMillis, now: Time) {
        self.hosts.insert(host, Time { wall: says, ..now });
    }

    /// A host is no own one any more.
    pub fn forget(&mut self, host: &HostId) {
        self.hosts.remove(host);
    }

    /// The time by which this node lives now.
    #[must_use]
    pub fn time(&self, now: Time) -> Time {
        let said = |said: &Time| agree(now_at(*said, now), now.wall);
        match self.believed {
            Some(then) if !self.hosts.values().any(said) => Time { wall: now_at(then, now), ..now },
            _ => now,
        }
    }

    /// Whether nothing may be erased, swept, expired or dropped now.
    #[must_use]
    pub const fn is_doubted(&self) -> bool {
        self.doubted_since.is_some() || self.differs_since.is_some()
    }

    /// Own hosts whose clock differs from ours while the others' do not.
    #[must_use]
    pub fn dissenters(&self, now: Time) -> Vec<HostId> {
        if self.hosts_differ(now) {
            return Vec::new();
        }
        let differs = |(_, said): &(&HostId, &Time)| !agree(now_at(**said, now), now.wall);
        self.hosts.iter().filter(differs).map(|(host, _)| *host).collect()
    }

    fn hosts_differ(&self, now: Time) -> bool {
        if self.hosts.len() < MEDIAN_HOSTS {
            return false;
        }
        let mut said: Vec<UnixMillis> = self.hosts.values().map(|it| now_at(*it, now)).collect();
        said.sort_unstable();
        said.get(said.len() / 2).is_some_and(|median| !agree(*median, now.wall))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(wall: u64, since_start: u64) -> Time {
        Time { wall: UnixMillis(wall), since_start: Millis(since_start) }
    }

    #[test]
    fn a_clock_that_jumps_is_doubted_until_a_day_of_agreement_has_passed() {
        let (hour, day) = (3_600_000, 86_400_000);
        let mut watch = ClockWatch::new(UnixMillis(0), at(day, 0));
        watch.look(at(day + hour, hour));
        assert!(!watch.is_doubted());

        watch.look(at(9 * day, 2 * hour));
        assert!(watch.is_doubted());
        watch.look(at(9 * day + hour, 3 * hour));
        assert!(watch.is_doubted());
        watch.look(at(10 * day, 2 * hour + day));
        assert!(!watch.is_doubted());
    }

    #[test]
    fn a_clock_behind_what_was_committed_is_doubted_from_the_start() {
        let watch = ClockWatch::new(UnixMillis(DAY.0), at(1, 0));
        assert!(watch.is_doubted());
        assert_eq!(watch.time(at(1_001, 1_000)).wall, UnixMillis(DAY.0 + 1_000));
        assert!(!ClockWatch::new(UnixMillis(DAY.0), at(DAY.0 - 1_000, 0)).is_doubted());
    }

    #[test]
    fn whoever_was_away_for_long_erases_nothing_for_a_day_and_lives_by_its_clock() {
        let newest = UnixMillis(DAY.0);
        let now = at(400 * DAY.0, 0);
        let mut watch = ClockWatch::new(newest, now);
        assert!(watch.is_doubted() && watch.time(now) == now);
        watch.look(at(401 * DAY.0, DAY.0));
        assert!(!watch.is_doubted());
        assert!(!ClockWatch::new(UnixMillis(0), now).is_doubted(), "it has committed nothing yet");
    }

    #[test]
    fn while_a_clock_is_elsewhere_the_time_goes_on_where_it_was() {
        let start = 100 * DAY.0;
        for elsewhere in [0, start + 2 * DAY.0, start + 730 * DAY.0] {
            let mut watch = ClockWatch::new(UnixMillis(0), at(start, 0));
            watch.look(at(start + 1_000, 1_000));
            watch.look(at(elsewhere, 2_000));
            assert_eq!(watch.time(at(elsewhere, 2_000)).wall, UnixMillis(start + 2_000));
            watch.look(at(elsewhere + 5_000, 7_000));
            assert_eq!(watch.time(at(elsewhere + 5_000, 7_000)).wall, UnixMillis(start + 7_000));
            watch.look(at(start + 60_000, 60_000));
            assert_eq!(watch.time(at(start + 60_000, 60_000)).wall, UnixMillis(start + 60_000));
            assert!(watch.is_doubted(), "and nothing is erased for a day");
        }
    }

    #[test]
    fn a_host_that_agrees_lets_a_corrected_clock_be_used() {
        let mut watch = ClockWatch::new(UnixMillis(50 * DAY.0), at(0, 0));
        let set = at(55 * DAY.0, 10_000);
        watch.look(set);
        assert_eq!(watch.time(set).wall, UnixMillis(50 * DAY.0 + 10_000));
        watch.hear(HostId([1; 32]), UnixMillis(9 * DAY.0), set);
        assert_ne!(watch.time(set), set, "whoever says something else confirms nothing");
        watch.hear(HostId([2; 32]), UnixMillis(55 * DAY.0 + 1_000), set);
        assert_eq!(watch.time(set), set);
        assert!(watch.is_doubted());
    }

    #[test]
    fn the_median_of_three_hosts_raises_a_doubt_and_one_dissenter_is_only_shown() {
        let now = at(100 * DAY.0, 0);
        let mut watch = ClockWatch::new(UnixMillis(0), now);
        let ahead = UnixMillis(102 * DAY.0);
        watch.hear(HostId([1; 32]), now.wall, now);
        watch.hear(HostId([2; 32]), now.wall, now);
        watch.hear(HostId([3; 32]), ahead, now);
        watch.look(now);
        assert!(!watch.is_doubted());
        assert_eq!(watch.dissenters(now), [HostId([3; 32])]);

        watch.hear(HostId([2; 32]), ahead, now);
        watch.look(now);
        assert!(watch.is_doubted() && watch.dissenters(now).is_empty());
        assert_eq!(watch.time(now), now, "the records are signed");
        watch.hear(HostId([2; 32]), now.wall, now);
        watch.look(at(100 * DAY.0 + 1, 1));
        assert!(watch.is_doubted());
        watch.look(at(101 * DAY.0 + 1, DAY.0 + 1));
        assert!(!watch.is_doubted());

        for host in 1..4 {
            watch.forget(&HostId([host; 32]));
        }
        assert!(watch.dissenters(now).is_empty());
    }
}
