//! Fetches: everything that is there, then what comes, within a window of what is not acknowledged.

use std::collections::BTreeMap;

use super::deposits::{mail_key, places};
use super::exchange::HostEffect;
use super::machine::{HostMachine, Hx};
use crate::envelope::Envelope;
use crate::id::{EnvelopeId, OwnerKey};
use crate::limits::{MAX_ACK_IDS, MAX_FETCH_BYTES, MAX_FETCH_ITEMS};
use crate::machine::{LinkId, NetworkOutput, Output};
use crate::mailbox::check_fence;
use crate::rows::mailbox::{MailRow, trees};
use crate::rows::typed::parse;
use crate::rows::{Direction, RowsError, prefix_end};
use crate::wire::frame::{Answer, FenceRecord, Frame, Item, OwnerRole, Refused};

type At = (LinkId, u32);

/// Envelopes that one look at the rows takes.
const PAGE: usize = 32;

/// How far a fetch on one stream is.
#[derive(Debug)]
pub(super) struct Fetching {
    role: OwnerRole,
    /// The next envelope's number.
    next: u64,
    /// What is out and not acknowledged, with its length.
    out: BTreeMap<EnvelopeId, usize>,
    bytes: usize,
    ended: bool,
}

impl Fetching {
    /// Whether everything that was there is out.
    pub(super) const fn has_ended(&self) -> bool {
        self.ended
    }

    fn has_room(&self) -> bool {
        self.out.len() < MAX_FETCH_ITEMS && self.bytes < MAX_FETCH_BYTES
    }
}

/// The envelope that the key of a `MailPlace` names.
pub(super) fn envelope_of(key: &[u8]) -> Option<EnvelopeId> {
    let rest = key.get(OwnerKey::LENGTH..)?;
    rest.first_chunk::<16>().map(|id| EnvelopeId(*id))
}

impl HostMachine {
    /// Begins to bring an owner's mail.
    pub(super) fn fetch(
        &mut self,
        hx: &mut Hx<'_>,
        at: At,
        owner: OwnerKey,
        fence: Option<FenceRecord>,
    ) -> Result<(), RowsError> {
        let Some((role, row)) = self.ledger.owner(hx.rows, owner)? else {
            hx.refuse(at, Refused::NotFound);
            return Ok(());
        };
        // What the host held before: a home that is older than it was must see it.
        let (seq, known) = (row.seq, row.fence.clone());
        self.keep_fence(hx, owner, fence)?;
        let Some(link) = self.links.get_mut(&at.0) else { return Ok(()) };
        if role == OwnerRole::Private {
            // Whoever has its mail here may be reached through here as well.
            let serve = NetworkOutput::Serve { peer: link.peer };
            hx.out.push(Output::Now(HostEffect::Network(serve)));
        }
        let fetching = Fetching { role, next: 0, out: BTreeMap::new(), bytes: 0, ended: false };
        link.fetching.insert(owner, fetching);
        hx.done(at, Answer::Fetching { seq, fence: known });
        self.to_push.insert(owner);
        Ok(())
    }

    /// Keeps the highest fence by (`fence`, `acked`) that its owner signed.
    fn keep_fence(
        &mut self,
        hx: &mut Hx<'_>,
        owner: OwnerKey,
        fence: Option<FenceRecord>,
    ) -> Result<(), RowsError> {
        let Some(fence) = fence else { return Ok(()) };
        let known = self.ledger.owner(hx.rows, owner)?;
        let private = known.as_ref().is_some_and(|(role, _)| *role == OwnerRole::Private);
        let held = known.and_then(|(_, row)| row.fence.as_ref());
        let higher = held.is_none_or(|held| (fence.fence, fence.acked) > (held.fence, held.acked));
        let ours = fence.owner == owner && fence.host == self.host && private;
        if ours
            && higher
            && check_fence(self.setup.network.as_str(), &fence)
            && let Some(row) = self.ledger.owner_mut(hx.rows, owner)?
        {
            row.fence = Some(fence);
        }
        Ok(())
    }

    /// Deletes what the owner has on its own disk.
    pub(super) fn acknowledge(
        &mut self,
        hx: &mut Hx<'_>,
        at: At,
        owner: OwnerKey,
        (ids, fence): (&[EnvelopeId], Option<FenceRecord>),
    ) -> Result<(), RowsError> {
        let Some((role, _)) = self.ledger.owner(hx.rows, owner)? else {
            hx.refuse(at, Refused::NotFound);
            return Ok(());
        };
        if ids.len() > MAX_ACK_IDS {
            hx.refuse(at, Refused::Rejected);
            return Ok(());
        }
        self.keep_fence(hx, owner, fence)?;
        for id in ids {
            for place in places(hx.rows, (role, owner), id)? {
                self.delete_mail(hx, (role, owner), *id, &place)?;
            }
            for link in self.links.values_mut() {
                if let Some(fetching) = link.fetching.get_mut(&owner)
                    && let Some(length) = fetching.out.remove(id)
                {
                    fetching.bytes = fetching.bytes.saturating_sub(length);
                }
            }
        }
        self.to_push.insert(owner);
        hx.done(at, Answer::Done);
        Ok(())
    }

    /// Sends on every stream what its window has room for.
    pub(super) fn push(&mut self, hx: &mut Hx<'_>) -> Result<(), RowsError> {
        for owner in core::mem::take(&mut self.to_push) {
            for (link, state) in &mut self.links {
                if let Some(fetching) = state.fetching.get_mut(&owner) {
                    push_on(hx, *link, owner, fetching)?;
                }
            }
            self.tell_full(hx, owner)?;
        }
        Ok(())
    }
}

fn push_on(
    hx: &mut Hx<'_>,
    link: LinkId,
    owner: OwnerKey,
    fetching: &mut Fetching,
) -> Result<(), RowsError> {
    let (table, end) = (&trees(fetching.role).mail, prefix_end(owner.as_bytes()));
    while fetching.has_room() {
        let from = mail_key(&owner, fetching.next);
        let page = hx.rows.scan(table, &from, &end, PAGE, Direction::Forward)?;
        if page.is_empty() {
            if !fetching.ended {
                fetching.ended = true;
                hx.send_after(link, &Frame::End(owner));
            }
            return Ok(());
        }
        for (key, value) in page {
            if !fetching.has_room() {
                return Ok(());
            }
            let number = key.last_chunk::<8>().map_or(u64::MAX, |it| u64::from_be_bytes(*it));
            fetching.next = number.saturating_add(1);
            let mail: MailRow = parse(table, &value)?;
            let Ok(envelope) = Envelope::from_bytes(&mail.envelope) else { continue };
            let length = mail.envelope.len();
            if fetching.out.insert(envelope.id(), length).is_none() {
                fetching.bytes = fetching.bytes.saturating_add(length);
            }
            let item = Item { owner, envelope: mail.envelope };
            hx.send_after(link, &Frame::Item(item));
        }
    }
    Ok(())
}
