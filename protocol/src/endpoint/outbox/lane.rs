//! The lines of one device: which wait, which are under way, which rest with their words.
//!
//! Invariant: a line is on a direct stream, asked of a host, or waits; or it rests, deposited.

use std::collections::{BTreeMap, BTreeSet};

use super::busy::Busy;
use crate::content::{Evidence, Kind};
use crate::envelope::Envelope;
use crate::id::{DeviceId, HostId, MessageId, SessionId};
use crate::limits::{DIRECT_GRACE, MAX_SCAN};
use crate::machine::LinkId;
use crate::rows::evidence::{PROOFS, proof_key};
use crate::rows::outbox::{Carried, HostWord, OUTBOX, OutboxRow, line_key};
use crate::rows::typed::save;
use crate::rows::{Direction, Rows, RowsError, prefix_end};
use crate::time::{Millis, UnixMillis};

/// The longest that a line waits before it leaves (PROTOCOL §7, "Delivery receipts").
const LONGEST_DELAY: Millis = Millis::from_secs(60);

/// A line that is under way: on a direct stream, or asked of a host.
#[derive(Debug)]
pub(in crate::endpoint) struct Flight {
    pub(in crate::endpoint) direct: Option<LinkId>,
    pub(in crate::endpoint) since: Millis,
    /// The hosts that were asked.
    pub(in crate::endpoint) asked: BTreeSet<HostId>,
    /// What was encrypted, once for all hosts; a first contact keeps its bytes in its row.
    pub(in crate::endpoint) envelope: Option<Envelope>,
    /// Of the session that it was encrypted in.
    pub(in crate::endpoint) generation: u32,
    /// The number of the queue that it names on a direct stream.
    pub(in crate::endpoint) n: u32,
}

/// The lines of one device.
#[derive(Debug, Default)]
pub(in crate::endpoint) struct Lane {
    pub(in crate::endpoint) lines: BTreeMap<u64, OutboxRow>,
    pub(in crate::endpoint) waiting: BTreeSet<u64>,
    pub(in crate::endpoint) flying: BTreeMap<u64, Flight>,
    /// Receipts, which may have to wait before they leave.
    pub(in crate::endpoint) delayed: BTreeMap<u64, UnixMillis>,
    /// When deposited lines last went once more.
    again_at: Option<Millis>,
    /// When they last took a direct stream.
    direct_at: Option<Millis>,
    /// Lines of which hosts' receipts are kept.
    pub(in crate::endpoint) proved: BTreeSet<u64>,
    pub(in crate::endpoint) by_message: BTreeMap<MessageId, u64>,
    /// Lines whose messages say already what they wait for.
    pub(in crate::endpoint) told: BTreeSet<u64>,
    /// The session that everything under way was encrypted in, once that was looked at.
    pub(in crate::endpoint) session: Option<SessionId>,
    /// When what was under way moved to another session within the last hour, oldest first.
    pub(in crate::endpoint) moves: Vec<Millis>,
    busy: Busy,
}

/// Whether a line may leave. Nothing waits longer than a minute: the clock was set back then.
pub(in crate::endpoint) fn is_due(row: &OutboxRow, wall: UnixMillis) -> bool {
    row.not_before <= wall || row.not_before.since(wall) > LONGEST_DELAY
}

impl Lane {
    pub(in crate::endpoint) fn add(&mut self, number: u64, row: OutboxRow) {
        self.by_message.insert(row.message, number);
        if !row.deposited {
            self.waiting.insert(number);
        }
        if row.kind == Kind::RECEIPT.0 {
            self.delayed.insert(number, row.not_before);
        }
        self.lines.insert(number, row);
    }

    fn remove(&mut self, number: u64) -> Option<OutboxRow> {
        self.waiting.remove(&number);
        self.flying.remove(&number);
        self.delayed.remove(&number);
        self.told.remove(&number);
        self.busy.ended(number);
        let row = self.lines.remove(&number)?;
        if self.by_message.get(&row.message) == Some(&number) {
            self.by_message.remove(&row.message);
        }
        Some(row)
    }

    /// Keeps a host's receipt for a line.
    pub(in crate::endpoint) fn keep_proof(
        &mut self,
        rows: &mut dyn Rows,
        (device, number): (DeviceId, u64),
        evidence: &Evidence,
    ) -> Result<(), RowsError> {
        self.proved.insert(number);
        let host = evidence.proof.receipt.host;
        save(rows, &PROOFS, &proof_key(&line_key(device, number), host), evidence)
    }

    /// A line has ended, and with it what is kept of it.
    pub(in crate::endpoint) fn end(
        &mut self,
        rows: &mut dyn Rows,
        (device, number): (DeviceId, u64),
    ) -> Result<Option<OutboxRow>, RowsError> {
        let key = line_key(device, number);
        rows.delete(&OUTBOX, &key);
        if self.proved.remove(&number) {
            let end = prefix_end(&key);
            for (key, _) in rows.scan(&PROOFS, &key, &end, MAX_SCAN, Direction::Forward)? {
                rows.delete(&PROOFS, &key);
            }
        }
        Ok(self.remove(number))
    }

    /// A receipt that was never encrypted, waits, and leaves by then.
    pub(in crate::endpoint) fn receipt_until(
        &mut self,
        latest: UnixMillis,
    ) -> Option<(u64, &mut OutboxRow)> {
        let waits = |number: &u64| self.waiting.contains(number);
        let number = *self.delayed.keys().rev().find(|number| waits(number))?;
        let row = self.lines.get_mut(&number)?;
        let is_new = row.session.is_none() && row.words.is_empty();
        (is_new && row.not_before <= latest).then_some((number, row))
    }

    /// How long it is until the next receipt is due.
    pub(in crate::endpoint) fn next_delayed(&self, wall: UnixMillis) -> Option<Millis> {
        let waits = |(number, _): &(&u64, &UnixMillis)| self.waiting.contains(number);
        let delayed = self.delayed.iter().filter(waits);
        delayed.map(|(_, at)| at.since(wall)).filter(|wait| wait.0 > 0).min()
    }

    pub(in crate::endpoint) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.flying.values().all(|flight| flight.direct.is_some())
    }

    pub(in crate::endpoint) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.flying.is_empty()
    }

    /// Lines that hosts have had for long without a receipt, or that are about the hosts themselves:
    /// they go to the device as well, where it can be reached.
    fn overdue(&self) -> impl Iterator<Item = u64> {
        let rests = |number: &u64| !self.flying.contains_key(number);
        let late = |row: &OutboxRow| row.repeats > 0 || row.kind == Kind::CONTROL.0;
        let lines = self.lines.iter().filter(move |(_, row)| row.deposited && late(row));
        lines.map(|(number, _)| *number).filter(rests)
    }

    /// Whether there are such lines.
    pub(in crate::endpoint) fn is_overdue(&self) -> bool {
        self.overdue().next().is_some()
    }

    /// A direct stream is open: they take it, at most once an hour.
    pub(in crate::endpoint) fn go_direct(&mut self, now: Millis) {
        let lately = |at: Millis| now.saturating_sub(at) < Millis::from_hours(1);
        if self.direct_at.is_none_or(|at| !lately(at)) {
            let overdue: Vec<u64> = self.overdue().collect();
            if !overdue.is_empty() {
                self.direct_at = Some(now);
            }
            self.waiting.extend(overdue);
        }
    }

    /// The number of the queue that a line named; `None` for a first contact.
    pub(in crate::endpoint) fn number_of(&self, number: u64) -> Option<u32> {
        let row = self.lines.get(&number)?;
        let first = matches!(row.carried, Carried::FirstContact { .. });
        self.flying.get(&number).filter(|_| !first).map(|flight| flight.n)
    }

    /// A line is encrypted again at once.
    pub(in crate::endpoint) fn go_once_more(&mut self, number: u64) {
        self.flying.remove(&number);
        self.waiting.insert(number);
    }

    /// A line is under way.
    pub(in crate::endpoint) fn leaves(&mut self, number: u64, flight: Flight) {
        self.waiting.remove(&number);
        self.busy.left(number);
        self.flying.insert(number, flight);
    }

    /// The device takes a line later; returns when one asks again.
    pub(in crate::endpoint) fn put_off(
        &mut self,
        number: u64,
        retry_after: Millis,
        now: Millis,
    ) -> Option<Millis> {
        let flies = self.flying.get(&number).is_some_and(|flight| flight.direct.is_some());
        flies.then(|| self.busy.refused(number, retry_after, now))
    }

    /// Lets one of those that were put off ask again, where it is time and no host has it.
    pub(in crate::endpoint) fn ask_again(&mut self, now: Millis) {
        let lines = &self.lines;
        let needs = |number: &u64| lines.get(number).is_some_and(|row| !row.deposited);
        if let Some(number) = self.busy.due(now, needs) {
            self.go_once_more(number);
        }
    }

    /// The device took a line: if that one asked for those that were put off, they go again.
    pub(in crate::endpoint) fn taken(&mut self, number: u64) {
        for number in self.busy.taken(number) {
            self.go_once_more(number);
        }
    }

    /// When one of those that were put off asks again.
    pub(in crate::endpoint) const fn asks_at(&self) -> Option<Millis> {
        self.busy.at()
    }

    /// Whether something here is for the device's contact queue.
    pub(in crate::endpoint) fn has_first_contact(&self) -> bool {
        self.lines.values().any(|row| matches!(row.carried, Carried::FirstContact { .. }))
    }

    /// Whether a contact request is here that nobody has taken yet.
    pub(in crate::endpoint) fn request_waits(&self) -> bool {
        let mut waiting = self.waiting.iter().filter_map(|number| self.lines.get(number));
        waiting.any(|row| matches!(row.carried, Carried::FirstContact { .. }))
    }

    /// Whether something has waited too long for a receipt on a direct stream.
    pub(in crate::endpoint) fn is_late(&self, now: Millis) -> bool {
        let oldest = self.flying.values().next();
        oldest.is_some_and(|flight| now.saturating_sub(flight.since) >= DIRECT_GRACE)
    }

    #[cfg(feature = "sim")]
    pub(in crate::endpoint) fn describe(&self) -> String {
        let lines = self.lines.iter().map(|(number, row)| {
            let place = match (self.waiting.contains(number), self.flying.get(number)) {
                (true, _) => "waits".to_owned(),
                (_, Some(flight)) => {
                    format!("flies direct {:?} asked {}", flight.direct, flight.asked.len())
                }
                _ => "rests".to_owned(),
            };
            let words = row.words.len();
            format!("kind {} {place} words {words} repeats {}", row.kind, row.repeats)
        });
        lines.collect::<Vec<_>>().join(", ")
    }

    pub(in crate::endpoint) fn first_waiting(&self) -> Option<u64> {
        self.waiting.first().copied()
    }

    /// Whether a message waits here, or for its receipt.
    pub(in crate::endpoint) fn has(&self, message: MessageId) -> bool {
        self.by_message.contains_key(&message)
    }

    /// What flew on a link waits again, and what was asked of its host may be asked again. Returns
    /// whether anything did.
    pub(in crate::endpoint) fn land(&mut self, link: LinkId, host: Option<HostId>) -> bool {
        let mut any = false;
        for flight in self.flying.values_mut() {
            any |= host.is_some_and(|host| flight.asked.remove(&host));
            if flight.direct == Some(link) {
                flight.direct = None;
                self.busy = Busy::default();
                any = true;
            }
        }
        self.land_idle();
        any
    }

    /// What is with nobody any more, and with no host that owes its word, rests if it has its k words,
    /// or waits again.
    fn land_idle(&mut self) {
        let idle = |(number, flight): &(&u64, &Flight)| {
            let row = self.lines.get(number);
            let has_word = |host: &HostId| {
                row.is_some_and(|row| row.words.iter().any(|word| word.host == *host))
            };
            flight.direct.is_none() && flight.asked.iter().all(has_word)
        };
        let landed: Vec<u64> = self.flying.iter().filter(idle).map(|(number, _)| *number).collect();
        for number in landed {
            self.flying.remove(&number);
            if self.lines.get(&number).is_some_and(|row| !row.deposited) {
                self.waiting.insert(number);
            }
        }
    }

    /// What has been on a direct stream for a day without a receipt goes once more. Returns whether
    /// anything does.
    pub(in crate::endpoint) fn land_old(&mut self, now: Millis) -> bool {
        let old = |flight: &Flight| {
            flight.direct.is_some() && now.saturating_sub(flight.since) >= Millis::from_days(1)
        };
        self.wait_again(old)
    }

    /// What left while no host was known is encrypted again now that one takes it.
    pub(in crate::endpoint) fn land_bare(&mut self, now: Millis) {
        let late = |flight: &Flight| now.saturating_sub(flight.since) >= DIRECT_GRACE;
        self.wait_again(|flight| flight.envelope.is_none() && late(flight));
    }

    fn wait_again(&mut self, which: impl Fn(&Flight) -> bool) -> bool {
        let keeps_bytes = |number: &u64| {
            let carried = self.lines.get(number).map(|row| &row.carried);
            matches!(carried, Some(Carried::FirstContact { .. }))
        };
        let landed = self.flying.iter().filter(|(number, it)| which(it) && !keeps_bytes(number));
        let landed: Vec<u64> = landed.map(|(number, _)| *number).collect();
        for number in &landed {
            self.flying.remove(number);
            self.waiting.insert(*number);
        }
        !landed.is_empty()
    }

    /// A host does not take a line now.
    pub(in crate::endpoint) fn refused(&mut self, number: u64, host: HostId) {
        if let Some(flight) = self.flying.get_mut(&number) {
            flight.asked.remove(&host);
        }
        self.land_idle();
    }

    /// A line with its k words rests once nobody else was asked for it.
    pub(in crate::endpoint) fn rest(&mut self, number: u64) {
        let Some(row) = self.lines.get(&number).filter(|row| row.deposited) else { return };
        let has_word = |host: &HostId| row.words.iter().any(|word| word.host == *host);
        let done = |flight: &Flight| flight.direct.is_none() && flight.asked.iter().all(has_word);
        if self.flying.get(&number).is_none_or(done) {
            self.flying.remove(&number);
            self.waiting.remove(&number);
        }
    }

    /// Words that are lost count no longer. Returns the lines that wait again.
    pub(in crate::endpoint) fn void(&mut self, lost: impl Fn(&HostWord) -> bool) -> Vec<u64> {
        let mut changed = Vec::new();
        for (number, row) in &mut self.lines {
            let count = row.words.len();
            row.words.retain(|word| !lost(word));
            if row.words.len() < count {
                row.deposited = false;
                if !self.flying.contains_key(number) {
                    self.waiting.insert(*number);
                }
                changed.push(*number);
            }
        }
        changed
    }

    /// The device has moved or its host lost state: what was deposited and never receipted goes
    /// once more, at most once an hour.
    pub(in crate::endpoint) fn go_again(&mut self, now: Millis) {
        let lately = |at: Millis| now.saturating_sub(at) < Millis::from_hours(1);
        if self.again_at.is_some_and(lately) {
            return;
        }
        for (number, row) in &mut self.lines {
            if row.deposited && !self.flying.contains_key(number) {
                row.deposited = false;
                row.words.clear();
                self.waiting.insert(*number);
                self.again_at = Some(now);
            }
        }
    }
}
