//! Typed thin wrappers over primitives: what may be done with a key is in its type.
//!
//! Rules: secrets are wiped when dropped and never printed; every signature has a domain label;
//! every Diffie-Hellman result is checked to be contributory; nothing here holds a generator, all
//! randomness is injected.

mod aead;
mod dh;
mod hash;
mod kdf;
mod kem;
mod seal;
mod secret;
mod sign;

pub use aead::{AeadError, NONCE, TAG, aead_open, aead_seal};
pub use dh::{DhError, DhPublic, DhSecret};
pub use hash::{hash, lp, lp_into};
pub use kdf::{expand, hkdf, hmac, hmac_matches};
pub use kem::{
    KEM_CIPHERTEXT, KEM_PUBLIC, KemError, PQ_CIPHERTEXT, PQ_PUBLIC, PqPublic, PqSeed,
    RatchetPublic, RatchetSeed,
};
pub use seal::{SEAL_ENC, SEAL_PUBLIC, SealError, SealPublic, SealSecret};
pub use secret::Secret;
pub(crate) use secret::opaque_debug;
pub use sign::{SignatureBytes, SignatureError, SignatureKind, Signer, VerifyKey};

#[cfg(test)]
mod tests;
#[cfg(test)]
mod wycheproof;
