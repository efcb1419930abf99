//! What a device of a contact has not confirmed: one lane a device, so that nobody delays another.
//!
//! Rules: a content is encrypted when a link that takes it is open, not before; a line stays until
//! its delivery receipt (or, for what has none, until it has arrived); after a lost link or a
//! restart it is encrypted again at a new position under the same message id.
//! Source: PROTOCOL §7, "The outbox keeps no ciphertext".

use core::ops::Bound;
use std::collections::BTreeSet;

use serde_bytes::ByteBuf;

use super::lane::{Flight, is_due};
use crate::content::{Content, Kind, Receipt};
use crate::conversation::Mode;
use crate::crypto::hash;
use crate::endpoint::hosts::Way;
use crate::endpoint::links::{Asked, pages};
use crate::endpoint::machine::{Cx, Endpoint};
use crate::endpoint::sessions::EncryptFailure;
use crate::endpoint::{Change, MessageState, Reason, StepKind};
use crate::envelope::{Bucket, Envelope, revoke_hash, seal, sealed_message_length};
use crate::id::{AccountId, DeviceId, MessageId, QueueId, SessionId};
use crate::limits::{DIRECT_GRACE, MAX_IN_FLIGHT, MAX_PUMPED, MAX_RECEIPT_IDS, RECEIPT_WAITS};
use crate::machine::LinkId;
use crate::rows::RowsError;
use crate::rows::message::{MESSAGES, MessageKey, MessageRow};
use crate::rows::outbox::{Carried, OUTBOX, OutboxRow, line_key};
use crate::rows::typed::{load, save};
use crate::session::Via;
use crate::time::Millis;
use crate::wire::frame::Request;

/// What a new line carries.
pub(in crate::endpoint) struct NewLine {
    pub(in crate::endpoint) carried: Carried,
    pub(in crate::endpoint) message: MessageId,
    pub(in crate::endpoint) kind: Kind,
    /// Whether it stays until it is receipted.
    pub(in crate::endpoint) receipted: bool,
    /// How long it waits before it leaves.
    pub(in crate::endpoint) delay: Millis,
    /// The session that it belongs to: a KEM part is worth nothing in another one.
    pub(in crate::endpoint) session: Option<SessionId>,
}

impl NewLine {
    /// A content, carried as it says.
    pub(in crate::endpoint) fn of(content: &Content, carried: Carried) -> Self {
        Self {
            carried,
            message: content.message,
            kind: content.kind,
            receipted: content.is_receipted(),
            delay: Millis(0),
            session: None,
        }
    }

    /// A message that a person wrote.
    pub(in crate::endpoint) const fn message(key: MessageKey, kind: Kind) -> Self {
        Self {
            carried: Carried::Message(key),
            message: key.id,
            kind,
            receipted: true,
            delay: Millis(0),
            session: None,
        }
    }
}

impl Endpoint {
    /// Queues something for a device.
    pub(in crate::endpoint) fn queue(
        &mut self,
        cx: &mut Cx<'_>,
        device: DeviceId,
        line: NewLine,
    ) -> Result<(), RowsError> {
        self.counters.line = self.counters.line.saturating_add(1);
        self.counters_changed = true;
        let number = self.counters.line;
        let delay = line.delay;
        let row = OutboxRow {
            carried: line.carried,
            message: line.message,
            kind: line.kind.0,
            receipted: line.receipted,
            expires: cx.now.wall.saturating_add(self.me.life),
            not_before: cx.now.wall.saturating_add(delay),
            revoke: cx.random(),
            session: line.session,
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
    pub(in crate::endpoint) fn queue_content(
        &mut self,
        cx: &mut Cx<'_>,
        to: (AccountId, DeviceId),
        kind: Kind,
        body: Vec<u8>,
    ) -> Result<(), RowsError> {
        let content = self.content(cx, to.0, kind, body);
        self.queue_made(cx, to.1, &content)
    }

    /// The same for a content that is made.
    pub(in crate::endpoint) fn queue_made(
        &mut self,
        cx: &mut Cx<'_>,
        device: DeviceId,
        content: &Content,
    ) -> Result<(), RowsError> {
        let line = made_line(content)?;
        self.queue(cx, device, line)
    }

    /// Queues a KEM part, which belongs to its session.
    pub(in crate::endpoint) fn queue_kem(
        &mut self,
        cx: &mut Cx<'_>,
        (account, device): (AccountId, DeviceId),
        session: SessionId,
        part: Vec<u8>,
    ) -> Result<(), RowsError> {
        let content = self.content(cx, account, Kind::KEM, part);
        let line = made_line(&content)?;
        self.queue(cx, device, NewLine { session: Some(session), ..line })
    }

    /// A content of the protocol for a contact.
    pub(in crate::endpoint) fn content(
        &mut self,
        cx: &mut Cx<'_>,
        account: AccountId,
        kind: Kind,
        body: Vec<u8>,
    ) -> Content {
        Content {
            kind,
            message: MessageId(cx.random()),
            conversation: self.conversation(account),
            mode: Mode::Sealed,
            sent_at: cx.now.wall,
            parents: Vec::new(),
            heads: self.heads(account),
            body,
        }
    }

    /// Receipts for what this batch recorded: up to 64 messages in one, added to one that waits and
    /// leaves no later where there is room.
    pub(in crate::endpoint) fn write_receipts(&mut self, cx: &mut Cx<'_>) -> Result<(), RowsError> {
        for (device, (longest, ids)) in core::mem::take(&mut self.receipts) {
            let Some(account) = self.owners.get(&device).copied() else { continue };
            let drawn = u64::from(u32::from_le_bytes(cx.random()));
            let delay = match longest {
                RECEIPT_WAITS => longest,
                _ => Millis(drawn.checked_rem(longest.0).unwrap_or(0)),
            };
            let ids = self.join_receipt(cx, device, (delay, ids))?;
            for page in pages(&ids) {
                let body = Receipt(page.to_vec()).to_bytes();
                let content = self.content(cx, account, Kind::RECEIPT, body);
                let line = made_line(&content)?;
                let is_full = page.len() == MAX_RECEIPT_IDS && longest == RECEIPT_WAITS;
                let delay = if is_full { Millis(0) } else { delay };
                self.queue(cx, device, NewLine { delay, ..line })?;
            }
        }
        Ok(())
    }

    /// Adds to a receipt that waits, if one leaves no later and has room for all; returns what did
    /// not fit.
    fn join_receipt(
        &mut self,
        cx: &mut Cx<'_>,
        device: DeviceId,
        (delay, ids): (Millis, Vec<MessageId>),
    ) -> Result<Vec<MessageId>, RowsError> {
        let latest = cx.now.wall.saturating_add(delay);
        let Some(lane) = self.lanes.get_mut(&device) else { return Ok(ids) };
        let Some((number, row)) = lane.receipt_until(latest) else { return Ok(ids) };
        let Carried::Content(bytes) = &row.carried else { return Ok(ids) };
        let Ok(mut content) = Content::from_bytes(bytes) else { return Ok(ids) };
        let Ok(Receipt(mut all)) = Receipt::from_bytes(&content.body) else { return Ok(ids) };
        all.extend(ids.iter().filter(|id| !all.contains(id)).copied().collect::<Vec<_>>());
        if all.len() > MAX_RECEIPT_IDS {
            return Ok(ids);
        }
        content.body = Receipt(all).to_bytes();
        let bytes = content.to_bytes().map_err(|error| RowsError(error.to_string()))?;
        row.carried = Carried::Content(ByteBuf::from(bytes));
        save(cx.rows, &OUTBOX, &line_key(device, number), row)?;
        self.to_pump.insert(device);
        Ok(Vec::new())
    }

    /// Lets leave what can leave: on a direct stream; at the hosts where there is none, or where it
    /// has been silent for too long.
    pub(in crate::endpoint) fn pump(&mut self, cx: &mut Cx<'_>) -> Result<(), RowsError> {
        for device in self.next_to_pump(cx.now.since_start) {
            self.follow_session(cx, device)?;
            let direct = self.link_to(device);
            let Some(lane) = self.lanes.get_mut(&device) else { continue };
            if direct.is_some() {
                lane.go_direct(cx.now.since_start);
                lane.ask_again(cx.now.since_start);
            }
            if lane.is_empty() {
                continue;
            }
            let late = lane.is_late(cx.now.since_start);
            let (ways, first_ways) = if direct.is_none() || late {
                (self.ways(cx, device)?, self.first_ways(cx, device))
            } else {
                (Vec::new(), Vec::new())
            };
            if let Some(lane) = self.lanes.get_mut(&device).filter(|_| !ways.is_empty()) {
                lane.land_bare(cx.now.since_start);
            }
            self.depart(cx, device, direct, (&ways, &first_ways))?;
            self.ask_hosts(cx, device, (&ways, &first_ways))?;
            self.set_timer(cx, device, direct.is_some());
        }
        Ok(())
    }

    /// As many devices as one batch takes, where the last one ended.
    fn next_to_pump(&mut self, now: Millis) -> Vec<DeviceId> {
        let after = self.to_pump.range((Bound::Excluded(self.pumped), Bound::Unbounded));
        let around = after.chain(self.to_pump.range(..=self.pumped));
        let devices: Vec<DeviceId> = around.take(MAX_PUMPED).copied().collect();
        for device in &devices {
            self.to_pump.remove(device);
        }
        if let (Some(last), Some(rest)) = (devices.last(), self.to_pump.first()) {
            self.pumped = *last;
            self.timers.insert(*rest, now);
        }
        devices
    }

    /// Encrypts what waits, as far as something takes it.
    fn depart(
        &mut self,
        cx: &mut Cx<'_>,
        device: DeviceId,
        direct: Option<LinkId>,
        (ways, first_ways): (&[Way], &[Way]),
    ) -> Result<(), RowsError> {
        let Some(lane) = self.lanes.get(&device) else { return Ok(()) };
        if direct.is_none() && ways.is_empty() && first_ways.is_empty() {
            return Ok(());
        }
        let room = MAX_IN_FLIGHT.saturating_sub(lane.flying.len());
        let wall = cx.now.wall;
        let ready = |number: &&u64| {
            lane.lines.get(number).is_some_and(|row| {
                let first = matches!(row.carried, Carried::FirstContact { .. });
                let ways = if first { first_ways } else { ways };
                let lacks = |way: &Way| !row.words.iter().any(|word| word.host == way.host);
                is_due(row, wall) && (direct.is_some() || ways.iter().any(lacks))
            })
        };
        // Receipts need no room: what is in flight at the other end waits for them, and so both ends
        // could wait for each other.
        let is_receipt = |number: &&u64| lane.delayed.contains_key(number);
        let receipts = lane.delayed.keys().filter(|number| lane.waiting.contains(number));
        let others = lane.waiting.iter().filter(|number| !is_receipt(number));
        let numbers: Vec<u64> =
            receipts.filter(ready).chain(others.filter(ready).take(room)).copied().collect();
        let keeps = !self.hosts_of(device).1.is_empty();
        let n = self.queue_number(device);
        let peer = direct.and_then(|link| self.links.get(&link)).map(|link| link.peer);
        let n = peer.map_or(n, |peer| self.numbers.at_host(device, peer, n));
        for number in numbers {
            let Some((envelope, generation)) = self.envelope(cx, (device, n), number)? else {
                continue;
            };
            if let Some(link) = direct {
                let bytes = ByteBuf::from(envelope.to_bytes());
                let request = Request::Deposit { envelope: bytes, stamp: [0; 8] };
                let asked = Asked::Deposit(device, number, envelope.queue());
                self.ask(cx, link, asked, request, true);
                self.left_direct(cx, (device, number))?;
            }
            let envelope = Some(envelope).filter(|it| keeps && it.queue() != QueueId::ZERO);
            let since = cx.now.since_start;
            let flight = Flight { direct, since, asked: BTreeSet::new(), envelope, generation, n };
            if let Some(lane) = self.lanes.get_mut(&device) {
                lane.leaves(number, flight);
            }
        }
        Ok(())
    }

    /// Asks the hosts that have not been asked yet.
    fn ask_hosts(
        &mut self,
        cx: &mut Cx<'_>,
        device: DeviceId,
        (ways, first_ways): (&[Way], &[Way]),
    ) -> Result<(), RowsError> {
        if ways.is_empty() && first_ways.is_empty() {
            return Ok(());
        }
        let now = cx.now.since_start;
        let root = self.sessions.pair(cx.rows, device)?.sending_root();
        let root = root.map(|root| root.roots.sending.clone());
        let Some(lane) = self.lanes.get_mut(&device) else { return Ok(()) };
        let mut deposits: Vec<(u64, Way, Envelope)> = Vec::new();
        for (number, flight) in &mut lane.flying {
            let Some(row) = lane.lines.get(number) else { continue };
            if flight.direct.is_some() && now.saturating_sub(flight.since) < DIRECT_GRACE {
                continue;
            }
            let first = match &row.carried {
                Carried::FirstContact { sealed } => Some(sealed),
                _ => None,
            };
            for way in if first.is_some() { first_ways } else { ways } {
                let has_word = row.words.iter().any(|word| word.host == way.host);
                let envelope = match first {
                    Some(sealed) => first_contact(row, way.queue, sealed),
                    None => flight.envelope.as_ref().and_then(|it| {
                        // Some host may know the queue under another number.
                        let moved = || {
                            root.as_ref().map(|root| it.moved(root, flight.generation, way.queue))
                        };
                        if it.queue() == way.queue { Some(it.clone()) } else { moved() }
                    }),
                };
                if let Some(envelope) = envelope.filter(|_| !has_word)
                    && flight.asked.insert(way.host)
                {
                    deposits.push((*number, *way, envelope));
                }
            }
        }
        for (number, way, envelope) in deposits {
            self.deposit_at(cx, (device, number), way, envelope);
        }
        Ok(())
    }

    /// When this lane is to be looked at again.
    fn set_timer(&mut self, cx: &Cx<'_>, device: DeviceId, direct: bool) {
        let has_hosts = !self.hosts_of(device).1.is_empty();
        let (wall, now) = (cx.now.wall, cx.now.since_start);
        let Some(lane) = self.lanes.get(&device) else { return };
        let mut next = lane.next_delayed(wall).map(|wait| now.saturating_add(wait));
        if direct && has_hosts {
            let unasked = lane.flying.values().find(|flight| flight.asked.is_empty());
            let grace = unasked.map(|flight| flight.since.saturating_add(DIRECT_GRACE));
            next = next.into_iter().chain(grace.filter(|at| *at > now)).min();
        }
        next = next.into_iter().chain(lane.asks_at().filter(|_| direct)).min();
        if let Some(next) = next {
            let timer = self.timers.entry(device).or_insert(next);
            *timer = if *timer > now { (*timer).min(next) } else { next };
        }
    }

    /// The envelope of a line at a new position, and the generation of its session; `None` while no
    /// session takes it.
    fn envelope(
        &mut self,
        cx: &mut Cx<'_>,
        (device, n): (DeviceId, u32),
        number: u64,
    ) -> Result<Option<(Envelope, u32)>, RowsError> {
        let Some(row) = self.lanes.get(&device).and_then(|lane| lane.lines.get(&number)) else {
            return Ok(None);
        };
        let (expires, revoke) = (row.expires.hours_up(), revoke_hash(&row.revoke));
        let (kind, bound_to) = (row.kind, row.session);
        let content = match &row.carried {
            Carried::FirstContact { sealed } => {
                return Ok(first_contact(row, QueueId::ZERO, sealed).map(|it| (it, 0)));
            }
            Carried::Content(bytes) => bytes.to_vec(),
            Carried::Message(key) => match self.message_content(cx, *key, device)? {
                Some(bytes) => bytes,
                None => return Ok(None),
            },
        };
        let pair = self.sessions.pair(cx.rows, device)?;
        let (Some(session), Some(root)) = (pair.sending(), pair.sending_root().cloned()) else {
            return Ok(None);
        };
        if self.fence.two_homes || (kind == Kind::KEM.0 && bound_to != Some(session)) {
            return Ok(None);
        }
        let Some(generation) =
            self.sessions.session(cx.rows, device, session)?.map(|session| session.generation())
        else {
            return Ok(None);
        };
        let Some(bytes) = self.encrypted(cx, (device, session), &content)? else {
            return Ok(None);
        };
        if let Some(row) = self.lanes.get_mut(&device).and_then(|it| it.lines.get_mut(&number)) {
            row.session = Some(session);
        }
        let queue = root.roots.sending.queue_id(n);
        let made = root.roots.sending.made(generation, &queue, expires, &hash(&[&bytes]));
        Ok(Envelope::new(queue, made, expires, revoke, bytes).ok().map(|it| (it, generation)))
    }

    /// A content in a session; with the handshake, sealed, until the peer was heard in it.
    fn encrypted(
        &mut self,
        cx: &mut Cx<'_>,
        at: (DeviceId, SessionId),
        content: &[u8],
    ) -> Result<Option<Vec<u8>>, RowsError> {
        let handshake = self.sessions.handshake(cx.rows, at.0, at.1)?;
        let bundle = match &handshake {
            // What goes through a contact queue is one first contact; the rest waits for its answer.
            Some(handshake) if handshake.purpose().via == Via::Contact => return Ok(None),
            Some(_) => match self.usable_bundle(at.0, cx.now.wall) {
                Some(bundle) => Some(bundle),
                None => return Ok(None),
            },
            None => None,
        };
        let length = match &bundle {
            Some(_) => Bucket::for_sealed(content.len())
                .and_then(|bucket| sealed_message_length(bucket.bytes())),
            None => Bucket::for_content(content.len()).map(Bucket::bytes),
        };
        let Some(length) = length else { return Ok(None) };
        let message = match self.sessions.encrypt(cx.rows, at, content, length, cx.rng) {
            Ok(message) => message,
            Err(EncryptFailure::Rows(error)) => return Err(error),
            Err(_) => return Ok(None),
        };
        self.count_encryption(cx)?;
        Ok(match (bundle, handshake) {
            (Some(bundle), Some(handshake)) => {
                seal((&bundle).into(), &handshake, &message, cx.rng).ok()
            }
            _ => Some(message),
        })
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

    pub(in crate::endpoint) fn queue_number(&self, device: DeviceId) -> u32 {
        self.owners
            .get(&device)
            .and_then(|account| self.contacts.get(account))
            .and_then(|contact| contact.devices.iter().find(|known| known.device == device))
            .map_or(0, |known| known.queue_n)
    }

    /// A line has arrived: what has no receipt ends with it.
    pub(in crate::endpoint) fn arrived(
        &mut self,
        cx: &mut Cx<'_>,
        device: DeviceId,
        number: u64,
    ) -> Result<(), RowsError> {
        let Some(lane) = self.lanes.get_mut(&device) else { return Ok(()) };
        lane.taken(number);
        let row = lane.lines.get(&number);
        let first = row.is_some_and(|row| matches!(row.carried, Carried::FirstContact { .. }));
        if row.is_some_and(|row| !row.receipted) {
            lane.end(cx.rows, (device, number))?;
        }
        self.to_pump.insert(device);
        if first { self.request_waits(cx, device, Reason::AwaitingAcceptance) } else { Ok(()) }
    }

    /// A device takes a line later.
    pub(in crate::endpoint) fn put_off(
        &mut self,
        cx: &mut Cx<'_>,
        (device, number): (DeviceId, u64),
        retry_after: Millis,
    ) -> Result<(), RowsError> {
        let Some(lane) = self.lanes.get_mut(&device) else { return Ok(()) };
        let Some(at) = lane.put_off(number, retry_after, cx.now.since_start) else { return Ok(()) };
        let timer = self.timers.entry(device).or_insert(at);
        *timer = (*timer).min(at);
        self.refused_line(cx, (device, number), None, Reason::Busy)
    }

    /// A device has receipted messages.
    pub(in crate::endpoint) fn receipted(
        &mut self,
        cx: &mut Cx<'_>,
        device: DeviceId,
        ids: &[MessageId],
    ) -> Result<(), RowsError> {
        for id in ids {
            let Some(lane) = self.lanes.get_mut(&device) else { return Ok(()) };
            let Some(number) = lane.by_message.get(id).copied() else { continue };
            let Some(row) = lane.end(cx.rows, (device, number))? else { continue };
            if let Carried::Message(key) = row.carried {
                self.end_message(cx, key, MessageState::Delivered, StepKind::Delivered)?;
            }
            let account = self.owners.get(&device).copied();
            let Some(contact) = account.and_then(|account| self.contacts.get_mut(&account)) else {
                continue;
            };
            if contact.our_request == Some(id.0) {
                contact.our_request = None;
            }
            if row.kind == Kind::REACHABILITY.0
                && let Some(row) = contact.devices.iter_mut().find(|row| row.device == device)
                && let Some(account) = account
            {
                row.knows_us = true;
                self.save_contact(cx, account)?;
            }
        }
        self.to_pump.insert(device);
        Ok(())
    }

    /// Ends the lines whose time is over.
    pub(in crate::endpoint) fn expire_lines(&mut self, cx: &mut Cx<'_>) -> Result<(), RowsError> {
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
            let Some(lane) = self.lanes.get_mut(&device) else { continue };
            let row = lane.end(cx.rows, (device, number))?;
            if let Some(OutboxRow { carried: Carried::Message(key), .. }) = row {
                self.end_message(cx, key, MessageState::Expired, StepKind::Expired)?;
            }
        }
        Ok(())
    }

    pub(in crate::endpoint) fn end_message(
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
        super::note(&mut row, step, cx.now.wall);
        save(cx.rows, &MESSAGES, &key.bytes(), &row)?;
        self.changed(Change::State(key.id, state, None));
        Ok(())
    }

    /// Drops what is out of date: lines of a kind of which only the newest counts.
    pub(in crate::endpoint) fn drop_lines(
        &mut self,
        cx: &mut Cx<'_>,
        device: DeviceId,
        kind: Kind,
    ) -> Result<(), RowsError> {
        let Some(lane) = self.lanes.get_mut(&device) else { return Ok(()) };
        let old: Vec<u64> = lane
            .lines
            .iter()
            .filter(|(_, row)| row.kind == kind.0)
            .map(|(number, _)| *number)
            .collect();
        for number in old {
            lane.end(cx.rows, (device, number))?;
        }
        Ok(())
    }

    /// Moves what waited for an account to its first device.
    pub(in crate::endpoint) fn move_lane(
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

fn made_line(content: &Content) -> Result<NewLine, RowsError> {
    let bytes = content.to_bytes().map_err(|error| RowsError(error.to_string()))?;
    Ok(NewLine::of(content, Carried::Content(ByteBuf::from(bytes))))
}

/// The envelope of a first contact in a queue: the same whenever it goes there.
fn first_contact(row: &OutboxRow, queue: QueueId, sealed: &[u8]) -> Option<Envelope> {
    let made = hash(&[b"godwit/made/contact/1", &row.revoke, queue.as_bytes()]);
    let made = made.first_chunk().copied().unwrap_or_default();
    let (expires, revoke) = (row.expires.hours_up(), revoke_hash(&row.revoke));
    Envelope::new(queue, made, expires, revoke, sealed.to_vec()).ok()
}
