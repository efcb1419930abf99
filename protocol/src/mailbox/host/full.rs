//! Queues that were full when something came for them: their owner is told once, and once more only if
//! there was room meanwhile.

use super::ledger::QueueAt;
use super::machine::{HostMachine, Hx};
use crate::id::OwnerKey;
use crate::limits::{MAX_CONTACT_ENVELOPES, MAX_FULL_QUEUES, MAX_OWNER_BYTES, MAX_QUEUE_ENVELOPES};
use crate::rows::mailbox::{FullQueue, QueueRow};
use crate::rows::{ReadRows, RowsError};
use crate::wire::frame::{Frame, QueueAccess};

/// Whether half of what an owner may have is free, and half of a queue.
fn has_room((owner, row): (u64, &QueueRow)) -> bool {
    let most = match row.access {
        QueueAccess::Token(_) => MAX_QUEUE_ENVELOPES,
        QueueAccess::Stamp => MAX_CONTACT_ENVELOPES,
    };
    owner <= MAX_OWNER_BYTES / 2
        && row.envelopes <= most / 2
        && row.bytes <= HostMachine::queue_limit(row) / 2
}

impl HostMachine {
    /// Something was refused for want of room.
    pub(super) fn note_full(
        &mut self,
        rows: &dyn ReadRows,
        (_, owner, queue): QueueAt,
    ) -> Result<(), RowsError> {
        let Some((_, row)) = self.ledger.owner(rows, owner)? else { return Ok(()) };
        let is_noted = row.full.iter().any(|full| full.queue == queue);
        if is_noted || row.full.len() >= MAX_FULL_QUEUES {
            return Ok(());
        }
        if let Some(row) = self.ledger.owner_mut(rows, owner)? {
            row.full.push(FullQueue { queue, told: false });
            self.to_push.insert(owner);
        }
        Ok(())
    }

    /// Something has left a queue.
    pub(super) fn note_room(&mut self, rows: &dyn ReadRows, at: QueueAt) -> Result<(), RowsError> {
        let (_, owner, queue) = at;
        let was_told = |full: &FullQueue| full.queue == queue && full.told;
        let Some((_, row)) = self.ledger.owner(rows, owner)? else { return Ok(()) };
        let (noted, bytes) = (row.full.iter().any(was_told), row.bytes);
        if noted
            && self.ledger.queue(rows, at)?.is_none_or(|row| has_room((bytes, row)))
            && let Some(row) = self.ledger.owner_mut(rows, owner)?
        {
            row.full.retain(|full| full.queue != queue);
        }
        Ok(())
    }

    /// Tells an owner who has fetched everything, on one of its streams.
    pub(super) fn tell_full(&mut self, hx: &mut Hx<'_>, owner: OwnerKey) -> Result<(), RowsError> {
        let Some((role, row)) = self.ledger.owner(hx.rows, owner)? else { return Ok(()) };
        if row.full.iter().all(|full| full.told) {
            return Ok(());
        }
        let is_live = |link: &&crate::machine::LinkId| {
            let fetching = self.links.get(*link).and_then(|it| it.fetching.get(&owner));
            fetching.is_some_and(super::fetches::Fetching::has_ended)
        };
        let Some(link) = self.links.keys().find(is_live).copied() else { return Ok(()) };
        let (mut full, bytes) = (row.full.clone(), row.bytes);
        for it in full.iter_mut().filter(|it| !it.told) {
            it.told = true;
            hx.send_after(link, &Frame::Full(owner, it.queue));
        }
        let mut left = Vec::with_capacity(full.len());
        for it in full {
            // There is room already: the next time is another time.
            let queue = self.ledger.queue(hx.rows, (role, owner, it.queue))?;
            if !queue.is_none_or(|row| has_room((bytes, row))) {
                left.push(it);
            }
        }
        if let Some(row) = self.ledger.owner_mut(hx.rows, owner)? {
            row.full = left;
        }
        Ok(())
    }
}
