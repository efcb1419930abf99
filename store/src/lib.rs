//! What survives a crash: engines, group commit, encryption at rest.
//!
//! ```text
//! machine ──► View (Rows) ──take──► SealedBatch ──► commit thread ──► vault ──► engine
//!                ▲  overlay of what is under way        many batches, one flush     │
//!                └──────────────── reads: overlay, then the engine ◄───────────────┘
//! ```
//!
//! Rule: a batch is atomic over all tables, and its callback gets a [`Durable`] only after a
//! finished flush. The crate is generic: what a table means is said in `godwit_protocol::rows`, and
//! a table that was not declared when the store was opened can be neither read nor written.
//! It does not lock the home: that is `node::home`'s. Source: STORE-NOTES.

mod bare;
mod batch;
mod commit;
pub mod engine;
mod layout;
mod migrate;
mod open;
mod overlay;
mod prepare;
mod reader;
mod scope;
pub mod space;
mod upkeep;
mod vault;
mod view;

pub use bare::{Bare, BareWrite};
pub use batch::{CommitError, Durable, SealedBatch};
pub use engine::{EngineError, Kind};
pub use open::{Disk, OpenError, Options, Place, Stats, Store};
pub use reader::Reader;
pub use upkeep::{
    CheckReport, DamagedRow, DamagedTable, Note, Rewritten, Saved, check, repair, rewrite, tidy,
};
pub use vault::{DataKey, VaultError};
pub use view::{Mark, View};
