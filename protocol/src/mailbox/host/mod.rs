//! The machine of a mailbox host: keeps sealed envelopes for owners that are away.
//!
//! | file | what it decides |
//! |---|---|
//! | `exchange` | what goes in and comes out |
//! | `machine` | the three entries, the batch's end |
//! | `links` | which request goes where; what one stream may hold |
//! | `ledger` | owners and queues with their quotas and counts, a cache of rows |
//! | `owners` | proof, admission, queues, records, invites, erasure |
//! | `deposits` | opening, depositing, taking back; one receipt for a commit |
//! | `fetches` | items within a window, live push, acknowledgement |
//! | `full` | who is told that there was no room |
//! | `sweep` | what is over goes, but never on the word of one clock |
//! | `commands` | what the operator asks for |
//!
//! Rules: nothing is acknowledged before it is on disk; refusals are coarse; one stream holds
//! bounded memory; the rows of a pairwise queue name nobody.
//! Source: PROTOCOL §7; DATA.

mod commands;
mod deposits;
mod exchange;
mod fetches;
mod full;
mod ledger;
mod links;
mod machine;
mod owners;
mod records;
mod sweep;

pub use exchange::{
    Admission, HostCommand, HostEffect, HostInput, HostReply, HostStatus, OwnerView,
};
pub use machine::{HostMachine, HostSetup};

#[cfg(test)]
mod tests;
