//! What the node is measured beside: loops over the same engine, the same streams, the same rows,
//! without anything that makes a messenger of them. `godwit bench` runs both in one run.
//!
//! | file | what it offers |
//! |---|---|
//! | `rows` | the very rows that a text of 1 KiB leaves at both ends |
//! | `rivals` | an echo over a stream, commits, syncs; the loops that write the rows |
//! | `idle` | a meter of bytes, and what the kernel counts of a process |
//! | `store` | a store with very many rows: opened, emptied, written anew |
//! | `commit` | one durable commit on either engine, with and without its journal |
//! | `deposit` | 64 senders at a real host, and a loop that shares flushes |
//! | `flood` | one who waits for each receipt, alone and beside one who floods the host |
//!
//! Source: ARCHITECTURE, "node/src"; the medians of several runs go to the README.

mod commit;
mod deposit;
mod flood;
mod idle;
mod rivals;
mod rows;
mod store;

pub use commit::{CommitFigures, commit};
pub use deposit::{Depositors, deposit_loop};
pub use flood::{FloodFigures, flood};
pub use idle::{Meter, Usage, bare};
pub use rivals::{Rivals, Two, pipelined_loop, pipelined_stream};
pub use store::{StoreFigures, store};

/// Bytes of a text that is measured.
pub const TEXT: usize = 1_024;

/// Why something was not measured.
#[derive(Debug, Clone, thiserror::Error)]
#[error("not measured: {0}")]
pub struct BenchError(pub String);

impl BenchError {
    fn of(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// The middle of several values; zero of none.
#[must_use]
pub fn median<T: Copy + PartialOrd + Default>(values: &[T]) -> T {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| a.partial_cmp(b).unwrap_or(core::cmp::Ordering::Equal));
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}
