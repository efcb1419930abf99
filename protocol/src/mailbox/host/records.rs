//! The records of owners, put into the DHT by their host: at once when they come, then every eight
//! hours, give or take a quarter.
//!
//! After a start, and when the DHT can be reached again, the first ones leave at once and the rest is
//! spread over eight hours. Source: PROTOCOL §3; `spec/records.md#who-puts`.

use std::collections::BTreeMap;

use rand_core::CryptoRng;

use super::exchange::HostEffect;
use super::machine::{HostMachine, Hx};
use crate::id::AccountId;
use crate::limits::{MAX_PUTS_AT_ONCE, PUT_AGAIN};
use crate::machine::{NetworkOutput, Output};
use crate::record::{Published, account_key, bundle_key};
use crate::rows::mailbox::{CARDS, CardRow, OwnerRow, trees};
use crate::rows::typed::{load, load_all};
use crate::rows::{ReadRows, RowsError};
use crate::session::Bundle;
use crate::time::Millis;
use crate::wire::frame::OwnerRole;

/// In which time at most [`MAX_PUTS_AT_ONCE`] accounts' records leave.
const PAUSE: Millis = Millis::from_secs(5);

/// When the records of which account are put next.
#[derive(Debug, Default)]
pub(super) struct Puts {
    reachable: bool,
    due: BTreeMap<AccountId, Millis>,
    /// When the first ones of this pause left, and how many did since.
    since: Millis,
    left: usize,
}

impl Puts {
    /// Reads whose records are here.
    pub(super) fn open(
        rows: &dyn ReadRows,
        now: Millis,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, RowsError> {
        let mut puts = Self::default();
        for (_, row) in load_all::<OwnerRow>(rows, &trees(OwnerRole::Public).owners, &[])? {
            puts.due.extend(row.account.map(|account| (account, now)));
        }
        puts.spread(now, rng);
        Ok(puts)
    }

    pub(super) fn reachable(&mut self, reachable: bool, now: Millis, rng: &mut dyn CryptoRng) {
        if reachable && !self.reachable {
            self.spread(now, rng);
        }
        self.reachable = reachable;
    }

    /// An account's records came: at once if they lead elsewhere than those before, else when it is
    /// time. An owner whose link comes and goes makes no noise in the DHT.
    pub(super) fn came(&mut self, account: AccountId, now: Millis, leads_to_the_same: bool) {
        let due = self.due.entry(account).or_insert(now);
        if !leads_to_the_same {
            *due = now;
        }
    }

    pub(super) fn forget(&mut self, account: AccountId) {
        self.due.remove(&account);
    }

    /// Those whose turn it is.
    fn take(&mut self, now: Millis) -> Vec<AccountId> {
        if self.left == 0 || now.saturating_sub(self.since) >= PAUSE {
            (self.since, self.left) = (now, 0);
        }
        let room = MAX_PUTS_AT_ONCE.saturating_sub(self.left);
        let due = self.due.iter().filter(|(_, at)| **at <= now);
        let due: Vec<AccountId> = due.map(|(account, _)| *account).take(room).collect();
        self.left = self.left.saturating_add(due.len());
        due
    }

    /// When that is next.
    fn next(&self) -> Option<Millis> {
        let due = self.due.values().min().copied()?;
        let full = self.left >= MAX_PUTS_AT_ONCE;
        Some(if full { due.max(self.since.saturating_add(PAUSE)) } else { due })
    }

    /// Of those that are due, the first ones stay so.
    fn spread(&mut self, now: Millis, rng: &mut dyn CryptoRng) {
        let due = self.due.values_mut().filter(|at| **at <= now);
        for at in due.skip(MAX_PUTS_AT_ONCE) {
            *at = now.saturating_add(drawn(PUT_AGAIN.0, rng));
        }
    }
}

fn drawn(below: u64, rng: &mut dyn CryptoRng) -> Millis {
    let mut bytes = [0; 8];
    rng.fill_bytes(&mut bytes);
    Millis(u64::from_le_bytes(bytes).checked_rem(below).unwrap_or(0))
}

impl HostMachine {
    /// Puts what is due; returns when that is next.
    pub(super) fn put_records(&mut self, hx: &mut Hx<'_>) -> Result<Option<Millis>, RowsError> {
        if !self.puts.reachable {
            return Ok(None);
        }
        for account in self.puts.take(hx.now.since_start) {
            self.put(hx, account)?;
        }
        Ok(self.puts.next())
    }

    fn put(&mut self, hx: &mut Hx<'_>, account: AccountId) -> Result<(), RowsError> {
        let row: Option<CardRow> = load(hx.rows, &CARDS, account.as_bytes())?;
        let Some(row) = row else {
            self.puts.due.remove(&account);
            return Ok(());
        };
        let quarter = PUT_AGAIN.0 / 4;
        let again = Millis(PUT_AGAIN.0.saturating_sub(quarter));
        let again = again.saturating_add(drawn(quarter.saturating_mul(2), hx.rng));
        self.puts.due.insert(account, hx.now.since_start.saturating_add(again));
        for (place, record) in row.records.iter().enumerate() {
            let key = match place {
                0 => Some(account_key(&account)),
                _ => Bundle::from_bytes(record, self.net())
                    .ok()
                    .map(|it| bundle_key(&it.device_id())),
            };
            let Some(key) = key else { continue };
            let valid = Published::from_bytes(&key, record, self.net(), hx.now.wall).is_ok();
            if valid {
                let value = record.to_vec();
                let put = HostEffect::Network(NetworkOutput::Put { key, value });
                hx.out.push(Output::After(put));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use chacha20::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;

    const NOW: Millis = Millis::from_hours(100);

    fn account(number: u8) -> AccountId {
        AccountId([number; 32])
    }

    #[test]
    fn the_first_ones_go_at_once_and_the_rest_is_spread() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let due = (0..100).map(|number| (account(number), NOW)).collect();
        let mut puts = Puts { due, ..Puts::default() };

        puts.reachable(true, NOW, &mut rng);

        let at_once = puts.due.values().filter(|at| **at == NOW).count();
        assert_eq!(at_once, MAX_PUTS_AT_ONCE);
        let end = NOW.saturating_add(PUT_AGAIN);
        assert!(puts.due.values().all(|at| (NOW..end).contains(at)));
        let late = NOW.saturating_add(Millis(PUT_AGAIN.0 / 2));
        assert!(puts.due.values().filter(|at| **at > late).count() > 20);
    }

    #[test]
    fn a_few_never_wait_for_each_other_and_many_go_in_parts() {
        let later = |seconds| NOW.saturating_add(Millis::from_secs(seconds));
        let mut puts = Puts { due: [(account(0), NOW)].into(), ..Puts::default() };
        assert_eq!(puts.take(NOW), [account(0)]);
        puts.forget(account(0));

        let many = (1..).take(MAX_PUTS_AT_ONCE).map(|number| (account(number), later(1)));
        puts.due.extend(many);
        let next = puts.take(later(1));
        assert_eq!(next.len(), MAX_PUTS_AT_ONCE - 1, "no pause after one");
        next.into_iter().for_each(|it| puts.forget(it));
        assert_eq!(puts.next(), Some(later(5)));
        assert!(puts.take(later(4)).is_empty());
        assert_eq!(puts.take(later(5)).len(), 1);
    }

    #[test]
    fn what_leads_elsewhere_goes_at_once_and_what_says_the_same_waits() {
        let later = NOW.saturating_add(PUT_AGAIN);
        let mut puts = Puts { due: [(account(1), later)].into(), ..Puts::default() };

        puts.came(account(1), NOW, true);
        puts.came(account(2), NOW, true);
        assert_eq!(puts.due, [(account(1), later), (account(2), NOW)].into());

        puts.came(account(1), NOW, false);
        puts.forget(account(2));
        assert_eq!(puts.due, [(account(1), NOW)].into());
    }
}
