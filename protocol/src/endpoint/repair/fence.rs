//! Whether this home is older than it was, or lives twice.
//!
//! ```text
//! fence ── grows at every start, every 64 encryptions, every hour with one ──► each own host
//! a host shows more than ours, ours with another mark, or that more was acknowledged there:
//!   once            no old session encrypts again; new prekeys, new era; a session `gen`+1 to every
//!                   device, whose `hello{last}` brings what this home had lost
//!   again in 35 d   two homes are alive: this one stands down and asks its person
//! ```
//! Rule: the whole reaction is one batch; a crash before it is on disk repeats it whole.
//! Source: PROTOCOL §4, the fence.

use crate::endpoint::Change;
use crate::endpoint::links::Asked;
use crate::endpoint::machine::{Cx, Endpoint};
use crate::id::{DeviceId, HostId, OwnerKey};
use crate::limits::{FENCE_ENCRYPTIONS, FENCE_LEAP, MAX_FENCE_AHEAD, MAX_SEAL_KEYS, SESSION_GRACE};
use crate::mailbox::check_fence;
use crate::rows::RowsError;
use crate::rows::home::{FenceRow, HOME, LOST_ROWS_AT, PROVED_AT, RESTORED};
use crate::rows::host::OWN_HOSTS;
use crate::rows::typed::{load, save};
use crate::session::{Cause, Prekeys, Remedy};
use crate::time::Millis;
use crate::wire::frame::{FenceRecord, Request};

const HOUR: Millis = Millis::from_hours(1);

impl Endpoint {
    /// Reads the fence and lets it grow: every start is a step.
    pub(in crate::endpoint) fn open_fence(&mut self, cx: &mut Cx<'_>) -> Result<(), RowsError> {
        let known: Option<FenceRow> = load(cx.rows, &HOME, b"fence")?;
        self.fence = known.unwrap_or_default();
        self.proved_at = load(cx.rows, &HOME, PROVED_AT)?;
        self.grow_fence(cx, 1)
    }

    /// A home that was mended after a loss, or that its person keeps of two, goes on as if a host had
    /// shown a newer one; what hosts show next is the first sign of another copy.
    pub(in crate::endpoint) fn go_on_restored(&mut self, cx: &mut Cx<'_>) -> Result<(), RowsError> {
        if cx.rows.get(&HOME, RESTORED)?.is_none() {
            return Ok(());
        }
        cx.rows.delete(&HOME, RESTORED);
        self.fence.two_homes = false;
        // Of what it lost nobody knows when it came.
        self.proved_at = None;
        cx.rows.delete(&HOME, PROVED_AT);
        self.roll_forward(cx, 0)?;
        self.fence.behind_at = None;
        save(cx.rows, &HOME, b"fence", &self.fence)
    }

    fn grow_fence(&mut self, cx: &mut Cx<'_>, by: u64) -> Result<(), RowsError> {
        self.encrypted = 0;
        self.fence.fence = self.fence.fence.saturating_add(by);
        self.fence.mark = cx.random();
        self.fence.grown_at = cx.now.wall;
        save(cx.rows, &HOME, b"fence", &self.fence)
    }

    /// Something was encrypted: the fence grows in the same batch, where it is time.
    pub(in crate::endpoint) fn count_encryption(
        &mut self,
        cx: &mut Cx<'_>,
    ) -> Result<(), RowsError> {
        self.encrypted = self.encrypted.saturating_add(1);
        let grown_at = self.fence.grown_at;
        let hour = cx.now.wall.since(grown_at) >= HOUR || cx.now.wall < grown_at;
        if hour || self.encrypted >= FENCE_ENCRYPTIONS {
            self.grow_fence(cx, 1)?;
        }
        Ok(())
    }

    /// Once an hour: own hosts are shown how old this home is, if it has encrypted since. What runs over
    /// direct streams alone would let an older copy of it go unnoticed.
    pub(in crate::endpoint) fn show_fence(&mut self, cx: &mut Cx<'_>) {
        let hosts: Vec<HostId> = self.hosts.keys().copied().collect();
        for host in hosts {
            let link = self
                .mailbox_link(host)
                .filter(|link| self.links.get(link).is_some_and(|link| link.shown));
            let (Some(link), Some(row)) = (link, self.hosts.get(&host)) else { continue };
            let newest = self.fence.fence;
            if self.fences_shown.get(&host) == Some(&newest) || !row.admitted {
                continue;
            }
            let owner = OwnerKey(row.private.verify_key().0);
            let fence = Some(self.fence_record(host, row));
            let ack = Request::Ack { owner, ids: Vec::new(), fence };
            self.fences_shown.insert(host, newest);
            self.ask(cx, link, Asked::Nothing, ack, true);
        }
    }

    /// An own host shows the highest fence that it holds.
    pub(in crate::endpoint) fn fence_shown(
        &mut self,
        cx: &mut Cx<'_>,
        host: HostId,
        shown: &FenceRecord,
    ) -> Result<(), RowsError> {
        let Some(row) = self.hosts.get(&host) else { return Ok(()) };
        let ours = row.private.verify_key().0 == shown.owner.0
            && shown.host == host
            && check_fence(self.net(), shown);
        let (fence, mark) = (self.fence.fence, self.fence.mark);
        // A start lets the fence grow: an older copy that is started shows itself by what it has
        // not acknowledged.
        let acked_more = shown.acked > row.acked && shown.fence >= self.fence.leapt_to;
        let behind =
            shown.fence > fence || (shown.fence == fence && shown.mark != mark) || acked_more;
        if ours && !behind {
            return self.prove(cx);
        }
        if !ours || self.fence.two_homes {
            return Ok(());
        }
        if let Some(row) = self.hosts.get_mut(&host) {
            row.acked = row.acked.max(shown.acked);
            save(cx.rows, &OWN_HOSTS, host.as_bytes(), row)?;
        }
        let far = shown.fence.saturating_sub(fence) > MAX_FENCE_AHEAD;
        let lately = self.fence.behind_at.is_some_and(|at| cx.now.wall.since(at) < SESSION_GRACE);
        if far || lately { self.stand_down(cx) } else { self.roll_forward(cx, shown.fence) }
    }

    /// No host knows of a newer copy.
    fn prove(&mut self, cx: &mut Cx<'_>) -> Result<(), RowsError> {
        let now = cx.now.wall;
        if self.fence.two_homes
            || self.proved_at.is_some_and(|at| now.since(at) < HOUR && at <= now)
        {
            return Ok(());
        }
        self.proved_at = Some(now);
        save(cx.rows, &HOME, PROVED_AT, &now)
    }

    /// Two copies of this home are alive.
    fn stand_down(&mut self, cx: &mut Cx<'_>) -> Result<(), RowsError> {
        self.fence.two_homes = true;
        save(cx.rows, &HOME, b"fence", &self.fence)?;
        self.changed(Change::Warning("two_homes".to_owned()));
        let links: Vec<_> = self.links.keys().copied().collect();
        for link in links {
            self.close(cx, link);
        }
        Ok(())
    }

    /// This home is older than it was: nothing is encrypted where its newer self may have been.
    fn roll_forward(&mut self, cx: &mut Cx<'_>, shown: u64) -> Result<(), RowsError> {
        self.fence.behind_at = Some(cx.now.wall);
        save(cx.rows, &HOME, LOST_ROWS_AT, &cx.now.wall)?;
        self.fence.fence = self.fence.fence.max(shown);
        self.fence.leapt_to = self.fence.fence.saturating_add(FENCE_LEAP);
        self.grow_fence(cx, FENCE_LEAP)?;
        self.era = cx.random();
        save(cx.rows, &HOME, b"era", &self.era)?;
        if self.prekeys.len() < MAX_SEAL_KEYS {
            self.prekeys.push(Prekeys::random(cx.now.wall, cx.rng));
            save(cx.rows, &HOME, b"prekeys", &self.prekeys)?;
        }
        let devices: Vec<DeviceId> = self.owners.keys().copied().collect();
        for device in devices {
            let pair = self.sessions.pair_mut(cx.rows, device)?;
            pair.retire_all(cx.now.wall);
            // Of a contact whose sessions are lost nothing is known but that it is one.
            let remedy = match pair.highest() {
                Some(above) => Remedy::Later { above, cause: Cause::RolledBack },
                None => Remedy::Later { above: 0, cause: Cause::Forgotten },
            };
            self.carry_out(cx, device, remedy)?;
        }
        self.changed(Change::Warning("rolled_back".to_owned()));
        self.hosts_changed(cx)?;
        self.renew(cx)
    }
}
