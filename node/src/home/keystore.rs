//! What the keystore holds.

use godwit_protocol::crypto::Secret;
use godwit_protocol::identity::DeviceKeys;
use godwit_protocol::wire::codec;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// The largest keystore in bytes: keys, a genesis entry and a name, with room for later versions.
pub(crate) const MAX_KEYSTORE: usize = 16 * 1_024;

/// The account of a home.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AccountHome {
    /// This device's long-term keys.
    pub device: DeviceKeys,
    /// The key that encrypts backups.
    pub backup: Secret<32>,
    /// The sigchain as it was when the home was made: the genesis entry; newer entries are rows.
    pub chain: Vec<u8>,
    /// The name that the person suggests to contacts.
    pub name: Option<String>,
}

/// Everything that only the passphrase opens, apart from the node key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Keystore {
    /// Seals the store's keys.
    pub(crate) data_key: Secret<32>,
    /// `None` at a host.
    pub(crate) account: Option<AccountHome>,
}

/// Versions of the keystore; append only.
#[derive(Serialize, Deserialize)]
enum Stored {
    V1(Keystore),
}

impl Keystore {
    /// `None` if it would be larger than a keystore may be.
    pub(crate) fn to_bytes(&self) -> Option<Zeroizing<Vec<u8>>> {
        codec::encode(&Stored::V1(self.clone()), MAX_KEYSTORE).ok().map(Zeroizing::new)
    }

    /// `None` if the bytes are no keystore.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let Stored::V1(keystore) = codec::decode(bytes, MAX_KEYSTORE).ok()?;
        Some(keystore)
    }
}
