//! HPKE base mode (RFC 9180) with KEM X-Wing 0x647a, HKDF-SHA-256 0x0001, ChaCha20-Poly1305 0x0003.

use core::fmt;

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use super::Secret;

/// Bytes of an X-Wing public key.
pub const SEAL_PUBLIC: usize = 1_216;
/// Bytes of an encapsulated key.
pub const SEAL_ENC: usize = 1_120;

/// Bytes that are no seal key, or that were not sealed to this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not sealed to this key")]
pub struct SealError;

/// An X-Wing private key: 32 bytes.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SealSecret(Secret<32>);

/// An X-Wing public key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "serde_bytes::ByteBuf", into = "serde_bytes::ByteBuf")]
pub struct SealPublic(Vec<u8>);

impl SealSecret {
    /// Draws a key.
    #[must_use]
    pub fn random(rng: &mut dyn CryptoRng) -> Self {
        Self(Secret::random(rng))
    }

    /// Takes the 32 bytes of a key.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Secret::new(bytes))
    }

    /// The seed, for vectors.
    #[cfg(test)]
    pub(crate) const fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    /// The public key.
    ///
    /// # Errors
    /// [`SealError`] never: every 32 bytes are a key.
    pub fn public(&self) -> Result<SealPublic, SealError> {
        let private = self.private()?;
        Ok(SealPublic(XWing::sk_to_pk(&private).to_bytes().to_vec()))
    }

    /// Opens what was sealed to this key under `info`.
    ///
    /// # Errors
    /// [`SealError`] if it was not.
    pub fn open(&self, enc: &[u8], sealed: &[u8], info: &[u8]) -> Result<Vec<u8>, SealError> {
        let private = self.private()?;
        let enc = <XWing as Kem>::EncappedKey::from_bytes(enc).map_err(|_| SealError)?;
        hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, XWing>(
            &OpModeR::Base,
            &private,
            &enc,
            info,
            sealed,
            b"",
        )
        .map_err(|_| SealError)
    }

    fn private(&self) -> Result<<XWing as Kem>::PrivateKey, SealError> {
        <XWing as Kem>::PrivateKey::from_bytes(self.0.expose()).map_err(|_| SealError)
    }
}

impl fmt::Debug for SealSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealSecret")
    }
}

impl SealPublic {
    /// Checks the bytes of a key.
    ///
    /// # Errors
    /// [`SealError`] if they are none.
    pub fn new(bytes: &[u8]) -> Result<Self, SealError> {
        <XWing as Kem>::PublicKey::from_bytes(bytes).map_err(|_| SealError)?;
        Ok(Self(bytes.to_vec()))
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Seals `plain` under `info`: the encapsulated key and a ciphertext 16 bytes longer.
    ///
    /// # Errors
    /// [`SealError`] if the encapsulation fails, which no key that was checked does.
    pub fn seal(
        &self,
        plain: &[u8],
        info: &[u8],
        mut rng: &mut dyn CryptoRng,
    ) -> Result<(Vec<u8>, Vec<u8>), SealError> {
        let public = <XWing as Kem>::PublicKey::from_bytes(&self.0).map_err(|_| SealError)?;
        let (enc, sealed) = hpke::single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, XWing>(
            &OpModeS::Base,
            &public,
            info,
            plain,
            b"",
            &mut rng,
        )
        .map_err(|_| SealError)?;
        Ok((enc.to_bytes().to_vec(), sealed))
    }
}

impl fmt::Debug for SealPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealPublic")
    }
}

impl TryFrom<serde_bytes::ByteBuf> for SealPublic {
    type Error = SealError;
    fn try_from(bytes: serde_bytes::ByteBuf) -> Result<Self, SealError> {
        Self::new(&bytes)
    }
}

impl From<SealPublic> for serde_bytes::ByteBuf {
    fn from(key: SealPublic) -> Self {
        Self::from(key.0)
    }
}
