//! What a device of a contact has not confirmed: one lane a device, so that nobody delays another.
//!
//! Rules: a content is encrypted when a link that takes it is open, not before; a line stays until
//! its delivery receipt (or, for what has none, until it has arrived); after a lost link or a
//! restart it is encrypted again at a new position under the same message id.
//! Source: PROTOCOL §7, "The outbox keeps no ciphertext".

use std::collections::{BTreeMap, BTreeSet};

use serde_bytes::ByteBuf;

use super::links::{Asked, pages};
use super::machine::{Cx, Endpoint};
use super::sessions::EncryptFailure;
use super::{Change, MessageState, StepKind};
use crate::content::{Content, Kind, Receipt};
use crate::conversation::Mode;
use crate::crypto::hash;
use crate::envelope::{Bucket, Envelope, revoke_hash};
use crate::id::{AccountId, DeviceId, MessageId, QueueId};
use crate::limits::MAX_IN_FLIGHT;
use crate::machine::LinkId;
use crate::rows::RowsError;
use crate::rows::message::{MESSAGES, MessageKey, MessageRow};
use crate::rows::outbox::{Carried, OUTBOX, OutboxRow, line_key};
use crate::rows::typed::{load, save};
use crate::wire::frame::Request;

/// The lines of one device.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) lines: BTreeMap<u64, OutboxRow>,
    waiting: BTreeSet<u64>,
    flying: BTreeMap<u64, LinkId>,
    by_message: BTreeMap<MessageId, u64>,
}

impl Lane {
    pub(super) fn add(&mut self, number: u64, row: OutboxRow) {
        self.by_message.insert(row.message, number);
        self.lines.insert(number, row);
        self.waiting.insert(number);
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<OutboxRow> {
        self.waiting.remove(&number);
        self.flying.remove(&number);
        let row = self.lines.remove(&number)?;
        if self.by_message.get(&row.message) == Some(&number) {
            self.by_message.remove(&row.message);
        }
        Some(row)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }

    /// What was encrypted waits again: its session is not the sending one any more. A first contact
    /// keeps its bytes and is not repeated on the link that took it.
    pub(super) fn land_all(&mut self) {
        let lines = &self.lines;
        let keeps_bytes = |number: &u64| {
            let carried = lines.get(number).map(|row| &row.carried);
            matches!(carried, Some(Carried::FirstContact { .. }))
        };
        let landed: Vec<u64> =
            self.flying.keys().filter(|number| !keeps_bytes(number)).copied().collect();
        for number in landed {
            self.flying.remove(&number);
            self.waiting.insert(number);
        }
    }

    /// What flew on a link waits again. Returns whether anything did.
    pub(super) fn land(&mut self, link: LinkId) -> bool {
        let landed: Vec<u64> =
            self.flying.iter().filter(|(_, on)| **on == link).map(|(number, _)| *number).collect();
        for number in &landed {
            self.flying.remove(number);
            self.waiting.insert(*number);
        }
        !landed.is_empty()
    }
}

/// What a new line carries.
pub(super) struct NewLine {
    pub(super) carried: Carried,
    pub(super) message: MessageId,
    pub(super) kind: Kind,
}

impl Endpoint {
    /// Queues something for a device.
    pub(super) fn queue(
        &mut self,
        cx: &mut Cx<'_>,
        device: DeviceId,
        line: NewLine,
    ) -> Result<(), RowsError> {
        self.counters.line = self.counters.line.saturating_add(1);
        self.counters_changed = true;
        let number = self.counters.line;
        let row = OutboxRow {
            carried: line.carried,
            message: line.message,
            kind: line.kind.0,
            receipted: line.kind.is_receipted(),
            expires: cx.now.wall.saturating_add(self.me.life),
            not_before: cx.now.wall,
            revoke: cx.random(),
            session: None,
            words: Vec::new(),
            deposited: false,
            repeats: 0,
        };
        save(cx.rows, &OUTBOX, &line_key(device, number), &row)?;
        self.lanes.entry(device).or_default().add(number, row);
        self.to_pump.insert(device);
        Ok(())
    }

    /// Queues a content of the protocol for a device of a contact.
    pub(super) fn queue_content(
        &mut self,
        cx: &mut Cx<'_>,
        (account, device): (AccountId, DeviceId),
        kind: Kind,
        body: Vec<u8>,
    ) -> Result<(), RowsError> {
        let message = MessageId(cx.random());
        let content = Content {
            kind,
            message,
            conversation: self.conversation(account),
            mode: Mode::Sealed,
            sent_at: cx.now.wall,
            parents: Vec::new(),
            heads: self.heads(account),
            body,
        };
        let bytes = content.to_bytes().map_err(|error| RowsError(error.to_string()))?;
        let carried = Carried::Content(ByteBuf::from(bytes));
        self.queue(cx, device, NewLine { carried, message, kind })
    }

    /// One receipt content for up to 64 messages that this batch recorded.
    pub(super) fn write_receipts(&mut self, cx: &mut Cx<'_>) -> Result<(), RowsError> {
        for (device, ids) in core::mem::take(&mut self.receipts) {
            let Some(account) = self.owners.get(&device).copied() else { continue };
            for page in pages(&ids) {
                let body = Receipt(page.to_vec()).to_bytes();
                self.queue_content(cx, (account, device), Kind::RECEIPT, body)?;
            }
        }
        Ok(())
    }

    /// Lets leave what can leave.
    pub(super) fn pump(&mut self, cx: &mut Cx<'_>) -> Result<(), RowsError> {
        for device in core::mem::take(&mut self.to_pump) {
            let Some(link) = self.link_to(device) else { continue };
            let Some(lane) = self.lanes.get(&device) else { continue };
            let room = MAX_IN_FLIGHT.saturating_sub(lane.flying.len());
            let numbers: Vec<u64> = lane.waiting.iter().take(room).copied().collect();
            for number in numbers {
                let Some(envelope) = self.envelope(cx, device, number)? else { continue };
                let request = Request::Deposit {
                    envelope: ByteBuf::from(envelope.to_bytes()),
                    stamp: [0; 8],
                };
                self.ask(cx, link, Asked::Deposit(device, number), request, true);
                if let Some(lane) = self.lanes.get_mut(&device) {
                    lane.waiting.remove(&number);
                    lane.flying.insert(number, link);
                }
            }
        }
        Ok(())
    }

    /// The envelope of a line at a new position; `None` while no session takes it.
    fn envelope(
        &mut self,
        cx: &mut Cx<'_>,
        device: DeviceId,
        number: u64,
    ) -> Result<Option<Envelope>, RowsError> {
        let Some(row) = self.lanes.get(&device).and_then(|lane| lane.lines.get(&number)) else {
            return Ok(None);
        };
        let (expires, revoke) = (row.expires.hours_up(), revoke_hash(&row.revoke));
        let content = match &row.carried {
            Carried::FirstContact { sealed } => {
                let made = cx.random();
                let sealed = sealed.to_vec();
                return Ok(Envelope::new(QueueId::ZERO, made, expires, revoke, sealed).ok());
            }
            Carried::Content(bytes) => bytes.to_vec(),
            Carried::Message(key) => match self.message_content(cx, *key, device)? {
                Some(bytes) => bytes,
                None => return Ok(None),
            },
        };
        let n = self.queue_number(device);
        let pair = self.sessions.pair(cx.rows, device)?;
        let (Some(session), Some(root)) = (pair.sending(), pair.sending_root().cloned()) else {
            return Ok(None);
        };
        if self.sessions.handshake(cx.rows, device, session)?.is_some() {
            return Ok(None);
        }
        let Some(generation) =
            self.sessions.session(cx.rows, device, session)?.map(|session| session.generation())
        else {
            return Ok(None);
        };
        let Some(bucket) = Bucket::for_content(content.len()) else { return Ok(None) };
        let at = (device, session);
        let bytes = match self.sessions.encrypt(cx.rows, at, &content, bucket.bytes(), cx.rng) {
            Ok(bytes) => bytes,
            Err(EncryptFailure::Rows(error)) => return Err(error),
            Err(_) => return Ok(None),
        };
        let queue = root.roots.sending.queue_id(n);
        let made = root.roots.sending.made(generation, &queue, expires, &hash(&[&bytes]));
        Ok(Envelope::new(queue, made, expires, revoke, bytes).ok())
    }

    fn message_content(
        &mut self,
        cx: &mut Cx<'_>,
        key: MessageKey,
        device: DeviceId,
    ) -> Result<Option<Vec<u8>>, RowsError> {
        let row: Option<MessageRow> = load(cx.rows, &MESSAGES, &key.bytes())?;
        let (Some(row), Some(account)) = (row, self.owners.get(&device).copied()) else {
            return Ok(None);
        };
        let content = Content {
            kind: Kind(row.kind),
            message: key.id,
            conversation: key.conversation,
            mode: Mode::Sealed,
            sent_at: row.sent_at,
            parents: row.parents,
            heads: self.heads(account),
            body: row.body.into_vec(),
        };
        Ok(content.to_bytes().ok())
    }

    fn queue_number(&self, device: DeviceId) -> u32 {
        self.owners
            .get(&device)
            .and_then(|account| self.contacts.get(account))
            .and_then(|contact| contact.devices.iter().find(|known| known.device == device))
            .map_or(0, |known| known.queue_n)
    }

    /// A line has arrived: what has no receipt ends with it.
    pub(super) fn arrived(
        &mut self,
        cx: &mut Cx<'_>,
        device: DeviceId,
        number: u64,
    ) -> Result<(), RowsError> {
        let Some(lane) = self.lanes.get_mut(&device) else { return Ok(()) };
        if lane.lines.get(&number).is_some_and(|row| !row.receipted) {
            lane.remove(number);
            cx.rows.delete(&OUTBOX, &line_key(device, number));
        }
        self.to_pump.insert(device);
        Ok(())
    }

    /// A device has receipted messages.
    pub(super) fn receipted(
        &mut self,
        cx: &mut Cx<'_>,
        device: DeviceId,
        ids: &[MessageId],
    ) -> Result<(), RowsError> {
        for id in ids {
            let Some(lane) = self.lanes.get_mut(&device) else { return Ok(()) };
            let Some(number) = lane.by_message.get(id).copied() else { continue };
            let Some(row) = lane.remove(number) else { continue };
            cx.rows.delete(&OUTBOX, &line_key(device, number));
            if let Carried::Message(key) = row.carried {
                self.end_message(cx, key, MessageState::Delivered, StepKind::Delivered)?;
            }
            if let Some(contact) =
                self.owners.get(&device).and_then(|account| self.contacts.get_mut(account))
                && contact.our_request == Some(id.0)
            {
                contact.our_request = None;
            }
        }
        self.to_pump.insert(device);
        Ok(())
    }

    /// Ends the lines whose time is over.
    pub(super) fn expire_lines(&mut self, cx: &mut Cx<'_>) -> Result<(), RowsError> {
        let wall = cx.now.wall;
        let over: Vec<(DeviceId, u64)> = self
            .lanes
            .iter()
            .flat_map(|(device, lane)| {
                let over = lane.lines.iter().filter(|(_, row)| row.expires <= wall);
                over.map(|(number, _)| (*device, *number))
            })
            .take(crate::limits::MAX_SWEEP)
            .collect();
        for (device, number) in over {
            let row = self.lanes.get_mut(&device).and_then(|lane| lane.remove(number));
            cx.rows.delete(&OUTBOX, &line_key(device, number));
            if let Some(OutboxRow { carried: Carried::Message(key), .. }) = row {
                self.end_message(cx, key, MessageState::Expired, StepKind::Expired)?;
            }
        }
        Ok(())
    }

    fn end_message(
        &mut self,
        cx: &mut Cx<'_>,
        key: MessageKey,
        state: MessageState,
        step: StepKind,
    ) -> Result<(), RowsError> {
        let Some(mut row) = load::<MessageRow>(cx.rows, &MESSAGES, &key.bytes())? else {
            return Ok(());
        };
        row.state = state;
        row.reason = None;
        super::messages::note(&mut row, step, cx.now.wall);
        save(cx.rows, &MESSAGES, &key.bytes(), &row)?;
        self.changed(Change::State(key.id, state, None));
        Ok(())
    }

    /// Drops what is out of date: lines of a kind of which only the newest counts.
    pub(super) fn drop_lines(&mut self, cx: &mut Cx<'_>, device: DeviceId, kind: Kind) {
        let Some(lane) = self.lanes.get_mut(&device) else { return };
        let old: Vec<u64> = lane
            .lines
            .iter()
            .filter(|(_, row)| row.kind == kind.0)
            .map(|(number, _)| *number)
            .collect();
        for number in old {
            lane.remove(number);
            cx.rows.delete(&OUTBOX, &line_key(device, number));
        }
    }

    /// Moves what waited for an account to its first device.
    pub(super) fn move_lane(
        &mut self,
        cx: &mut Cx<'_>,
        from: DeviceId,
        to: DeviceId,
    ) -> Result<(), RowsError> {
        let Some(lane) = self.lanes.remove(&from) else { return Ok(()) };
        for (number, row) in lane.lines {
            cx.rows.delete(&OUTBOX, &line_key(from, number));
            save(cx.rows, &OUTBOX, &line_key(to, number), &row)?;
            self.lanes.entry(to).or_default().add(number, row);
        }
        self.to_pump.insert(to);
        Ok(())
    }
}
