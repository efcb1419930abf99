//! A store with very many rows: how long it takes to open, and what it gives back.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use godwit_protocol::rows::Rows as _;
use godwit_protocol::rows::message::MESSAGES;
use godwit_store::{DataKey, Disk, Kind, Options, Place, Store, rewrite};

use super::BenchError;

/// Rows in one commit.
const COMMIT: u32 = 4_096;
/// Bytes of a row's value: a short text with what is kept of it.
const VALUE: usize = 300;
/// One row in so many is left when the others are deleted.
const LEFT: u32 = 10;

/// What one engine needs for a store.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StoreFigures {
    /// Opening it after it was closed.
    pub open: Duration,
    /// Opening what was on disk at a moment in which it was written to.
    pub after_kill: Duration,
    /// Bytes on disk.
    pub bytes: u64,
    /// Writing it anew when nine rows of ten were deleted.
    pub compact: Duration,
    /// Bytes on disk after that.
    pub bytes_after: u64,
    /// Bytes of keys and values that are left.
    pub left: u64,
}

/// Fills a store, opens it, deletes most of it, writes it anew.
///
/// # Errors
/// [`BenchError`]: the disk refuses.
pub fn store(folder: &Path, kind: Kind, rows: u32) -> Result<StoreFigures, BenchError> {
    let at = |name: &str| disk(folder.join(format!("{}-{name}", kind.name())), kind);
    let place = at("home");
    let store = open(&place)?;
    for start in (0..rows).step_by(usize::try_from(COMMIT).unwrap_or(1)) {
        write(&store, start..rows.min(start.saturating_add(COMMIT)), true)?;
    }
    let killed = at("killed");
    copy(&place.folder, &killed.folder).map_err(BenchError::of)?;
    drop(store);
    let timed = |place: &Disk| {
        let start = Instant::now();
        let store = open(place)?;
        Ok::<_, BenchError>((store, start.elapsed()))
    };
    let (killed, after_kill) = timed(&killed)?;
    drop(killed);
    let (store, open) = timed(&place)?;
    let bytes = store.stats().map_err(BenchError::of)?.bytes;
    for start in (0..rows).step_by(usize::try_from(COMMIT).unwrap_or(1)) {
        write(&store, start..rows.min(start.saturating_add(COMMIT)), false)?;
    }
    drop(store);
    let start = Instant::now();
    let done = rewrite(&place, &[&MESSAGES], None).map_err(BenchError::of)?;
    let row = VALUE.saturating_add(key(0).len());
    let left = u64::from(rows / LEFT).saturating_mul(u64::try_from(row).unwrap_or(0));
    let (compact, bytes_after) = (start.elapsed(), done.bytes_after);
    Ok(StoreFigures { open, after_kill, bytes, compact, bytes_after, left })
}

fn disk(folder: PathBuf, new: Kind) -> Disk {
    let cache_bytes = Options::DEFAULT_CACHE_BYTES;
    Disk { folder, new, cache_bytes, data_key: DataKey::take(&mut [7; 32]) }
}

fn open(place: &Disk) -> Result<Store, BenchError> {
    let Disk { folder, new, .. } = place;
    let place = Place::Disk(disk(folder.clone(), *new));
    Store::open(Options { place, tables: vec![&MESSAGES] }).map_err(BenchError::of)
}

/// Puts rows, or deletes most of them.
fn write(store: &Store, rows: core::ops::Range<u32>, puts: bool) -> Result<(), BenchError> {
    let mut view = store.view();
    for row in rows {
        if puts {
            view.put(&MESSAGES, &key(row), vec![9; VALUE]);
        } else if row % LEFT != 0 {
            view.delete(&MESSAGES, &key(row));
        }
    }
    let Some(batch) = view.take().map_err(BenchError::of)? else { return Ok(()) };
    match store.commit_here(batch) {
        Ok(done) => done.map(drop).map_err(BenchError::of),
        Err(_) => Err(BenchError("somebody else writes".to_owned())),
    }
}

/// As scattered as ids are.
fn key(row: u32) -> Vec<u8> {
    let length = MESSAGES.key.iter().filter_map(|part| part.length).sum();
    let mut seed = u64::from(row).wrapping_add(1);
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        // splitmix64
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
