//! What comes in an envelope: opened, recorded, receipted.
//!
//! Rules: `made` is judged before any trial; what only claims to be a contact's closes the stream,
//! a queue that is not (or no more) ours is `NotFound`; a repeat is dropped and receipted again, at most once in 12 h a message.
//! Source: PROTOCOL §4 "What does not open", §7 "Direct", "Delivery receipts".

use super::ContactState;
use super::links::{send_after, send_now};
use super::machine::{Cx, Endpoint};
use super::sessions::{OpenFailure, OpenedMessage};
use crate::content::{Content, Kind, Profile, Reachability, Receipt};
use crate::envelope::Envelope;
use crate::id::{AccountId, DeviceId, MessageId, QueueId};
use crate::limits::RECEIPT_AGAIN;
use crate::machine::LinkId;
use crate::rows::RowsError;
use crate::rows::message::{MESSAGES, MessageKey, MessageRow};
use crate::rows::typed::{load, save};
use crate::session::{Made, MadeClaim, OpenError};
use crate::wire::frame::{Answer, Frame, Refused};

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

impl Endpoint {
    /// An envelope on a direct stream.
    pub(super) fn deposit(
        &mut self,
        cx: &mut Cx<'_>,
        link: LinkId,
        id: u32,
        bytes: &[u8],
    ) -> Result<(), RowsError> {
        let taken = match Envelope::from_bytes(bytes) {
            Ok(envelope) if envelope.queue() == QueueId::ZERO => {
                self.sealed(cx, link, &envelope)?
            }
            Ok(envelope) => self.in_queue(cx, link, &envelope)?,
            Err(_) => Taken::Foreign,
        };
        match taken {
            Taken::Done => send_after(cx, link, &Frame::Answer(id, Answer::Done)),
            Taken::Later => {
                let busy = Answer::Refused(Refused::Busy { retry_after: 60_000 });
                send_now(cx, link, &Frame::Answer(id, busy));
            }
            Taken::Unknown => {
                send_now(cx, link, &Frame::Answer(id, Answer::Refused(Refused::NotFound)));
            }
            Taken::Foreign => self.close(cx, link),
        }
        Ok(())
    }

    fn in_queue(
        &mut self,
        cx: &mut Cx<'_>,
        link: LinkId,
        envelope: &Envelope,
    ) -> Result<Taken, RowsError> {
        let Some(device) = self.queues.get(&envelope.queue()).copied() else {
            return Ok(Taken::Unknown);
        };
        let claim = MadeClaim {
            queue: envelope.queue(),
            expires: envelope.expires(),
            bytes_hash: envelope.bytes_hash(),
            made: envelope.made(),
        };
        let generation = match self.sessions.pair(cx.rows, device)?.judge_made(&claim) {
            Made::Fits { generation, .. } => generation,
            Made::NoneFits => {
                self.fault(None);
                return Ok(Taken::Foreign);
            }
        };
        self.recognise(link, device);
        let wall = cx.now.wall;
        let bytes = envelope.bytes();
        match self.sessions.open(cx.rows, wall, device, Some(generation), bytes) {
            Ok(opened) => self.opened(cx, link, device, &opened)?,
            Err(OpenFailure::Wait) => return Ok(Taken::Later),
            Err(OpenFailure::Rows(error)) => return Err(error),
            Err(OpenFailure::Unopened(error)) => self.fault(Some(error)),
            Err(OpenFailure::NotAdmitted(_)) => {}
        }
        Ok(Taken::Done)
    }

    /// A content of a known device's session.
    pub(super) fn opened(
        &mut self,
        cx: &mut Cx<'_>,
        link: LinkId,
        device: DeviceId,
        opened: &OpenedMessage,
    ) -> Result<(), RowsError> {
        let Some(account) = self.owners.get(&device).copied() else { return Ok(()) };
        let Ok(content) = Content::from_bytes(&opened.content) else { return Ok(()) };
        if content.conversation != self.conversation(account) {
            return Ok(());
        }
        self.offer_kem(cx, (account, device))?;
        match content.kind {
            Kind::RECEIPT => match Receipt::from_bytes(&content.body) {
                Ok(Receipt(ids)) => self.receipted(cx, device, &ids),
                Err(_) => Ok(()),
            },
            Kind::HELLO | Kind::RESEND => Ok(()),
            Kind::KEM => {
                let at = (device, opened.session);
                let answer = self.sessions.accept_kem_part(cx.rows, at, &content.body, cx.rng)?;
                match answer {
                    Some(part) => self.queue_content(cx, (account, device), Kind::KEM, part),
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
                self.reachable(cx, link, (account, device), &content)?;
                self.receipt(device, content.message);
                Ok(())
            }
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
            Some(part) => self.queue_content(cx, (account, device), Kind::KEM, part),
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
        let accepted =
            self.contacts.get(&account).is_some_and(|row| row.state == ContactState::Accepted);
        if !accepted {
            return Ok(());
        }
        let key =
            MessageKey { id: content.message, conversation: content.conversation, sender: account };
        match load::<MessageRow>(cx.rows, &MESSAGES, &key.bytes())? {
            Some(mut row) => {
                let wall = cx.now.wall;
                if row.receipted_at.is_none_or(|at| wall.since(at) >= RECEIPT_AGAIN || at > wall) {
                    row.receipted_at = Some(wall);
                    save(cx.rows, &MESSAGES, &key.bytes(), &row)?;
                    self.receipt(device, content.message);
                }
                Ok(())
            }
            None => {
                self.record_incoming(cx, key, content)?;
                self.receipt(device, key.id);
                Ok(())
            }
        }
    }

    fn reachable(
        &mut self,
        cx: &mut Cx<'_>,
        link: LinkId,
        (account, device): (AccountId, DeviceId),
        content: &Content,
    ) -> Result<(), RowsError> {
        let Ok(reachability) = Reachability::from_bytes(&content.body) else { return Ok(()) };
        self.heard_yes(cx, account)?;
        if let Some(contact) = self.contacts.get_mut(&account)
            && let Some(row) = contact.devices.iter_mut().find(|row| row.device == device)
        {
            row.peer = Some(reachability.peer);
            row.addresses = reachability.addresses;
            row.manifest = reachability.manifest.into();
            row.heard_at = Some(cx.now.wall);
            self.save_contact(cx, account)?;
        }
        self.recognise(link, device);
        Ok(())
    }

    /// Names a message in this batch's receipt.
    pub(super) fn receipt(&mut self, device: DeviceId, message: MessageId) {
        let ids = self.receipts.entry(device).or_default();
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
