//! One page of what a memtable has and what its engine has, in one order.

use core::cmp::Ordering;
use std::collections::VecDeque;

use godwit_protocol::rows::{Direction, Row};

use super::memtable::{Written, comes};
use super::{Engine, EngineError};

/// The rows of a range that an engine has, page by page.
pub(super) struct Stored<'a> {
    engine: &'a dyn Engine,
    table: &'a str,
    from: Vec<u8>,
    to: Vec<u8>,
    direction: Direction,
    page: VecDeque<Row>,
    /// The row after the page does not open.
    not_whole: Option<(Vec<u8>, EngineError)>,
    is_read: bool,
}

impl<'a> Stored<'a> {
    /// The rows of a range that is not empty.
    pub(super) fn new(
        engine: &'a dyn Engine,
        table: &'a str,
        (from, to): (&[u8], &[u8]),
        direction: Direction,
    ) -> Self {
        let (from, to, page) = (from.to_vec(), to.to_vec(), VecDeque::new());
        Self { engine, table, from, to, direction, page, not_whole: None, is_read: false }
    }

    /// At most `limit` rows of both; of one key what was written. A row that does not open is an error
    /// where nothing was written over it.
    pub(super) fn under(
        mut self,
        written: Vec<Written>,
        limit: usize,
    ) -> Result<Vec<Row>, EngineError> {
        let mut written = written.into_iter().peekable();
        let mut page = Vec::new();
        while page.len() < limit {
            let (wanted, direction) = (limit.saturating_sub(page.len()), self.direction);
            let order = match (written.peek(), self.peek(wanted)?) {
                (None, None) => break,
                (None, Some(_)) => Ordering::Greater,
                (Some(_), None) => Ordering::Less,
                (Some((ours, _)), Some(theirs)) => comes(ours, theirs, direction),
            };
            if order == Ordering::Greater {
                page.extend(self.take()?);
                continue;
            }
            if order == Ordering::Equal {
                self.pass();
            }
            let row = written.next().and_then(|(key, value)| Some((key, value?)));
            page.extend(row);
        }
        Ok(page)
    }

    /// The key of the next row, one that does not open included.
    fn peek(&mut self, wanted: usize) -> Result<Option<&[u8]>, EngineError> {
        while self.page.is_empty() && self.not_whole.is_none() && !self.is_read {
            self.fill(wanted)?;
        }
        let failed = self.not_whole.as_ref().map(|(key, _)| key);
        Ok(self.page.front().map(|(key, _)| key).or(failed).map(Vec::as_slice))
    }

    fn take(&mut self) -> Result<Option<Row>, EngineError> {
        match (self.page.pop_front(), self.not_whole.take()) {
            (None, Some((_, error))) => Err(error),
            (row, not_whole) => {
                self.not_whole = not_whole;
                Ok(row)
            }
        }
    }

    /// Goes beyond the next row, in whatever state it is.
    fn pass(&mut self) {
        if self.page.pop_front().is_none() {
            self.not_whole = None;
        }
    }

    fn fill(&mut self, wanted: usize) -> Result<(), EngineError> {
        let (engine, table, direction) = (self.engine, self.table, self.direction);
        let mut rows = engine.scan(table, &self.from, &self.to, wanted, direction);
        if let Err(EngineError::NotWhole { key, .. }) = &rows {
            let key = key.clone();
            let beyond = [key.as_slice(), &[0]].concat();
            let (from, to) = match direction {
                Direction::Forward => (self.from.as_slice(), key.as_slice()),
                Direction::Backward => (beyond.as_slice(), self.to.as_slice()),
            };
            // The rows before it were not given: they are fewer than were wanted.
            let before = engine.scan(table, from, to, wanted, direction)?;
            if let Err(error) = core::mem::replace(&mut rows, Ok(before)) {
                self.not_whole = Some((key, error));
            }
        }
        self.page = rows?.into();
        self.is_read = self.page.len() < wanted && self.not_whole.is_none();
        let failed = self.not_whole.as_ref().map(|(key, _)| key);
        if let Some(last) = failed.or(self.page.back().map(|(key, _)| key)) {
            match direction {
                Direction::Forward => self.from = [last.as_slice(), &[0]].concat(),
                Direction::Backward => self.to.clone_from(last),
            }
        }
        // Backward, an upper end that is the lowest key leaves nothing; empty would mean no end.
        self.is_read |= direction == Direction::Backward && self.to.is_empty();
        Ok(())
    }
}
