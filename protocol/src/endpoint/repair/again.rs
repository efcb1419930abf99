//! What was never confirmed goes once more; what has outlived its time goes.

use crate::content::{Control, Kind};
use crate::endpoint::machine::{Cx, Endpoint};
use crate::endpoint::sessions::repeat_is_due;
use crate::id::{AccountId, DeviceId};
use crate::limits::MAX_SWEEP;
use crate::rows::RowsError;
use crate::rows::outbox::{OUTBOX, line_key};
use crate::rows::typed::save;

impl Endpoint {
    /// Once an hour: repeats of lines and KEM parts, handshakes whose bundle has ended, cards that
    /// are wanted, sessions whose time is over.
    pub(in crate::endpoint) fn hourly(&mut self, cx: &mut Cx<'_>) -> Result<(), RowsError> {
        let devices: Vec<(DeviceId, AccountId)> =
            self.owners.iter().map(|(device, account)| (*device, *account)).collect();
        for (device, account) in devices {
            self.repeat_lines(cx, device)?;
            self.repeat_kem(cx, (account, device))?;
            self.renew_stale(cx, device)?;
            self.rotate(cx, (account, device))?;
            self.ask_who_forgot(cx, (account, device))?;
        }
        self.make_good(cx)?;
        self.show_fence(cx);
        self.ask_for_wanted_cards(cx);
        self.keep_prekeys(cx)?;
        if !self.clock.is_doubted() {
            let after = self.sessions_swept;
            self.sessions_swept = self.sessions.sweep(cx.rows, cx.now.wall, after, MAX_SWEEP)?;
        }
        Ok(())
    }

    /// Lines that hosts have and the peer, though heard since, has not receipted; and those whose
    /// grant is over.
    fn repeat_lines(&mut self, cx: &mut Cx<'_>, device: DeviceId) -> Result<(), RowsError> {
        let now = cx.now.wall;
        let heard = self.sessions.pair(cx.rows, device)?.last_sign();
        let Some(lane) = self.lanes.get_mut(&device) else { return Ok(()) };
        if lane.land_old(cx.now.since_start) {
            self.to_pump.insert(device);
        }
        let due = |row: &&crate::rows::outbox::OutboxRow| {
            let sent = row.words.iter().map(|word| word.at).max();
            let over = row.words.iter().any(|word| word.until <= now);
            row.deposited
                && (over || sent.is_some_and(|at| repeat_is_due((at, row.repeats), heard, now)))
        };
        let lines = lane.lines.iter().filter(|(_, row)| due(row));
        let numbers: Vec<u64> = lines.map(|(number, _)| *number).collect();
        let mut questions = Vec::new();
        for number in &numbers {
            questions.extend(self.questions(cx, (device, *number))?);
        }
        let Some(lane) = self.lanes.get_mut(&device) else { return Ok(()) };
        for number in numbers {
            let resting = !lane.flying.contains_key(&number);
            let Some(row) = lane.lines.get_mut(&number).filter(|_| resting) else { continue };
            row.repeats = row.repeats.saturating_add(1);
            row.deposited = false;
            row.words.clear();
            save(cx.rows, &OUTBOX, &line_key(device, number), row)?;
            lane.waiting.insert(number);
            self.to_pump.insert(device);
        }
        let Some(account) = self.owners.get(&device).copied() else { return Ok(()) };
        for question in questions {
            let body = Control::NotServed(question).to_bytes();
            self.queue_content(cx, (account, device), Kind::CONTROL, body)?;
        }
        Ok(())
    }

    fn repeat_kem(
        &mut self,
        cx: &mut Cx<'_>,
        (account, device): (AccountId, DeviceId),
    ) -> Result<(), RowsError> {
        let Some(session) = self.sessions.pair(cx.rows, device)?.sending() else { return Ok(()) };
        let part = self.sessions.repeat_kem(cx.rows, (device, session), cx.now.wall)?;
        let Some(part) = part else { return Ok(()) };
        self.drop_lines(cx, device, Kind::KEM)?;
        self.queue_kem(cx, (account, device), session, part)
    }
}
