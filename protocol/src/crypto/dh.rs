//! X25519 (RFC 7748), with the check that the other side contributed.

use core::fmt;

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use x25519_dalek::{PublicKey, StaticSecret};

use super::Secret;

/// The other side's key contributes nothing (the all-zero result of RFC 7748, §6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the other side's key contributes nothing")]
pub struct DhError;

/// An X25519 private key.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DhSecret(Secret<32>);

/// An X25519 public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DhPublic(pub [u8; 32]);

impl DhSecret {
    /// Draws a key.
    #[must_use]
    pub fn random(rng: &mut dyn CryptoRng) -> Self {
        Self(Secret::random(rng))
    }

    /// Takes the 32 bytes of a key; they are clamped where they are used.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Secret::new(bytes))
    }

    /// The bytes, to be stored.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> DhPublic {
        DhPublic(PublicKey::from(&StaticSecret::from(*self.0.expose())).to_bytes())
    }

    /// The shared secret with `other`.
    ///
    /// # Errors
    /// [`DhError`] if it would be all zero.
    pub fn agree(&self, other: &DhPublic) -> Result<Secret<32>, DhError> {
        let shared = StaticSecret::from(*self.0.expose()).diffie_hellman(&PublicKey::from(other.0));
        if shared.was_contributory() { Ok(Secret::new(shared.to_bytes())) } else { Err(DhError) }
    }
}

impl fmt::Debug for DhSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DhSecret")
    }
}
