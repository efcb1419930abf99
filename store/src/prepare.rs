//! From closed batches to what the engine writes: expectations read, owners erased, values sealed.
//!
//! It runs on the commit thread, so that no machine waits for encryption. The keys of owners that it
//! makes or erases become known to readers only when the commit is durable.

use std::collections::HashMap;

use godwit_protocol::limits::MAX_SCAN;
use godwit_protocol::rows::{Direction, Scope, Table, prefix_end};

use crate::batch::{Batch, CommitError, PlainWrite, SealedBatch, StoredWrite};
use crate::engine::EngineError;
use crate::layout::{owner_prefix, scope_of};
use crate::reader::Base;
use crate::scope::SCOPE_KEYS;
use crate::vault::{SecretKey, random_key};

/// A commit being put together.
pub(crate) struct Preparation<'a> {
    base: &'a Base,
    batch: Batch,
    /// Keys of owners made (`Some`) or erased (`None`) by this commit.
    scopes: HashMap<Vec<u8>, Option<SecretKey>>,
}

impl<'a> Preparation<'a> {
    pub(crate) fn new(base: &'a Base) -> Self {
        Self { base, batch: Batch::default(), scopes: HashMap::new() }
    }

    /// Adds a batch after those added before; one with expectations must be the first.
    pub(crate) fn add(&mut self, batch: &SealedBatch) -> Result<(), CommitError> {
        for expected in &batch.expectations {
            self.expect(expected)?;
        }
        // Deletes first: the view has put them for its own rows that are not in the engine yet.
        for owner in &batch.erased {
            self.erase(owner)?;
        }
        for write in &batch.writes {
            let value = match &write.value {
                Some(value) => Some(self.seal(write.table, &write.key, value)?),
                None => None,
            };
            self.push(write.table.name, write.key.clone(), value);
        }
        Ok(())
    }

    /// Writes it all at once.
    pub(crate) fn commit(self) -> Result<crate::batch::Durable, CommitError> {
        let durable = self.base.engine.commit(&self.batch)?;
        self.base.vault.scopes.changed(self.scopes);
        Ok(durable)
    }

    /// Compares plain values here, and lets the engine compare the stored ones with its writes.
    fn expect(&mut self, expected: &PlainWrite) -> Result<(), CommitError> {
        let (table, engine) = (expected.table, &*self.base.engine);
        let stored = engine.get(table.name, &expected.key)?;
        let plain = match stored.clone() {
            Some(stored) => Some(self.base.vault.open(engine, table, &expected.key, stored)?),
            None => None,
        };
        if plain.as_deref() != expected.value.as_deref() {
            return Err(EngineError::Unexpected { table: table.name }.into());
        }
        let key = expected.key.clone();
        self.batch.expectations.push(StoredWrite { table: table.name, key, value: stored });
        Ok(())
    }

    /// Deletes the key of an owner and every row of that owner.
    fn erase(&mut self, owner: &[u8]) -> Result<(), CommitError> {
        let base = self.base;
        for table in base.tables.iter() {
            let Some(mut from) = owner_prefix(table, owner, &base.vault) else { continue };
            let end = prefix_end(&from);
            loop {
                let page =
                    base.engine.scan(table.name, &from, &end, MAX_SCAN, Direction::Forward)?;
                let Some((last, _)) = page.last() else { break };
                from = [last.as_slice(), &[0]].concat();
                for (key, _) in page {
                    self.push(table.name, key, None);
                }
            }
        }
        if base.vault.encrypts() {
            let scope = base.vault.hide(owner);
            self.push(SCOPE_KEYS, scope.clone(), None);
            self.scopes.insert(scope, None);
        }
        Ok(())
    }

    fn seal(
        &mut self,
        table: &'static Table,
        key: &[u8],
        value: &[u8],
    ) -> Result<Vec<u8>, CommitError> {
        let vault = &self.base.vault;
        let scope = match table.scope {
            Scope::Owner if vault.encrypts() => Some(self.scope_key(table, key)?),
            Scope::Owner | Scope::Home => None,
        };
        Ok(vault.seal(table, key, value, scope.as_ref())?)
    }

    /// The key of a row's owner, made if there is none.
    fn scope_key(&mut self, table: &'static Table, key: &[u8]) -> Result<SecretKey, CommitError> {
        let vault = &self.base.vault;
        let owner = scope_of(table, key, vault);
        let known = match self.scopes.get(&owner) {
            Some(changed) => changed.clone(),
            None => vault.scopes.find(&*self.base.engine, vault, &owner)?,
        };
        if let Some(known) = known {
            return Ok(known);
        }
        let made = random_key()?;
        let wrapped = vault.wrap((SCOPE_KEYS, &owner), &made)?;
        self.push(SCOPE_KEYS, owner.clone(), Some(wrapped));
        self.scopes.insert(owner, Some(made.clone()));
        Ok(made)
    }

    fn push(&mut self, table: &'static str, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.batch.writes.push(StoredWrite { table, key, value });
    }
}
