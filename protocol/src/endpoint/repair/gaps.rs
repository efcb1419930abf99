//! Messages that others follow and that are not here; what an older copy of a home had lost.
//!
//! Rules: a missing parent is asked for after a minute, once a day, three times; only what the
//! asked side wrote itself in that conversation is sent again, each at most once a day and within
//! 35 days; when a parent comes late, what follows it is raised above it.
//! Source: PROTOCOL §4 the fence, §10 `parents`, `resend`; CLI "inbox".

use std::collections::BTreeMap;

use crate::content::{Hello, Kind, Resend};
use crate::endpoint::machine::{Cx, Endpoint};
use crate::endpoint::outbox::NewLine;
use crate::endpoint::outbox::note;
use crate::endpoint::{ContactState, StepKind};
use crate::id::{AccountId, ConversationId, DeviceId, MessageId};
use crate::limits::{
    GAP_PATIENCE, MAX_ASKED, MAX_MISSING, MAX_RAISED, MAX_REFILL, MAX_SCAN, SESSION_GRACE,
};
use crate::rows::message::{
    CONVERSATIONS, ConversationRow, MESSAGES, MessageKey, MessageRow, MissingRow, TIMELINE,
};
use crate::rows::typed::{load, load_all, save};
use crate::rows::{Direction, ReadRows, RowsError, prefix_end};
use crate::time::{Millis, UnixMillis};

const DAY: Millis = Millis::from_days(1);

/// Notes the parents of a received message that are not here, and strikes the message itself out.
/// Returns the place from which on its followers may have to be raised.
pub(in crate::endpoint) fn note_missing(
    conversation: &mut ConversationRow,
    (key, row): (&MessageKey, &MessageRow),
    missing: &[MessageId],
    now: UnixMillis,
) -> Option<u64> {
    let full = conversation.missing.len().saturating_add(missing.len()) > MAX_MISSING;
    for id in missing {
        match conversation.missing.iter_mut().find(|known| known.id == *id) {
            Some(known) => known.follower = known.follower.min(row.order),
            None if full => {}
            None => conversation.missing.push(MissingRow {
                id: *id,
                named_by: key.sender,
                since: now,
                asked: 0,
                follower: row.order,
            }),
        }
    }
    let found = conversation.missing.iter().position(|known| known.id == key.id)?;
    Some(conversation.missing.remove(found).follower)
}

/// Every row of a stretch of a conversation, in order.
fn stretch(
    rows: &dyn ReadRows,
    conversation: ConversationId,
    from: u64,
    limit: usize,
) -> Result<Vec<(u64, MessageKey)>, RowsError> {
    let mut at = [conversation.as_bytes().as_slice(), &from.to_be_bytes()].concat();
    let end = prefix_end(conversation.as_bytes());
    let mut found = Vec::new();
    while found.len() < limit {
        let page = rows.scan(&TIMELINE, &at, &end, MAX_SCAN, Direction::Forward)?;
        found.extend(page.iter().filter_map(|(key, _)| MessageKey::parse_timeline(key)));
        match page.last() {
            Some((last, _)) if page.len() == MAX_SCAN => {
                at.clone_from(last);
                at.push(0);
            }
            _ => break,
        }
    }
    found.truncate(limit);
    Ok(found)
}

impl Endpoint {
    /// Reads which conversations have gaps.
    pub(in crate::endpoint) fn open_gaps(&mut self, cx: &Cx<'_>) -> Result<(), RowsError> {
        for (key, row) in load_all::<ConversationRow>(cx.rows, &CONVERSATIONS, &[])? {
            if let Some(conversation) = ConversationId::from_slice(&key)
                && !row.missing.is_empty()
            {
                self.gaps.insert(conversation);
            }
        }
        Ok(())
    }

    /// A parent has come late: what follows it is raised above it, in the order of the conversation.
    /// Returns the greatest order given.
    pub(in crate::endpoint) fn raise_followers(
        &mut self,
        cx: &mut Cx<'_>,
        (key, order): (MessageKey, u64),
        from: u64,
    ) -> Result<u64, RowsError> {
        let mut raised = BTreeMap::from([(key.id, order)]);
        let mut greatest = order;
        for (place, key) in stretch(cx.rows, key.conversation, from, MAX_RAISED)? {
            let Some(mut row) = load::<MessageRow>(cx.rows, &MESSAGES, &key.bytes())? else {
                continue;
            };
            let above = row.parents.iter().filter_map(|parent| raised.get(parent)).max().copied();
            let Some(above) = above.filter(|above| *above >= row.order) else { continue };
            row.order = above.saturating_add(1);
            greatest = greatest.max(row.order);
            raised.insert(key.id, row.order);
            cx.rows.delete(&TIMELINE, &key.timeline(place));
            cx.rows.put(&TIMELINE, &key.timeline(row.order), Vec::new());
            save(cx.rows, &MESSAGES, &key.bytes(), &row)?;
        }
        Ok(greatest)
    }

    /// Asks for parents that were missed for a minute, or asked for a day ago.
    pub(in crate::endpoint) fn ask_for_missing(
        &mut self,
        cx: &mut Cx<'_>,
    ) -> Result<(), RowsError> {
        let now = cx.now.wall;
        for conversation in self.gaps.clone() {
            let Some(account) = self.partners.get(&conversation).copied() else { continue };
            let at = conversation.as_bytes();
            let mut row: ConversationRow = load(cx.rows, &CONVERSATIONS, at)?.unwrap_or_default();
            row.missing.retain(|it| it.asked < MAX_ASKED || now.since(it.since) < DAY);
            let mut wanted = Vec::new();
            for missing in &mut row.missing {
                let patience = if missing.asked == 0 { GAP_PATIENCE } else { DAY };
                if missing.asked < MAX_ASKED && now.since(missing.since) >= patience {
                    missing.asked = missing.asked.saturating_add(1);
                    missing.since = now;
                    wanted.push(missing.id);
                }
            }
            if row.missing.is_empty() {
                self.gaps.remove(&conversation);
            }
            save(cx.rows, &CONVERSATIONS, at, &row)?;
            if !wanted.is_empty() {
                for device in self.devices_of(account) {
                    let body = Resend(wanted.clone()).to_bytes();
                    self.queue_content(cx, (account, device), Kind::RESEND, body)?;
                }
            }
        }
        Ok(())
    }

    /// A contact asks for messages of ours that it never saw.
    pub(in crate::endpoint) fn resend(
        &mut self,
        cx: &mut Cx<'_>,
        (account, device): (AccountId, DeviceId),
        ids: &[MessageId],
    ) -> Result<(), RowsError> {
        let (conversation, sender) = (self.conversation(account), self.me.account);
        let mut lost_its_own = false;
        for id in ids {
            self.send_once_more(cx, device, MessageKey { id: *id, conversation, sender })?;
            let theirs = MessageKey { id: *id, conversation, sender: account };
            lost_its_own |= cx.rows.get(&MESSAGES, &theirs.bytes())?.is_some();
        }
        // Whoever misses what it wrote itself has an older home, whether it knows or not.
        let hello = if lost_its_own { Hello::Last(None) } else { Hello::Plain };
        self.refill(cx, (account, device), hello)
    }

    /// The home of a contact is older than it was: what it had receipted since `last` goes again, at
    /// most once a day.
    pub(in crate::endpoint) fn refill(
        &mut self,
        cx: &mut Cx<'_>,
        (account, device): (AccountId, DeviceId),
        hello: Hello,
    ) -> Result<(), RowsError> {
        let Hello::Last(last) = hello else { return Ok(()) };
        let now = cx.now.wall;
        let Some(contact) = self.contacts.get_mut(&account) else { return Ok(()) };
        let accepted = contact.state == ContactState::Accepted;
        let row = contact.devices.iter_mut().find(|row| row.device == device);
        let Some(row) = row.filter(|row| {
            accepted && row.refilled_at.is_none_or(|at| now.since(at) >= DAY || at > now)
        }) else {
            return Ok(());
        };
        row.refilled_at = Some(now);
        self.save_contact(cx, account)?;
        let (conversation, sender) = (self.conversation(account), self.me.account);
        let delivered = |rows: &dyn ReadRows, id| {
            let key = MessageKey { id, conversation, sender };
            let row = load::<MessageRow>(rows, &MESSAGES, &key.bytes())?;
            let steps = row.map(|row| row.steps).unwrap_or_default();
            // The first time: what was delivered once more since says nothing of what came between.
            let done = steps.iter().find(|step| step.kind == StepKind::Delivered);
            Ok::<_, RowsError>(done.map(|step| step.at))
        };
        let since = match last {
            Some(id) => delivered(cx.rows, id)?.unwrap_or_default(),
            None => UnixMillis::default(),
        };
        let oldest = now.saturating_sub(SESSION_GRACE);
        let (mut at, end) = (conversation.as_bytes().to_vec(), prefix_end(conversation.as_bytes()));
        let mut wanted = Vec::new();
        loop {
            let page = cx.rows.scan(&TIMELINE, &at, &end, MAX_SCAN, Direction::Forward)?;
            for (key, _) in &page {
                let ours = MessageKey::parse_timeline(key).filter(|it| it.1.sender == sender);
                let Some((_, key)) = ours else { continue };
                if delivered(cx.rows, key.id)?.is_some_and(|done| done >= since.max(oldest)) {
                    wanted.push(key);
                }
            }
            match page.last() {
                Some((last, _)) if page.len() == MAX_SCAN => {
                    at.clone_from(last);
                    at.push(0);
                }
                _ => break,
            }
        }
        let too_many = wanted.len().saturating_sub(MAX_REFILL);
        for key in wanted.into_iter().skip(too_many) {
            self.send_once_more(cx, device, key)?;
        }
        self.tell_who_and_where(cx, (account, device))
    }

    /// Queues a message that a device once had, or should have had; at most once a day.
    fn send_once_more(
        &mut self,
        cx: &mut Cx<'_>,
        device: DeviceId,
        key: MessageKey,
    ) -> Result<(), RowsError> {
        let now = cx.now.wall;
        let waits = self.lanes.get(&device).is_some_and(|lane| lane.has(key.id));
        let Some(mut row) = load::<MessageRow>(cx.rows, &MESSAGES, &key.bytes())? else {
            return Ok(());
        };
        let lately =
            row.steps.iter().any(|step| step.kind == StepKind::Retried && now.since(step.at) < DAY);
        if waits || lately || now.since(row.sent_at) > SESSION_GRACE {
            return Ok(());
        }
        note(&mut row, StepKind::Retried, now);
        let kind = Kind(row.kind);
        save(cx.rows, &MESSAGES, &key.bytes(), &row)?;
        self.queue(cx, device, NewLine::message(key, kind))
    }

    /// The newest message of a contact that was here when a host last knew of no newer copy of this home:
    /// what came later may lie behind something that is lost.
    pub(in crate::endpoint) fn newest_of(
        &self,
        cx: &Cx<'_>,
        account: AccountId,
    ) -> Result<Option<MessageId>, RowsError> {
        let Some(proved_at) = self.proved_at else { return Ok(None) };
        let conversation = self.conversation(account);
        let (from, mut end) = (conversation.as_bytes(), prefix_end(conversation.as_bytes()));
        loop {
            let page = cx.rows.scan(&TIMELINE, from, &end, MAX_SCAN, Direction::Backward)?;
            let all = page.iter().filter_map(|(key, _)| MessageKey::parse_timeline(key));
            for (_, key) in all.filter(|(_, key)| key.sender == account) {
                let row: Option<MessageRow> = load(cx.rows, &MESSAGES, &key.bytes())?;
                if row.and_then(|row| row.received_at).is_some_and(|at| at <= proved_at) {
                    return Ok(Some(key.id));
                }
            }
            match page.last() {
                Some((last, _)) if page.len() == MAX_SCAN => end.clone_from(last),
                _ => return Ok(None),
            }
        }
    }
}
