//! The engine on disk: sled 0.34, with every rule that keeps it from losing data.
//!
//! | rule | because |
//! |---|---|
//! | `flush()`, then our own `fdatasync` of `db` | sled's flush stops short of the drive |
//! | 2 MiB segments, values over 16 KiB cut ([`super::pieces`]) | so that `blobs/`, never synced, stays empty |
//! | `snap.*.generating` deleted before opening | a kill in a snapshot leaves one that bars every open |
//! | opened on its own thread, every call and its end under `catch_unwind` | corruption shows as panics, and so does a disk that refuses at the end |
//! | what a journal brings is written row by row ([`Engine::write`]) | a transaction bars all readers, of every folder |
//! | broken after the first error, reads too | memory may then be ahead of the disk |
//!
//! It expects the home's lock to be held: one `Db` per process and folder.
//! Source: STORE-NOTES, "sled 0.34.7".

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use godwit_protocol::rows::{Direction, Row};
use sled::transaction::{
    ConflictableTransactionError, ConflictableTransactionResult, TransactionError, Transactional,
    TransactionalTree,
};
use sled::{Config, Db, IVec, Tree};

use super::guard::{Guard, apart, sync_names};
use super::pieces::{Cut, Head, cut, piece_key};
use super::{Engine, EngineError, EngineStats, is_empty};
use crate::batch::{Batch, Durable, StoredWrite};
use crate::space;

/// How often sled tidies its segments, which half of that time may take, and syncs its file once more:
/// commits do not wait for it, and a node at rest is woken by it.
const HOUSEKEEPING_MS: u64 = 2_000;

/// Fixed when the folder is made. A quarter of it is what one page may hold, which must exceed a leaf
/// of 17 values of 16 KiB; the log is written through buffers of it, so more costs memory.
const SEGMENT_BYTES: usize = 2 << 20;
/// Where pieces of cut values are.
const PIECES: &str = "_pieces";
/// How long an engine that was closed may hold its folder.
const LETTING_GO: Duration = Duration::from_secs(10);
/// How often a cut value is read again when it was overwritten meanwhile; each time needs a whole
/// commit in between, so more means damage.
const MAX_REREADS: usize = 64;

/// A folder that sled keeps.
pub(crate) struct SledEngine {
    /// Until it is dropped.
    db: Option<Db>,
    /// Those of the tables, and of pieces.
    trees: BTreeMap<&'static str, Tree>,
    /// Open for syncing alone.
    file: File,
    folder: PathBuf,
    guard: Guard,
}

impl SledEngine {
    /// Opens a folder, or makes it. `cache_bytes` is a hint: sled uses up to ten times as much.
    pub(crate) fn open(
        folder: &Path,
        cache_bytes: u64,
        tables: &[&'static str],
    ) -> Result<Self, EngineError> {
        fs::create_dir_all(folder)?;
        remove_leftovers(folder)?;
        let (path, names) = (folder.to_owned(), tables.to_vec());
        apart(move || Self::open_here(path, cache_bytes, &names))
    }

    fn open_here(
        folder: PathBuf,
        cache_bytes: u64,
        tables: &[&'static str],
    ) -> Result<Self, EngineError> {
        let config = Config::new()
            .path(&folder)
            .segment_size(segment(&folder))
            .cache_capacity(cache_bytes)
            .flush_every_ms(Some(HOUSEKEEPING_MS));
        let db = once_free(&config)?;
        let mut trees = BTreeMap::new();
        for table in tables.iter().chain([&PIECES]) {
            trees.insert(*table, db.open_tree(table).map_err(from_sled)?);
        }
        let file = File::open(folder.join("db"))?;
        let engine = Self { db: Some(db), trees, file, folder, guard: Guard::default() };
        engine.sync()?;
        sync_names(&engine.folder)?;
        if fs::read_dir(engine.folder.join("blobs"))?.next().is_some() {
            tracing::warn!("the store holds files that are never synced");
        }
        Ok(engine)
    }

    fn tree(&self, table: &str) -> Result<&Tree, EngineError> {
        self.trees.get(table).ok_or_else(|| EngineError::NoTable(table.to_owned()))
    }

    fn db(&self) -> Result<&Db, EngineError> {
        self.db.as_ref().ok_or(EngineError::Broken)
    }

    fn sync(&self) -> Result<(), EngineError> {
        self.db()?.flush().map_err(from_sled)?;
        Ok(self.file.sync_data()?)
    }

    /// The value under a head, which may be replaced or deleted while its pieces are read.
    fn whole(
        &self,
        table: &str,
        key: &[u8],
        mut head: IVec,
    ) -> Result<Option<Vec<u8>>, EngineError> {
        let damaged = || not_whole(table, key);
        for _ in 0..MAX_REREADS {
            let cut = match Head::parse(&head).ok_or_else(damaged)? {
                Head::Whole(value) => return Ok(Some(value.to_vec())),
                Head::Cut(cut) => cut,
            };
            if let Some(value) = self.gather(table, key, &cut)? {
                return Ok(Some(value));
            }
            match self.tree(table)?.get(key).map_err(from_sled)? {
                None => return Ok(None),
                Some(again) if again == head => return Err(damaged()),
                Some(newer) => head = newer,
            }
        }
        Err(damaged())
    }

    fn gather(&self, table: &str, key: &[u8], cut: &Cut) -> Result<Option<Vec<u8>>, EngineError> {
        let (mut value, pieces) = (Vec::new(), self.tree(PIECES)?);
        for index in 0..cut.count() {
            match pieces.get(piece_key(table, key, index)).map_err(from_sled)? {
                Some(piece) => value.extend_from_slice(&piece),
                None => return Ok(None),
            }
        }
        Ok(cut.matches(&value).then_some(value))
    }

    /// Row by row: nobody waits for more than one, and what is cut off in between is written again.
    fn put(&self, batch: &Batch) -> Result<(), EngineError> {
        for write in &batch.writes {
            let (tree, key) = (self.tree(write.table)?, &write.key);
            let before = tree.get(key).map_err(from_sled)?;
            let is_cut = matches!(before.as_deref().and_then(Head::parse), Some(Head::Cut(_)));
            match write.value.as_deref().map(cut) {
                // Whoever reads finds pieces and head as one.
                _ if is_cut => self.transact(&alone(write))?,
                Some(Some((head, pieces))) if pieces.len() == 0 => {
                    tree.insert(key, head).map_err(from_sled)?;
                }
                Some(_) => self.transact(&alone(write))?,
                None => drop(tree.remove(key).map_err(from_sled)?),
            }
        }
        Ok(())
    }

    fn transact(&self, batch: &Batch) -> Result<(), EngineError> {
        let mut trees = vec![self.tree(PIECES)?];
        let mut places = BTreeMap::new();
        for write in batch.expectations.iter().chain(&batch.writes) {
            if !places.contains_key(write.table) {
                places.insert(write.table, trees.len());
                trees.push(self.tree(write.table)?);
            }
        }
        // May run several times over: it changes nothing but the transaction.
        let outcome = trees.as_slice().transaction(|open: &Vec<TransactionalTree>| {
            let tree = |table| places.get(table).and_then(|place| open.get(*place));
            let pieces = open.first().ok_or_else(|| damaged("no tree of pieces"))?;
            for expected in &batch.expectations {
                let tree = tree(expected.table).ok_or_else(|| damaged("no tree"))?;
                let found = read(tree, pieces, expected.table, &expected.key)?;
                if found != expected.value {
                    let table = expected.table;
                    return Err(stop(EngineError::Unexpected { table }));
                }
            }
            for write in &batch.writes {
                let tree = tree(write.table).ok_or_else(|| damaged("no tree"))?;
                replace(tree, pieces, (write.table, &write.key), write.value.as_deref())?;
            }
            Ok(())
        });
        outcome.map_err(|error| match error {
            TransactionError::Abort(error) => error,
            TransactionError::Storage(error) => from_sled(error),
        })
    }
}

impl Engine for SledEngine {
    fn get(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.guard.run(|| match self.tree(table)?.get(key).map_err(from_sled)? {
            Some(head) => self.whole(table, key, head),
            None => Ok(None),
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
            let tree = self.tree(table)?;
            if is_empty(from, to) {
                return Ok(Vec::new());
            }
            let mut rows = if to.is_empty() { tree.range(from..) } else { tree.range(from..to) };
            let mut page = Vec::new();
            while page.len() < limit {
                let next = match direction {
                    Direction::Forward => rows.next(),
                    Direction::Backward => rows.next_back(),
                };
                let Some(next) = next else { break };
                let (key, head) = next.map_err(from_sled)?;
                if let Some(value) = self.whole(table, &key, head)? {
                    page.push((key.to_vec(), value));
                }
            }
            Ok(page)
        })
    }

    fn commit(&self, batch: &Batch) -> Result<Durable, EngineError> {
        self.guard.run(|| {
            self.transact(batch)?;
            self.sync()?;
            Ok(Durable::flushed())
        })
    }

    fn write(&self, batch: &Batch) -> Result<(), EngineError> {
        self.guard.run(|| self.put(batch))
    }

    fn stats(&self) -> Result<EngineStats, EngineError> {
        let bytes = self.guard.run(|| self.db()?.size_on_disk().map_err(from_sled))?;
        let free_bytes = Some(space::of(&self.folder)?.free);
        Ok(EngineStats { bytes, free_bytes })
    }
}

impl Drop for SledEngine {
    /// sled syncs its file once more, and panics where the disk refuses. It has to go all the same: a
    /// file system in use is not mounted anew.
    fn drop(&mut self) {
        let Self { db, trees, .. } = self;
        let closed = catch_unwind(AssertUnwindSafe(|| {
            trees.clear();
            drop(db.take());
        }));
        if closed.is_err() {
            tracing::warn!("the engine was closed on a disk that refuses");
        }
    }
}

/// The size of the segments of a folder: that of its making, which sled keeps in `conf`; another one
/// does not open.
fn segment(folder: &Path) -> usize {
    let kept = fs::read(folder.join("conf")).unwrap_or_default();
    let kept = String::from_utf8_lossy(&kept);
    let size = kept.lines().find_map(|line| line.strip_prefix("segment_size: ")?.parse().ok());
    size.filter(|size: &usize| size.is_power_of_two()).unwrap_or(SEGMENT_BYTES)
}

fn alone(write: &StoredWrite) -> Batch {
    Batch { expectations: Vec::new(), writes: vec![write.clone()] }
}

type Within<T> = ConflictableTransactionResult<T, EngineError>;

fn stop(error: EngineError) -> ConflictableTransactionError<EngineError> {
    ConflictableTransactionError::Abort(error)
}

fn damaged(what: &str) -> ConflictableTransactionError<EngineError> {
    stop(EngineError::Damaged(what.to_owned()))
}

fn not_whole(table: &str, key: &[u8]) -> EngineError {
    EngineError::NotWhole { table: table.to_owned(), key: key.to_vec() }
}

/// The whole value within a transaction.
fn read(
    tree: &TransactionalTree,
    pieces: &TransactionalTree,
    table: &str,
    key: &[u8],
) -> Within<Option<Vec<u8>>> {
    let Some(head) = tree.get(key)? else { return Ok(None) };
    let damaged = || stop(not_whole(table, key));
    let cut = match Head::parse(&head).ok_or_else(damaged)? {
        Head::Whole(value) => return Ok(Some(value.to_vec())),
        Head::Cut(cut) => cut,
    };
    let mut value = Vec::new();
    for index in 0..cut.count() {
        let piece = pieces.get(piece_key(table, key, index))?;
        value.extend_from_slice(&piece.ok_or_else(damaged)?);
    }
    if cut.matches(&value) { Ok(Some(value)) } else { Err(damaged()) }
}

/// Puts or deletes a row, and the pieces of what was there.
fn replace(
    tree: &TransactionalTree,
    pieces: &TransactionalTree,
    (table, key): (&str, &[u8]),
    value: Option<&[u8]>,
) -> Within<()> {
    let mut used = 0;
    let before = match value {
        Some(value) => {
            let (head, chunks) = cut(value).ok_or_else(|| damaged("a value is too long"))?;
            for (index, piece) in (0_u32..).zip(chunks) {
                pieces.insert(piece_key(table, key, index), piece)?;
                used = index.saturating_add(1);
            }
            tree.insert(key, head)?
        }
        None => tree.remove(key)?,
    };
    if let Some(Head::Cut(old)) = before.as_deref().and_then(Head::parse) {
        for index in used..old.count() {
            pieces.remove(piece_key(table, key, index))?;
        }
    }
    Ok(())
}

/// Opens it when the threads of an engine that was closed here a moment ago have let go: the home's
/// lock is held, nobody else has it open.
fn once_free(config: &Config) -> Result<Db, EngineError> {
    let start = Instant::now();
    loop {
        match config.open() {
            Err(sled::Error::Io(error))
                if error.to_string().contains("acquire lock") && start.elapsed() < LETTING_GO =>
            {
                thread::sleep(Duration::from_millis(5));
            }
            opened => return opened.map_err(from_sled),
        }
    }
}

/// What a kill in the middle of a snapshot leaves.
fn remove_leftovers(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn from_sled(error: sled::Error) -> EngineError {
    match error {
        sled::Error::Io(error) => error.into(),
        other => EngineError::Damaged(other.to_string()),
    }
}
