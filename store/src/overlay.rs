//! What a view wrote and no disk confirmed yet, laid over the engine.
//!
//! One ordered map a table: each key with what was written last and the number of the batch that did
//! it. When a batch is durable, the entries that no later batch touched are forgotten. An undo log
//! takes back what a failed `handle` wrote.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use godwit_protocol::rows::{Direction, Table, prefix_end};

use crate::batch::PlainWrite;

type Value = Option<Arc<[u8]>>;
type Entries = BTreeMap<Vec<u8>, Entry>;
type Puts<'a> = Box<dyn Iterator<Item = (&'a [u8], &'a Arc<[u8]>)> + 'a>;

/// A written key: what, and by which batch.
struct Entry {
    value: Value,
    batch: u64,
}

/// What takes one write back.
enum Undo {
    Write { table: &'static Table, key: Vec<u8>, before: Option<Entry> },
    Erase { owner: Vec<u8>, scope: Vec<u8>, before: Option<u64> },
}

/// The writes of a view since the last durable batch.
#[derive(Default)]
pub(crate) struct Overlay {
    tables: HashMap<&'static str, Entries>,
    /// The scopes of owners whose rows in the engine are as good as gone.
    erased: HashMap<Vec<u8>, u64>,
    /// What each batch under way touched.
    under_way: BTreeMap<u64, Touched>,
    log: Vec<Undo>,
}

#[derive(Default)]
struct Touched {
    keys: Vec<(&'static str, Vec<u8>)>,
    scopes: Vec<Vec<u8>>,
}

impl Overlay {
    /// What is written under a key: nothing, a delete, or a value.
    pub(crate) fn get(&self, table: &str, key: &[u8]) -> Option<&Value> {
        Some(&self.tables.get(table)?.get(key)?.value)
    }

    /// Whether rows of a table may be erased here; most of the time there are none.
    pub(crate) fn has_erased(&self) -> bool {
        !self.erased.is_empty()
    }

    /// Whether the rows of a scope in the engine are as good as gone.
    pub(crate) fn is_erased(&self, scope: &[u8]) -> bool {
        self.erased.contains_key(scope)
    }

    /// The values written in a range that is not empty, in order; no deletes.
    pub(crate) fn puts(
        &self,
        table: &str,
        range: (&[u8], &[u8]),
        direction: Direction,
    ) -> Puts<'_> {
        let Some(entries) = self.tables.get(table) else { return Box::new(core::iter::empty()) };
        let entries = entries.range::<[u8], _>(bounds(range));
        match direction {
            Direction::Forward => Box::new(entries.filter_map(value)),
            Direction::Backward => Box::new(entries.rev().filter_map(value)),
        }
    }

    /// Writes for batch `batch`, the one being written.
    pub(crate) fn write(&mut self, table: &'static Table, key: Vec<u8>, value: Value, batch: u64) {
        let entries = self.tables.entry(table.name).or_default();
        let before = entries.insert(key.clone(), Entry { value, batch });
        self.log.push(Undo::Write { table, key, before });
    }

    /// Erases an owner for batch `batch`: the scope, and what stands here under a prefix of a table.
    pub(crate) fn erase(
        &mut self,
        (owner, scope): (Vec<u8>, Vec<u8>),
        prefixes: Vec<(&'static Table, Vec<u8>)>,
        batch: u64,
    ) {
        for (table, prefix) in prefixes {
            let end = prefix_end(&prefix);
            let entries = self.tables.get(table.name).into_iter();
            let keys: Vec<_> = entries
                .flat_map(|entries| entries.range::<[u8], _>(bounds((&prefix, &end))))
                .map(|(key, _)| key.clone())
                .collect();
            for key in keys {
                self.write(table, key, None, batch);
            }
        }
        let before = self.erased.insert(scope.clone(), batch);
        self.log.push(Undo::Erase { owner, scope, before });
    }

    /// How much was written since the last `close`.
    pub(crate) fn written(&self) -> usize {
        self.log.len()
    }

    /// Takes back all but the first `written` writes since the last `close`.
    pub(crate) fn roll_back(&mut self, written: usize) {
        for undo in self.log.drain(written.min(self.log.len())..).rev() {
            match undo {
                Undo::Write { table, key, before } => {
                    let entries = self.tables.entry(table.name).or_default();
                    match before {
                        Some(before) => drop(entries.insert(key, before)),
                        None => drop(entries.remove(&key)),
                    }
                }
                Undo::Erase { scope, before, .. } => match before {
                    Some(before) => drop(self.erased.insert(scope, before)),
                    None => drop(self.erased.remove(&scope)),
                },
            }
        }
    }

    /// Ends batch `batch`: what it erased and what it wrote, each key once and in order.
    pub(crate) fn close(&mut self, batch: u64) -> (Vec<Vec<u8>>, Vec<PlainWrite>) {
        let (mut keys, mut declared) = (BTreeSet::new(), HashMap::new());
        let (mut erased, mut touched) = (Vec::new(), Touched::default());
        for undo in self.log.drain(..) {
            match undo {
                Undo::Write { table, key, .. } => {
                    declared.insert(table.name, table);
                    keys.insert((table.name, key));
                }
                Undo::Erase { owner, scope, .. } => {
                    erased.push(owner);
                    touched.scopes.push(scope);
                }
            }
        }
        let mut writes = Vec::with_capacity(keys.len());
        for (name, key) in &keys {
            if let (Some(table), Some(value)) = (declared.get(name), self.get(name, key)) {
                writes.push(PlainWrite { table, key: key.clone(), value: value.clone() });
            }
        }
        erased.sort();
        erased.dedup();
        touched.keys = keys.into_iter().collect();
        self.under_way.insert(batch, touched);
        (erased, writes)
    }

    /// Forgets a durable batch, and every earlier one: the engine has them.
    pub(crate) fn forget(&mut self, batch: u64) {
        let later = self.under_way.split_off(&batch.saturating_add(1));
        for (number, touched) in core::mem::replace(&mut self.under_way, later) {
            for (name, key) in touched.keys {
                let Some(entries) = self.tables.get_mut(name) else { continue };
                if entries.get(&key).is_some_and(|entry| entry.batch == number) {
                    entries.remove(&key);
                }
            }
            for scope in touched.scopes {
                if self.erased.get(&scope) == Some(&number) {
                    self.erased.remove(&scope);
                }
            }
        }
    }
}

fn value<'a>((key, entry): (&'a Vec<u8>, &'a Entry)) -> Option<(&'a [u8], &'a Arc<[u8]>)> {
    Some((key, entry.value.as_ref()?))
}

fn bounds<'a>((from, to): (&'a [u8], &'a [u8])) -> (Bound<&'a [u8]>, Bound<&'a [u8]>) {
    let end = if to.is_empty() { Bound::Unbounded } else { Bound::Excluded(to) };
    (Bound::Included(from), end)
}
