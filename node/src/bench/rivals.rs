//! The loops that the node's figures stand beside.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use godwit_store::{Bare, BareWrite, Kind, Options};

use super::rows::{Pair, Written};
use super::{BenchError, TEXT, median};
use crate::network::raw;

/// What one text costs at least: there and back on a stream, and durable once at each end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rivals {
    /// A message of the same size there and back on one libp2p stream.
    pub echo: Duration,
    /// Two commits of the same batches on the same engine.
    pub commits: Duration,
    /// Two bare writes of the same size, each with `fdatasync`.
    pub syncs: Duration,
}

impl Rivals {
    /// Measures all three, each the median of `rounds`.
    ///
    /// # Errors
    /// [`BenchError`]: every case.
    pub async fn measure(folder: &Path, rounds: usize) -> Result<Self, BenchError> {
        let echo = raw::echo(TEXT, rounds).await.map_err(BenchError::of)?;
        let [sender, recipient] = Pair::new()?.texts(1, 1, TEXT)?;
        let ends = [sender.concat(), recipient.concat()];
        let (mut commits, mut syncs) = (Duration::ZERO, Duration::ZERO);
        for (name, writes) in ["one", "other"].into_iter().zip(&ends) {
            let folder = folder.join(name);
            commits = commits.saturating_add(commit(&folder, writes, rounds)?);
            syncs = syncs.saturating_add(sync(&folder.join("plain"), writes, rounds)?);
        }
        Ok(Self { echo: median(&echo), commits, syncs })
    }
}

fn commit(folder: &Path, writes: &Written, rounds: usize) -> Result<Duration, BenchError> {
    let engine = open(folder, core::slice::from_ref(writes))?;
    let mut took = Vec::with_capacity(rounds);
    for round in 0..rounds {
        let batch = renamed(writes, round);
        let start = Instant::now();
        engine.commit(&batch).map_err(BenchError::of)?;
        took.push(start.elapsed());
    }
    Ok(median(&took))
}

fn sync(path: &Path, writes: &Written, rounds: usize) -> Result<Duration, BenchError> {
    let bytes: usize = writes.iter().map(size).sum();
    let mut file = File::create(path).map_err(BenchError::of)?;
    let mut took = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let start = Instant::now();
        file.write_all(&vec![7; bytes]).map_err(BenchError::of)?;
        file.sync_data().map_err(BenchError::of)?;
        took.push(start.elapsed());
    }
    Ok(median(&took))
}

/// Bytes of a row.
pub(super) fn size(write: &BareWrite) -> usize {
    write.key.len().saturating_add(write.value.as_ref().map_or(0, Vec::len))
}

/// The same rows under other keys, so that every round writes new ones as a conversation does.
pub(super) fn renamed(writes: &Written, round: usize) -> Written {
    let mut batch = writes.clone();
    for write in &mut batch {
        let number = round.to_le_bytes();
        for (byte, new) in write.key.iter_mut().rev().zip(number) {
            *byte ^= new;
        }
    }
    batch
}

fn open(folder: &Path, batches: &[Written]) -> Result<Bare, BenchError> {
    let place = (folder, Kind::Sled);
    Bare::open(place, Options::DEFAULT_CACHE_BYTES, &tables(batches)).map_err(BenchError::of)
}

/// The tables that batches write to.
pub(super) fn tables(batches: &[Written]) -> Vec<&'static str> {
    let mut tables: Vec<&'static str> = batches.iter().flatten().map(|it| it.table).collect();
    tables.sort_unstable();
    tables.dedup();
    tables
}

/// Both ends of a conversation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Two {
    /// How long it took.
    pub took: Duration,
    /// How many rows were written.
    pub rows: usize,
}

/// How long a bare engine takes for the rows that `count` texts write at both ends, in the batches
/// of two machines in memory; each end on a thread and an engine of its own.
///
/// # Errors
/// [`BenchError`]: every case.
pub fn pipelined_loop(folder: &Path, count: usize, array: usize) -> Result<Two, BenchError> {
    let ends = Pair::new()?.texts(count, array, TEXT)?;
    let rows = ends.iter().flatten().map(Vec::len).sum();
    let mut engines = Vec::new();
    for (name, batches) in ["one", "other"].into_iter().zip(ends) {
        let path: PathBuf = folder.join(name);
        engines.push((open(&path, &batches)?, batches));
    }
    let start = Instant::now();
    std::thread::scope(|scope| {
        let running: Vec<_> = engines
            .iter()
            .map(|(engine, batches)| {
                scope.spawn(move || batches.iter().try_for_each(|batch| engine.commit(batch)))
            })
            .collect();
        running.into_iter().try_for_each(|thread| match thread.join() {
            Ok(done) => done.map_err(BenchError::of),
            Err(_) => Err(BenchError("a thread ended".to_owned())),
        })
    })?;
    Ok(Two { took: start.elapsed(), rows })
}

/// How long `count` texts take one behind the other on a raw stream.
///
/// # Errors
/// [`BenchError`]: every case.
pub async fn pipelined_stream(count: usize) -> Result<Duration, BenchError> {
    raw::pipelined(TEXT, count).await.map_err(BenchError::of)
}
