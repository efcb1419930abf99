//! A damaged store, while no node runs: what opens is written anew, what does not is named, and the
//! damaged files are kept.
//!
//! | damage | what is saved |
//! |---|---|
//! | rows that do not open | all the others |
//! | a table that cannot be read through | its rows before the damage, and after it |
//! | an engine that does not open | of redb what can be read; what its journal holds |
//! | a journal | its other records, over the engine |
//!
//! What was lost comes again from peers and hosts as far as they have it: to them this is a home of an
//! earlier day (PROTOCOL §4, the fence).

use std::path::PathBuf;
use std::sync::Arc;

use godwit_protocol::rows::steps::OLDEST_VERSION;
use godwit_protocol::rows::{Direction, Row, Table};

use super::check::{CheckReport, DamagedTable, check};
use super::rewrite::{Copy, PAGE, declared};
use crate::engine::{Engine, EngineError, Kind};
use crate::open::{Disk, OpenError, names, recognise, version_row};
use crate::scope::SCOPE_KEYS;
use crate::upkeep::Generation;
use crate::vault::Vault;

/// What a repair did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// What could not be saved, and how many rows were read.
    pub lost: CheckReport,
    /// Where the damaged files are now; none if nothing was damaged.
    pub aside: Option<PathBuf>,
}

/// A row that a repair leaves, to say that rows were lost: table, key, value.
pub type Note<'a> = (&'static Table, &'a [u8], &'a [u8]);

/// Writes every row that opens anew, if some do not, and a note that some did not; the damaged files are
/// kept aside. None where no store has been made.
///
/// # Errors
/// [`OpenError`]: the store is of another version or made with another key, or the disk is full; then
/// nothing has changed.
pub fn repair(
    disk: &Disk,
    tables: &[&'static Table],
    note: Note<'_>,
) -> Result<Option<Saved>, OpenError> {
    let old = match Generation::find(&disk.folder) {
        Ok(Some(old)) => old,
        Ok(None) => return Ok(None),
        Err(EngineError::Damaged(_)) => Generation::first(&disk.folder, Kind::Sled),
        Err(error) => return Err(error.into()),
    };
    let fault = match check(disk, tables) {
        Ok(None) => return Ok(None),
        Ok(Some(lost)) if lost.is_sound() => return Ok(Some(Saved { lost, aside: None })),
        Ok(Some(lost)) => lost.tables.first().map(|it| OpenError::Damaged(it.reason.clone())),
        Err(error @ (OpenError::Damaged(_) | OpenError::WrongKey)) => Some(error),
        Err(error) => return Err(error),
    };
    let tables = declared(tables)?;
    let names = names(&tables);
    let new = old.next(old.kind);
    let mut copy = Copy::into(disk, &new, &names)?;
    let mut salvage = Salvage {
        disk,
        old: &old,
        tables: &names,
        source: None,
        vault: Vault::new(&disk.data_key),
        lost: CheckReport::default(),
    };
    for table in tables.iter() {
        salvage.table(table, &mut copy)?;
    }
    salvage.owners_keys(&mut copy)?;
    let mut lost = salvage.lost;
    drop(salvage.source);
    // With another key nothing opens at all, and there is nothing to repair.
    if matches!(fault, Some(OpenError::WrongKey)) && copy.rows == 0 {
        return Err(OpenError::WrongKey);
    }
    if let (true, Some(fault)) = (lost.is_sound(), &fault) {
        lost.tables.push(DamagedTable { table: "all", reason: fault.to_string() });
    }
    let vault = Vault::new(&disk.data_key);
    recognise(&*copy.target, &vault, false)?;
    // What was saved may be of any version: its steps are done at the next start.
    copy.write_row(version_row(OLDEST_VERSION))?;
    let (table, key, value) = note;
    let key = tables.key(table, key, &vault).map_err(|error| OpenError::Damaged(error.0))?;
    let value = vault.seal(table, &key, value, None)?;
    copy.put(table.name, (key.into_owned(), value))?;
    copy.finish(&new)?;
    let aside = old.set_aside().map_err(EngineError::from)?;
    Ok(Some(Saved { lost, aside: Some(aside) }))
}

/// Whether a row of a source, its key and its value as stored, opens.
type Judge<'a> = dyn Fn(&Vault, &dyn Engine, &[u8], &[u8]) -> bool + 'a;

/// A damaged store, read as far as it goes.
struct Salvage<'a> {
    disk: &'a Disk,
    old: &'a Generation,
    tables: &'a [&'static str],
    /// An engine answers nothing more once it met damage, and is opened again.
    source: Option<Arc<dyn Engine>>,
    vault: Vault,
    lost: CheckReport,
}

impl Salvage<'_> {
    /// Every row of a table that can be read and opens: from its beginning up to the first damage, and
    /// from its end down to it.
    fn table(&mut self, table: &'static Table, copy: &mut Copy) -> Result<(), EngineError> {
        self.rows(table.name, copy, &|vault, source, key, value| {
            vault.open(source, table, key, value.to_vec()).is_ok()
        })
    }

    /// The keys of those whose rows bear their own.
    fn owners_keys(&mut self, copy: &mut Copy) -> Result<(), EngineError> {
        self.rows(SCOPE_KEYS, copy, &|vault, _, key, value| {
            vault.unwrap((SCOPE_KEYS, key), value).is_some()
        })
    }

    fn rows(
        &mut self,
        table: &'static str,
        copy: &mut Copy,
        is_sound: &Judge<'_>,
    ) -> Result<(), EngineError> {
        let (mut from, mut to, mut direction) = (Vec::new(), Vec::new(), Direction::Forward);
        loop {
            let source = self.source();
            match source.scan(table, &from, &to, PAGE, direction) {
                Ok(page) => {
                    let Some((last, _)) = page.last() else {
                        self.source = Some(source);
                        return Ok(());
                    };
                    match direction {
                        Direction::Forward => from = [last.as_slice(), &[0]].concat(),
                        Direction::Backward => to.clone_from(last),
                    }
                    self.keep(table, page, &*source, copy, is_sound)?;
                    self.source = Some(source);
                }
                Err(EngineError::NotWhole { key, .. }) if direction == Direction::Forward => {
                    // The rows before it were not given: they are whole.
                    let page = source.scan(table, &from, &key, PAGE, direction);
                    self.keep(table, page.unwrap_or_default(), &*source, copy, is_sound)?;
                    self.lost.count(table, &key, false);
                    from = [key.as_slice(), &[0]].concat();
                    self.source = Some(source);
                }
                Err(error) if direction == Direction::Forward => {
                    self.not_read(table, &error);
                    direction = Direction::Backward;
                }
                Err(_) => return Ok(()),
            }
        }
    }

    /// The engine as it was left, or opened again; what is left of it where it does not open.
    fn source(&mut self) -> Arc<dyn Engine> {
        if let Some(source) = self.source.take() {
            return source;
        }
        self.disk.open(self.old, self.tables).unwrap_or_else(|error| {
            if self.lost.tables.iter().all(|it| it.table != "all") {
                self.not_read("all", &error);
            }
            let Self { disk, old, tables, .. } = self;
            old.kind.salvage(&old.path(), disk.cache_bytes, tables)
        })
    }

    /// Copies those rows of a page that open.
    fn keep(
        &mut self,
        table: &'static str,
        page: Vec<Row>,
        source: &dyn Engine,
        copy: &mut Copy,
        is_sound: &Judge<'_>,
    ) -> Result<(), EngineError> {
        for (key, value) in page {
            let sound = is_sound(&self.vault, source, &key, &value);
            self.lost.count(table, &key, sound);
            if sound {
                copy.put(table, (key, value))?;
            }
        }
        Ok(())
    }

    fn not_read(&mut self, table: &'static str, error: &EngineError) {
        self.lost.tables.push(DamagedTable { table, reason: error.to_string() });
    }
}
