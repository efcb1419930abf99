//! The second engine on disk: redb 4, one file, a tree that is never written over.
//!
//! It opens at once whatever it holds, and gives space back when it is rewritten. Every commit is one
//! transaction over all tables, on stable storage when it returns (`Durability::Immediate`), and leaves
//! what a start after a kill needs (`quick_repair`), so that such a start does not read the whole file.
//! Source: STORE-NOTES, "The engine is a choice behind five methods".

use core::ops::Bound;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use godwit_protocol::rows::{Direction, Row};
use redb::{
    ConcurrencyMode, Database, Durability, ReadOnlyDatabase, ReadTransaction,
    ReadableDatabase as _, ReadableTable, TableDefinition, WriteTransaction,
};

use super::guard::{Guard, apart, sync_names};
use super::{Engine, EngineError, EngineStats, is_empty};
use crate::batch::{Batch, Durable, StoredWrite};
use crate::space;

/// The file in the engine's folder.
const FILE: &str = "rows.redb";
/// The hint for the cache is meant for sled, which uses up to ten times as much; redb keeps to what it
/// is told.
const CACHE_FACTOR: u64 = 10;

type Definition<'a> = TableDefinition<'a, &'static [u8], &'static [u8]>;

/// A file that redb keeps.
pub(crate) struct RedbEngine {
    db: Open,
    tables: BTreeSet<&'static str>,
    folder: PathBuf,
    guard: Guard,
}

enum Open {
    Whole(Database),
    /// Of a damaged file: what can be read of it.
    ReadOnly(ReadOnlyDatabase),
}

impl RedbEngine {
    /// Opens what can be read of a damaged file: without knowing which pages are free.
    pub(crate) fn read(folder: &Path, tables: &[&'static str]) -> Result<Self, EngineError> {
        let (folder, tables) = (folder.to_owned(), tables.iter().copied().collect());
        apart(move || {
            let mut builder = Database::builder();
            builder.set_concurrency_mode(ConcurrencyMode::SingleWriter);
            let db = Open::ReadOnly(builder.open_read_only(folder.join(FILE)).map_err(from_redb)?);
            Ok(Self { db, tables, folder, guard: Guard::default() })
        })
    }

    /// Opens a folder, or makes it: one that is there must hold what it held. `cache_bytes` is the
    /// same hint as sled's.
    pub(crate) fn open(
        folder: &Path,
        cache_bytes: u64,
        tables: &[&'static str],
    ) -> Result<Self, EngineError> {
        if folder.exists() {
            // redb takes an empty file for a new one.
            let there = fs::metadata(folder.join(FILE)).is_ok_and(|file| file.len() > 0);
            if !there {
                return Err(EngineError::Damaged(format!("the file `{FILE}` is missing or empty")));
            }
        }
        fs::create_dir_all(folder)?;
        let (folder, tables) = (folder.to_owned(), tables.iter().copied().collect());
        apart(move || Self::open_here(folder, cache_bytes, tables))
    }

    /// Compares every page with its checksum: a damaged inner page hides rows from a search that a
    /// scan still finds.
    pub(crate) fn verify(folder: &Path) -> Result<(), EngineError> {
        let path = folder.join(FILE);
        apart(move || {
            let mut db = Database::builder().open(path).map_err(from_redb)?;
            match db.check_integrity().map_err(from_redb)? {
                true => Ok(()),
                false => Err(EngineError::Damaged("pages differ from their checksums".to_owned())),
            }
        })
    }

    fn open_here(
        folder: PathBuf,
        cache_bytes: u64,
        tables: BTreeSet<&'static str>,
    ) -> Result<Self, EngineError> {
        let cache = cache_bytes.saturating_mul(CACHE_FACTOR);
        let mut builder = Database::builder();
        builder.set_cache_size(usize::try_from(cache).unwrap_or(usize::MAX));
        let db = builder.create(folder.join(FILE)).map_err(from_redb)?;
        let engine = Self { db: Open::Whole(db), tables, folder, guard: Guard::default() };
        // Whoever reads need not ask whether a table has been made.
        engine.transaction(Durability::Immediate, |open| {
            for table in &engine.tables {
                open.open_table(Definition::new(table)).map_err(from_redb)?;
            }
            Ok(())
        })?;
        sync_names(&engine.folder)?;
        Ok(engine)
    }

    fn reading(&self) -> Result<ReadTransaction, EngineError> {
        let open = match &self.db {
            Open::Whole(db) => db.begin_read(),
            Open::ReadOnly(db) => db.begin_read(),
        };
        open.map_err(from_redb)
    }

    fn named<'a>(&self, table: &'a str) -> Result<Definition<'a>, EngineError> {
        let known = self.tables.contains(table).then(|| Definition::new(table));
        known.ok_or_else(|| EngineError::NoTable(table.to_owned()))
    }

    fn transaction(
        &self,
        durability: Durability,
        act: impl FnOnce(&WriteTransaction) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        let Open::Whole(db) = &self.db else { return Err(EngineError::Broken) };
        let mut open = db.begin_write().map_err(from_redb)?;
        open.set_durability(durability).map_err(from_redb)?;
        open.set_quick_repair(matches!(durability, Durability::Immediate));
        act(&open)?;
        open.commit().map_err(from_redb)
    }

    fn put(&self, open: &WriteTransaction, batch: &Batch) -> Result<(), EngineError> {
        for expected in &batch.expectations {
            let table = open.open_table(self.named(expected.table)?).map_err(from_redb)?;
            if read(&table, &expected.key)? != expected.value {
                return Err(EngineError::Unexpected { table: expected.table });
            }
        }
        let mut tables: BTreeMap<&str, Vec<&StoredWrite>> = BTreeMap::new();
        for write in &batch.writes {
            tables.entry(write.table).or_default().push(write);
        }
        for (name, writes) in tables {
            let mut table = open.open_table(self.named(name)?).map_err(from_redb)?;
            for write in writes {
                let key = write.key.as_slice();
                match &write.value {
                    Some(value) => drop(table.insert(key, value.as_slice()).map_err(from_redb)?),
                    None => drop(table.remove(key).map_err(from_redb)?),
                }
            }
        }
        Ok(())
    }
}

impl Engine for RedbEngine {
    fn get(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.guard.run(|| {
            let open = self.reading()?;
            read(&open.open_table(self.named(table)?).map_err(from_redb)?, key)
        })
    }

    fn scan(
        &self,
        table: &str,
        from: &[u8],
        to: &[u8],
        limit: usize,
        direction: Direction,
    ) -> Result<Vec<Row>, EngineError> {
        self.guard.run(|| {
            let open = self.reading()?;
            let table = open.open_table(self.named(table)?).map_err(from_redb)?;
            if is_empty(from, to) {
                return Ok(Vec::new());
            }
            let end = if to.is_empty() { Bound::Unbounded } else { Bound::Excluded(to) };
            let mut rows = table.range::<&[u8]>((Bound::Included(from), end)).map_err(from_redb)?;
            let mut page = Vec::new();
            while page.len() < limit {
                let next = match direction {
                    Direction::Forward => rows.next(),
                    Direction::Backward => rows.next_back(),
                };
                let Some(next) = next else { break };
                let (key, value) = next.map_err(from_redb)?;
                page.push((key.value().to_vec(), value.value().to_vec()));
            }
            Ok(page)
        })
    }

    fn commit(&self, batch: &Batch) -> Result<Durable, EngineError> {
        self.guard.run(|| {
            self.transaction(Durability::Immediate, |open| self.put(open, batch))?;
            Ok(Durable::flushed())
        })
    }

    fn write(&self, batch: &Batch) -> Result<(), EngineError> {
        self.guard.run(|| self.transaction(Durability::None, |open| self.put(open, batch)))
    }

    fn stats(&self) -> Result<EngineStats, EngineError> {
        let bytes = self.guard.run(|| Ok(fs::metadata(self.folder.join(FILE))?.len()))?;
        let free_bytes = Some(space::of(&self.folder)?.free);
        Ok(EngineStats { bytes, free_bytes })
    }
}

fn read(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    key: &[u8],
) -> Result<Option<Vec<u8>>, EngineError> {
    Ok(table.get(key).map_err(from_redb)?.map(|value| value.value().to_vec()))
}

fn from_redb(error: impl Into<redb::Error>) -> EngineError {
    match error.into() {
        redb::Error::Io(error) if is_short(&error) => EngineError::Damaged(error.to_string()),
        redb::Error::Io(error) => error.into(),
        redb::Error::PreviousIo => EngineError::Broken,
        other => EngineError::Damaged(other.to_string()),
    }
}

/// Whether a file ends before its content does.
fn is_short(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData)
}
