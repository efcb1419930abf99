//! Rows in memory that keep every write, in order: what a simulated disk or a measurement replays.

use super::memory::MemoryRows;
use super::{Direction, ReadRows, Row, Rows, RowsError, Table};

/// One write.
#[derive(Debug, Clone)]
pub enum Write {
    /// A row was written.
    Put(&'static Table, Vec<u8>, Vec<u8>),
    /// A row was deleted.
    Delete(&'static Table, Vec<u8>),
    /// Everything of an owner was deleted.
    EraseOwner(Vec<u8>),
}

impl Write {
    /// Repeats it elsewhere.
    pub fn apply(self, rows: &mut dyn Rows) {
        match self {
            Self::Put(table, key, value) => rows.put(table, &key, value),
            Self::Delete(table, key) => rows.delete(table, &key),
            Self::EraseOwner(owner) => rows.erase_owner(&owner),
        }
    }
}

/// Rows and the writes since they were last taken.
#[derive(Debug, Clone, Default)]
pub struct Recorder {
    rows: MemoryRows,
    writes: Vec<Write>,
}

impl Recorder {
    /// Begins with what is there.
    #[must_use]
    pub const fn new(rows: MemoryRows) -> Self {
        Self { rows, writes: Vec::new() }
    }

    /// The writes since the last time.
    pub fn take(&mut self) -> Vec<Write> {
        core::mem::take(&mut self.writes)
    }

    fn write(&mut self, write: Write) {
        write.clone().apply(&mut self.rows);
        self.writes.push(write);
    }
}

impl ReadRows for Recorder {
    fn get(&self, table: &'static Table, key: &[u8]) -> Result<Option<Vec<u8>>, RowsError> {
        self.rows.get(table, key)
    }

    fn scan(
        &self,
        table: &'static Table,
        from: &[u8],
        to: &[u8],
        limit: usize,
        direction: Direction,
    ) -> Result<Vec<Row>, RowsError> {
        self.rows.scan(table, from, to, limit, direction)
    }
}

impl Rows for Recorder {
    fn put(&mut self, table: &'static Table, key: &[u8], value: Vec<u8>) {
        self.write(Write::Put(table, key.to_vec(), value));
    }

    fn delete(&mut self, table: &'static Table, key: &[u8]) {
        self.write(Write::Delete(table, key.to_vec()));
    }

    fn erase_owner(&mut self, owner: &[u8]) {
        self.write(Write::EraseOwner(owner.to_vec()));
    }
}
