//! HKDF-SHA-256 (RFC 5869) and HMAC-SHA-256 (RFC 2104).

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::Secret;

type HmacSha256 = Hmac<Sha256>;

/// Extract and expand: `N ≤ 255 · 32` bytes from `ikm` under `salt` and the concatenation of `info`.
#[must_use]
pub fn hkdf<const N: usize>(salt: &[u8], ikm: &[u8], info: &[&[u8]]) -> Secret<N> {
    let mut okm = [0; N];
    fill(&hkdf::Hkdf::<Sha256>::new(Some(salt), ikm), info, &mut okm);
    Secret::new(okm)
}

/// Expand only: `key` is already uniform (HKDF-Expand of RFC 5869).
#[must_use]
pub fn expand<const N: usize>(key: &[u8; 32], info: &[&[u8]]) -> Secret<N> {
    let mut okm = [0; N];
    if let Ok(prk) = hkdf::Hkdf::<Sha256>::from_prk(key) {
        fill(&prk, info, &mut okm);
    }
    Secret::new(okm)
}

fn fill(prk: &hkdf::Hkdf<Sha256>, info: &[&[u8]], okm: &mut [u8]) {
    // The only error is a length above 255 · 32, and no caller asks for 8,160 bytes.
    let done = prk.expand_multi_info(info, okm);
    debug_assert!(done.is_ok(), "HKDF output too long");
}

/// HMAC-SHA-256 over the concatenation of `parts`.
#[must_use]
pub fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC takes keys of any length: the error type exists for other MACs.
    let Ok(mut mac) = <HmacSha256 as KeyInit>::new_from_slice(key) else {
        return [0; 32];
    };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Compares the start of a MAC in constant time.
#[must_use]
pub fn hmac_matches(key: &[u8], parts: &[&[u8]], expected: &[u8]) -> bool {
    let full = hmac(key, parts);
    full.get(..expected.len()).is_some_and(|start| bool::from(start.ct_eq(expected)))
}
