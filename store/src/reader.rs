//! Reading rows: what a view wrote first, then the engine, in one order.
//!
//! A [`Reader`] sees what is committed and nothing else: it is for whoever runs beside the machines
//! (`control`). Keys are given back as stored, save for hidden parts that the range named.

use std::collections::VecDeque;
use std::sync::Arc;

use godwit_protocol::limits::MAX_SCAN;
use godwit_protocol::rows::{Direction, ReadRows, Row, RowsError, Scope, Table};

use crate::engine::{Engine, EngineError};
use crate::layout::{StoredRange, Tables, scope_of};
use crate::overlay::Overlay;
use crate::vault::{Vault, VaultError};

/// What readers, views and the commit thread stand on.
pub(crate) struct Base {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) vault: Vault,
    pub(crate) tables: Tables,
}

/// Reads what is committed; cheap to clone, for any thread that may block.
#[derive(Clone)]
pub struct Reader {
    pub(crate) base: Arc<Base>,
}

impl ReadRows for Reader {
    fn get(&self, table: &'static Table, key: &[u8]) -> Result<Option<Vec<u8>>, RowsError> {
        self.base.get(&Overlay::default(), table, key)
    }

    fn scan(
        &self,
        table: &'static Table,
        from: &[u8],
        to: &[u8],
        limit: usize,
        direction: Direction,
    ) -> Result<Vec<Row>, RowsError> {
        self.base.scan(&Overlay::default(), table, (from, to), (limit, direction))
    }
}

impl Base {
    /// The value under a key, as the overlay has it or else the engine.
    pub(crate) fn get(
        &self,
        overlay: &Overlay,
        table: &'static Table,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>, RowsError> {
        let key = self.tables.key(table, key, &self.vault)?;
        if let Some(written) = overlay.get(table.name, &key) {
            return Ok(written.as_ref().map(|value| value.to_vec()));
        }
        if self.is_erased(overlay, table, &key) {
            return Ok(None);
        }
        match self.engine.get(table.name, &key).map_err(unreadable)? {
            Some(stored) => self.open(table, &key, stored).map_err(closed),
            None => Ok(None),
        }
    }

    /// A page of what the overlay has, and of what the engine has and the overlay does not touch.
    pub(crate) fn scan(
        &self,
        overlay: &Overlay,
        table: &'static Table,
        range: (&[u8], &[u8]),
        (limit, direction): (usize, Direction),
    ) -> Result<Vec<Row>, RowsError> {
        if limit > MAX_SCAN {
            return Err(RowsError(format!("a scan of {limit} rows, at most {MAX_SCAN}")));
        }
        let range = self.tables.range(table, range, &self.vault)?;
        if !range.to.is_empty() && range.from >= range.to {
            return Ok(Vec::new());
        }
        let ends = (range.from.as_slice(), range.to.as_slice());
        let mut written = overlay.puts(table.name, ends, direction).peekable();
        let mut stored = Stored::new(self, overlay, table, &range, direction);
        let mut page = Vec::new();
        while page.len() < limit {
            let wanted = limit.saturating_sub(page.len());
            let written_first = match (written.peek(), stored.peek(wanted)?) {
                (None, None) => break,
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (Some((ours, _)), Some((theirs, _))) => match direction {
                    Direction::Forward => *ours < theirs.as_slice(),
                    Direction::Backward => *ours > theirs.as_slice(),
                },
            };
            if written_first {
                let row = written.next().map(|(key, value)| (key.to_vec(), value.to_vec()));
                page.extend(row.map(|(key, value)| (range.plain(key), value)));
            } else if let Some((key, bytes)) = stored.take() {
                let value = self.open(table, &key, bytes).map_err(closed)?;
                page.extend(value.map(|value| (range.plain(key), value)));
            }
        }
        Ok(page)
    }

    /// Opens a stored value; none if its row has gone meanwhile.
    fn open(
        &self,
        table: &'static Table,
        key: &[u8],
        stored: Vec<u8>,
    ) -> Result<Option<Vec<u8>>, VaultError> {
        let engine = &*self.engine;
        match self.vault.open(engine, table, key, stored) {
            Ok(value) => Ok(Some(value)),
            // The owner may have been erased since the row was read, and be here anew.
            Err(VaultError::Altered { .. } | VaultError::Erased { .. })
                if table.scope == Scope::Owner =>
            {
                self.vault.scopes.forget(&scope_of(table, key, &self.vault));
                let Some(stored) = engine.get(table.name, key)? else { return Ok(None) };
                self.vault.open(engine, table, key, stored).map(Some)
            }
            Err(error) => Err(error),
        }
    }

    fn is_erased(&self, overlay: &Overlay, table: &'static Table, key: &[u8]) -> bool {
        overlay.has_erased()
            && table.scope == Scope::Owner
            && overlay.is_erased(&scope_of(table, key, &self.vault))
    }
}

/// The rows of a range that the engine has and the overlay does not touch, page by page.
struct Stored<'a> {
    base: &'a Base,
    overlay: &'a Overlay,
    table: &'static Table,
    from: Vec<u8>,
    to: Vec<u8>,
    direction: Direction,
    page: VecDeque<Row>,
    is_last: bool,
}

impl<'a> Stored<'a> {
    fn new(
        base: &'a Base,
        overlay: &'a Overlay,
        table: &'static Table,
        range: &StoredRange,
        direction: Direction,
    ) -> Self {
        let (from, to) = (range.from.clone(), range.to.clone());
        let (page, is_last) = (VecDeque::new(), false);
        Self { base, overlay, table, from, to, direction, page, is_last }
    }

    /// The next row; fetches `wanted` rows when a page has ended.
    fn peek(&mut self, wanted: usize) -> Result<Option<&Row>, RowsError> {
        while self.page.is_empty() && !self.is_last {
            self.fetch(wanted)?;
        }
        Ok(self.page.front())
    }

    fn take(&mut self) -> Option<Row> {
        self.page.pop_front()
    }

    fn fetch(&mut self, wanted: usize) -> Result<(), RowsError> {
        let (engine, name) = (&self.base.engine, self.table.name);
        let rows =
            engine.scan(name, &self.from, &self.to, wanted, self.direction).map_err(unreadable)?;
        self.is_last = rows.len() < wanted;
        match (rows.last(), self.direction) {
            (None, _) => self.is_last = true,
            (Some((key, _)), Direction::Forward) => {
                self.from.clone_from(key);
                self.from.push(0);
            }
            (Some((key, _)), Direction::Backward) => {
                // An empty end would be no end: nothing lies before the empty key.
                self.is_last |= key.is_empty();
                self.to.clone_from(key);
            }
        }
        let (base, overlay, table) = (self.base, self.overlay, self.table);
        let untouched = |(key, _): &Row| {
            overlay.get(name, key).is_none() && !base.is_erased(overlay, table, key)
        };
        self.page.extend(rows.into_iter().filter(untouched));
        Ok(())
    }
}

fn unreadable(error: EngineError) -> RowsError {
    RowsError(error.to_string())
}

fn closed(error: VaultError) -> RowsError {
    RowsError(error.to_string())
}
