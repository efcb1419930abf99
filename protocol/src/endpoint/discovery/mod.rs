//! Found without hints: the own records are put into the DHT, those of contacts are searched there.
//!
//! Rule: the DHT is a hint. What it brings counts only if the account signed it and nothing newer was
//! seen; known contacts stay reachable by what is on disk when it lies or is gone.
//! Source: PROTOCOL §3.

mod directory;
mod lookup;
mod own;
mod publish;

use std::collections::{BTreeMap, BTreeSet};

use crate::id::AccountId;
use crate::time::Millis;

use lookup::Lookup;
pub(super) use own::OwnRecords;

/// What the machine knows of the DHT.
#[derive(Debug)]
pub(super) struct Discovery {
    /// Whether any node of it is known.
    reachable: bool,
    /// When the own records are put next.
    put_at: Millis,
    /// Whether this process has put them itself.
    was_put: bool,
    lookups: BTreeMap<AccountId, Lookup>,
    /// When it is looked again who is wanted, and when the next of them is due.
    look_at: Millis,
    look_next: Option<Millis>,
    /// When a search may begin that nothing waits for.
    daily_at: Millis,
    /// Contacts by whose links the network was already asked to be entered, and whether there may be
    /// more.
    entered: BTreeSet<AccountId>,
    enter_due: bool,
    /// Records of contacts that came from nodes that are neither the contact nor its hosts.
    pub(super) found_at_strangers: u64,
}

impl Discovery {
    pub(super) const fn new(now: Millis) -> Self {
        Self {
            reachable: false,
            put_at: now,
            was_put: false,
            lookups: BTreeMap::new(),
            look_at: now,
            look_next: None,
            daily_at: now,
            entered: BTreeSet::new(),
            enter_due: true,
            found_at_strangers: 0,
        }
    }
}

#[cfg(test)]
mod tests;
