//! Rows that survive a crash only once they are durable.

use crate::limits::MAX_SCAN;
use crate::rows::memory::MemoryRows;
use crate::rows::{Direction, ReadRows, Row, Rows, RowsError, Table};

/// What is on a disk at one moment; a copy of a home.
#[derive(Debug, Clone, Default)]
pub struct Disk(pub(super) MemoryRows);

impl Disk {
    /// Deletes every row of a table: a damaged disk.
    ///
    /// # Errors
    /// [`RowsError`] never for a table without hidden key parts.
    pub fn clear(&mut self, table: &'static Table) -> Result<(), RowsError> {
        loop {
            let page = self.0.scan(table, &[], &[], MAX_SCAN, Direction::Forward)?;
            if page.is_empty() {
                return Ok(());
            }
            for (key, _) in page {
                self.0.delete(table, &key);
            }
        }
    }
}

/// One write.
#[derive(Debug, Clone)]
pub(super) enum Op {
    Put(&'static Table, Vec<u8>, Vec<u8>),
    Delete(&'static Table, Vec<u8>),
    EraseOwner(Vec<u8>),
}

/// The disk, what the machine sees of it, and what it wrote since the last batch.
#[derive(Debug, Clone, Default)]
pub(super) struct Journal {
    disk: MemoryRows,
    view: MemoryRows,
    ops: Vec<Op>,
}

impl Journal {
    pub(super) fn new(disk: Disk) -> Self {
        Self { view: disk.0.clone(), disk: disk.0, ops: Vec::new() }
    }

    /// The writes since the last batch.
    pub(super) fn take(&mut self) -> Vec<Op> {
        core::mem::take(&mut self.ops)
    }

    /// A batch is durable.
    pub(super) fn durable(&mut self, ops: Vec<Op>) {
        for op in ops {
            apply(&mut self.disk, op);
        }
    }

    /// A crash: what was not durable is gone.
    pub(super) fn crash(&mut self) {
        self.ops.clear();
        self.view = self.disk.clone();
    }

    pub(super) fn disk(&self) -> Disk {
        Disk(self.disk.clone())
    }

    pub(super) const fn durable_rows(&self) -> &MemoryRows {
        &self.disk
    }

    fn write(&mut self, op: Op) {
        apply(&mut self.view, op.clone());
        self.ops.push(op);
    }
}

fn apply(rows: &mut MemoryRows, op: Op) {
    match op {
        Op::Put(table, key, value) => rows.put(table, &key, value),
        Op::Delete(table, key) => rows.delete(table, &key),
        Op::EraseOwner(owner) => rows.erase_owner(&owner),
    }
}

impl ReadRows for Journal {
    fn get(&self, table: &'static Table, key: &[u8]) -> Result<Option<Vec<u8>>, RowsError> {
        self.view.get(table, key)
    }

    fn scan(
        &self,
        table: &'static Table,
        from: &[u8],
        to: &[u8],
        limit: usize,
        direction: Direction,
    ) -> Result<Vec<Row>, RowsError> {
        self.view.scan(table, from, to, limit, direction)
    }
}

impl Rows for Journal {
    fn put(&mut self, table: &'static Table, key: &[u8], value: Vec<u8>) {
        self.write(Op::Put(table, key.to_vec(), value));
    }

    fn delete(&mut self, table: &'static Table, key: &[u8]) {
        self.write(Op::Delete(table, key.to_vec()));
    }

    fn erase_owner(&mut self, owner: &[u8]) {
        self.write(Op::EraseOwner(owner.to_vec()));
    }
}
