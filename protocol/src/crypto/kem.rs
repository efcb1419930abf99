//! ML-KEM (FIPS 203): 1024 for the handshake's prekey, 768 for the ratchet's epochs.
//!
//! Private keys are 64-byte seeds. A wrong ciphertext of the right length gives a wrong secret, not
//! an error (implicit rejection): it shows at the AEAD.

use core::fmt;

use ml_kem::kem::{Encapsulate, FromSeed, KeyExport, TryKeyInit};
use ml_kem::{Decapsulate, EncapsulationKey, MlKem768, MlKem1024};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use super::Secret;

/// Bytes of an ML-KEM-1024 public key.
pub const PQ_PUBLIC: usize = 1_568;
/// Bytes of an ML-KEM-1024 ciphertext.
pub const PQ_CIPHERTEXT: usize = 1_568;
/// Bytes of an ML-KEM-768 public key.
pub const KEM_PUBLIC: usize = 1_184;
/// Bytes of an ML-KEM-768 ciphertext.
pub const KEM_CIPHERTEXT: usize = 1_088;

/// Bytes that are no public key or no ciphertext of this KEM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a key or ciphertext of this KEM")]
pub struct KemError;

macro_rules! kem {
    ($kem:ty, $seed:ident, $public:ident, $what:literal) => {
        #[doc = concat!("An ", $what, " private key, as its seed.")]
        #[derive(Clone, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $seed(Secret<64>);

        #[doc = concat!("An ", $what, " public key that was checked.")]
        #[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "serde_bytes::ByteBuf", into = "serde_bytes::ByteBuf")]
        pub struct $public(Vec<u8>);

        impl $seed {
            /// Draws a key.
            #[must_use]
            pub fn random(rng: &mut dyn CryptoRng) -> Self {
                Self(Secret::random(rng))
            }

            /// Takes the 64 bytes of a seed.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 64]) -> Self {
                Self(Secret::new(bytes))
            }

            /// The public key.
            #[must_use]
            pub fn public(&self) -> $public {
                let (_, public) = <$kem>::from_seed(&(*self.0.expose()).into());
                $public(public.to_bytes().to_vec())
            }

            /// The secret inside a ciphertext; a wrong ciphertext gives a wrong secret.
            ///
            /// # Errors
            /// [`KemError`] if the length is wrong.
            pub fn decapsulate(&self, ciphertext: &[u8]) -> Result<Secret<32>, KemError> {
                let (private, _) = <$kem>::from_seed(&(*self.0.expose()).into());
                let shared = private.decapsulate_slice(ciphertext).map_err(|_| KemError)?;
                Ok(Secret::new(shared.into()))
            }
        }

        impl fmt::Debug for $seed {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($seed))
            }
        }

        impl $public {
            /// Checks the bytes of a key.
            ///
            /// # Errors
            /// [`KemError`] if the length is wrong or a coefficient is not reduced.
            pub fn new(bytes: &[u8]) -> Result<Self, KemError> {
                EncapsulationKey::<$kem>::new_from_slice(bytes).map_err(|_| KemError)?;
                Ok(Self(bytes.to_vec()))
            }

            /// The bytes.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8] {
                &self.0
            }

            /// A fresh secret and the ciphertext that carries it.
            ///
            /// # Errors
            /// [`KemError`] never for a key that [`Self::new`] checked.
            pub fn encapsulate(
                &self,
                rng: &mut dyn CryptoRng,
            ) -> Result<(Vec<u8>, Secret<32>), KemError> {
                let key =
                    EncapsulationKey::<$kem>::new_from_slice(&self.0).map_err(|_| KemError)?;
                let (ciphertext, shared) = key.encapsulate_with_rng(rng);
                Ok((ciphertext.to_vec(), Secret::new(shared.into())))
            }
        }

        impl fmt::Debug for $public {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($public))
            }
        }

        impl TryFrom<serde_bytes::ByteBuf> for $public {
            type Error = KemError;
            fn try_from(bytes: serde_bytes::ByteBuf) -> Result<Self, KemError> {
                Self::new(&bytes)
            }
        }

        impl From<$public> for serde_bytes::ByteBuf {
            fn from(key: $public) -> Self {
                Self::from(key.0)
            }
        }
    };
}

kem!(MlKem1024, PqSeed, PqPublic, "ML-KEM-1024");
kem!(MlKem768, RatchetSeed, RatchetPublic, "ML-KEM-768");

#[cfg(test)]
impl PqSeed {
    /// The seed, for vectors.
    pub(crate) const fn expose(&self) -> &[u8; 64] {
        self.0.expose()
    }
}
