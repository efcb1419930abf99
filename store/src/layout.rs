//! From a key as the machines know it to the key as stored.
//!
//! ```text
//! plain:   shown ‖ hidden ‖ shown        stored:   shown ‖ HMAC(k_index, hidden) ‖ shown
//! ```
//!
//! Rules: a table must have been declared when the store was opened; a key has exactly the bytes its
//! parts say; a range names a hidden part wholly or not at all, since hashes have no order. They hold
//! without encryption as well, so that the simulator finds what would fail in a home.

use std::borrow::Cow;
use std::collections::BTreeMap;

use godwit_protocol::rows::{KeyPart, RowsError, Scope, Table, prefix_end};

use crate::vault::Vault;

/// The longest key of a table whose last part has any length, in bytes: names of rows are short.
const MAX_KEY: usize = 1_024;
/// The longest hidden part: an HMAC-SHA-256, in bytes.
const MAX_HIDDEN: usize = 32;
/// The largest value: twice what the codec encodes (`codec::MAX_VALUE`), in bytes.
const MAX_VALUE: usize = 2 << 20;

/// The tables of a store.
pub(crate) struct Tables(BTreeMap<&'static str, &'static Table>);

/// A range as stored, and what its rows' keys begin with as the machines know it.
pub(crate) struct StoredRange {
    pub(crate) from: Vec<u8>,
    pub(crate) to: Vec<u8>,
    plain_start: Vec<u8>,
}

impl Tables {
    /// Checks the declarations.
    ///
    /// # Errors
    /// The name of the table and what is wrong with it.
    pub(crate) fn new(tables: &[&'static Table]) -> Result<Self, (&'static str, &'static str)> {
        let mut known = BTreeMap::new();
        for table in tables {
            if let Some(fault) = fault(table) {
                return Err((table.name, fault));
            }
            if known.insert(table.name, *table).is_some() {
                return Err((table.name, "two tables have this name"));
            }
        }
        Ok(Self(known))
    }

    /// In the order of their names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &'static Table> {
        self.0.values().copied()
    }

    fn check(&self, table: &'static Table) -> Result<(), RowsError> {
        match self.0.get(table.name) {
            Some(known) if core::ptr::eq(*known, table) || *known == table => Ok(()),
            _ => Err(RowsError(format!("the table `{}` is not declared", table.name))),
        }
    }

    /// The stored form of a whole key.
    pub(crate) fn key<'k>(
        &self,
        table: &'static Table,
        key: &'k [u8],
        vault: &Vault,
    ) -> Result<Cow<'k, [u8]>, RowsError> {
        self.check(table)?;
        let fixed = fixed_length(table);
        let fits = if is_open_ended(table) {
            key.len() >= fixed && key.len() <= MAX_KEY
        } else {
            key.len() == fixed
        };
        if !fits {
            let (name, got) = (table.name, key.len());
            return Err(RowsError(format!("a key of `{name}` has {got} bytes, not {fixed}")));
        }
        Ok(hide(table, key, vault))
    }

    /// The stored form of a range.
    pub(crate) fn range(
        &self,
        table: &'static Table,
        (from, to): (&[u8], &[u8]),
        vault: &Vault,
    ) -> Result<StoredRange, RowsError> {
        self.check(table)?;
        // How far the range is one value: through its last named hidden part.
        let mut named = 0;
        for (start, end, part) in spans(table) {
            let unnamed = from.len() <= start && to.len() <= start;
            if !part.hidden || unnamed {
                continue;
            }
            let start_of_both = from.get(..end).filter(|start| {
                to.get(..end) == Some(*start) || to == prefix_end(start).as_slice()
            });
            if start_of_both.is_none() {
                let (name, part) = (table.name, part.name);
                return Err(RowsError(format!("a range of `{name}` spans its hidden `{part}`")));
            }
            named = end;
        }
        let plain_start = from.get(..named).unwrap_or_default().to_vec();
        let from = hide(table, from, vault).into_owned();
        let ends_with_it = named > 0 && to == prefix_end(&plain_start).as_slice();
        let to = if ends_with_it {
            prefix_end(from.get(..named).unwrap_or_default())
        } else {
            hide(table, to, vault).into_owned()
        };
        Ok(StoredRange { from, to, plain_start })
    }
}

impl StoredRange {
    /// The key as the machines know it, as far as the range named it.
    pub(crate) fn plain(&self, mut key: Vec<u8>) -> Vec<u8> {
        if let Some(start) = key.get_mut(..self.plain_start.len()) {
            start.copy_from_slice(&self.plain_start);
        }
        key
    }
}

/// The name of the scope of a stored row: its owner, hidden, whether or not its key shows it.
pub(crate) fn scope_of(table: &'static Table, stored_key: &[u8], vault: &Vault) -> Vec<u8> {
    let Some((_, end, part)) = spans(table).next() else { return Vec::new() };
    let first = stored_key.get(..end).unwrap_or(stored_key);
    if part.hidden { first.to_vec() } else { vault.hide(first) }
}

/// What the stored keys of an owner's rows begin with; none if the table has no owners like this.
pub(crate) fn owner_prefix(table: &'static Table, owner: &[u8], vault: &Vault) -> Option<Vec<u8>> {
    let (_, end, part) = spans(table).next()?;
    if table.scope != Scope::Owner || end != owner.len() {
        return None;
    }
    Some(if part.hidden { vault.hide(owner) } else { owner.to_vec() })
}

/// Whether a value may be put.
pub(crate) fn check_value(table: &'static Table, value: &[u8]) -> Result<(), RowsError> {
    if value.len() <= MAX_VALUE {
        return Ok(());
    }
    let (name, got) = (table.name, value.len());
    Err(RowsError(format!("a value of `{name}` has {got} bytes, at most {MAX_VALUE}")))
}

/// The parts of fixed length: where each starts and ends.
fn spans(table: &'static Table) -> impl Iterator<Item = (usize, usize, &'static KeyPart)> {
    let mut end = 0_usize;
    table.key.iter().map_while(move |part| {
        let start = end;
        end = end.saturating_add(part.length?);
        Some((start, end, part))
    })
}

fn fixed_length(table: &'static Table) -> usize {
    spans(table).last().map_or(0, |(_, end, _)| end)
}

fn is_open_ended(table: &'static Table) -> bool {
    table.key.last().is_some_and(|part| part.length.is_none())
}

/// Replaces the hidden parts that a key names wholly.
fn hide<'k>(table: &'static Table, key: &'k [u8], vault: &Vault) -> Cow<'k, [u8]> {
    if !vault.encrypts() {
        return Cow::Borrowed(key);
    }
    let mut stored = Cow::Borrowed(key);
    for (start, end, _) in spans(table).filter(|(_, _, part)| part.hidden) {
        let Some(plain) = key.get(start..end) else { break };
        if let Some(place) = stored.to_mut().get_mut(start..end) {
            place.copy_from_slice(&vault.hide(plain));
        }
    }
    stored
}

fn fault(table: &'static Table) -> Option<&'static str> {
    let named = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let Some((_, first)) = table.key.split_last() else { return Some("its key has no parts") };
    let owner = table.key.first().and_then(|part| part.length);
    if table.name.is_empty() || table.name.starts_with('_') || !table.name.bytes().all(named) {
        return Some("its name is not of a-z, 0-9 and _, or is the store's own");
    }
    if first.iter().any(|part| part.length.is_none()) {
        return Some("a part before the last has no length");
    }
    if table.key.iter().any(|part| part.hidden && part.length.is_none_or(|n| n > MAX_HIDDEN)) {
        return Some("a hidden part has no length or is longer than 32 bytes");
    }
    if table.scope == Scope::Owner && owner.is_none_or(|n| n > MAX_HIDDEN) {
        return Some("its owner has no length or is longer than 32 bytes");
    }
    table.key.iter().any(|part| part.length == Some(0)).then_some("a part has no bytes")
}
