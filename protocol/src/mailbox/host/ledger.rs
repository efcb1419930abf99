//! Owners and queues with their quotas and counts: a cache in front of their rows.
//!
//! A row changes with every envelope and is written once a batch ([`Ledger::flush`]); the counts of
//! what a commit touched are raised there as well. Dropped with its batch or not at all.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::{OwnerKey, QueueId};
use crate::limits::{MAX_LEDGER_QUEUES, MAX_OWNERS};
use crate::rows::mailbox::{OwnerRow, QueueRow, trees};
use crate::rows::typed::{load, save};
use crate::rows::{ReadRows, Rows, RowsError};
use crate::wire::frame::OwnerRole;

/// Whose queue.
pub(super) type QueueAt = (OwnerRole, OwnerKey, QueueId);

struct Held<T> {
    row: T,
    changed: bool,
}

#[derive(Default)]
pub(super) struct Ledger {
    owners: BTreeMap<OwnerKey, (OwnerRole, Held<OwnerRow>)>,
    queues: BTreeMap<QueueAt, Held<QueueRow>>,
    touched: BTreeSet<QueueAt>,
}

impl Ledger {
    /// The owner of a key, and which of the two keys it is.
    pub(super) fn owner(
        &mut self,
        rows: &dyn ReadRows,
        owner: OwnerKey,
    ) -> Result<Option<(OwnerRole, &OwnerRow)>, RowsError> {
        self.find(rows, owner)?;
        Ok(self.owners.get(&owner).map(|(role, held)| (*role, &held.row)))
    }

    /// The same, to be changed.
    pub(super) fn owner_mut(
        &mut self,
        rows: &dyn ReadRows,
        owner: OwnerKey,
    ) -> Result<Option<&mut OwnerRow>, RowsError> {
        self.find(rows, owner)?;
        Ok(self.owners.get_mut(&owner).map(|(_, held)| {
            held.changed = true;
            &mut held.row
        }))
    }

    fn find(&mut self, rows: &dyn ReadRows, owner: OwnerKey) -> Result<(), RowsError> {
        if self.owners.contains_key(&owner) {
            return Ok(());
        }
        for role in [OwnerRole::Private, OwnerRole::Public] {
            if let Some(row) = load(rows, &trees(role).owners, owner.as_bytes())? {
                self.owners.insert(owner, (role, Held { row, changed: false }));
                break;
            }
        }
        Ok(())
    }

    pub(super) fn add_owner(&mut self, role: OwnerRole, row: OwnerRow) {
        self.owners.insert(row.owner, (role, Held { row, changed: true }));
    }

    /// A queue.
    pub(super) fn queue(
        &mut self,
        rows: &dyn ReadRows,
        at: QueueAt,
    ) -> Result<Option<&QueueRow>, RowsError> {
        self.find_queue(rows, at)?;
        Ok(self.queues.get(&at).map(|held| &held.row))
    }

    /// The same, to be changed: its count and its owner's rise with this commit.
    pub(super) fn touch(
        &mut self,
        rows: &dyn ReadRows,
        at: QueueAt,
    ) -> Result<Option<&mut QueueRow>, RowsError> {
        self.find_queue(rows, at)?;
        let Some(held) = self.queues.get_mut(&at) else { return Ok(None) };
        self.touched.insert(at);
        held.changed = true;
        Ok(Some(&mut held.row))
    }

    fn find_queue(&mut self, rows: &dyn ReadRows, at: QueueAt) -> Result<(), RowsError> {
        if !self.queues.contains_key(&at)
            && let Some(row) = load(rows, &trees(at.0).queues, &queue_key(at))?
        {
            self.queues.insert(at, Held { row, changed: false });
        }
        Ok(())
    }

    pub(super) fn add_queue(&mut self, at: QueueAt, row: QueueRow) {
        self.queues.insert(at, Held { row, changed: true });
        self.touched.insert(at);
    }

    pub(super) fn remove_queue(&mut self, rows: &mut dyn Rows, at: QueueAt) {
        self.queues.remove(&at);
        self.touched.remove(&at);
        rows.delete(&trees(at.0).queues, &queue_key(at));
    }

    /// Forgets an owner whose rows were erased.
    pub(super) fn remove_owner(&mut self, owner: OwnerKey) {
        self.owners.remove(&owner);
        self.queues.retain(|(_, whose, _), _| *whose != owner);
        self.touched.retain(|(_, whose, _)| *whose != owner);
    }

    /// Raises the count of every queue that this commit touches, and of its owner.
    pub(super) fn raise(&mut self, rows: &dyn ReadRows) -> Result<(), RowsError> {
        let mut owners = BTreeSet::new();
        for at in core::mem::take(&mut self.touched) {
            owners.insert(at.1);
            if let Some(held) = self.queues.get_mut(&at) {
                held.row.seq = held.row.seq.saturating_add(1);
            }
        }
        for owner in owners {
            if let Some(row) = self.owner_mut(rows, owner)? {
                row.seq = row.seq.saturating_add(1);
            }
        }
        Ok(())
    }

    /// Writes what changed, and keeps the cache within its bounds.
    pub(super) fn flush(&mut self, rows: &mut dyn Rows) -> Result<(), RowsError> {
        for (owner, (role, held)) in self.owners.iter_mut().filter(|(_, (_, held))| held.changed) {
            save(rows, &trees(*role).owners, owner.as_bytes(), &held.row)?;
            held.changed = false;
        }
        for (at, held) in self.queues.iter_mut().filter(|(_, held)| held.changed) {
            save(rows, &trees(at.0).queues, &queue_key(*at), &held.row)?;
            held.changed = false;
        }
        if self.queues.len() > MAX_LEDGER_QUEUES {
            self.queues.clear();
        }
        let most = usize::try_from(MAX_OWNERS).unwrap_or(usize::MAX);
        if self.owners.len() > most {
            self.owners.clear();
        }
        Ok(())
    }
}

fn queue_key((_, owner, queue): QueueAt) -> Vec<u8> {
    [&owner.as_bytes()[..], queue.as_bytes()].concat()
}
