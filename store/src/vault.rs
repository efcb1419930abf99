//! Encryption at rest: each value under its scope's key, hidden key parts as keyed hashes.
//!
//! ```text
//! data key ──HMAC──► k_index (hidden parts) · k_home (values of the home) · k_wrap (owners' keys)
//! row:  version 1 ‖ nonce 24 ‖ XChaCha20-Poly1305(value, aad = table ‖ 0 ‖ key as stored)
//! ```
//!
//! Rule: a value opens only in the table and under the key where it was put, so rows cannot be
//! swapped on the disk. What it does not hide: shown key parts, sizes, how many rows there are, and
//! that an older row was put back. Source: STORE-NOTES, "Shape that works"; DATA 8.

use core::fmt;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{Key, KeyInit, XChaCha20Poly1305, XNonce};
use godwit_protocol::rows::{Scope, Table};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

use crate::engine::{Engine, EngineError};
use crate::scope::ScopeKeys;

const VERSION: u8 = 1;
const NONCE: usize = 24;

/// 32 secret bytes.
pub(crate) type SecretKey = Zeroizing<[u8; 32]>;

/// The home's key for everything stored, from the keystore; wiped when dropped.
pub struct DataKey(SecretKey);

impl DataKey {
    /// Takes the bytes over, and wipes the caller's copy.
    #[must_use]
    pub fn take(bytes: &mut [u8; 32]) -> Self {
        let key = Zeroizing::new(*bytes);
        bytes.zeroize();
        Self(key)
    }

    /// The same key once more.
    pub(crate) fn again(&self) -> Self {
        Self(self.0.clone())
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey")
    }
}

/// Why a value cannot be encrypted or read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum VaultError {
    /// A row does not open: it was altered, moved or damaged.
    #[error("a row of `{table}` does not open: it was altered or is damaged")]
    Altered {
        /// The table.
        table: &'static str,
    },
    /// The owner of a row has no key: it was erased.
    #[error("the key of a row of `{table}` was erased")]
    Erased {
        /// The table.
        table: &'static str,
    },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Random,
    /// The engine failed meanwhile.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// What turns plain keys and values into stored ones and back.
pub(crate) struct Vault {
    /// None: keys and values are stored as they are (the simulator).
    keys: Option<Keys>,
    pub(crate) scopes: ScopeKeys,
}

struct Keys {
    index: SecretKey,
    home: SecretKey,
    wrap: SecretKey,
}

impl Vault {
    /// Leaves everything as it is.
    pub(crate) fn none() -> Self {
        Self { keys: None, scopes: ScopeKeys::default() }
    }

    /// Derives what it needs from the data key.
    pub(crate) fn new(data_key: &DataKey) -> Self {
        let derive = |label: &str| Zeroizing::new(hmac(&data_key.0, label.as_bytes()));
        let keys = Keys {
            index: derive("godwit store index 1"),
            home: derive("godwit store home 1"),
            wrap: derive("godwit store wrap 1"),
        };
        Self { keys: Some(keys), scopes: ScopeKeys::default() }
    }

    /// A row that tells the right data key from a wrong one.
    pub(crate) fn proof(&self, row: (&str, &[u8])) -> Result<Vec<u8>, VaultError> {
        match &self.keys {
            Some(keys) => seal(&keys.home, row.0, row.1, b"sealed"),
            None => Ok(b"plain".to_vec()),
        }
    }

    /// Whether this is the vault that made such a row.
    pub(crate) fn made(&self, row: (&str, &[u8]), stored: &[u8]) -> bool {
        match &self.keys {
            Some(keys) => open(&keys.home, row.0, row.1, stored).is_some(),
            None => stored == b"plain",
        }
    }

    /// Whether it encrypts.
    pub(crate) fn encrypts(&self) -> bool {
        self.keys.is_some()
    }

    /// What is stored in place of a hidden part (at most 32 bytes).
    pub(crate) fn hide(&self, part: &[u8]) -> Vec<u8> {
        let Some(keys) = &self.keys else { return part.to_vec() };
        let mut hidden = hmac(&keys.index, part).to_vec();
        hidden.truncate(part.len());
        hidden
    }

    /// Reads a stored value.
    pub(crate) fn open(
        &self,
        engine: &dyn Engine,
        table: &'static Table,
        key: &[u8],
        stored: Vec<u8>,
    ) -> Result<Vec<u8>, VaultError> {
        let Some(keys) = &self.keys else { return Ok(stored) };
        let altered = VaultError::Altered { table: table.name };
        match table.scope {
            Scope::Home => open(&keys.home, table.name, key, &stored).ok_or(altered),
            Scope::Owner => {
                let owner = crate::layout::scope_of(table, key, self);
                let erased = VaultError::Erased { table: table.name };
                let scope = self.scopes.find(engine, self, &owner)?.ok_or(erased)?;
                open(&scope, table.name, key, &stored).ok_or(altered)
            }
        }
    }

    /// Seals a value of the home, or one of an owner under that owner's key.
    pub(crate) fn seal(
        &self,
        table: &'static Table,
        key: &[u8],
        value: &[u8],
        scope: Option<&SecretKey>,
    ) -> Result<Vec<u8>, VaultError> {
        match (&self.keys, scope) {
            (None, _) => Ok(value.to_vec()),
            (Some(_), Some(scope)) => seal(scope, table.name, key, value),
            (Some(keys), None) => seal(&keys.home, table.name, key, value),
        }
    }

    /// Wraps an owner's key for its row.
    pub(crate) fn wrap(&self, row: (&str, &[u8]), key: &SecretKey) -> Result<Vec<u8>, VaultError> {
        match &self.keys {
            Some(keys) => seal(&keys.wrap, row.0, row.1, key.as_slice()),
            None => Ok(Vec::new()),
        }
    }

    /// Unwraps an owner's key; none if it was altered.
    pub(crate) fn unwrap(&self, row: (&str, &[u8]), stored: &[u8]) -> Option<SecretKey> {
        let plain = Zeroizing::new(open(&self.keys.as_ref()?.wrap, row.0, row.1, stored)?);
        let key: &[u8; 32] = plain.as_slice().try_into().ok()?;
        Some(Zeroizing::new(*key))
    }
}

/// Fresh secret bytes.
pub(crate) fn random_key() -> Result<SecretKey, VaultError> {
    let mut key = Zeroizing::new([0; 32]);
    getrandom::fill(key.as_mut_slice()).map_err(|_| VaultError::Random)?;
    Ok(key)
}

fn seal(key: &SecretKey, table: &str, at: &[u8], value: &[u8]) -> Result<Vec<u8>, VaultError> {
    let mut nonce = [0; NONCE];
    getrandom::fill(&mut nonce).map_err(|_| VaultError::Random)?;
    let payload = Payload { msg: value, aad: &place(table, at) };
    // The only error is a plaintext above 256 GiB.
    let sealed = XChaCha20Poly1305::new(&Key::from(**key))
        .encrypt(&XNonce::from(nonce), payload)
        .unwrap_or_default();
    Ok([&[VERSION][..], &nonce, &sealed].concat())
}

fn open(key: &SecretKey, table: &str, at: &[u8], stored: &[u8]) -> Option<Vec<u8>> {
    let (&VERSION, rest) = stored.split_first()? else { return None };
    let (nonce, sealed) = rest.split_first_chunk::<NONCE>()?;
    let payload = Payload { msg: sealed, aad: &place(table, at) };
    XChaCha20Poly1305::new(&Key::from(**key)).decrypt(&XNonce::from(*nonce), payload).ok()
}

/// Where a value belongs, as associated data.
fn place(table: &str, key: &[u8]) -> Vec<u8> {
    [table.as_bytes(), &[0], key].concat()
}

fn hmac(key: &SecretKey, text: &[u8]) -> [u8; 32] {
    // The only error is a key length, and HMAC takes any.
    let Ok(mut mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(key.as_slice()) else {
        return [0; 32];
    };
    mac.update(text);
    mac.finalize().into_bytes().into()
}
