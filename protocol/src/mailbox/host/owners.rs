//! Owners: shown, admitted, their queues, their records, their end.

use serde_bytes::ByteBuf;

use super::exchange::Admission;
use super::ledger::QueueAt;
use super::machine::{HostMachine, Hx};
use crate::crypto::SignatureBytes;
use crate::id::{AccountId, HostId, OwnerKey, QueueId};
use crate::limits::{
    INVITE_LIFE, MAX_CARD_RECORDS, MAX_CONTACT_BYTES, MAX_OWNER_QUEUES, MAX_QUEUE_BYTES,
    MAX_RECORD, MAX_REGISTER, MAX_SCAN, SESSION_GRACE,
};
use crate::machine::LinkId;
use crate::mailbox::{check_owner, sign_erasure};
use crate::record::AccountRecord;
use crate::rows::mailbox::{
    CARDS, CardRow, INVITED, InvitedRow, MailPlace, OwnerRow, QueueRow, TOKENS, TokenRow, trees,
};
use crate::rows::typed::{load, load_all, parse, save};
use crate::rows::{Direction, RowsError, prefix_end};
use crate::session::Bundle;
use crate::time::UnixHours;
use crate::wire::frame::{Answer, OwnerRole, QueueAccess, Refused, Registration};

type At = (LinkId, u32);

impl HostMachine {
    /// An owner key is shown; a proof that does not hold closes the stream.
    pub(super) fn prove(
        &mut self,
        hx: &mut Hx<'_>,
        at: At,
        owner: OwnerKey,
        signature: &SignatureBytes,
    ) -> Result<(), RowsError> {
        let Some(link) = self.links.get_mut(&at.0) else { return Ok(()) };
        if !check_owner(&owner, self.setup.network.as_str(), &self.host, &link.challenge, signature)
        {
            self.close(hx, at.0);
            return Ok(());
        }
        if !link.takes(&owner) {
            hx.refuse(at, Refused::Busy { retry_after: 60_000 });
            return Ok(());
        }
        link.proved.insert(owner);
        let hour = hx.now.wall.hours();
        let known = self.ledger.owner(hx.rows, owner)?;
        if known.is_some_and(|(_, row)| row.last_seen < hour)
            && let Some(row) = self.ledger.owner_mut(hx.rows, owner)?
        {
            row.last_seen = hour;
        }
        hx.done(at, Answer::Done);
        Ok(())
    }

    /// A key asks to become an owner; once admitted, it stays.
    pub(super) fn admit(
        &mut self,
        hx: &mut Hx<'_>,
        at: At,
        (owner, role): (OwnerKey, OwnerRole),
        token: Option<[u8; 16]>,
    ) -> Result<(), RowsError> {
        if let Some((known, _)) = self.ledger.owner(hx.rows, owner)? {
            if known == role {
                hx.done(at, Answer::Done);
            } else {
                hx.refuse(at, Refused::Rejected);
            }
            return Ok(());
        }
        if self.counters.owners >= self.setup.owners || self.space_low {
            hx.refuse(at, Refused::Full);
            return Ok(());
        }
        if self.setup.admit == Admission::Invited && !self.use_token(hx, role, token)? {
            hx.refuse(at, Refused::Rejected);
            return Ok(());
        }
        self.counters.owners = self.counters.owners.saturating_add(1);
        self.counters_changed = true;
        let row = OwnerRow {
            owner,
            last_seen: hx.now.wall.hours(),
            queues: 0,
            envelopes: 0,
            bytes: 0,
            seq: 0,
            next: 0,
            fence: None,
            account: None,
            full: Vec::new(),
        };
        self.ledger.add_owner(role, row);
        hx.done(at, Answer::Done);
        Ok(())
    }

    /// Counts a use of a token; `false` if it admits nobody (more).
    fn use_token(
        &mut self,
        hx: &mut Hx<'_>,
        role: OwnerRole,
        token: Option<[u8; 16]>,
    ) -> Result<bool, RowsError> {
        let read = token.and_then(|token| Some((token, self.tokens.read(&token)?)));
        let Some((token, says)) = read else { return Ok(false) };
        // Owners of a disk that was lost come back with the token that they once used.
        let young = hx.now.wall.since(self.counters.created) < SESSION_GRACE;
        if says.expires <= hx.now.wall.hours() && !young {
            return Ok(false);
        }
        let key = crate::crypto::hash(&[&token]);
        let mut row: TokenRow = load(hx.rows, &TOKENS, &key)?.unwrap_or_default();
        let used = match role {
            OwnerRole::Public => &mut row.public,
            OwnerRole::Private => &mut row.private,
        };
        if *used >= says.uses {
            return Ok(false);
        }
        *used = used.saturating_add(1);
        row.expires = says.expires;
        save(hx.rows, &TOKENS, &key, &row)?;
        Ok(true)
    }

    /// Queues are registered, all or none; what is registered already is changed.
    pub(super) fn register(
        &mut self,
        hx: &mut Hx<'_>,
        at: At,
        owner: OwnerKey,
        queues: Vec<Registration>,
    ) -> Result<(), RowsError> {
        let Some((role, row)) = self.ledger.owner(hx.rows, owner)? else {
            hx.refuse(at, Refused::NotFound);
            return Ok(());
        };
        let mut count = row.queues;
        let fits = queues.len() <= MAX_REGISTER
            && queues.iter().all(|queue| match queue.access {
                QueueAccess::Token(_) => role == OwnerRole::Private,
                QueueAccess::Stamp => role == OwnerRole::Public,
            });
        for queue in &queues {
            let whose = self.owner_of(hx, queue.queue)?;
            if !fits || whose.is_some_and(|whose| whose != (role, owner)) {
                hx.refuse(at, Refused::Rejected);
                return Ok(());
            }
            count = count.saturating_add(u32::from(whose.is_none()));
        }
        if count > MAX_OWNER_QUEUES {
            hx.refuse(at, Refused::Full);
            return Ok(());
        }
        for Registration { queue, access, quota } in queues {
            let place = (role, owner, queue);
            if let Some(known) = self.ledger.touch(hx.rows, place)? {
                known.access = access;
                known.quota = quota;
                continue;
            }
            let row = QueueRow { queue, access, quota, envelopes: 0, invited: 0, bytes: 0, seq: 0 };
            self.ledger.add_queue(place, row);
            save(hx.rows, &trees(role).places, queue.as_bytes(), &owner)?;
            if let Some(row) = self.ledger.owner_mut(hx.rows, owner)? {
                row.queues = row.queues.saturating_add(1);
            }
        }
        hx.done(at, Answer::Done);
        Ok(())
    }

    /// Whose queue it is.
    pub(super) fn owner_of(
        &self,
        hx: &Hx<'_>,
        queue: QueueId,
    ) -> Result<Option<(OwnerRole, OwnerKey)>, RowsError> {
        for role in [OwnerRole::Private, OwnerRole::Public] {
            if let Some(owner) = load(hx.rows, &trees(role).places, queue.as_bytes())? {
                return Ok(Some((role, owner)));
            }
        }
        Ok(None)
    }

    /// The most bytes that a queue may hold.
    pub(super) fn queue_limit(row: &QueueRow) -> u64 {
        let most = match row.access {
            QueueAccess::Token(_) => MAX_QUEUE_BYTES,
            QueueAccess::Stamp => MAX_CONTACT_BYTES,
        };
        if row.quota == 0 { most } else { most.min(u64::from(row.quota)) }
    }

    /// Queues are given up with what lies in them.
    pub(super) fn drop_queues(
        &mut self,
        hx: &mut Hx<'_>,
        at: At,
        owner: OwnerKey,
        queues: &[QueueId],
    ) -> Result<(), RowsError> {
        let Some((role, _)) = self.ledger.owner(hx.rows, owner)? else {
            hx.refuse(at, Refused::NotFound);
            return Ok(());
        };
        if queues.len() > MAX_REGISTER {
            hx.refuse(at, Refused::Rejected);
            return Ok(());
        }
        for (key, place) in load_all::<MailPlace>(hx.rows, &trees(role).ids, owner.as_bytes())? {
            if queues.contains(&place.queue)
                && let Some(id) = super::fetches::envelope_of(&key)
            {
                self.delete_mail(hx, (role, owner), id, &place)?;
            }
        }
        self.turn_away(hx, |deposit| deposit.owner == owner && queues.contains(&deposit.queue));
        for queue in queues {
            let place = (role, owner, *queue);
            if self.ledger.queue(hx.rows, place)?.is_some() {
                self.remove_queue(hx, place)?;
            }
        }
        hx.done(at, Answer::Done);
        Ok(())
    }

    fn remove_queue(&mut self, hx: &mut Hx<'_>, place: QueueAt) -> Result<(), RowsError> {
        let (role, owner, queue) = place;
        self.ledger.remove_queue(hx.rows, place);
        hx.rows.delete(&trees(role).places, queue.as_bytes());
        if let Some(row) = self.ledger.owner_mut(hx.rows, owner)? {
            row.queues = row.queues.saturating_sub(1);
            row.full.retain(|full| full.queue != queue);
        }
        Ok(())
    }

    /// Records are left here for `GetCard`: each signed, of that account, newer than what is here.
    pub(super) fn publish(
        &mut self,
        hx: &mut Hx<'_>,
        at: At,
        (owner, account): (OwnerKey, AccountId),
        records: Vec<ByteBuf>,
    ) -> Result<(), RowsError> {
        let Some((role, row)) = self.ledger.owner(hx.rows, owner)? else {
            hx.refuse(at, Refused::NotFound);
            return Ok(());
        };
        // One account an owner: nobody fills a host with the records of many.
        let other = row.account.is_some_and(|known| known != account);
        if role != OwnerRole::Public || other {
            hx.refuse(at, Refused::Rejected);
            return Ok(());
        }
        let Some(record) = self.checked(hx, account, &records) else {
            hx.refuse(at, Refused::Rejected);
            return Ok(());
        };
        let known: Option<CardRow> = load(hx.rows, &CARDS, account.as_bytes())?;
        let known = known.and_then(|row| {
            Some((AccountRecord::from_bytes(row.records.first()?, self.net()).ok()?, row.records))
        });
        if known.as_ref().is_some_and(|(known, _)| known.seq() > record.seq()) {
            hx.refuse(at, Refused::Rejected);
            return Ok(());
        }
        let leads_to_the_same = known.is_some_and(|(known, old)| {
            known.hosts() == record.hosts()
                && known.devices() == record.devices()
                && self.contact_queues(&old) == self.contact_queues(&records)
        });
        let row = CardRow { owner, records, until: record.expires().hours() };
        save(hx.rows, &CARDS, account.as_bytes(), &row)?;
        self.puts.came(account, hx.now.since_start, leads_to_the_same);
        if let Some(row) = self.ledger.owner_mut(hx.rows, owner)? {
            row.account = Some(account);
        }
        hx.done(at, Answer::Done);
        Ok(())
    }

    /// Where strangers deposit, as the bundles of a card say.
    fn contact_queues(&self, records: &[ByteBuf]) -> Vec<(HostId, QueueId)> {
        let bundles = records.iter().skip(1);
        let bundles = bundles.filter_map(|it| Bundle::from_bytes(it, self.net()).ok());
        bundles.flat_map(|bundle| bundle.contact_queues().to_vec()).collect()
    }

    fn checked(
        &self,
        hx: &Hx<'_>,
        account: AccountId,
        records: &[ByteBuf],
    ) -> Option<AccountRecord> {
        if records.len() > MAX_CARD_RECORDS || records.iter().any(|it| it.len() > MAX_RECORD) {
            return None;
        }
        let (first, bundles) = records.split_first()?;
        let record = AccountRecord::from_bytes(first, self.net()).ok()?;
        record.check_time(hx.now.wall).ok()?;
        let of_a_device = |bytes: &ByteBuf| {
            Bundle::from_bytes(bytes, self.net()).is_ok_and(|bundle| {
                record.chain().devices().iter().any(|device| device.id == bundle.device_id())
            })
        };
        (record.account() == account && bundles.iter().all(of_a_device)).then_some(record)
    }

    /// What was published for an account, while it is valid.
    pub(super) fn card_of(
        &self,
        hx: &Hx<'_>,
        account: AccountId,
    ) -> Result<Option<Vec<ByteBuf>>, RowsError> {
        let row: Option<CardRow> = load(hx.rows, &CARDS, account.as_bytes())?;
        Ok(row.filter(|row| row.until > hx.now.wall.hours()).map(|row| row.records))
    }

    /// An invite is registered by the hash of its proof; one use.
    pub(super) fn invite(
        &mut self,
        hx: &mut Hx<'_>,
        at: At,
        owner: OwnerKey,
        (queue, hash, expires): (QueueId, [u8; 32], UnixHours),
    ) -> Result<(), RowsError> {
        let place = (OwnerRole::Public, owner, queue);
        if self.ledger.queue(hx.rows, place)?.is_none() {
            hx.refuse(at, Refused::NotFound);
            return Ok(());
        }
        let begin = owner.as_bytes();
        self.sweep_invited(hx, owner)?;
        let (held, end) = (&INVITED, prefix_end(begin));
        let many = crate::limits::MAX_OWNER_INVITES;
        let known = hx.rows.scan(held, begin, &end, many, Direction::Forward)?;
        if known.len() >= many {
            hx.refuse(at, Refused::Full);
            return Ok(());
        }
        let latest = hx.now.wall.saturating_add(INVITE_LIFE).hours_up();
        let row = InvitedRow { queue, expires: expires.min(latest) };
        save(hx.rows, &INVITED, &[&begin[..], &hash].concat(), &row)?;
        hx.done(at, Answer::Done);
        Ok(())
    }

    /// The owner goes, with the host's word for it.
    pub(super) fn erase(
        &mut self,
        hx: &mut Hx<'_>,
        at: At,
        owner: OwnerKey,
    ) -> Result<(), RowsError> {
        if !self.end_owner(hx, owner)? {
            hx.refuse(at, Refused::NotFound);
            return Ok(());
        }
        let hour = hx.now.wall.hours();
        let signature = sign_erasure(&self.setup.signer, self.net(), (&self.host, &owner, hour));
        hx.done(at, Answer::Erased { hour, signature });
        Ok(())
    }

    /// Deletes an owner, its queues, its mail, its records, and destroys its key. Returns whether
    /// there was one.
    pub(super) fn end_owner(
        &mut self,
        hx: &mut Hx<'_>,
        owner: OwnerKey,
    ) -> Result<bool, RowsError> {
        let Some((role, row)) = self.ledger.owner(hx.rows, owner)? else { return Ok(false) };
        let (account, bytes, envelopes) = (row.account, row.bytes, row.envelopes);
        // What changed in this batch is in memory only.
        self.ledger.flush(hx.rows)?;
        let mut strangers = 0_u32;
        let (queues, end) = (&trees(role).queues, prefix_end(owner.as_bytes()));
        loop {
            // Their ids are hidden: what was read goes, so that the next look brings the next ones.
            let page =
                hx.rows.scan(queues, owner.as_bytes(), &end, MAX_SCAN, Direction::Forward)?;
            for (_, value) in &page {
                let row: QueueRow = parse(queues, value)?;
                hx.rows.delete(&trees(role).places, row.queue.as_bytes());
                hx.rows.delete(queues, &[&owner.as_bytes()[..], row.queue.as_bytes()].concat());
                if row.access == QueueAccess::Stamp {
                    strangers = strangers.saturating_add(row.envelopes);
                }
            }
            if page.len() < MAX_SCAN {
                break;
            }
        }
        if let Some(account) = account {
            let card: Option<CardRow> = load(hx.rows, &CARDS, account.as_bytes())?;
            if card.is_some_and(|card| card.owner == owner) {
                hx.rows.delete(&CARDS, account.as_bytes());
                self.puts.forget(account);
            }
        }
        // They name the owner, and are not sealed under its key.
        let ends = &trees(role).ends;
        let first = hx.rows.scan(ends, &[], &[], 1, Direction::Forward)?;
        let first = first.first().and_then(|(key, _)| key.first_chunk()).copied();
        let first = first.map_or(u32::MAX, u32::from_be_bytes);
        let last = hx.rows.scan(ends, &[], &[], 1, Direction::Backward)?;
        let last = last.first().and_then(|(key, _)| key.first_chunk()).copied();
        for hour in first..=last.map_or(0, u32::from_be_bytes) {
            let end = [&hour.to_be_bytes()[..], owner.as_bytes()].concat();
            if hx.rows.get(ends, &end)?.is_some() {
                hx.rows.delete(ends, &end);
            }
        }
        hx.rows.erase_owner(owner.as_bytes());
        self.ledger.remove_owner(owner);
        self.turn_away(hx, |deposit| deposit.owner == owner);
        self.counters.owners = self.counters.owners.saturating_sub(1);
        self.counters.bytes = self.counters.bytes.saturating_sub(bytes);
        self.counters.envelopes = self.counters.envelopes.saturating_sub(u64::from(envelopes));
        self.counters.strangers = self.counters.strangers.saturating_sub(strangers);
        self.counters_changed = true;
        for link in self.links.values_mut() {
            link.fetching.remove(&owner);
            link.opened.retain(|_, opened| opened.owner != owner);
        }
        Ok(true)
    }
}
