//! `AEAD` = XChaCha20-Poly1305.

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{Key, KeyInit, XChaCha20Poly1305, XNonce};

use super::Secret;

/// Bytes of a nonce.
pub const NONCE: usize = 24;
/// Bytes that sealing adds.
pub const TAG: usize = 16;

/// A ciphertext that does not open under this key, nonce and associated data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("does not open")]
pub struct AeadError;

/// Encrypts `plain`; the result is 16 bytes longer.
#[must_use]
pub fn aead_seal(key: &Secret<32>, nonce: &[u8; NONCE], plain: &[u8], ad: &[u8]) -> Vec<u8> {
    let cipher = XChaCha20Poly1305::new(&Key::from(*key.expose()));
    // The only error is a plaintext above 256 GiB.
    cipher.encrypt(&XNonce::from(*nonce), Payload { msg: plain, aad: ad }).unwrap_or_default()
}

/// Decrypts what [`aead_seal`] made.
///
/// # Errors
/// [`AeadError`] if anything differs.
pub fn aead_open(
    key: &Secret<32>,
    nonce: &[u8; NONCE],
    sealed: &[u8],
    ad: &[u8],
) -> Result<Vec<u8>, AeadError> {
    let cipher = XChaCha20Poly1305::new(&Key::from(*key.expose()));
    cipher.decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: ad }).map_err(|_| AeadError)
}
