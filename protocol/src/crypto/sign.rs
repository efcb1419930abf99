//! Ed25519 (RFC 8032) with a domain label in every signature.
//!
//! A signature covers `"godwit/sig/<kind>/1" ‖ LP(net) ‖ canonical bytes`, is verified strictly, and
//! is made over the bytes as sent. Source: PROTOCOL §1, "Signatures".

use core::fmt;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use super::{Secret, lp_into};

/// What a signature is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureKind {
    /// An entry of a sigchain (`net` empty).
    Sigchain,
    /// A new device's counter-signature of its addition (`net` empty).
    SigchainAccept,
    /// An account record.
    AccountRecord,
    /// A prekey bundle.
    Bundle,
    /// A device's list of mailbox hosts.
    Manifest,
    /// An owner key's proof on one stream of a host.
    Owner,
    /// A fence record.
    Fence,
    /// A host's receipt for one commit.
    DepositReceipt,
    /// A host's receipt for an erasure.
    ErasureReceipt,
}

impl SignatureKind {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Sigchain => b"godwit/sig/sigchain/1",
            Self::SigchainAccept => b"godwit/sig/sigchain-accept/1",
            Self::AccountRecord => b"godwit/sig/account-record/1",
            Self::Bundle => b"godwit/sig/bundle/1",
            Self::Manifest => b"godwit/sig/manifest/1",
            Self::Owner => b"godwit/sig/owner/1",
            Self::Fence => b"godwit/sig/fence/1",
            Self::DepositReceipt => b"godwit/sig/deposit-receipt/1",
            Self::ErasureReceipt => b"godwit/sig/erasure-receipt/1",
        }
    }

    fn covered(self, net: &str, bytes: &[u8]) -> Vec<u8> {
        let mut covered = self.label().to_vec();
        lp_into(&mut covered, net.as_bytes());
        covered.extend_from_slice(bytes);
        covered
    }
}

/// A signature that was not made by this key over these bytes for this purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not hold")]
pub struct SignatureError;

/// A signature as it travels.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SignatureBytes(pub [u8; 64]);

impl fmt::Debug for SignatureBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignatureBytes")
    }
}

impl Serialize for SignatureBytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_bytes::serialize(self.0.as_slice(), serializer)
    }
}

impl<'de> Deserialize<'de> for SignatureBytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes: Vec<u8> = serde_bytes::deserialize(deserializer)?;
        bytes
            .try_into()
            .map(Self)
            .map_err(|_| serde::de::Error::invalid_length(0, &"a signature of 64 bytes"))
    }
}

/// A key that signs.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Signer(Secret<32>);

impl Signer {
    /// Draws a key.
    #[must_use]
    pub fn random(rng: &mut dyn CryptoRng) -> Self {
        Self(Secret::random(rng))
    }

    /// Takes the 32-byte seed of a key.
    #[must_use]
    pub const fn from_seed(seed: [u8; 32]) -> Self {
        Self(Secret::new(seed))
    }

    /// The seed, to be stored.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    /// The public key.
    #[must_use]
    pub fn verify_key(&self) -> VerifyKey {
        VerifyKey(SigningKey::from_bytes(self.0.expose()).verifying_key().to_bytes())
    }

    /// Signs `bytes` for one purpose in one network (empty for what belongs to the identity itself).
    #[must_use]
    pub fn sign(&self, kind: SignatureKind, net: &str, bytes: &[u8]) -> SignatureBytes {
        let key = SigningKey::from_bytes(self.0.expose());
        SignatureBytes(key.sign(&kind.covered(net, bytes)).to_bytes())
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer")
    }
}

/// The public key of a signer; it is checked where it verifies.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VerifyKey(pub [u8; 32]);

impl VerifyKey {
    /// Verifies strictly: no small-order key, no malleable signature.
    ///
    /// # Errors
    /// [`SignatureError`] if the key is none or the signature does not hold.
    pub fn verify(
        &self,
        kind: SignatureKind,
        net: &str,
        bytes: &[u8],
        signature: &SignatureBytes,
    ) -> Result<(), SignatureError> {
        let key = VerifyingKey::from_bytes(&self.0).map_err(|_| SignatureError)?;
        key.verify_strict(&kind.covered(net, bytes), &Signature::from_bytes(&signature.0))
            .map_err(|_| SignatureError)
    }
}

impl fmt::Debug for VerifyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerifyKey(…)")
    }
}
