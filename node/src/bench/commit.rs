//! One caller's durable commit, on either engine with and without its journal, beside a bare sync.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use godwit_store::{Bare, Kind, Options};

use super::rivals::{renamed, size, tables};
use super::rows::Pair;
use super::{BenchError, TEXT, median};

/// Bytes of the plain file, which has its size and its places from the beginning.
const FILE: usize = 4 << 20;

/// What a commit of the rows that one text leaves at its sender takes, each the median of its rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CommitFigures {
    /// Writing as many bytes into a file that does not grow, and `fdatasync`.
    pub sync: Duration,
    /// Each engine as a store has it, behind its journal; and alone.
    pub engines: [(Kind, Duration, Duration); 2],
}

/// Measures all of them in turns, so that what else the machine does falls upon each.
///
/// # Errors
/// [`BenchError`]: the disk refuses.
pub fn commit(folder: &Path, rounds: usize) -> Result<CommitFigures, BenchError> {
    let [sender, _] = Pair::new()?.texts(1, 1, TEXT)?;
    let writes = sender.concat();
    let tables = tables(core::slice::from_ref(&writes));
    let cache = Options::DEFAULT_CACHE_BYTES;
    let mut engines = Vec::new();
    for kind in [Kind::Sled, Kind::Redb] {
        let at = |name: &str| folder.join(format!("{}-{name}", kind.name()));
        let both = [
            Bare::journaled((&at("journaled"), kind), cache, &tables),
            Bare::open((&at("alone"), kind), cache, &tables),
        ];
        for engine in both {
            engines.push((engine.map_err(BenchError::of)?, Vec::with_capacity(rounds)));
        }
    }
    let bytes: usize = writes.iter().map(size).sum();
    let mut plain = Plain::make(&folder.join("plain"))?;
    let mut synced = Vec::with_capacity(rounds);
    for round in 0..rounds {
        synced.push(plain.write(bytes)?);
        let batch = renamed(&writes, round);
        for (engine, took) in &mut engines {
            let start = Instant::now();
            engine.commit(&batch).map_err(BenchError::of)?;
            took.push(start.elapsed());
        }
    }
    let mut middles = engines.iter().map(|(_, took)| median(took));
    let mut next = || middles.next().unwrap_or_default();
    let engines = [Kind::Sled, Kind::Redb].map(|kind| (kind, next(), next()));
    Ok(CommitFigures { sync: median(&synced), engines })
}

/// A file that does not grow.
struct Plain {
    file: File,
    offset: usize,
}

impl Plain {
    fn make(path: &Path) -> Result<Self, BenchError> {
        let file = File::create(path).map_err(BenchError::of)?;
        file.write_all_at(&vec![7; FILE], 0).map_err(BenchError::of)?;
        file.sync_all().map_err(BenchError::of)?;
        Ok(Self { file, offset: 0 })
    }

    fn write(&mut self, bytes: usize) -> Result<Duration, BenchError> {
        if self.offset.saturating_add(bytes) > FILE {
            self.offset = 0;
        }
        let (start, at) = (Instant::now(), u64::try_from(self.offset).unwrap_or(0));
        self.file.write_all_at(&vec![9; bytes], at).map_err(BenchError::of)?;
        self.file.sync_data().map_err(BenchError::of)?;
        self.offset = self.offset.saturating_add(bytes);
        Ok(start.elapsed())
    }
}
