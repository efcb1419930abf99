//! The sending session of a pair has changed: what has no receipt is encrypted again in it.

use crate::content::Kind;
use crate::endpoint::links::Asked;
use crate::endpoint::machine::{Cx, Endpoint};
use crate::id::{DeviceId, EnvelopeId, SessionId};
use crate::limits::{MAX_MOVES, MOVE_AGAIN};
use crate::rows::RowsError;
use crate::rows::outbox::{HostWord, OUTBOX, line_key};
use crate::rows::typed::save;
use crate::wire::frame::Request;

impl Endpoint {
    /// Lets a device's lines follow to the session that is sent on now; what is under way moves at
    /// most four times an hour. A KEM part belongs to its session and ends with it.
    pub(in crate::endpoint) fn follow_session(
        &mut self,
        cx: &mut Cx<'_>,
        device: DeviceId,
    ) -> Result<(), RowsError> {
        let sending = self.sessions.pair(cx.rows, device)?.sending();
        let (Some(sending), Some(lane)) = (sending, self.lanes.get_mut(&device)) else {
            return Ok(());
        };
        if lane.session == Some(sending) {
            return Ok(());
        }
        let now = cx.now.since_start;
        let left_behind = |session: &Option<SessionId>| session.is_some_and(|it| it != sending);
        let lines = lane.lines.iter().filter(|(_, row)| left_behind(&row.session));
        let numbers: Vec<u64> = lines.map(|(number, _)| *number).collect();
        lane.moves.retain(|at| now < at.saturating_add(MOVE_AGAIN));
        if !numbers.is_empty() {
            if lane.moves.len() >= MAX_MOVES
                && let Some(first) = lane.moves.first()
            {
                let next = first.saturating_add(MOVE_AGAIN);
                let timer = self.timers.entry(device).or_insert(next);
                *timer = (*timer).min(next);
                return Ok(());
            }
            lane.moves.push(now);
        }
        lane.session = Some(sending);
        for number in numbers {
            self.move_line(cx, device, number)?;
        }
        Ok(())
    }

    fn move_line(
        &mut self,
        cx: &mut Cx<'_>,
        device: DeviceId,
        number: u64,
    ) -> Result<(), RowsError> {
        let key = line_key(device, number);
        let Some(lane) = self.lanes.get_mut(&device) else { return Ok(()) };
        if lane.lines.get(&number).is_some_and(|row| row.kind == Kind::KEM.0) {
            lane.end(cx.rows, (device, number))?;
            return Ok(());
        }
        lane.flying.remove(&number);
        lane.waiting.insert(number);
        let Some(row) = lane.lines.get_mut(&number) else { return Ok(()) };
        let words = core::mem::take(&mut row.words);
        let secret = row.revoke;
        row.session = None;
        row.deposited = false;
        if !words.is_empty() {
            // Whoever takes the old envelopes back learns the secret.
            cx.rng.fill_bytes(&mut row.revoke);
        }
        save(cx.rows, &OUTBOX, &key, row)?;
        self.take_back(cx, &words, secret);
        Ok(())
    }

    /// Asks the hosts that are at hand to delete envelopes that nobody needs any more.
    pub(in crate::endpoint) fn take_back(
        &mut self,
        cx: &mut Cx<'_>,
        words: &[HostWord],
        secret: [u8; 16],
    ) {
        for word in words {
            if let Some(link) = self.mailbox_link(word.host) {
                let id = EnvelopeId(word.envelope);
                let revoke = Request::Revoke { queue: word.queue, id, secret };
                self.ask(cx, link, Asked::Nothing, revoke, true);
            }
        }
    }
}
