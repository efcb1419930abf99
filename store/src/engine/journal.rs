//! The file in front of an engine: a commit is one record of it, and durable with one sync of it.
//!
//! ```text
//! two halves; a record begins at a multiple of 512 bytes of its half:
//!   number u64 ‖ length u32 ‖ SHA-256(number ‖ length ‖ writes)[..16] ‖ writes
//! each write:
//!   length u8, table ‖ length u32, key ‖ 0, or 1 ‖ length u32, value        (0 deletes)
//! ```
//!
//! Rules: the file has its size from the beginning, written and synced, so that a sync of it commits no
//! length and no place. Numbers begin with 1, go up by one and never come again. A half is written anew
//! once the engine has all of it. What is not whole after the last number was never acknowledged; what
//! is missing before a higher number is damage.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::EngineError;
use super::guard::sync_names;
use crate::batch::StoredWrite;

/// Its name in the engine's folder.
pub(crate) const FILE: &str = "journal";
/// While it is being made.
pub(crate) const UNFINISHED: &str = "journal.new";

/// Bytes of a half: what an engine writes at once, and what memory holds twice at most.
pub(super) const HALF: usize = 2 << 20;
/// No two records share a sector: writing one cannot spoil the one before.
const SECTOR: usize = 512;
const HEADER: usize = 8 + 4 + 16;

/// What one commit wrote.
pub(super) struct Record {
    pub(super) number: u64,
    pub(super) writes: Vec<StoredWrite>,
}

/// A record, and where it ends in its half.
type Placed = (usize, Record);

/// The file, and where the next record goes.
pub(super) struct Journal {
    file: File,
    half: usize,
    /// In the half.
    offset: usize,
}

/// What a journal holds that its engine lacks.
pub(super) struct Found {
    pub(super) journal: Journal,
    /// The number of its last record, or of the engine's.
    pub(super) last: u64,
    /// Records of the half that was written before.
    pub(super) older: Vec<Record>,
    /// Records of the half that is being written.
    pub(super) newer: Vec<Record>,
    /// What is wrong with it.
    pub(super) fault: Option<&'static str>,
}

impl Journal {
    /// Makes an empty one; one that was being made is replaced.
    pub(super) fn make(folder: &Path) -> io::Result<Self> {
        let path = folder.join(UNFINISHED);
        let file =
            File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
        // Written rather than reserved: what is only reserved is committed when it is first written.
        let nothing = vec![0; HALF];
        file.write_all_at(&nothing, 0)?;
        file.write_all_at(&nothing, place(1, 0))?;
        file.sync_all()?;
        fs::rename(path, folder.join(FILE))?;
        sync_names(folder)?;
        Ok(Self { file, half: 0, offset: 0 })
    }

    /// Opens one whose engine has every record up to `applied`.
    pub(super) fn open(
        folder: &Path,
        applied: u64,
        tables: &[&'static str],
    ) -> Result<Found, EngineError> {
        let file = match File::options().read(true).write(true).open(folder.join(FILE)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(EngineError::Damaged(format!("the file `{FILE}` is missing")));
            }
            file => file?,
        };
        let mut bytes = vec![0; 2 * HALF];
        let is_short = fill(&file, &mut bytes)? < bytes.len();
        let (first, second) = bytes.split_at(HALF);
        let halves = [found(first, applied, tables), found(second, applied, tables)];
        let last = |half: &Vec<_>| half.last().map_or(applied, |(_, it): &Placed| it.number);
        let [in_first, in_second] = [last(&halves[0]), last(&halves[1])];
        let half = usize::from(in_second > in_first);
        let fault = match (is_short, is_gapless(&halves, applied)) {
            (true, _) => Some("it has lost its end"),
            (_, false) => Some("a record is missing or does not open"),
            (false, true) => None,
        };
        let [first, second] = halves;
        let (older, newer) = if half == 0 { (second, first) } else { (first, second) };
        let offset = newer.last().map_or(0, |(end, _)| *end);
        let journal = Self { file, half, offset };
        if fault.is_none() {
            journal.write_again(&bytes, (&older, &newer))?;
        }
        let records = |half: Vec<Placed>| half.into_iter().map(|(_, it)| it).collect();
        let (older, newer) = (records(older), records(newer));
        Ok(Found { journal, last: in_first.max(in_second), older, newer, fault })
    }

    /// Whether a record fits the half.
    pub(super) fn has_room(&self, record: &[u8]) -> bool {
        self.offset.saturating_add(record.len()) <= HALF
    }

    /// Writes a record that fits; durable when this returns.
    pub(super) fn append(&mut self, record: &[u8]) -> io::Result<()> {
        self.file.write_all_at(record, place(self.half, self.offset))?;
        self.file.sync_data()?;
        self.offset = self.offset.saturating_add(record.len());
        Ok(())
    }

    /// Goes on in the other half, of which the engine has all.
    pub(super) fn turn(&mut self) {
        self.half = 1_usize.saturating_sub(self.half);
        self.offset = 0;
    }

    /// What was read may never have been written: after a sync that failed the system still shows it.
    fn write_again(&self, bytes: &[u8], (older, newer): (&[Placed], &[Placed])) -> io::Result<()> {
        for (half, records) in [(1_usize.saturating_sub(self.half), older), (self.half, newer)] {
            let Some((end, _)) = records.last() else { continue };
            let start = half.saturating_mul(HALF);
            let live = bytes.get(start..start.saturating_add(*end)).unwrap_or_default();
            self.file.write_all_at(live, place(half, 0))?;
        }
        if !newer.is_empty() {
            self.file.sync_data()?;
        }
        Ok(())
    }
}

/// The bytes of a record.
pub(super) fn record(number: u64, writes: &[StoredWrite]) -> Vec<u8> {
    let mut bytes = vec![0; HEADER];
    for write in writes {
        // Names of tables are ours, and short.
        bytes.push(u8::try_from(write.table.len()).unwrap_or(u8::MAX));
        bytes.extend_from_slice(write.table.as_bytes());
        put(&mut bytes, &write.key);
        bytes.push(u8::from(write.value.is_some()));
        if let Some(value) = &write.value {
            put(&mut bytes, value);
        }
    }
    let length = u32::try_from(bytes.len().saturating_sub(HEADER)).unwrap_or(u32::MAX);
    if let Some((header, body)) = bytes.split_first_chunk_mut::<HEADER>() {
        *header = head(number, length, body);
    }
    bytes.resize(bytes.len().next_multiple_of(SECTOR), 0);
    bytes
}

fn put(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend_from_slice(part);
}

fn head(number: u64, length: u32, body: &[u8]) -> [u8; HEADER] {
    let (number, length) = (number.to_be_bytes(), length.to_be_bytes());
    let digest = Sha256::new().chain_update(number).chain_update(length).chain_update(body);
    let mut header = [0; HEADER];
    let parts = number.iter().chain(&length).copied().chain(digest.finalize());
    for (place, byte) in header.iter_mut().zip(parts) {
        *place = byte;
    }
    header
}

/// Every record of a half above a number, wherever it stands, and where it ends.
fn found(half: &[u8], applied: u64, tables: &[&'static str]) -> Vec<Placed> {
    let (mut all, mut offset) = (Vec::new(), 0);
    while let Some(rest) = half.get(offset..).filter(|rest| !rest.is_empty()) {
        let read = read(rest, applied, tables);
        let used = read.as_ref().map_or(SECTOR, |(length, _)| length.next_multiple_of(SECTOR));
        offset = offset.saturating_add(used);
        all.extend(read.map(|(_, record)| (offset, record)));
    }
    all.sort_by_key(|(_, record)| record.number);
    all
}

/// The record at the beginning of some bytes, and its length.
fn read(bytes: &[u8], applied: u64, tables: &[&'static str]) -> Option<(usize, Record)> {
    let (header, rest) = bytes.split_first_chunk::<HEADER>()?;
    let (number, length) = header.split_first_chunk::<8>()?;
    let number = u64::from_be_bytes(*number);
    let length = u32::from_be_bytes(*length.first_chunk::<4>()?);
    let body = rest.get(..usize::try_from(length).ok()?)?;
    if number <= applied || *header != head(number, length, body) {
        return None;
    }
    Some((HEADER.saturating_add(body.len()), Record { number, writes: writes(body, tables)? }))
}

fn writes(mut body: &[u8], tables: &[&'static str]) -> Option<Vec<StoredWrite>> {
    let mut writes = Vec::new();
    while let Some((length, rest)) = body.split_first() {
        let (name, rest) = rest.split_at_checked(usize::from(*length))?;
        let table = tables.iter().find(|table| table.as_bytes() == name)?;
        let (key, rest) = take(rest)?;
        let (value, rest) = match rest.split_first()? {
            (0, rest) => (None, rest),
            (_, rest) => take(rest).map(|(value, rest)| (Some(value.to_vec()), rest))?,
        };
        writes.push(StoredWrite { table, key: key.to_vec(), value });
        body = rest;
    }
    Some(writes)
}

fn take(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

/// Whether both halves have every number from `applied` on.
fn is_gapless(halves: &[Vec<Placed>; 2], applied: u64) -> bool {
    let mut numbers: Vec<u64> = halves.iter().flatten().map(|(_, record)| record.number).collect();
    numbers.sort_unstable();
    numbers.iter().zip(applied.saturating_add(1)..).all(|(number, wanted)| *number == wanted)
}

fn place(half: usize, offset: usize) -> u64 {
    u64::try_from(half.saturating_mul(HALF).saturating_add(offset)).unwrap_or(u64::MAX)
}

/// Reads as much as there is.
fn fill(file: &File, bytes: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    while let Some(rest) = bytes.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, u64::try_from(read).unwrap_or(u64::MAX)) {
            Ok(0) => break,
            Ok(count) => read = read.saturating_add(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writes_of(number: u64) -> Vec<StoredWrite> {
        let key = number.to_be_bytes().to_vec();
        let length = usize::try_from(number * 97).unwrap();
        let value =
            (!number.is_multiple_of(3)).then(|| vec![u8::try_from(number).unwrap(); length]);
        vec![
            StoredWrite { table: "a", key: key.clone(), value },
            StoredWrite { table: "longer", key, value: Some(Vec::new()) },
        ]
    }

    fn is_as_written(record: &Record) -> bool {
        let wanted = writes_of(record.number);
        record.writes.len() == wanted.len()
            && record.writes.iter().zip(&wanted).all(|(one, other)| {
                (one.table, &one.key, &one.value) == (other.table, &other.key, &other.value)
            })
    }

    #[test]
    fn whatever_the_bytes_are_a_record_is_one_that_was_written_or_none() {
        let whole: Vec<u8> = (1..=12).flat_map(|it| record(it, &writes_of(it))).collect();
        let tables = ["a", "longer"];
        assert_eq!(found(&whole, 0, &tables).len(), 12);
        assert_eq!(found(&whole, 9, &tables).len(), 3, "the engine has the others");
        let mut seed = 7_u64;
        let mut dice = |sides: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(seed >> 33).unwrap() % sides
        };
        for round in 0..20_000 {
            let mut bytes = whole.clone();
            for _ in 0..1 + dice(3) {
                let at = dice(bytes.len());
                match dice(4) {
                    0 => bytes[at] ^= 1 << dice(8),
                    1 => bytes.truncate(at.max(1)),
                    2 => bytes[at..].fill(u8::try_from(dice(256)).unwrap()),
                    _ => {
                        let to = dice(bytes.len() - at).max(1);
                        bytes.copy_within(..at, to);
                    }
                }
            }
            let left = found(&bytes, 0, &tables);
            assert!(left.iter().all(|(_, record)| is_as_written(record)), "round {round}");
        }
        assert!(found(&whole, 0, &["a"]).is_empty(), "a table that is not known");
    }
}
