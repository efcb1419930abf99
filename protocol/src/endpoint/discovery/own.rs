//! What this device signs about where its mail is kept: its manifest for contacts, its account's
//! record for everybody.
//!
//! Rule: both draw their `seq` from one count, and what says something else has a higher one, also
//! within one second: who has both could not tell which is newer otherwise. A record that says the
//! same as the last is signed anew once an hour at most.

use crate::endpoint::machine::{Cx, Endpoint};
use crate::limits::{MAX_RECORD_AHEAD, MEND_EVERY};
use crate::record::{AccountRecord, Manifest, ManifestHost, RecordDevice};
use crate::time::UnixMillis;

/// How far ahead of the clock a `seq` may stand, in seconds: half of what readers take. A clock that is
/// put back by less (at boot, by NTP) brings back nothing that was signed before.
const AHEAD: u64 = MAX_RECORD_AHEAD.0 / 2_000;

/// What this device last signed.
#[derive(Debug, Default)]
pub(in crate::endpoint) struct OwnRecords {
    hosts: Vec<ManifestHost>,
    k: u8,
    /// The highest `seq` that said so.
    seq: u64,
    record: Option<AccountRecord>,
    /// The highest `seq` of a bundle.
    bundle_seq: u64,
}

impl OwnRecords {
    /// The `seq` of a bundle that is signed at `wall`.
    pub(in crate::endpoint) fn next_bundle(&mut self, wall: UnixMillis) -> u64 {
        self.bundle_seq = next(wall, self.bundle_seq);
        self.bundle_seq
    }

    /// The `seq` of what is signed about these hosts at `wall`.
    fn placed(&mut self, wall: UnixMillis, (hosts, k): (&[ManifestHost], u8)) -> u64 {
        if self.hosts != hosts || self.k != k || self.seq == 0 {
            (self.hosts, self.k, self.record) = (hosts.to_vec(), k, None);
            self.seq = next(wall, self.seq);
        }
        let now = wall.0 / 1_000;
        self.seq = if self.seq > now.saturating_add(AHEAD) { now } else { self.seq.max(now) };
        self.seq
    }
}

/// The next `seq` after `last`, at `wall`.
fn next(wall: UnixMillis, last: u64) -> u64 {
    let now = wall.0 / 1_000;
    if last > now.saturating_add(AHEAD) { now } else { now.max(last.saturating_add(1)) }
}

impl Endpoint {
    /// Where this device's mail is kept, for contacts.
    pub(in crate::endpoint) fn manifest(&mut self, cx: &Cx<'_>) -> Manifest {
        let (hosts, k) = (self.bounded_hosts(), self.k());
        let seq = self.own.placed(cx.now.wall, (&hosts, k));
        Manifest::sign(self.signer(), self.net(), self.device, seq, k, &hosts)
    }

    /// The account record as it is now, for everybody.
    pub(in crate::endpoint) fn account_record(&mut self, cx: &Cx<'_>) -> AccountRecord {
        let (hosts, k) = (self.bounded_hosts(), self.k());
        let seq = self.own.placed(cx.now.wall, (&hosts, k));
        let at = UnixMillis(seq.saturating_mul(1_000));
        let signed = |it: &AccountRecord| UnixMillis(it.seq().saturating_mul(1_000));
        let last = self.own.record.as_ref();
        if let Some(last) = last.filter(|it| signed(it) <= at && at.since(signed(it)) < MEND_EVERY)
        {
            return last.clone();
        }
        let places = (0_u8..).zip(&hosts).map(|(place, _)| place).collect();
        let devices = [RecordDevice { device: self.device, k, hosts: places }];
        let placed = (&hosts[..], &devices[..]);
        let record = AccountRecord::sign(self.signer(), self.net(), &self.me.chain, at, placed);
        self.own.record = Some(record.clone());
        record
    }

    fn bounded_hosts(&self) -> Vec<ManifestHost> {
        self.manifest_hosts().iter().map(ManifestHost::bounded).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::HostId;
    use crate::time::Millis;

    #[test]
    fn what_says_something_else_has_a_higher_seq_within_one_second() {
        let (mut own, wall) = (OwnRecords::default(), UnixMillis(1_700_000_000_400));
        let one = [ManifestHost { host: HostId([1; 32]), addresses: Vec::new() }];

        let none = own.placed(wall, (&[], 1));
        let same = own.placed(wall, (&[], 1));
        let more = own.placed(wall, (&one, 1));

        assert_eq!((none, same, more), (1_700_000_000, 1_700_000_000, 1_700_000_001));
        let later = wall.saturating_add(Millis::from_secs(10));
        assert_eq!(own.placed(later, (&one, 1)), 1_700_000_010);
        assert_eq!(own.placed(wall, (&one, 1)), 1_700_000_010);
        let day = wall.saturating_sub(Millis::from_days(1));
        assert_eq!(own.placed(day, (&one, 1)), day.0 / 1_000);
    }
}
