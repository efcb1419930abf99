//! The signed chain of an account's devices; with one device it is its genesis entry.
//!
//! ```text
//! entry = v 1 ‖ account 32 ‖ seq LE64 ‖ prev 32 ‖ time LE64 (ms) ‖ signer 32 ‖ ops u8 ‖ op… ‖ sig 64
//! op    = 1 ‖ DK 32 ‖ IK 32 ‖ admin u8 ‖ accept 64                              (add_device)
//! ```
//! The signature (kind `sigchain`, no network) covers everything before it; `accept` (kind
//! `sigchain-accept`) is the new device's own signature over `account ‖ seq ‖ DK ‖ IK ‖ admin`.
//! Rule: an entry is only ever read whole, with every signature checked.
//! Not here yet: further entries; a chain that has them is refused as one from a later version.
//! Source: PROTOCOL §2; `spec/identity.md#sigchain`.

use super::account::account_id;
use super::{AccountRoot, DeviceKeys, device_id};
use crate::crypto::{DhPublic, SignatureBytes, SignatureKind, VerifyKey, hash};
use crate::id::{AccountId, DeviceId};
use crate::limits::MAX_PROOF;
use crate::time::UnixMillis;

const VERSION: u8 = 1;
const ADD_DEVICE: u8 = 1;
/// Bytes of a genesis entry.
const GENESIS: usize = 1 + 32 + 8 + 32 + 8 + 32 + 1 + (1 + 32 + 32 + 1 + 64) + 64;

/// Bytes that are no chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// Not the bytes of a chain.
    #[error("not a sigchain")]
    Malformed,
    /// From a later version, or with entries that this one does not know.
    #[error("a sigchain of a later version")]
    Unsupported,
    /// A signature does not hold, or a key does not belong to the account.
    #[error("a signature of the sigchain does not hold")]
    Signature,
}

/// Where a chain ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The number of the last entry.
    pub seq: u64,
    /// Its hash.
    pub hash: [u8; 32],
}

impl Head {
    /// The beginning of the hash, as links and contents name a head.
    #[must_use]
    pub fn short(&self) -> [u8; 16] {
        self.hash.first_chunk().copied().unwrap_or_default()
    }
}

/// A device that the chain shows active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    /// Which.
    pub id: DeviceId,
    /// DK.
    pub signer: VerifyKey,
    /// IK.
    pub identity: DhPublic,
    /// Whether it may add and revoke devices.
    pub admin: bool,
}

/// A chain whose every signature was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    bytes: Vec<u8>,
    root: VerifyKey,
    account: AccountId,
    device: Device,
    time: UnixMillis,
}

impl Chain {
    /// Makes the genesis: ARK adds the first device as admin, and the device accepts.
    #[must_use]
    pub fn genesis(root: &AccountRoot, keys: &DeviceKeys, time: UnixMillis) -> Self {
        let account = root.account();
        let device = Device {
            id: keys.id(),
            signer: keys.signer().verify_key(),
            identity: keys.identity().public(),
            admin: true,
        };
        let ark = root.signer().verify_key();
        let accept =
            keys.signer().sign(SignatureKind::SigchainAccept, "", &accepted(&account, 0, &device));
        let mut bytes = Vec::with_capacity(GENESIS);
        bytes.push(VERSION);
        bytes.extend_from_slice(account.as_bytes());
        bytes.extend_from_slice(&0_u64.to_le_bytes());
        bytes.extend_from_slice(&[0; 32]);
        bytes.extend_from_slice(&time.0.to_le_bytes());
        bytes.extend_from_slice(&ark.0);
        bytes.extend_from_slice(&[1, ADD_DEVICE]);
        bytes.extend_from_slice(&device.signer.0);
        bytes.extend_from_slice(&device.identity.0);
        bytes.push(1);
        bytes.extend_from_slice(&accept.0);
        let signature = root.signer().sign(SignatureKind::Sigchain, "", &bytes);
        bytes.extend_from_slice(&signature.0);
        Self { bytes, root: ark, account, device, time }
    }

    /// Reads a chain and checks every signature in it.
    ///
    /// # Errors
    /// [`ChainError`] what is wrong.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ChainError> {
        if bytes.len() > MAX_PROOF || bytes.len() < GENESIS {
            return Err(ChainError::Malformed);
        }
        let chain = Self::parse(bytes)?;
        let (covered, signature) = bytes.split_last_chunk::<64>().ok_or(ChainError::Malformed)?;
        chain
            .root
            .verify(SignatureKind::Sigchain, "", covered, &SignatureBytes(*signature))
            .map_err(|_| ChainError::Signature)?;
        if account_id(&chain.root) != chain.account {
            return Err(ChainError::Signature);
        }
        Ok(chain)
    }

    /// The fields of a genesis; the root's signature is the caller's to check.
    fn parse(bytes: &[u8]) -> Result<Self, ChainError> {
        let mut rest = bytes;
        let [version] = take(&mut rest)?;
        let account = AccountId(take(&mut rest)?);
        let seq = u64::from_le_bytes(take(&mut rest)?);
        let prev: [u8; 32] = take(&mut rest)?;
        let time = UnixMillis(u64::from_le_bytes(take(&mut rest)?));
        let root = VerifyKey(take(&mut rest)?);
        let [ops, op] = take(&mut rest)?;
        let signer = VerifyKey(take(&mut rest)?);
        let identity = DhPublic(take(&mut rest)?);
        let [admin] = take(&mut rest)?;
        let accept = SignatureBytes(take(&mut rest)?);
        if version != VERSION || ops != 1 || op != ADD_DEVICE || bytes.len() != GENESIS {
            return Err(ChainError::Unsupported);
        }
        if seq != 0 || prev != [0; 32] || admin != 1 {
            return Err(ChainError::Malformed);
        }
        let device = Device { id: device_id(&signer, &identity), signer, identity, admin: true };
        signer
            .verify(SignatureKind::SigchainAccept, "", &accepted(&account, seq, &device), &accept)
            .map_err(|_| ChainError::Signature)?;
        Ok(Self { bytes: bytes.to_vec(), root, account, device, time })
    }

    /// The chain as it is stored and sent.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.bytes.clone()
    }

    /// ARK: the account's root key.
    #[must_use]
    pub const fn root(&self) -> VerifyKey {
        self.root
    }

    /// Whose chain it is.
    #[must_use]
    pub const fn account(&self) -> AccountId {
        self.account
    }

    /// The active devices, in the order in which they were added.
    #[must_use]
    pub const fn devices(&self) -> &[Device] {
        core::slice::from_ref(&self.device)
    }

    /// Where it ends.
    #[must_use]
    pub fn head(&self) -> Head {
        Head { seq: 0, hash: hash(&[&self.bytes]) }
    }

    /// The hash of its first entry: with the account, what a safety number stands for.
    #[must_use]
    pub fn genesis_hash(&self) -> [u8; 32] {
        hash(&[&self.bytes])
    }

    /// When its last entry says it was made.
    #[must_use]
    pub const fn time(&self) -> UnixMillis {
        self.time
    }
}

/// What a new device signs to accept its addition.
fn accepted(account: &AccountId, seq: u64, device: &Device) -> Vec<u8> {
    [
        account.as_bytes().as_slice(),
        &seq.to_le_bytes(),
        &device.signer.0,
        &device.identity.0,
        &[u8::from(device.admin)],
    ]
    .concat()
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], ChainError> {
    let (field, after) = rest.split_first_chunk::<N>().ok_or(ChainError::Malformed)?;
    *rest = after;
    Ok(*field)
}

#[cfg(test)]
mod tests {
    use chacha20::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;
    use crate::identity::RecoveryPhrase;
    use crate::limits::MAX_ENTRY;

    fn chain() -> Chain {
        let mut rng = ChaCha20Rng::from_seed([4; 32]);
        let root = AccountRoot::from_phrase(&RecoveryPhrase::random(&mut rng));
        Chain::genesis(&root, &DeviceKeys::random(&mut rng), UnixMillis(1_700_000_000_000))
    }

    #[test]
    fn a_genesis_reads_back_and_fits_an_entry() {
        let chain = chain();

        assert_eq!(Chain::from_bytes(&chain.to_bytes()), Ok(chain.clone()));
        assert_eq!(chain.to_bytes().len(), GENESIS);
        const { assert!(GENESIS <= MAX_ENTRY) };
        assert_eq!(chain.devices().len(), 1);
    }

    #[test]
    fn no_flipped_bit_no_missing_and_no_extra_byte_is_accepted() {
        let bytes = chain().to_bytes();

        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(Chain::from_bytes(&changed).is_err(), "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert!(Chain::from_bytes(&bytes[..length]).is_err());
        }
        assert_eq!(
            Chain::from_bytes(&[bytes.as_slice(), &[0]].concat()),
            Err(ChainError::Unsupported)
        );
    }
}
