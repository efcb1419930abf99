//! What one machine reads and writes: its batch being written and those under way, over the engine.
//!
//! ```text
//! mark ─► handle ─► ok: go on │ error: rollback(mark) ─► … ─► take ─► commit ─► durable(number)
//! ```
//!
//! Rule: a read shows everything that this view has written so far. Each table belongs to one view
//! at a time: what another one writes is seen only once it is durable. When a batch fails, the view
//! is worthless: drop it and open the store again. Source: ARCHITECTURE, "The contract", 2 and 4.

use std::sync::Arc;

use godwit_protocol::rows::{Direction, ReadRows, Row, Rows, RowsError, Table};

use crate::batch::{PlainWrite, SealedBatch};
use crate::layout::{check_value, owner_prefix};
use crate::overlay::Overlay;
use crate::reader::Base;

/// The rows of one machine.
pub struct View {
    base: Arc<Base>,
    overlay: Overlay,
    expectations: Vec<PlainWrite>,
    /// The number of the batch being written.
    batch: u64,
    /// What was wrong with the first write that cannot be done.
    fault: Option<RowsError>,
}

/// How far a view's batch had come; good until its next `take`.
#[derive(Debug, Clone)]
pub struct Mark {
    written: usize,
    expectations: usize,
    had_fault: bool,
}

impl View {
    pub(crate) fn new(base: Arc<Base>) -> Self {
        let (overlay, expectations) = (Overlay::default(), Vec::new());
        Self { base, overlay, expectations, batch: 1, fault: None }
    }

    /// Where the batch stands, for [`View::rollback`].
    #[must_use]
    pub fn mark(&self) -> Mark {
        let (written, expectations) = (self.overlay.written(), self.expectations.len());
        Mark { written, expectations, had_fault: self.fault.is_some() }
    }

    /// Throws away what was written since a mark of this batch.
    pub fn rollback(&mut self, mark: Mark) {
        self.overlay.roll_back(mark.written);
        self.expectations.truncate(mark.expectations);
        if !mark.had_fault {
            self.fault = None;
        }
    }

    /// Lets the batch fail unless a committed row has this value (or is absent) when it is written.
    /// Such a batch does not share its flush with earlier ones.
    ///
    /// # Errors
    /// [`RowsError`] if the table is not declared or the key is not one of it.
    pub fn expect(
        &mut self,
        table: &'static Table,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), RowsError> {
        let key = self.base.tables.key(table, key, &self.base.vault)?.into_owned();
        let value = value.map(Arc::from);
        self.expectations.push(PlainWrite { table, key, value });
        Ok(())
    }

    /// Closes the batch and begins the next one; none if nothing was written.
    ///
    /// # Errors
    /// [`RowsError`] if one of the writes cannot be done: its table is not declared, its key is not
    /// one of the table, or its value is too large. The view must be dropped then.
    pub fn take(&mut self) -> Result<Option<SealedBatch>, RowsError> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        if self.overlay.written() == 0 && self.expectations.is_empty() {
            return Ok(None);
        }
        let number = self.batch;
        self.batch = self.batch.saturating_add(1);
        let (erased, writes) = self.overlay.close(number);
        let expectations = core::mem::take(&mut self.expectations);
        Ok(Some(SealedBatch { number, expectations, erased, writes }))
    }

    /// Whether nothing was written since the last [`Self::take`].
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.fault.is_none() && self.overlay.written() == 0 && self.expectations.is_empty()
    }

    /// Says that a batch (and so every earlier one) is durable: its rows are read from the engine
    /// from now on.
    pub fn durable(&mut self, number: u64) {
        self.overlay.forget(number);
    }

    fn write(&mut self, table: &'static Table, key: &[u8], value: Option<Vec<u8>>) {
        let fits = value.as_ref().map_or(Ok(()), |value| check_value(table, value));
        match fits.and_then(|()| self.base.tables.key(table, key, &self.base.vault)) {
            Ok(key) => {
                let value = value.map(Arc::from);
                self.overlay.write(table, key.into_owned(), value, self.batch);
            }
            Err(fault) => {
                self.fault.get_or_insert(fault);
            }
        }
    }
}

impl ReadRows for View {
    fn get(&self, table: &'static Table, key: &[u8]) -> Result<Option<Vec<u8>>, RowsError> {
        self.base.get(&self.overlay, table, key)
    }

    fn scan(
        &self,
        table: &'static Table,
        from: &[u8],
        to: &[u8],
        limit: usize,
        direction: Direction,
    ) -> Result<Vec<Row>, RowsError> {
        self.base.scan(&self.overlay, table, (from, to), (limit, direction))
    }
}

impl Rows for View {
    fn put(&mut self, table: &'static Table, key: &[u8], value: Vec<u8>) {
        self.write(table, key, Some(value));
    }

    fn delete(&mut self, table: &'static Table, key: &[u8]) {
        self.write(table, key, None);
    }

    /// What is written for the owner afterwards gets a new key.
    fn erase_owner(&mut self, owner: &[u8]) {
        let vault = &self.base.vault;
        let prefix = |table| Some((table, owner_prefix(table, owner, vault)?));
        let prefixes = self.base.tables.iter().filter_map(prefix).collect();
        self.overlay.erase((owner.to_vec(), vault.hide(owner)), prefixes, self.batch);
    }
}
