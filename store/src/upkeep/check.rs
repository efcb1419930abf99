//! Reads every row and says which do not open.
//!
//! It finds what was altered or damaged, not what is missing or what an older copy brought back.

use core::fmt::Write;

use godwit_protocol::limits::MAX_SCAN;
use godwit_protocol::rows::{Direction, Row, Table};

use crate::engine::EngineError;
use crate::open::{Disk, OpenError, Opened, Options, Place};
use crate::reader::Base;
use crate::upkeep::Generation;

/// Damaged rows that a report names; the others are counted. One screen is read, the rest is not.
const MAX_NAMED: usize = 1_000;

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Rows that were read, damaged ones included.
    pub rows: u64,
    /// Rows that do not open.
    pub damaged: u64,
    /// The first 1,000 of them.
    pub named: Vec<DamagedRow>,
    /// Tables that could not be read to their end.
    pub tables: Vec<DamagedTable>,
}

/// A row that does not open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedRow {
    /// Its table.
    pub table: &'static str,
    /// Its key as stored, in hexadecimal.
    pub key: String,
}

/// A table that could not be read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedTable {
    /// Its name.
    pub table: &'static str,
    /// What the engine says.
    pub reason: String,
}

impl CheckReport {
    /// Whether every row was read and opens.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.damaged == 0 && self.tables.is_empty()
    }

    pub(crate) fn count(&mut self, table: &'static str, key: &[u8], is_sound: bool) {
        self.rows = self.rows.saturating_add(1);
        if is_sound {
            return;
        }
        self.damaged = self.damaged.saturating_add(1);
        if self.named.len() < MAX_NAMED {
            let mut hex = String::with_capacity(key.len().saturating_mul(2));
            for byte in key {
                // Writing into a string cannot fail.
                let _ = write!(hex, "{byte:02x}");
            }
            self.named.push(DamagedRow { table, key: hex });
        }
    }
}

/// Reads every row of a store that is not open; none where no store has been made.
///
/// # Errors
/// [`OpenError`] if it does not open at all.
pub fn check(disk: &Disk, tables: &[&'static Table]) -> Result<Option<CheckReport>, OpenError> {
    let Some(counts) = Generation::find(&disk.folder)? else { return Ok(None) };
    let verified = counts.kind.verify(&counts.path());
    let place = Place::Disk(disk.again());
    let mut report = run(&Opened::open(Options { place, tables: tables.to_vec() })?.base);
    if let Err(error) = verified {
        report.tables.push(DamagedTable { table: "all", reason: error.to_string() });
    }
    Ok(Some(report))
}

/// Checks every declared table.
pub(crate) fn run(base: &Base) -> CheckReport {
    let mut report = CheckReport::default();
    for table in base.tables.iter() {
        if let Err(error) = check_table(base, table, &mut report) {
            report.tables.push(DamagedTable { table: table.name, reason: error.to_string() });
        }
    }
    report
}

fn check_table(
    base: &Base,
    table: &'static Table,
    report: &mut CheckReport,
) -> Result<(), EngineError> {
    let mut from = Vec::new();
    loop {
        match page(base, table, &from, &[]) {
            Ok(rows) => {
                let Some((last, _)) = rows.last() else { return Ok(()) };
                from = after(last);
                check_rows(base, table, rows, report);
            }
            Err(EngineError::NotWhole { key, .. }) => {
                // The rows before it were not given: fewer than a page, and whole.
                check_rows(base, table, page(base, table, &from, &key)?, report);
                report.count(table.name, &key, false);
                from = after(&key);
            }
            Err(error) => return Err(error),
        }
    }
}

fn check_rows(base: &Base, table: &'static Table, rows: Vec<Row>, report: &mut CheckReport) {
    for (key, stored) in rows {
        let is_sound = base.vault.open(&*base.engine, table, &key, stored).is_ok();
        report.count(table.name, &key, is_sound);
    }
}

fn page(
    base: &Base,
    table: &'static Table,
    from: &[u8],
    to: &[u8],
) -> Result<Vec<Row>, EngineError> {
    base.engine.scan(table.name, from, to, MAX_SCAN, Direction::Forward)
}

fn after(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

#[cfg(test)]
mod tests;
