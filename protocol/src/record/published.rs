//! What stands in the DHT: an account record or a bundle, under the hash of what it is about.
//!
//! ```text
//! account record: H("godwit/account-record/1" ‖ account_id)      bundle: H("godwit/prekeys/1" ‖ device_id)
//! ```
//! Rule: a [`Published`] exists only if size, key, signature, times and network are right; whoever
//! holds one and whoever reads one check the same. Source: PROTOCOL §3; `spec/records.md`.

use super::{AccountRecord, RecordError};
use crate::crypto::hash;
use crate::id::{AccountId, DeviceId, RecordKey};
use crate::limits::MAX_RECORD;
use crate::session::{Bundle, BundleError};
use crate::time::UnixMillis;

/// Bytes that may not stand under that key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublishedError {
    /// More than a record may have.
    #[error("larger than a record may be")]
    TooLarge,
    /// Neither an account record nor a bundle, or one whose signature does not hold.
    #[error("neither an account record nor a bundle that is signed")]
    Malformed,
    /// For another network.
    #[error("a record of another network")]
    OtherNetwork,
    /// About somebody else than its key says.
    #[error("a record under the key of another one")]
    Key,
    /// Over, too far ahead, or valid for too long.
    #[error("the record is not valid at this time")]
    Time,
}

/// Of two records under one key the greater counts: first by the account's chain, then by when it
/// was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// The number of the chain's last entry; 0 for a bundle.
    entries: u64,
    /// Where the last entries differ, the lower hash counts (PROTOCOL §2, "Forks", 4).
    hash: core::cmp::Reverse<[u8; 32]>,
    /// Unix seconds of signing.
    seq: u64,
}

/// A record that may stand in the DHT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Published {
    /// An account's devices and hosts.
    Account(AccountRecord),
    /// A device's prekeys.
    Bundle(Bundle),
}

/// Where the record of an account stands.
#[must_use]
pub fn account_key(account: &AccountId) -> RecordKey {
    RecordKey(hash(&[b"godwit/account-record/1", account.as_bytes()]))
}

/// Where the bundle of a device stands.
#[must_use]
pub fn bundle_key(device: &DeviceId) -> RecordKey {
    RecordKey(hash(&[b"godwit/prekeys/1", device.as_bytes()]))
}

impl AccountRecord {
    /// How it compares with another record of the account.
    #[must_use]
    pub fn rank(&self) -> Rank {
        let head = self.chain().head();
        Rank { entries: head.seq, hash: core::cmp::Reverse(head.hash), seq: self.seq() }
    }
}

impl Published {
    /// Reads and verifies what stands under a key of the network `net` at `now`.
    ///
    /// # Errors
    /// [`PublishedError`]: every case.
    pub fn from_bytes(
        key: &RecordKey,
        bytes: &[u8],
        net: &str,
        now: UnixMillis,
    ) -> Result<Self, PublishedError> {
        if bytes.len() > MAX_RECORD {
            return Err(PublishedError::TooLarge);
        }
        let published = match AccountRecord::from_bytes(bytes, net) {
            Ok(record) => {
                record.check_time(now).map_err(|_| PublishedError::Time)?;
                Self::Account(record)
            }
            Err(RecordError::OtherNetwork) => return Err(PublishedError::OtherNetwork),
            Err(_) => {
                let bundle = Bundle::from_bytes(bytes, net).map_err(|error| match error {
                    BundleError::TooLong => PublishedError::Time,
                    _ => PublishedError::Malformed,
                })?;
                bundle.check_time(now).map_err(|_| PublishedError::Time)?;
                Self::Bundle(bundle)
            }
        };
        if published.key() == *key { Ok(published) } else { Err(PublishedError::Key) }
    }

    /// Where it stands.
    #[must_use]
    pub fn key(&self) -> RecordKey {
        match self {
            Self::Account(record) => account_key(&record.account()),
            Self::Bundle(bundle) => bundle_key(&bundle.device_id()),
        }
    }

    /// How it compares with another record under its key.
    #[must_use]
    pub fn rank(&self) -> Rank {
        match self {
            Self::Account(record) => record.rank(),
            Self::Bundle(bundle) => {
                Rank { entries: 0, hash: core::cmp::Reverse([0; 32]), seq: bundle.seq() }
            }
        }
    }

    /// Until when it is valid.
    #[must_use]
    pub const fn expires(&self) -> UnixMillis {
        match self {
            Self::Account(record) => record.expires(),
            Self::Bundle(bundle) => bundle.expires(),
        }
    }

    /// The bytes as signed.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Account(record) => record.to_bytes(),
            Self::Bundle(bundle) => bundle.to_bytes(),
        }
    }
}
