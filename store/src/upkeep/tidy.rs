//! A store of which most is the space of deleted rows is written anew by itself, before a node opens it.
//!
//! Rules: only where that is soon done; what is left is counted first, and nothing counts that is not
//! finished in time. A store that was looked at is looked at again when it is twice as large.

use std::fs;
use std::time::{Duration, Instant};

use godwit_protocol::rows::{Direction, Table};

use crate::engine::{Engine, EngineError, Kind};
use crate::open::{Disk, OpenError, names, recognise};
use crate::upkeep::Generation;
use crate::upkeep::rewrite::{Copy, PAGE, Rewritten, declared};
use crate::vault::Vault;

/// Smaller files are left as they are.
const LEAST: u64 = 64 << 20;
/// How many times what is left a file has to be.
const TIMES: u64 = 3;
/// Beside the files: how large they were when they were last looked at.
const LOOKED: &str = "looked";

/// What an engine writes within a few seconds.
const fn most(kind: Kind) -> u64 {
    match kind {
        Kind::Sled => 32 << 20,
        Kind::Redb => 256 << 20,
    }
}

/// Writes a store anew where that is worthwhile and done within that time; none where it is not.
///
/// # Errors
/// [`OpenError`] if the store does not open or cannot be read, or the disk refuses; the old one still
/// counts then.
pub fn tidy(
    disk: &Disk,
    tables: &[&'static Table],
    within: Duration,
) -> Result<Option<Rewritten>, OpenError> {
    tidy_above(disk, tables, (LEAST, within))
}

fn tidy_above(
    disk: &Disk,
    tables: &[&'static Table],
    (least, within): (u64, Duration),
) -> Result<Option<Rewritten>, OpenError> {
    let start = Instant::now();
    let Some(old) = Generation::find(&disk.folder)? else { return Ok(None) };
    let bytes_before = old.bytes().map_err(EngineError::from)?;
    let looked = disk.folder.join(LOOKED);
    let then = fs::read_to_string(&looked).ok().and_then(|text| text.trim().parse::<u64>().ok());
    if bytes_before < least || bytes_before / 2 < then.unwrap_or(0) {
        return Ok(None);
    }
    // Where it cannot be written the next start looks again.
    let _ = fs::write(&looked, bytes_before.to_string());
    let tables = declared(tables)?;
    let names = names(&tables);
    let source = disk.open(&old, &names)?;
    recognise(&*source, &Vault::new(&disk.data_key), old.is_made())?;
    let most = most(old.kind).min(bytes_before / TIMES);
    let is_late = |part: u32| start.elapsed() >= within.checked_div(part).unwrap_or_default();
    if !is_less(&*source, &names, most, || is_late(4))? {
        return Ok(None);
    }
    let new = old.next(old.kind);
    let copied = copied(disk, &new, (&*source, &names), || is_late(1));
    drop(source);
    let Some((rows, bytes_after)) = copied? else { return Ok(None) };
    new.remove_others().map_err(EngineError::from)?;
    let now = new.bytes().map_err(EngineError::from)?;
    let _ = fs::write(&looked, now.to_string());
    Ok(Some(Rewritten { engine: new.kind, rows, bytes_before, bytes_after }))
}

/// Every row written anew; how many, and their bytes on disk. None if it had to stop before.
fn copied(
    disk: &Disk,
    new: &Generation,
    (source, names): (&dyn Engine, &[&'static str]),
    is_late: impl Fn() -> bool,
) -> Result<Option<(u64, u64)>, EngineError> {
    let mut copy = Copy::into(disk, new, names)?;
    for table in names {
        if !copy.all(source, table, &is_late)? {
            return Ok(None);
        }
    }
    copy.finish(new).map(Some)
}

/// Whether all rows together have fewer bytes than that; not if it takes too long to know.
fn is_less(
    engine: &dyn Engine,
    tables: &[&'static str],
    most: u64,
    is_late: impl Fn() -> bool,
) -> Result<bool, EngineError> {
    let mut bytes = 0_usize;
    for table in tables {
        let mut from = Vec::new();
        loop {
            let page = engine.scan(table, &from, &[], PAGE, Direction::Forward)?;
            let Some((last, _)) = page.last() else { break };
            from = [last.as_slice(), &[0]].concat();
            let sum = page.iter().map(|(key, value)| key.len().saturating_add(value.len()));
            bytes = bytes.saturating_add(sum.sum());
            if u64::try_from(bytes).unwrap_or(u64::MAX) > most || is_late() {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use godwit_protocol::rows::message::MESSAGES;
    use godwit_protocol::rows::{ReadRows as _, Rows as _};
    use tempfile::TempDir;

    use super::*;
    use crate::open::{Options, Place, Store};
    use crate::vault::DataKey;

    const SOON: Duration = Duration::from_secs(600);

    fn disk(folder: &TempDir, new: Kind) -> Disk {
        let (folder, data_key) = (folder.path().to_owned(), DataKey::take(&mut [7; 32]));
        Disk { folder, new, cache_bytes: 1 << 20, data_key }
    }

    fn key(number: u32) -> Vec<u8> {
        let mut key = vec![5; MESSAGES.key.iter().filter_map(|part| part.length).sum()];
        let (_, end) = key.split_last_chunk_mut::<4>().unwrap();
        *end = number.to_be_bytes();
        key
    }

    /// A store with a few rows left of very many.
    fn emptied(disk: &Disk) {
        let place = Place::Disk(disk.again());
        let store = Store::open(Options { place, tables: vec![&MESSAGES] }).unwrap();
        for delete in [false, true] {
            for numbers in (0..4_000).collect::<Vec<u32>>().chunks(500) {
                let mut view = store.view();
                for number in numbers {
                    match delete {
                        false => view.put(&MESSAGES, &key(*number), vec![9; 2_000]),
                        true if number % 100 > 0 => view.delete(&MESSAGES, &key(*number)),
                        true => {}
                    }
                }
                let batch = view.take().unwrap().unwrap();
                store.commit_here(batch).unwrap().unwrap();
            }
        }
    }

    fn count(disk: &Disk) -> usize {
        let place = Place::Disk(disk.again());
        let store = Store::open(Options { place, tables: vec![&MESSAGES] }).unwrap();
        let view = store.view();
        (0..4_000).filter(|number| view.get(&MESSAGES, &key(*number)).unwrap().is_some()).count()
    }

    #[test]
    fn a_store_that_is_mostly_space_is_written_anew_once() {
        for kind in [Kind::Sled, Kind::Redb] {
            let folder = tempfile::tempdir().unwrap();
            let disk = disk(&folder, kind);
            assert_eq!(tidy(&disk, &[&MESSAGES], SOON).unwrap(), None, "there is none yet");
            emptied(&disk);
            assert_eq!(tidy(&disk, &[&MESSAGES], SOON).unwrap(), None, "it is small");
            let small = |within| tidy_above(&disk, &[&MESSAGES], (4 << 20, within)).unwrap();
            assert_eq!(small(Duration::ZERO), None, "there is no time");
            assert_eq!(small(SOON), None, "it was looked at");
            fs::remove_file(folder.path().join(LOOKED)).unwrap();

            let done = small(SOON).unwrap();
            assert_eq!((done.engine, count(&disk)), (kind, 40));
            assert!(done.bytes_after < done.bytes_before / 2, "{done:?}");
            assert_eq!(small(SOON), None);
        }
    }
}
