//! What is done to a store's files while no node runs, and which of them count.
//!
//! | file | what it is |
//! |---|---|
//! | `folder` | which of a store's folders counts |
//! | `check` | every row read; those that do not open are named |
//! | `rewrite` | a store written anew, onto either engine |
//! | `tidy` | the same by itself, where most of a store is space of deleted rows |
//! | `repair` | what opens of a damaged one, written anew; the rest is kept aside |

mod check;
mod folder;
mod repair;
mod rewrite;
mod tidy;

#[cfg(test)]
pub(crate) use check::run;
pub use check::{CheckReport, DamagedRow, DamagedTable, check};
pub(crate) use folder::Generation;
pub use repair::{Note, Saved, repair};
pub use rewrite::{Rewritten, rewrite};
pub use tidy::tidy;
