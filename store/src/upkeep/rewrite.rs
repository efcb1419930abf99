//! A store written anew beside the old one, while no node runs: on another engine, or without the space
//! that deleted rows held.
//!
//! ```text
//! old folder ──rows as stored, table by table──► `….new` ──all of it synced──► its name ──► old one goes
//! ```
//!
//! Rule: whenever that ends, in whatever way, one whole store counts ([`super::folder`]).

use std::ops::Range;
use std::sync::Arc;

use godwit_protocol::rows::{Direction, Row, Table};

use crate::batch::{Batch, StoredWrite};
use crate::engine::{Engine, EngineError, Kind};
use crate::layout::Tables;
use crate::open::{Disk, OpenError, names, recognise};
use crate::upkeep::Generation;
use crate::vault::Vault;

/// Rows read at once, and rows and bytes written at once.
pub(crate) const PAGE: usize = 64;
const MAX_ROWS: usize = 1_024;
const MAX_BYTES: usize = 4 << 20;
/// Of so many rows in order, sled gets the first ones in one pass and the rest in another. It splits a leaf
/// of 17 rows into two: where all rows come in order, each leaf is written anew every eight rows and half of
/// a segment may be what such splits left behind. Rows that come between others fill leaves that are there.
const LEAF: usize = 14;
const FIRST: usize = 5;

/// What a rewrite did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rewritten {
    /// The engine that keeps the store now.
    pub engine: Kind,
    /// Rows that were written.
    pub rows: u64,
    /// Bytes on disk before.
    pub bytes_before: u64,
    /// Bytes on disk now.
    pub bytes_after: u64,
}

/// Writes a store anew, onto an engine or the one that it has; makes it where there is none.
///
/// # Errors
/// [`OpenError`]: the old store does not open or cannot be read, or the disk is full; then the old one
/// still counts.
pub fn rewrite(
    disk: &Disk,
    tables: &[&'static Table],
    to: Option<Kind>,
) -> Result<Rewritten, OpenError> {
    let tables = declared(tables)?;
    let names = names(&tables);
    let vault = Vault::new(&disk.data_key);
    let old = Disk { new: to.unwrap_or(disk.new), ..disk.again() }.generation(&vault, &names)?;
    let source = disk.open(&old, &names)?;
    recognise(&*source, &vault, old.is_made())?;
    let bytes_before = source.stats()?.bytes;
    let new = old.next(to.unwrap_or(old.kind));
    let mut copy = Copy::into(disk, &new, &names)?;
    for table in &names {
        copy.all(&*source, table, || false)?;
    }
    let (rows, bytes_after) = copy.finish(&new)?;
    drop(source);
    new.remove_others().map_err(EngineError::from)?;
    Ok(Rewritten { engine: new.kind, rows, bytes_before, bytes_after })
}

pub(crate) fn declared(tables: &[&'static Table]) -> Result<Tables, OpenError> {
    Tables::new(tables).map_err(|(table, fault)| OpenError::Declaration { table, fault })
}

/// A new engine that is being filled.
pub(crate) struct Copy {
    pub(crate) target: Arc<dyn Engine>,
    kind: Kind,
    batch: Batch,
    bytes: usize,
    pub(crate) rows: u64,
    /// The last to go: the engine is closed by then.
    unfinished: Unfinished,
}

/// Takes away what is half written when it goes, so that it does not fill the disk.
struct Unfinished(Option<Generation>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // A disk that refuses keeps it until something is written anew the next time.
        let _ = self.0.as_ref().map(Generation::begin);
    }
}

impl Copy {
    pub(crate) fn into(
        disk: &Disk,
        new: &Generation,
        names: &[&'static str],
    ) -> Result<Self, EngineError> {
        let unfinished = Unfinished(Some(new.clone()));
        let target = new.kind.open(&new.begin()?, disk.cache_bytes, names)?;
        let (kind, batch) = (new.kind, Batch::default());
        Ok(Self { target, kind, batch, bytes: 0, rows: 0, unfinished })
    }

    /// Every row of a table; `false` if it had to stop before.
    pub(crate) fn all(
        &mut self,
        source: &dyn Engine,
        table: &'static str,
        stop: impl Fn() -> bool,
    ) -> Result<bool, EngineError> {
        let first = match self.kind {
            Kind::Sled => FIRST,
            Kind::Redb => LEAF,
        };
        let mut some = |places| self.some(source, (table, &places), &stop);
        Ok(some(0..first)? && (first == LEAF || some(first..LEAF)?))
    }

    /// Those rows of a table that have such a place among [`LEAF`] in a row.
    fn some(
        &mut self,
        source: &dyn Engine,
        (table, places): (&'static str, &Range<usize>),
        stop: impl Fn() -> bool,
    ) -> Result<bool, EngineError> {
        let (mut from, mut place) = (Vec::new(), 0);
        loop {
            let page = source.scan(table, &from, &[], PAGE, Direction::Forward)?;
            let Some((last, _)) = page.last() else { return Ok(true) };
            if stop() {
                return Ok(false);
            }
            from = [last.as_slice(), &[0]].concat();
            for row in page {
                if places.contains(&place) {
                    self.put(table, row)?;
                }
                place = place.wrapping_add(1) % LEAF;
            }
        }
    }

    pub(crate) fn put(
        &mut self,
        table: &'static str,
        (key, value): Row,
    ) -> Result<(), EngineError> {
        self.bytes = self.bytes.saturating_add(key.len()).saturating_add(value.len());
        self.rows = self.rows.saturating_add(1);
        self.write_row(StoredWrite { table, key, value: Some(value) })
    }

    /// A row that is not counted.
    pub(crate) fn write_row(&mut self, row: StoredWrite) -> Result<(), EngineError> {
        self.batch.writes.push(row);
        if self.bytes >= MAX_BYTES || self.batch.writes.len() >= MAX_ROWS {
            self.write()?;
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), EngineError> {
        self.target.commit(&self.batch)?;
        self.batch.writes.clear();
        self.bytes = 0;
        Ok(())
    }

    /// Lets it count; how many rows and bytes it has.
    pub(crate) fn finish(mut self, new: &Generation) -> Result<(u64, u64), EngineError> {
        self.write()?;
        let bytes = self.target.stats()?.bytes;
        let rows = self.rows;
        self.unfinished.0 = None;
        drop(self);
        new.finish()?;
        Ok((rows, bytes))
    }
}

#[cfg(test)]
mod tests;
