//! Rows that survive a crash only once they are durable.

use crate::limits::MAX_SCAN;
use crate::rows::home::{HOME, RESTORED};
use crate::rows::memory::MemoryRows;
use crate::rows::recorder::{Recorder, Write};
use crate::rows::{Direction, ReadRows as _, Rows as _, RowsError, Table};

/// What is on a disk at one moment; a copy of a home.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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

    /// A disk with these rows, and no other.
    #[must_use]
    pub const fn of(rows: MemoryRows) -> Self {
        Self(rows)
    }

    /// What is on it.
    #[must_use]
    pub const fn rows(&self) -> &MemoryRows {
        &self.0
    }

    /// How many rows a table has.
    #[must_use]
    pub fn count(&self, table: &'static Table) -> usize {
        self.0.count(table)
    }

    /// Marks it as a repair does that left rows out.
    pub fn mend(&mut self) {
        self.0.put(&HOME, RESTORED, vec![1]);
    }
}

/// The disk, and what the machine sees and writes.
#[derive(Debug, Clone, Default)]
pub(super) struct Journal {
    disk: MemoryRows,
    pub(super) view: Recorder,
}

impl Journal {
    pub(super) fn new(disk: Disk) -> Self {
        Self { view: Recorder::new(disk.0.clone()), disk: disk.0 }
    }

    /// The writes since the last batch.
    pub(super) fn take(&mut self) -> Vec<Write> {
        self.view.take()
    }

    /// A batch is durable.
    pub(super) fn durable(&mut self, writes: Vec<Write>) {
        for write in writes {
            write.apply(&mut self.disk);
        }
    }

    /// A crash: what was not durable is gone.
    pub(super) fn crash(&mut self) {
        self.view = Recorder::new(self.disk.clone());
    }

    pub(super) fn disk(&self) -> Disk {
        Disk(self.disk.clone())
    }

    pub(super) const fn durable_rows(&self) -> &MemoryRows {
        &self.disk
    }
}
