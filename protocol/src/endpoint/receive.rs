//! What comes in an envelope: opened, recorded, receipted.
//!
//! Rules: `made` is judged before any trial; what only claims to be a contact's closes the stream,
//! a queue that is not (or no more) ours is `NotFound`; a repeat is dropped and receipted again, the same
//! envelope at most once in 12 h.
//! Source: PROTOCOL §4 "What does not open", §7 "Direct", "Delivery receipts".

use super::ContactState;
use super::block::was_blocked;
use super::hosts::Arrival;
use super::links::{Link, send_after, send_now};
use super::machine::{Cx, Endpoint};
use super::repair::Judged;
use super::sessions::{OpenFailure, OpenedMessage};
use crate::content::{Content, Hello, Kind, Profile, Reachability, Receipt, Resend};
use crate::envelope::Envelope;
use crate::id::{AccountId, DeviceId, EnvelopeId, MessageId, QueueId};
use crate::identity::Chain;
use crate::limits::{LATE_GRACE, RECEIPT_AGAIN};
use crate::machine::{LinkId, StreamKind};
use crate::record::Manifest;
use crate::rows::RowsError;
use crate::rows::contact::ContactRow;
use crate::rows::home::{SEEN, SeenRow};
use crate::rows::message::{MESSAGES, MessageKey, MessageRow};
use crate::rows::typed::{load, save};
use crate::session::{Made, MadeClaim, OpenError};
use crate::time::{UnixHours, UnixMillis};
use crate::wire::frame::{Answer, Frame, Refused};

/// When what is not taken now may be offered again on a direct stream, in milliseconds.
const LATER: u32 = 10_000;

/// How an envelope was taken.
pub(super) enum Taken {
    /// Recorded, or nothing worth recording: it need not come again.
    Done,
    /// Not now.
    Later,
    /// For a queue that is not ours: its owner may have been removed here and be added again.
    Unknown,
    /// Nobody's who may write here.
    Foreign,
}

/// The key of an envelope in [`SEEN`].
pub(super) fn seen_key(envelope: &Envelope) -> Vec<u8> {
    seen_key_of(envelope.expires(), envelope.id())
}

/// The same of an envelope that is not at hand.
pub(super) fn seen_key_of(expires: UnixHours, id: EnvelopeId) -> Vec<u8> {
    [&expires.0.to_be_bytes()[..], id.as_bytes()].concat()
}

/// Remembers an envelope that was opened.
pub(super) fn saw(
    cx: &mut Cx<'_>,
    seen: &[u8],
    content: Option<&Content>,
) -> Result<(), RowsError> {
    let receipted = content.filter(|content| content.is_receipted());
    let message = receipted.map(|content| content.message);
    save(cx.rows, &SEEN, seen, &SeenRow { message, receipted_at: cx.now.wall })
}

/// Whether a message may be receipted once more.
fn is_due(last: UnixMillis, now: UnixMillis) -> bool {
    now.since(last) >= RECEIPT_AGAIN || last > now
}

impl Endpoint {
    /// An envelope on a direct stream.
    pub(super) fn deposit(
        &mut self,
        cx: &mut Cx<'_>,
        link: LinkId,
        id: u32,
        bytes: &[u8],
    ) -> Result<(), RowsError> {
        self.arrival = Arrival::Direct(link);
        if self.space_low {
            let busy = Answer::Refused(Refused::Busy { retry_after: LATER });
            send_now(cx, link, &Frame::Answer(id, busy));
            return Ok(());
        }
        let taken = match Envelope::from_bytes(bytes) {
            Ok(envelope) if envelope.queue() == QueueId::ZERO => self.sealed(cx, &envelope)?,
            Ok(envelope) => self.in_queue_of_today(cx, &envelope)?,
            Err(_) => Taken::Foreign,
        };
        match taken {
            Taken::Done => send_after(cx, link, &Frame::Answer(id, Answer::Done)),
            Taken::Later => {
                let busy = Answer::Refused(Refused::Busy { retry_after: LATER });
                send_now(cx, link, &Frame::Answer(id, busy));
            }
            Taken::Unknown => {
                send_now(cx, link, &Frame::Answer(id, Answer::Refused(Refused::NotFound)));
            }
            Taken::Foreign => self.close(cx, link),
        }
        Ok(())
    }

    /// An envelope of a pairwise queue, also of one that this home has forgotten.
    pub(super) fn in_queue_of_today(
        &mut self,
        cx: &mut Cx<'_>,
        envelope: &Envelope,
    ) -> Result<Taken, RowsError> {
        match self.in_queue(cx, envelope)? {
            Taken::Unknown if self.raised_before(cx, envelope)? => self.in_queue(cx, envelope),
            taken => Ok(taken),
        }
    }

    /// An envelope of a pairwise queue that is known.
    fn in_queue(&mut self, cx: &mut Cx<'_>, envelope: &Envelope) -> Result<Taken, RowsError> {
        let Some(device) = self.queues.device(&envelope.queue()) else {
            return Ok(Taken::Unknown);
        };
        let claim = MadeClaim {
            queue: envelope.queue(),
            expires: envelope.expires(),
            bytes_hash: envelope.bytes_hash(),
            made: envelope.made(),
        };
        let judged = match self.sessions.pair(cx.rows, device)?.judge_made(&claim) {
            Made::Fits { generation, relation, .. } => Judged { generation, relation },
            Made::NoneFits => {
                self.fault(None);
                return Ok(Taken::Foreign);
            }
        };
        self.recognise(device);
        let wall = cx.now.wall;
        let late = wall.since(envelope.expires().start()) > LATE_GRACE;
        if late && !self.clock.is_doubted() {
            return Ok(Taken::Done);
        }
        let seen = seen_key(envelope);
        if self.is_repeat(cx, device, &seen)? {
            return Ok(Taken::Done);
        }
        let bytes = envelope.bytes();
        match self.sessions.open(cx.rows, wall, device, Some(judged.generation), bytes) {
            Ok(opened) => {
                saw(cx, &seen, Content::from_bytes(&opened.content).ok().as_ref())?;
                self.opened(cx, device, &opened)?;
            }
            Err(OpenFailure::Wait) => return Ok(Taken::Later),
            Err(OpenFailure::Rows(error)) => return Err(error),
            Err(OpenFailure::Unopened(OpenError::NoHeader)) => {
                return self.sealed_in_pair(cx, device, envelope, judged);
            }
            Err(OpenFailure::Unopened(error)) => return self.unopened(cx, device, judged, error),
            Err(OpenFailure::NotAdmitted(_)) => {}
        }
        Ok(Taken::Done)
    }

    /// A content of a known device's session.
    pub(super) fn opened(
        &mut self,
        cx: &mut Cx<'_>,
        device: DeviceId,
        opened: &OpenedMessage,
    ) -> Result<(), RowsError> {
        let Some(account) = self.owners.get(&device).copied() else { return Ok(()) };
        let Ok(content) = Content::from_bytes(&opened.content) else { return Ok(()) };
        if content.conversation != self.conversation(account) {
            return Ok(());
        }
        if opened.first_heard || opened.new_session {
            self.follow_root(cx, (account, device))?;
            self.to_pump.insert(device);
        }
        match self.contacts.get(&account).map(|row| row.state) {
            Some(ContactState::Accepted | ContactState::Requested) => {}
            // Who waits for an answer gets none: where it is to be sent then may change.
            Some(ContactState::Pending) if content.kind == Kind::REACHABILITY => {
                return self.reachable(cx, (account, device), &content);
            }
            _ => return Ok(()),
        }
        self.offer_kem(cx, (account, device))?;
        match content.kind {
            Kind::RECEIPT => match Receipt::from_bytes(&content.body) {
                Ok(Receipt(ids)) => self.receipted(cx, device, &ids),
                Err(_) => Ok(()),
            },
            Kind::HELLO => match Hello::from_bytes(&content.body) {
                Ok(hello) => {
                    if content.is_receipted() {
                        self.receipt(device, content.message);
                    }
                    self.refill(cx, (account, device), hello)
                }
                Err(_) => Ok(()),
            },
            Kind::RESEND => match Resend::from_bytes(&content.body) {
                Ok(Resend(ids)) => self.resend(cx, (account, device), &ids),
                Err(_) => Ok(()),
            },
            Kind::KEM => {
                let at = (device, opened.session);
                let (part, wall) = (&content.body, cx.now.wall);
                match self.sessions.accept_kem_part(cx.rows, at, part, wall, cx.rng)? {
                    Some(part) => self.queue_kem(cx, (account, device), opened.session, part),
                    None => Ok(()),
                }
            }
            Kind::PROFILE => {
                if let Ok(profile) = Profile::from_bytes(&content.body) {
                    self.heard_yes(cx, account)?;
                    self.suggest_name(cx, account, &profile.name)?;
                }
                self.receipt(device, content.message);
                Ok(())
            }
            Kind::REACHABILITY => {
                self.reachable(cx, (account, device), &content)?;
                self.receipt(device, content.message);
                Ok(())
            }
            Kind::CONTROL => self.control(cx, (account, device), &content),
            _ => self.written(cx, (account, device), content),
        }
    }

    /// Offers the next KEM epoch where it is due.
    fn offer_kem(
        &mut self,
        cx: &mut Cx<'_>,
        (account, device): (AccountId, DeviceId),
    ) -> Result<(), RowsError> {
        let Some(session) = self.sessions.pair(cx.rows, device)?.sending() else { return Ok(()) };
        let at = (device, session);
        match self.sessions.offer_kem(cx.rows, at, cx.now.wall, cx.rng)? {
            Some(part) => self.queue_kem(cx, (account, device), session, part),
            None => Ok(()),
        }
    }

    /// Something that a person wrote, of a kind that is known or not.
    fn written(
        &mut self,
        cx: &mut Cx<'_>,
        (account, device): (AccountId, DeviceId),
        content: Content,
    ) -> Result<(), RowsError> {
        self.heard_yes(cx, account)?;
        let takes = |row: &ContactRow| {
            row.state == ContactState::Accepted && !was_blocked(row, content.sent_at)
        };
        if !self.contacts.get(&account).is_some_and(takes) {
            return Ok(());
        }
        let key =
            MessageKey { id: content.message, conversation: content.conversation, sender: account };
        match load::<MessageRow>(cx.rows, &MESSAGES, &key.bytes())? {
            // Who encrypts it anew has no receipt for it.
            Some(_) => {}
            None => self.record_incoming(cx, key, content)?,
        }
        self.receipt(device, key.id);
        Ok(())
    }

    fn reachable(
        &mut self,
        cx: &mut Cx<'_>,
        (account, device): (AccountId, DeviceId),
        content: &Content,
    ) -> Result<(), RowsError> {
        let Ok(reachability) = Reachability::from_bytes(&content.body) else { return Ok(()) };
        self.heard_yes(cx, account)?;
        self.told_numbers(cx, (account, device), &reachability)?;
        if let Some(contact) = self.contacts.get_mut(&account)
            && let Some(row) = contact.devices.iter_mut().find(|row| row.device == device)
        {
            row.peer = Some(reachability.peer);
            row.addresses = reachability.addresses;
            row.heard_at = Some(cx.now.wall);
        }
        let unknown = |link: &&mut Link| {
            link.kind == StreamKind::Direct
                && link.peer == reachability.peer
                && link.device.is_none()
        };
        for link in self.links.values_mut().filter(unknown) {
            link.device = Some(device);
        }
        self.new_manifest((account, device), reachability.manifest);
        self.save_contact(cx, account)?;
        self.recognise(device);
        if let Some(lane) = self.lanes.get_mut(&device) {
            lane.go_again(cx.now.since_start);
        }
        self.to_pump.insert(device);
        Ok(())
    }

    /// Whether an envelope was opened before; what a contact sent is then receipted again, at most
    /// once in 12 h: whoever keeps envelopes could replay them to see receipts go.
    pub(super) fn is_repeat(
        &mut self,
        cx: &mut Cx<'_>,
        device: DeviceId,
        seen: &[u8],
    ) -> Result<bool, RowsError> {
        let Some(known) = load::<SeenRow>(cx.rows, &SEEN, seen)? else { return Ok(false) };
        let contact = self.owners.get(&device).and_then(|account| self.contacts.get(account));
        let accepted = contact.is_some_and(|row| row.state == ContactState::Accepted);
        if let Some(message) = known.message
            && accepted
            && is_due(known.receipted_at, cx.now.wall)
        {
            let row = SeenRow { receipted_at: cx.now.wall, ..known };
            save(cx.rows, &SEEN, seen, &row)?;
            self.receipt(device, message);
        }
        Ok(true)
    }

    /// Keeps a device's manifest if it is its own and not older than the one that is known.
    pub(super) fn new_manifest(
        &mut self,
        (account, device): (AccountId, DeviceId),
        bytes: Vec<u8>,
    ) {
        let known = self.manifest_of(device).map(|manifest| manifest.seq());
        let net = self.me.network.clone();
        let Some(contact) = self.contacts.get_mut(&account) else { return };
        let chain = Chain::from_bytes(&contact.chain).ok();
        let signer = chain.as_ref().and_then(|chain| {
            chain.devices().iter().find(|it| it.id == device).map(|it| it.signer)
        });
        let manifest = signer
            .and_then(|signer| Manifest::from_bytes(&bytes, &signer, net.as_str(), device).ok());
        let newer = manifest.is_some_and(|it| known.is_none_or(|seq| it.seq() >= seq));
        if let Some(row) = contact.devices.iter_mut().find(|row| row.device == device)
            && newer
        {
            row.manifest = bytes.into();
            self.peer_manifests.remove(&device);
        }
    }

    /// Names a message in this batch's receipt.
    pub(super) fn receipt(&mut self, device: DeviceId, message: MessageId) {
        let delay = self.arrival.receipt_delay();
        let (longest, ids) = self.receipts.entry(device).or_insert((delay, Vec::new()));
        *longest = (*longest).min(delay);
        if !ids.contains(&message) {
            ids.push(message);
        }
    }

    /// Counts what did not open: `None` is noise.
    pub(super) fn fault(&mut self, error: Option<OpenError>) {
        let faults = &mut self.counters.faults;
        let counter = match error {
            None => &mut faults.noise,
            Some(OpenError::NoHeader) => &mut faults.no_header,
            Some(OpenError::KeysGone) => &mut faults.keys_gone,
            Some(OpenError::BodyFailed) => &mut faults.body_failed,
            Some(OpenError::PqUnknown) => &mut faults.pq_unknown,
            Some(OpenError::TooFarAhead) => &mut faults.too_far_ahead,
        };
        *counter = counter.saturating_add(1);
        self.counters_changed = true;
    }
}
