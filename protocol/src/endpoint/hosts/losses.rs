//! Hosts that lost what they had, or say so: all of it is given to them at once, and if they say so
//! again, after an hour, two hours, and so on to a day. So nobody works without end for a host that lies.

use std::collections::BTreeMap;

use crate::id::HostId;
use crate::machine::LinkId;
use crate::time::Millis;

/// The wait after the first loss.
const FIRST: Millis = Millis::from_hours(1);
/// The longest.
const LONGEST: Millis = Millis::from_days(1);

/// When a host was last given everything again.
#[derive(Debug)]
struct Loss {
    link: LinkId,
    at: Millis,
    wait: Millis,
    owed: bool,
}

/// Of hosts that lost something within two days.
#[derive(Debug, Default)]
pub(in crate::endpoint) struct Losses(BTreeMap<HostId, Loss>);

impl Losses {
    /// Whether a loss that shows on this stream is made good now; else it is owed.
    pub(super) fn is_due(&mut self, host: HostId, link: LinkId, now: Millis) -> bool {
        self.0.retain(|_, loss| now.saturating_sub(loss.at) < LONGEST.saturating_mul(2));
        let Some(loss) = self.0.get_mut(&host) else {
            self.0.insert(host, Loss { link, at: now, wait: FIRST, owed: false });
            return true;
        };
        if loss.link != link {
            if now.saturating_sub(loss.at) < loss.wait {
                loss.owed = true;
                return false;
            }
            let wait = loss.wait.saturating_mul(2).min(LONGEST);
            *loss = Loss { link, at: now, wait, owed: false };
        }
        true
    }

    /// Hosts that are owed something, and whose time has come: named once.
    pub(super) fn take_owed(&mut self, now: Millis) -> Vec<HostId> {
        let due = |loss: &Loss| loss.owed && now.saturating_sub(loss.at) >= loss.wait;
        let owed = self.0.iter_mut().filter(|(_, loss)| due(loss));
        owed.map(|(host, loss)| {
            loss.owed = false;
            *host
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{FIRST, Losses};
    use crate::id::HostId;
    use crate::machine::LinkId;
    use crate::time::Millis;

    const HOST: HostId = HostId([1; 32]);

    #[test]
    fn a_host_that_loses_everything_each_minute_is_given_it_after_longer_and_longer_waits() {
        let mut losses = Losses::default();
        let mut given = Vec::new();
        for minute in 0..5 * 24 * 60 {
            let now = Millis::from_minutes(minute);
            if losses.is_due(HOST, LinkId(minute), now) {
                given.push(minute / 60);
            }
        }
        assert_eq!(given, [0, 1, 3, 7, 15, 31, 55, 79, 103]);
    }

    #[test]
    fn one_loss_is_one_on_all_its_queues_and_what_is_owed_comes() {
        let mut losses = Losses::default();
        assert!(losses.is_due(HOST, LinkId(1), Millis(0)));
        assert!(losses.is_due(HOST, LinkId(1), Millis(9)));
        assert!(losses.take_owed(FIRST).is_empty());
        assert!(!losses.is_due(HOST, LinkId(2), Millis(10)));
        assert!(losses.take_owed(Millis(20)).is_empty());
        assert_eq!(losses.take_owed(FIRST), [HOST]);
        assert!(losses.is_due(HOST, LinkId(3), FIRST));
        assert!(losses.take_owed(Millis::from_days(1)).is_empty());
        // Two quiet days, and it is forgotten.
        let later = FIRST.saturating_add(Millis::from_days(2));
        assert!(losses.is_due(HOST, LinkId(4), later));
        assert!(!losses.is_due(HOST, LinkId(5), later));
    }
}
