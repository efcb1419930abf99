//! Rows in memory: what tests and simulations give the machines.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;

use super::{Direction, ReadRows, Row, Rows, RowsError, Scope, Table};
use crate::limits::MAX_SCAN;

/// Rows of every table; a clone is a copy of the disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryRows(BTreeMap<(&'static str, Vec<u8>), Vec<u8>>);

impl MemoryRows {
    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every row: its table's name, its key, its value.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &[u8], &[u8])> {
        self.0.iter().map(|((table, key), value)| (*table, key.as_slice(), value.as_slice()))
    }

    /// As text: a line for each row, with its table's name, its key and its value in hexadecimal.
    #[must_use]
    pub fn to_text(&self) -> String {
        let line = |(table, key, value): (&str, &[u8], &[u8])| {
            format!("{table} {} {}\n", HEXLOWER.encode(key), HEXLOWER.encode(value))
        };
        self.iter().map(line).collect()
    }

    /// Rows of these tables from [`Self::to_text`]; `None` if it is no such text.
    #[must_use]
    pub fn from_text(tables: &[&'static Table], text: &str) -> Option<Self> {
        let row = |line: &str| {
            let mut parts = line.split(' ');
            let name = parts.next()?;
            let table = tables.iter().find(|table| table.name == name)?;
            let mut bytes = || HEXLOWER.decode(parts.next()?.as_bytes()).ok();
            Some(((table.name, bytes()?), bytes()?))
        };
        Some(Self(text.lines().map(row).collect::<Option<_>>()?))
    }

    /// How many rows a table has.
    #[must_use]
    pub fn count(&self, table: &'static Table) -> usize {
        self.0.keys().filter(|(name, _)| *name == table.name).count()
    }
}

impl ReadRows for MemoryRows {
    fn get(&self, table: &'static Table, key: &[u8]) -> Result<Option<Vec<u8>>, RowsError> {
        Ok(self.0.get(&(table.name, key.to_vec())).cloned())
    }

    fn scan(
        &self,
        table: &'static Table,
        from: &[u8],
        to: &[u8],
        limit: usize,
        direction: Direction,
    ) -> Result<Vec<Row>, RowsError> {
        spans_no_hidden_part(table, from, to)?;
        if limit > MAX_SCAN {
            return Err(RowsError(format!("a scan of {limit} rows, at most {MAX_SCAN}")));
        }
        let rows = self
            .0
            .range((table.name, from.to_vec())..)
            .take_while(|((name, key), _)| {
                *name == table.name && (to.is_empty() || key.as_slice() < to)
            })
            .map(|((_, key), value)| (key.clone(), value.clone()));
        Ok(match direction {
            Direction::Forward => rows.take(limit).collect(),
            Direction::Backward => {
                let all: Vec<Row> = rows.collect();
                all.into_iter().rev().take(limit).collect()
            }
        })
    }
}

impl Rows for MemoryRows {
    fn put(&mut self, table: &'static Table, key: &[u8], value: Vec<u8>) {
        self.0.insert((table.name, key.to_vec()), value);
    }

    fn delete(&mut self, table: &'static Table, key: &[u8]) {
        self.0.remove(&(table.name, key.to_vec()));
    }

    fn erase_owner(&mut self, owner: &[u8]) {
        for table in super::mailbox::tables() {
            if table.scope == Scope::Owner {
                self.0.retain(|(name, key), _| *name != table.name || !key.starts_with(owner));
            }
        }
    }
}

/// What the store demands as well: a range names a hidden part wholly or not at all.
fn spans_no_hidden_part(table: &'static Table, from: &[u8], to: &[u8]) -> Result<(), RowsError> {
    let mut start = 0_usize;
    for part in table.key {
        let Some(end) = part.length.map(|length| start.saturating_add(length)) else { break };
        let named = from.len() > start || to.len() > start;
        let one = |from: &[u8]| to.get(..end) == Some(from) || to == super::prefix_end(from);
        if part.hidden && named && !from.get(..end).is_some_and(one) {
            let (name, part) = (table.name, part.name);
            return Err(RowsError(format!("a range of `{name}` spans its hidden `{part}`")));
        }
        start = end;
    }
    Ok(())
}
