//! What an earlier version stored is brought to this one, when it is opened.
//!
//! ```text
//! for each version above the store's: each of its steps over its table, page by page; then the version
//! ```
//! Rules: each row says which shape it has, so whatever ends it half way, the next start goes on. A row
//! that does not open, or makes no sense, stays as it is: reading it fails as before. Nothing that was
//! brought here goes back: an earlier program refuses the store untouched.
//!
//! What the steps are is said in [`godwit_protocol::rows::steps`].

use godwit_protocol::limits::MAX_SCAN;
use godwit_protocol::rows::Direction;
use godwit_protocol::rows::steps::{STEPS, Step, VERSION};

use crate::batch::{Batch, CommitError, PlainWrite, SealedBatch};
use crate::engine::EngineError;
use crate::open::{OpenError, version_row};
use crate::prepare::Preparation;
use crate::reader::Base;

/// Does every step that a store of this version lacks.
pub(crate) fn migrate(base: &Base, found: u32) -> Result<(), OpenError> {
    for version in found.saturating_add(1)..=VERSION {
        for step in STEPS.iter().filter(|step| step.version == version) {
            run(base, step)?;
        }
        base.engine
            .commit(&Batch { expectations: Vec::new(), writes: vec![version_row(version)] })?;
    }
    Ok(())
}

fn run(base: &Base, step: &Step) -> Result<(), OpenError> {
    if !base.tables.iter().any(|table| table == step.table) {
        // Its rows would be left behind.
        let fault = "it is not declared, and an earlier version wrote it";
        return Err(OpenError::Declaration { table: step.table.name, fault });
    }
    let mut from = Vec::new();
    loop {
        let name = step.table.name;
        let page = match base.engine.scan(name, &from, &[], MAX_SCAN, Direction::Forward) {
            Err(EngineError::NotWhole { key, .. }) => {
                let whole = base.engine.scan(name, &from, &key, MAX_SCAN, Direction::Forward)?;
                from = [key.as_slice(), &[0]].concat();
                whole
            }
            page => {
                let page = page?;
                let Some((last, _)) = page.last() else { return Ok(()) };
                from = [last.as_slice(), &[0]].concat();
                page
            }
        };
        let changed = |(key, stored): (Vec<u8>, Vec<u8>)| {
            let plain = base.vault.open(&*base.engine, step.table, &key, stored).ok()?;
            let value = step.apply(&plain).ok()??;
            Some(PlainWrite { table: step.table, key, value: Some(value.into()) })
        };
        let writes: Vec<PlainWrite> = page.into_iter().filter_map(changed).collect();
        if !writes.is_empty() {
            let batch =
                SealedBatch { number: 0, expectations: Vec::new(), erased: Vec::new(), writes };
            let mut preparation = Preparation::new(base);
            preparation.add(&batch)?;
            preparation.commit()?;
        }
    }
}

impl From<CommitError> for OpenError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Engine(error) => error.into(),
            CommitError::Vault(error) => error.into(),
            CommitError::Broken => Self::Damaged(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
