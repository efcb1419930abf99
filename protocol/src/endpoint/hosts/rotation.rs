//! Queues that move: each month the recipient of a pair raises the number of its queue, so that no host
//! sees one queue for years.
//!
//! ```text
//! n registered ──a month──► n + 1 registered too ──at every host at hand──► announced: n + 1 counts
//!      ◄── n stays registered until 35 d after the peer has receipted that ──┘
//! ```
//! Rules: only the recipient raises, while it is online, and not again before the peer knows the last
//! number; a sender goes where it was told, and where a host does not know that queue it tries the
//! eight above and the one below, for that host alone. No clock decides where mail goes.
//! Source: PROTOCOL §7, "Pairwise queues".

use std::collections::BTreeMap;

use super::Arrival;
use crate::content::{Kind, QueueNumber, Reachability};
use crate::endpoint::ContactState;
use crate::endpoint::machine::{Cx, Endpoint};
use crate::envelope::Envelope;
use crate::id::{AccountId, DeviceId, HostId, QueueId, SessionId};
use crate::limits::{
    MAX_QUEUE_RAISE, MAX_QUEUE_TRIES, QUEUE_JITTER, QUEUE_LIFE, QUEUES_TRIED_AGAIN, SESSION_GRACE,
};
use crate::machine::LinkId;
use crate::rows::RowsError;
use crate::rows::home::{HOME, LOST_ROWS_AT};
use crate::rows::session::{QUEUE_NUMBERS, QueueNumberRow, session_key};
use crate::rows::typed::{load, load_all, save};
use crate::session::{Made, MadeClaim, PairRoot};
use crate::time::{Millis, UnixMillis};

/// How long ago a device that is back was heard: signs are known to the hour.
const LATELY: Millis = Millis::from_hours(2);

/// What is known of queue numbers, beside the rows.
#[derive(Debug, Default)]
pub(in crate::endpoint) struct Numbers {
    /// Where the own queues stand.
    own: BTreeMap<(DeviceId, SessionId), QueueNumberRow>,
    /// The root that each device's number belongs to.
    chosen: BTreeMap<DeviceId, SessionId>,
    /// How far the tries at one host are, and when they last came to nothing.
    tries: BTreeMap<(DeviceId, HostId), Tries>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Tries {
    at: u32,
    in_vain: Option<Millis>,
}

/// The number that is tried as the `at`-th where `n` was told; `None` after the last.
fn candidate(n: u32, at: u32) -> Option<u32> {
    match at {
        0..=MAX_QUEUE_TRIES => n.checked_add(at),
        _ if at == MAX_QUEUE_TRIES + 1 => n.checked_sub(1),
        _ => None,
    }
}

impl Numbers {
    fn of(&self, device: DeviceId, session: SessionId) -> QueueNumberRow {
        self.own.get(&(device, session)).cloned().unwrap_or_default()
    }

    /// The numbers under which a root's queues are registered, and the queues.
    pub(in crate::endpoint) fn receiving(
        &self,
        device: DeviceId,
        root: &PairRoot,
    ) -> Vec<(u32, QueueId)> {
        let row = self.of(device, root.session);
        let next = row.raising.then(|| row.n.saturating_add(1));
        let numbers = core::iter::once(row.n).chain(next).chain(row.old);
        numbers.map(|n| (n, root.roots.receiving.queue_id(n))).collect()
    }

    /// Under which number a device's queue is looked for at a host, if it was told `n`.
    pub(in crate::endpoint) fn at_host(&self, device: DeviceId, host: HostId, n: u32) -> u32 {
        let tries = self.tries.get(&(device, host)).copied().unwrap_or_default();
        candidate(n, tries.at).unwrap_or(n)
    }

    /// A host, or the device itself, knows no queue of the number that was `tried` where `n` was told;
    /// whether another is to be tried now.
    pub(in crate::endpoint) fn not_there(
        &mut self,
        (device, host): (DeviceId, HostId),
        (n, tried): (u32, u32),
        now: Millis,
    ) -> bool {
        let tries = self.tries.entry((device, host)).or_default();
        let lately = |at: Millis| now.saturating_sub(at) < QUEUES_TRIED_AGAIN;
        if tries.in_vain.is_some_and(lately) {
            return false;
        }
        if candidate(n, tries.at) != Some(tried) {
            // Said of many in a row: the next one is on its way already.
            return true;
        }
        tries.at = tries.at.saturating_add(1);
        if candidate(n, tries.at).is_some() {
            return true;
        }
        *tries = Tries { at: 0, in_vain: Some(now) };
        false
    }

    fn forget_tries(&mut self, device: DeviceId) {
        self.tries.retain(|(known, _), _| *known != device);
    }
}

impl Endpoint {
    /// Reads where the own queues stand.
    pub(in crate::endpoint) fn open_numbers(&mut self, cx: &Cx<'_>) -> Result<(), RowsError> {
        for (key, row) in load_all::<QueueNumberRow>(cx.rows, &QUEUE_NUMBERS, &[])? {
            let (device, session) = key.split_at_checked(DeviceId::LENGTH).unwrap_or_default();
            if let (Some(device), Some(session)) =
                (DeviceId::from_slice(device), SessionId::from_slice(session))
            {
                self.numbers.own.insert((device, session), row);
            }
        }
        Ok(())
    }

    fn save_number(
        &mut self,
        cx: &mut Cx<'_>,
        (device, session): (DeviceId, SessionId),
        row: QueueNumberRow,
    ) -> Result<(), RowsError> {
        save(cx.rows, &QUEUE_NUMBERS, &session_key(&device, &session), &row)?;
        self.numbers.own.insert((device, session), row);
        self.learn_queues(cx.rows, device)
    }

    /// Forgets the numbers of roots that a device has no more.
    fn drop_numbers(&mut self, cx: &mut Cx<'_>, device: DeviceId) -> Result<(), RowsError> {
        let pair = self.sessions.pair(cx.rows, device)?;
        let kept: Vec<SessionId> = pair.receiving_roots().iter().map(|it| it.session).collect();
        let all = (device, SessionId::ZERO)..=(device, SessionId([0xFF; SessionId::LENGTH]));
        let gone = self.numbers.own.range(all).map(|(key, _)| *key);
        for key in gone.filter(|key| !kept.contains(&key.1)).collect::<Vec<_>>() {
            self.numbers.own.remove(&key);
            cx.rows.delete(&QUEUE_NUMBERS, &session_key(&key.0, &key.1));
        }
        Ok(())
    }

    /// A contact's device is no more.
    pub(in crate::endpoint) fn end_numbers(
        &mut self,
        cx: &mut Cx<'_>,
        device: DeviceId,
    ) -> Result<(), RowsError> {
        self.numbers.chosen.remove(&device);
        self.numbers.forget_tries(device);
        self.drop_numbers(cx, device)
    }

    /// Once an hour: what has its time is raised, announced, left.
    pub(in crate::endpoint) fn rotate(
        &mut self,
        cx: &mut Cx<'_>,
        (account, device): (AccountId, DeviceId),
    ) -> Result<(), RowsError> {
        let now = cx.now.wall;
        let contact = self.contacts.get(&account);
        if contact.is_none_or(|contact| contact.state != ContactState::Accepted) {
            return Ok(());
        }
        let root = self.sessions.pair(cx.rows, device)?.sending_root().cloned();
        let Some(root) = root.filter(|_| !self.clock.is_doubted() && self.is_host_at_hand()) else {
            return Ok(());
        };
        self.drop_numbers(cx, device)?;
        let at = (device, root.session);
        let mut row = self.numbers.of(device, root.session);
        if row.raise_at == UnixMillis::default() {
            row.raise_at = self.next_raise(cx);
            return self.save_number(cx, at, row);
        }
        if row.raising {
            let next = row.n.saturating_add(1);
            if !self.is_registered(root.roots.receiving.queue_id(next)) {
                return Ok(());
            }
            row =
                QueueNumberRow { n: next, raising: false, old: Some(row.n), known_at: None, ..row };
            self.save_number(cx, at, row)?;
            return self.tell_where(cx, (account, device));
        }
        let knows = self.device_row(device).is_some_and(|(_, row)| row.knows_us);
        if !knows && self.is_back(cx, device)? {
            return self.tell_where(cx, (account, device));
        }
        match (row.old, row.known_at) {
            (Some(_), None) if knows => {
                row.known_at = Some(now);
                self.save_number(cx, at, row)
            }
            (Some(_), Some(known)) if now.since(known) >= SESSION_GRACE => {
                // The next one comes at a time that nobody can tell from this one.
                row.old = None;
                row.raise_at = row.raise_at.max(now.saturating_add(Self::jitter(cx)));
                self.save_number(cx, at, row)
            }
            (None, _) if row.raise_at <= now => {
                row.raising = true;
                row.raise_at = self.next_raise(cx);
                self.save_number(cx, at, row)
            }
            _ => Ok(()),
        }
    }

    /// Whether a device was heard just now that was away for longer than what it was told lives.
    fn is_back(&mut self, cx: &Cx<'_>, device: DeviceId) -> Result<bool, RowsError> {
        let sign = self.sessions.pair(cx.rows, device)?.last_sign();
        let lately = sign.is_some_and(|at| cx.now.wall.since(at) < LATELY);
        let lines = self.lanes.get(&device).into_iter().flat_map(|lane| lane.lines.values());
        let told = lines.into_iter().any(|row| row.kind == Kind::REACHABILITY.0);
        Ok(lately && !told)
    }

    fn next_raise(&self, cx: &mut Cx<'_>) -> UnixMillis {
        cx.now.wall.saturating_add(QUEUE_LIFE).saturating_add(Self::jitter(cx))
    }

    fn jitter(cx: &mut Cx<'_>) -> Millis {
        let drawn = u64::from(u32::from_le_bytes(cx.random()));
        Millis(drawn.checked_rem(QUEUE_JITTER.0).unwrap_or(0))
    }

    /// The number of every own queue of a device, as it is told.
    pub(in crate::endpoint) fn own_numbers(
        &mut self,
        cx: &Cx<'_>,
        device: DeviceId,
    ) -> Result<Vec<QueueNumber>, RowsError> {
        let roots = self.sessions.pair(cx.rows, device)?.receiving_roots();
        let number = |root: &PairRoot| {
            let session = root.session;
            QueueNumber { session, n: self.numbers.of(device, session).n }
        };
        Ok(roots.iter().map(number).collect())
    }

    /// A contact says where its queues are: it never goes back, and never far ahead.
    pub(in crate::endpoint) fn told_numbers(
        &mut self,
        cx: &Cx<'_>,
        (account, device): (AccountId, DeviceId),
        told: &Reachability,
    ) -> Result<(), RowsError> {
        let root = self.sessions.pair(cx.rows, device)?.sending_root().map(|root| root.session);
        let told = told.queues.iter().find(|queue| Some(queue.session) == root);
        let contact = self.contacts.get_mut(&account);
        let row = contact.and_then(|it| it.devices.iter_mut().find(|it| it.device == device));
        let (Some(told), Some(row)) = (told, row) else { return Ok(()) };
        let most = row.queue_n.saturating_add(MAX_QUEUE_RAISE);
        if told.n > row.queue_n && told.n <= most {
            row.queue_n = told.n;
            self.numbers.forget_tries(device);
        }
        Ok(())
    }

    /// The number that was told belongs to one root: another one begins with 0.
    pub(in crate::endpoint) fn follow_root(
        &mut self,
        cx: &mut Cx<'_>,
        (account, device): (AccountId, DeviceId),
    ) -> Result<(), RowsError> {
        let root = self.sessions.pair(cx.rows, device)?.sending_root().map(|root| root.session);
        let Some(root) = root else { return Ok(()) };
        let known = self.numbers.chosen.insert(device, root);
        if known.is_none_or(|known| known == root) {
            return Ok(());
        }
        self.numbers.forget_tries(device);
        let contact = self.contacts.get_mut(&account);
        match contact.and_then(|it| it.devices.iter_mut().find(|it| it.device == device)) {
            Some(row) if row.queue_n != 0 => row.queue_n = 0,
            _ => return Ok(()),
        }
        self.save_contact(cx, account)
    }

    /// A device does not know the queue of a line that went to it directly; whether that says nothing
    /// of where it is today, or the line goes again under another number.
    pub(in crate::endpoint) fn moved_queue(
        &mut self,
        cx: &Cx<'_>,
        link: LinkId,
        (device, number): (DeviceId, u64),
        queue: QueueId,
    ) -> Result<bool, RowsError> {
        let n = self.queue_number(device);
        let root = self.sessions.pair(cx.rows, device)?.sending_root();
        let Some(peer) = self.links.get(&link).map(|link| link.peer) else { return Ok(false) };
        let Some(lane) = self.lanes.get_mut(&device) else { return Ok(false) };
        let Some(tried) = lane.number_of(number) else { return Ok(false) };
        if root.is_some_and(|root| root.roots.sending.queue_id(tried) != queue) {
            // Said of another root's queue, or of a number that was left: the line is under way again.
            return Ok(true);
        }
        let again = self.numbers.not_there((device, peer), (n, tried), cx.now.since_start);
        if again {
            lane.go_once_more(number);
            self.to_pump.insert(device);
        }
        Ok(again)
    }

    /// An envelope came in a queue that this home does not know: an older copy of it that was put back
    /// may once have raised its number. Returns whether it knows the queue now.
    pub(in crate::endpoint) fn raised_before(
        &mut self,
        cx: &mut Cx<'_>,
        envelope: &Envelope,
    ) -> Result<bool, RowsError> {
        let lost: Option<UnixMillis> = load(cx.rows, &HOME, LOST_ROWS_AT)?;
        if lost.is_none_or(|at| cx.now.wall.since(at) >= SESSION_GRACE) {
            return Ok(false);
        }
        // On a direct stream it is that of whoever is at the other end.
        let there = match self.arrival {
            Arrival::Direct(link) => self.links.get(&link).map(|link| link.device),
            Arrival::Pushed | Arrival::Fetched => None,
        };
        let fits = |device: &DeviceId| there.is_none_or(|there| there == Some(*device));
        let devices = self.owners.iter().filter(|(device, _)| fits(device));
        let devices: Vec<(DeviceId, AccountId)> =
            devices.map(|(device, account)| (*device, *account)).collect();
        for (device, account) in devices {
            let pair = self.sessions.pair(cx.rows, device)?;
            let found = pair.receiving_roots().iter().find_map(|root| {
                let n = self.numbers.of(device, root.session).n;
                let above = (1..=MAX_QUEUE_TRIES).filter_map(|more| n.checked_add(more));
                let mut above =
                    above.filter(|n| root.roots.receiving.queue_id(*n) == envelope.queue());
                above.next().map(|n| (root.session, n))
            });
            let claim = MadeClaim {
                queue: envelope.queue(),
                expires: envelope.expires(),
                bytes_hash: envelope.bytes_hash(),
                made: envelope.made(),
            };
            let Some((session, n)) = found else { continue };
            if matches!(pair.judge_made(&claim), Made::NoneFits) {
                continue;
            }
            let known = self.numbers.of(device, session);
            let raise_at = self.next_raise(cx);
            let old = Some(known.n);
            let row = QueueNumberRow { n, raise_at, raising: false, old, known_at: None };
            self.save_number(cx, (device, session), row)?;
            self.tell_where(cx, (account, device))?;
            return Ok(true);
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eight_above_and_the_one_below_are_tried_once_a_day() {
        let (device, host) = (DeviceId([1; 32]), HostId([2; 32]));
        let mut numbers = Numbers::default();
        let mut tried = vec![numbers.at_host(device, host, 5)];
        let at = |numbers: &Numbers| numbers.at_host(device, host, 5);
        while numbers.not_there((device, host), (5, at(&numbers)), Millis(0)) {
            tried.push(at(&numbers));
        }
        assert_eq!(tried, [5, 6, 7, 8, 9, 10, 11, 12, 13, 4]);
        assert_eq!(numbers.at_host(device, host, 5), 5);
        assert!(!numbers.not_there((device, host), (5, 5), Millis::from_hours(23)));
        assert!(numbers.not_there((device, host), (5, 5), Millis::from_days(1)));
        assert_eq!(
            numbers.at_host(device, HostId([3; 32]), 5),
            5,
            "of another host it says nothing"
        );
    }
}
