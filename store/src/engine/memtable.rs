//! What the journal holds and the engine does not have yet, in order, laid over the engine.
//!
//! ```text
//! active   written since the journal's last turn
//! frozen   written before, on its way to the engine
//! ```

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::iter::Peekable;
use std::ops::Bound;
use std::sync::Arc;

use godwit_protocol::rows::Direction;

use super::is_empty;
use crate::batch::{Batch, StoredWrite};

/// Rows of one part: an engine makes whoever reads wait while it writes one.
const PART: usize = 128;

/// A key, and what was written there; `None` deletes.
pub(super) type Written = (Vec<u8>, Option<Vec<u8>>);

type Rows = BTreeMap<Vec<u8>, Option<Vec<u8>>>;
type Entry<'a> = (&'a Vec<u8>, &'a Option<Vec<u8>>);
type Entries<'a> = Box<dyn Iterator<Item = Entry<'a>> + 'a>;

/// The writes of some records, the last one of each key.
#[derive(Default)]
pub(super) struct Memtable {
    tables: HashMap<&'static str, Rows>,
    rows: usize,
    /// The number of the last record.
    last: u64,
}

impl Memtable {
    /// Puts the next record on top.
    pub(super) fn write(&mut self, number: u64, writes: Vec<StoredWrite>) {
        self.last = number;
        for StoredWrite { table, key, value } in writes {
            let before = self.tables.entry(table).or_default().insert(key, value);
            self.rows = self.rows.saturating_add(usize::from(before.is_none()));
        }
    }

    /// How many keys it has.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// The number of its last record.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// Everything, in parts.
    pub(super) fn batches(&self) -> impl Iterator<Item = Batch> {
        let mut writes = self.tables.iter().flat_map(|(table, rows)| {
            rows.iter().map(|(key, value)| StoredWrite {
                table,
                key: key.clone(),
                value: value.clone(),
            })
        });
        core::iter::from_fn(move || {
            let writes: Vec<StoredWrite> = writes.by_ref().take(PART).collect();
            (!writes.is_empty()).then_some(Batch { expectations: Vec::new(), writes })
        })
    }

    fn range<'a>(
        &'a self,
        table: &str,
        range: (&[u8], &[u8]),
        direction: Direction,
    ) -> Entries<'a> {
        let (from, to) = range;
        let Some(rows) = self.tables.get(table).filter(|_| !is_empty(from, to)) else {
            return Box::new(core::iter::empty());
        };
        let end = if to.is_empty() { Bound::Unbounded } else { Bound::Excluded(to) };
        let entries = rows.range::<[u8], _>((Bound::Included(from), end));
        match direction {
            Direction::Forward => Box::new(entries),
            Direction::Backward => Box::new(entries.rev()),
        }
    }
}

/// Both of them.
#[derive(Default)]
pub(super) struct Layers {
    pub(super) active: Memtable,
    pub(super) frozen: Option<Arc<Memtable>>,
}

impl Layers {
    /// What was written under a key; none where the engine is to be asked.
    pub(super) fn get(&self, table: &str, key: &[u8]) -> Option<Option<Vec<u8>>> {
        let of = |layer: &Memtable| layer.tables.get(table)?.get(key).cloned();
        of(&self.active).or_else(|| of(self.frozen.as_deref()?))
    }

    /// What was written in a range, in order, up to the row with a value that makes `limit`.
    pub(super) fn page(
        &self,
        table: &str,
        range: (&[u8], &[u8]),
        (limit, direction): (usize, Direction),
    ) -> Vec<Written> {
        let mut newer = self.active.range(table, range, direction).peekable();
        let frozen = self.frozen.iter();
        let mut older = frozen.flat_map(|it| it.range(table, range, direction)).peekable();
        let (mut page, mut values) = (Vec::new(), 0);
        while values < limit {
            let Some((key, value)) = first(&mut newer, &mut older, direction) else { break };
            values = values.saturating_add(usize::from(value.is_some()));
            page.push((key.clone(), value.clone()));
        }
        page
    }
}

/// The next entry of two orders, of one key the newer.
fn first<'a>(
    newer: &mut Peekable<impl Iterator<Item = Entry<'a>>>,
    older: &mut Peekable<impl Iterator<Item = Entry<'a>>>,
    direction: Direction,
) -> Option<Entry<'a>> {
    let order = match (newer.peek(), older.peek()) {
        (Some((newer, _)), Some((older, _))) => comes(newer, older, direction),
        (None, _) => Ordering::Greater,
        (_, None) => Ordering::Less,
    };
    match order {
        Ordering::Greater => older.next(),
        Ordering::Less => newer.next(),
        Ordering::Equal => {
            older.next();
            newer.next()
        }
    }
}

/// Which of two keys a scan meets first.
pub(super) fn comes(one: &[u8], other: &[u8], direction: Direction) -> Ordering {
    match direction {
        Direction::Forward => one.cmp(other),
        Direction::Backward => other.cmp(one),
    }
}
