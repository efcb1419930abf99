//! The keys of owners: 32 random bytes each, a wrapped row, and a bounded cache.
//!
//! ```text
//! `_scope_keys`:  HMAC(k_index, owner) ──► version ‖ nonce ‖ wrapped key
//! ```
//!
//! Rule: erasing an owner deletes this row; copies of that owner's values that linger in old
//! segments of the disk are noise from then on. Source: STORE-NOTES ("housekeeping"); DATA 8.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::engine::Engine;
use crate::vault::{SecretKey, Vault, VaultError};

/// Where the keys are.
pub(crate) const SCOPE_KEYS: &str = "_scope_keys";
/// Keys kept unwrapped: four times what one host admits by default (PROTOCOL §7: 512 owner keys);
/// a full cache starts anew, at the price of one more read per owner.
const MAX_CACHED: usize = 2_048;

/// The unwrapped keys of owners that were used lately.
#[derive(Default)]
pub(crate) struct ScopeKeys(Mutex<Cache>);

#[derive(Default)]
struct Cache {
    keys: HashMap<Vec<u8>, SecretKey>,
    /// Grows with every change, so that what was read before one is not kept after it.
    changes: u64,
}

impl ScopeKeys {
    /// The key of an owner; none if there is none (yet, or any more).
    pub(crate) fn find(
        &self,
        engine: &dyn Engine,
        vault: &Vault,
        owner: &[u8],
    ) -> Result<Option<SecretKey>, VaultError> {
        let changes = {
            let cache = self.lock();
            if let Some(key) = cache.keys.get(owner) {
                return Ok(Some(key.clone()));
            }
            cache.changes
        };
        let Some(row) = engine.get(SCOPE_KEYS, owner)? else { return Ok(None) };
        let key = vault
            .unwrap((SCOPE_KEYS, owner), &row)
            .ok_or(VaultError::Altered { table: SCOPE_KEYS })?;
        let mut cache = self.lock();
        if cache.changes == changes {
            cache.keep(owner.to_vec(), key.clone());
        }
        Ok(Some(key))
    }

    /// Takes over what a durable commit made (`Some`) or erased (`None`).
    pub(crate) fn changed(&self, changes: HashMap<Vec<u8>, Option<SecretKey>>) {
        if changes.is_empty() {
            return;
        }
        let mut cache = self.lock();
        cache.changes = cache.changes.wrapping_add(1);
        for (owner, key) in changes {
            match key {
                Some(key) => cache.keep(owner, key),
                None => drop(cache.keys.remove(&owner)),
            }
        }
    }

    /// Reads an owner's key anew next time.
    pub(crate) fn forget(&self, owner: &[u8]) {
        drop(self.lock().keys.remove(owner));
    }

    fn lock(&self) -> MutexGuard<'_, Cache> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cache {
    fn keep(&mut self, owner: Vec<u8>, key: SecretKey) {
        if self.keys.len() >= MAX_CACHED {
            self.keys.clear();
        }
        self.keys.insert(owner, key);
    }
}
