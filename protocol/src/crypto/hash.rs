//! `H` = SHA-256 and `LP(x) = LE32(|x|) ‖ x` (PROTOCOL, first lines).

use sha2::{Digest, Sha256};

/// SHA-256 over the concatenation of `parts`.
#[must_use]
pub fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part);
    }
    digest.finalize().into()
}

/// `LP(bytes)`: the length as LE32, then the bytes.
#[must_use]
pub fn lp(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len().saturating_add(4));
    lp_into(&mut out, bytes);
    out
}

/// Appends `LP(bytes)`. Everything godwit hashes is far below 4 GiB; a longer length would saturate.
pub fn lp_into(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(bytes);
}
