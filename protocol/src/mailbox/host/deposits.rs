//! Deposits: a queue is opened once a stream, then envelopes come, pipelined; one signature stands
//! for all that a commit made durable.
//!
//! Rule: checks → store → flush → receipts. The same envelope while it is held gets a receipt again.

use serde_bytes::ByteBuf;
use subtle::ConstantTimeEq;

use super::links::{Opened, OpenedBy};
use super::machine::{HostMachine, Hx};
use crate::crypto::hash;
use crate::envelope::{Envelope, revoke_hash};
use crate::id::{EnvelopeId, OwnerKey, QueueId};
use crate::limits::{
    DEFAULT_GRANT, MAX_CONTACT_ENVELOPE, MAX_CONTACT_ENVELOPES, MAX_INVITED_BYTES,
    MAX_INVITED_ENVELOPES, MAX_OWNER_BYTES, MAX_QUEUE_ENVELOPES,
};
use crate::machine::LinkId;
use crate::mailbox::{Stamped, Tree, check_stamp, host_proof_hash, leaf, sign_receipt, token_hash};
use crate::rows::mailbox::{INVITED, InvitedRow, MailPlace, MailRow, trees};
use crate::rows::typed::{load, load_all, save};
use crate::rows::{ReadRows, RowsError};
use crate::time::UnixHours;
use crate::wire::frame::{Answer, Frame, OpenKey, OwnerRole, QueueAccess, Refused};

type At = (LinkId, u32);

/// A deposit of this batch that waits for its receipt.
pub(super) struct Accepted {
    at: At,
    role: OwnerRole,
    pub(super) owner: OwnerKey,
    pub(super) queue: QueueId,
    hash: [u8; 32],
    until: UnixHours,
}

/// The key of an envelope's [`MailPlace`].
fn place_key(owner: &OwnerKey, id: &EnvelopeId, number: u64) -> Vec<u8> {
    [&owner.as_bytes()[..], id.as_bytes(), &number.to_be_bytes()].concat()
}

/// Where the envelopes of an id are: one for each queue that holds it.
pub(super) fn places(
    rows: &dyn ReadRows,
    (role, owner): (OwnerRole, OwnerKey),
    id: &EnvelopeId,
) -> Result<Vec<MailPlace>, RowsError> {
    let prefix = [&owner.as_bytes()[..], id.as_bytes()].concat();
    Ok(load_all(rows, &trees(role).ids, &prefix)?.into_iter().map(|(_, place)| place).collect())
}

/// The key of an envelope's [`MailRow`].
pub(super) fn mail_key(owner: &OwnerKey, number: u64) -> Vec<u8> {
    [&owner.as_bytes()[..], &number.to_be_bytes()].concat()
}

impl HostMachine {
    /// Opens a queue for deposits on this stream.
    pub(super) fn open_queue(
        &mut self,
        hx: &mut Hx<'_>,
        at: At,
        queue: QueueId,
        key: &OpenKey,
    ) -> Result<(), RowsError> {
        let Some((role, owner)) = self.owner_of(hx, queue)? else {
            hx.refuse(at, Refused::NotFound);
            return Ok(());
        };
        let Some(row) = self.ledger.queue(hx.rows, (role, owner, queue))? else {
            hx.refuse(at, Refused::NotFound);
            return Ok(());
        };
        let seq = row.seq;
        let by = match (key, &row.access) {
            (OpenKey::Token(token), QueueAccess::Token(known))
                if bool::from(token_hash(token).ct_eq(known)) =>
            {
                Some(OpenedBy::Token)
            }
            (OpenKey::Stamp, QueueAccess::Stamp) => Some(OpenedBy::Stamp),
            (OpenKey::Invite(proof), QueueAccess::Stamp) => {
                let proof = host_proof_hash(proof);
                let invited: Option<InvitedRow> =
                    load(hx.rows, &INVITED, &[&owner.as_bytes()[..], &proof].concat())?;
                let good =
                    |row: &InvitedRow| row.queue == queue && row.expires > hx.now.wall.hours();
                invited.filter(good).map(|_| OpenedBy::Invite(proof))
            }
            _ => None,
        };
        let Some(link) = self.links.get_mut(&at.0) else { return Ok(()) };
        match by {
            Some(by) if link.has_room() => {
                link.opened.insert(queue, Opened { role, owner, by });
                hx.done(at, Answer::Opened { seq });
            }
            Some(_) => hx.refuse(at, Refused::Busy { retry_after: 60_000 }),
            None => hx.refuse(at, Refused::Rejected),
        }
        Ok(())
    }

    /// Takes an envelope; what is none closes the stream.
    pub(super) fn deposit(
        &mut self,
        hx: &mut Hx<'_>,
        at: At,
        bytes: &ByteBuf,
        stamp: &[u8; 8],
    ) -> Result<(), RowsError> {
        let Ok(envelope) = Envelope::from_bytes(bytes) else {
            self.close(hx, at.0);
            return Ok(());
        };
        match self.judge(hx, at.0, &envelope, bytes, stamp)? {
            Ok((opened, until)) => {
                self.accepted.push(Accepted {
                    at,
                    role: opened.role,
                    owner: opened.owner,
                    queue: envelope.queue(),
                    hash: hash(&[bytes]),
                    until,
                });
                Ok(())
            }
            Err(refused) => {
                hx.refuse(at, refused);
                Ok(())
            }
        }
    }

    /// Checks a deposit and writes it.
    fn judge(
        &mut self,
        hx: &mut Hx<'_>,
        link: LinkId,
        envelope: &Envelope,
        bytes: &ByteBuf,
        stamp: &[u8; 8],
    ) -> Result<Result<(Opened, UnixHours), Refused>, RowsError> {
        let queue = envelope.queue();
        let state = self.links.get(&link);
        let found = state.and_then(|state| Some((state, *state.opened.get(&queue)?)));
        let Some((state, opened)) = found else { return Ok(Err(Refused::Rejected)) };
        if opened.by == OpenedBy::Stamp {
            let what = Stamped {
                host: self.host,
                queue,
                bytes_hash: envelope.bytes_hash(),
                challenge: state.challenge,
            };
            if !check_stamp(&what, state.difficulty, stamp) {
                return Ok(Err(Refused::Rejected));
            }
        }
        let latest = hx.now.wall.saturating_add(DEFAULT_GRANT).hours_up();
        let until = envelope.expires().min(latest);
        if until <= hx.now.wall.hours() {
            return Ok(Err(Refused::Rejected));
        }
        let place = (opened.role, opened.owner, queue);
        let Some(row) = self.ledger.queue(hx.rows, place)? else {
            return Ok(Err(Refused::NotFound));
        };
        let trees = trees(opened.role);
        let held = places(hx.rows, (opened.role, opened.owner), &envelope.id())?;
        if let Some(held) = held.into_iter().find(|place| place.queue == queue) {
            let mail: Option<MailRow> =
                load(hx.rows, &trees.mail, &mail_key(&opened.owner, held.number))?;
            if mail.is_none_or(|mail| mail.envelope != *bytes) {
                return Ok(Err(Refused::Rejected));
            }
            self.ledger.touch(hx.rows, place)?;
            return Ok(Ok((opened, held.until)));
        }
        let invited = matches!(opened.by, OpenedBy::Invite(_));
        let (count, most) = match (&row.access, invited) {
            (QueueAccess::Token(_), _) => (row.envelopes, MAX_QUEUE_ENVELOPES),
            (QueueAccess::Stamp, false) => (row.envelopes, MAX_CONTACT_ENVELOPES),
            (QueueAccess::Stamp, true) => (row.invited, MAX_INVITED_ENVELOPES),
        };
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let strangers = row.access == QueueAccess::Stamp;
        if strangers && bytes.len() > MAX_CONTACT_ENVELOPE {
            return Ok(Err(Refused::Rejected));
        }
        let in_queue = row.bytes.saturating_add(length);
        // What strangers fill is not taken from those who were invited.
        let reserved = if invited { MAX_INVITED_BYTES } else { 0 };
        let room = Self::queue_limit(row).saturating_add(reserved);
        let queue_full = count >= most || in_queue > room;
        let owner_bytes = self.ledger.owner(hx.rows, opened.owner)?.map_or(0, |(_, it)| it.bytes);
        let full = queue_full
            || owner_bytes.saturating_add(length) > MAX_OWNER_BYTES
            || self.counters.bytes.saturating_add(length) > self.setup.bytes
            || self.space_low;
        if full {
            let crowded = queue_full || owner_bytes.saturating_add(length) > MAX_OWNER_BYTES;
            if crowded {
                self.note_full(hx.rows, place)?;
            }
            return Ok(Err(Refused::Full));
        }
        self.keep(hx, link, opened, (envelope, bytes, until))?;
        Ok(Ok((opened, until)))
    }

    fn keep(
        &mut self,
        hx: &mut Hx<'_>,
        link: LinkId,
        opened: Opened,
        (envelope, bytes, until): (&Envelope, &ByteBuf, UnixHours),
    ) -> Result<(), RowsError> {
        let (queue, trees) = (envelope.queue(), trees(opened.role));
        let invited = matches!(opened.by, OpenedBy::Invite(_));
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let Some(owner) = self.ledger.owner_mut(hx.rows, opened.owner)? else { return Ok(()) };
        let number = owner.next;
        owner.next = owner.next.saturating_add(1);
        owner.envelopes = owner.envelopes.saturating_add(1);
        owner.bytes = owner.bytes.saturating_add(u64::from(length));
        if let Some(row) = self.ledger.touch(hx.rows, (opened.role, opened.owner, queue))? {
            let count = if invited { &mut row.invited } else { &mut row.envelopes };
            *count = count.saturating_add(1);
            row.bytes = row.bytes.saturating_add(u64::from(length));
        }
        self.counters.envelopes = self.counters.envelopes.saturating_add(1);
        self.counters.bytes = self.counters.bytes.saturating_add(u64::from(length));
        if opened.role == OwnerRole::Public && !invited {
            self.counters.strangers = self.counters.strangers.saturating_add(1);
        }
        self.counters_changed = true;
        let mail = MailRow { queue, until, invited, envelope: bytes.clone() };
        save(hx.rows, &trees.mail, &mail_key(&opened.owner, number), &mail)?;
        let place = MailPlace { number, queue, until, invited, length };
        save(hx.rows, &trees.ids, &place_key(&opened.owner, &envelope.id(), number), &place)?;
        let end = [&until.0.to_be_bytes()[..], opened.owner.as_bytes()].concat();
        if hx.rows.get(&trees.ends, &end)?.is_none() {
            save(hx.rows, &trees.ends, &end, &opened.owner)?;
        }
        if let OpenedBy::Invite(proof) = opened.by {
            hx.rows.delete(&INVITED, &[&opened.owner.as_bytes()[..], &proof].concat());
            if let Some(link) = self.links.get_mut(&link) {
                link.opened.remove(&queue);
            }
        }
        self.to_push.insert(opened.owner);
        Ok(())
    }

    /// Deposits of this batch whose mail went within it.
    pub(super) fn turn_away(&mut self, hx: &mut Hx<'_>, which: impl Fn(&Accepted) -> bool) {
        for deposit in self.accepted.extract_if(.., |deposit| which(deposit)) {
            hx.refuse(deposit.at, Refused::NotFound);
        }
    }

    /// Signs once for everything that this batch takes.
    pub(super) fn receipt(&mut self, hx: &mut Hx<'_>) -> Result<(), RowsError> {
        let accepted = core::mem::take(&mut self.accepted);
        let mut deposits = Vec::with_capacity(accepted.len());
        for deposit in accepted {
            let place = (deposit.role, deposit.owner, deposit.queue);
            // A queue that went in the same batch took its mail with it.
            let seq = self.ledger.queue(hx.rows, place)?.map(|row| row.seq);
            match seq {
                Some(seq) => deposits.push((deposit, seq)),
                None => hx.refuse(deposit.at, Refused::NotFound),
            }
        }
        let leaves =
            deposits.iter().map(|(it, seq)| leaf(&it.queue, &it.hash, it.until, *seq)).collect();
        let Some(tree) = Tree::new(leaves) else { return Ok(()) };
        let word = (self.host, hx.now.wall.hours(), self.birth);
        let receipt = sign_receipt(&self.setup.signer, self.net(), word, tree.root());
        for (index, (deposit, seq)) in deposits.iter().enumerate() {
            let answer = Answer::Deposited {
                receipt: receipt.clone(),
                path: tree.path(index),
                expires: deposit.until,
                seq: *seq,
            };
            hx.send_after(deposit.at.0, &Frame::Answer(deposit.at.1, answer));
        }
        Ok(())
    }

    /// Takes an envelope that was not acknowledged back; whoever shows the secret may.
    pub(super) fn revoke(
        &mut self,
        hx: &mut Hx<'_>,
        at: At,
        (queue, id): (QueueId, EnvelopeId),
        secret: &[u8; 16],
    ) -> Result<(), RowsError> {
        let found = self.held(hx, queue, id)?;
        let Some((role, owner, place, envelope)) = found else {
            hx.refuse(at, Refused::NotFound);
            return Ok(());
        };
        if !bool::from(revoke_hash(secret).ct_eq(&envelope.revoke())) {
            hx.refuse(at, Refused::Rejected);
            return Ok(());
        }
        self.delete_mail(hx, (role, owner), id, &place)?;
        hx.done(at, Answer::Done);
        Ok(())
    }

    fn held(
        &self,
        hx: &Hx<'_>,
        queue: QueueId,
        id: EnvelopeId,
    ) -> Result<Option<(OwnerRole, OwnerKey, MailPlace, Envelope)>, RowsError> {
        let Some((role, owner)) = self.owner_of(hx, queue)? else { return Ok(None) };
        let places = places(hx.rows, (role, owner), &id)?;
        let Some(place) = places.into_iter().find(|place| place.queue == queue) else {
            return Ok(None);
        };
        let mail: Option<MailRow> =
            load(hx.rows, &trees(role).mail, &mail_key(&owner, place.number))?;
        let envelope = mail.and_then(|mail| Envelope::from_bytes(&mail.envelope).ok());
        Ok(envelope.map(|envelope| (role, owner, place, envelope)))
    }

    /// Deletes an envelope and counts it out.
    pub(super) fn delete_mail(
        &mut self,
        hx: &mut Hx<'_>,
        (role, owner): (OwnerRole, OwnerKey),
        id: EnvelopeId,
        place: &MailPlace,
    ) -> Result<(), RowsError> {
        let trees = trees(role);
        hx.rows.delete(&trees.mail, &mail_key(&owner, place.number));
        hx.rows.delete(&trees.ids, &place_key(&owner, &id, place.number));
        let length = u64::from(place.length);
        if let Some(row) = self.ledger.owner_mut(hx.rows, owner)? {
            row.envelopes = row.envelopes.saturating_sub(1);
            row.bytes = row.bytes.saturating_sub(length);
        }
        if let Some(row) = self.ledger.touch(hx.rows, (role, owner, place.queue))? {
            let count = if place.invited { &mut row.invited } else { &mut row.envelopes };
            *count = count.saturating_sub(1);
            row.bytes = row.bytes.saturating_sub(length);
        }
        self.note_room(hx.rows, (role, owner, place.queue))?;
        self.counters.envelopes = self.counters.envelopes.saturating_sub(1);
        self.counters.bytes = self.counters.bytes.saturating_sub(length);
        if role == OwnerRole::Public && !place.invited {
            self.counters.strangers = self.counters.strangers.saturating_sub(1);
        }
        self.counters_changed = true;
        Ok(())
    }
}
