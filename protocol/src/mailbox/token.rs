//! The token of a host link: 16 bytes that their host recognises without having kept them.
//!
//! ```text
//! token = nonce 2 ‖ uses LE16 ‖ expires LE32 (hours) ‖ HMAC(key, the 8 bytes before)[..8]
//! key   = Expand(node key seed, "godwit/host-token/1", 32)
//! ```
//! A host whose disk was lost and whose node key was not still knows whom it invited: its owners
//! come back by themselves. Only the count of uses begins anew.
//! Source: PROTOCOL §7, "Owner keys"; `docs/decisions/0003-host-tokens.md`.

use rand_core::CryptoRng;
use subtle::ConstantTimeEq;

use crate::crypto::{Secret, Signer, expand, hmac};
use crate::time::UnixHours;

/// The key under which a host makes tokens.
pub struct TokenKey(Secret<32>);

impl core::fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("TokenKey")
    }
}

/// What a token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostToken {
    /// How many keys of each role it admits.
    pub uses: u16,
    /// Until when.
    pub expires: UnixHours,
}

impl TokenKey {
    /// Derives the key from the host's node key.
    #[must_use]
    pub fn new(node_key: &Signer) -> Self {
        Self(expand(node_key.expose(), &[b"godwit/host-token/1"]))
    }

    /// Makes a token.
    #[must_use]
    pub fn make(&self, token: HostToken, rng: &mut dyn CryptoRng) -> [u8; 16] {
        let mut bytes = [0; 16];
        let (said, mark) = bytes.split_at_mut(8);
        let mut nonce = [0; 2];
        rng.fill_bytes(&mut nonce);
        let parts = [&nonce[..], &token.uses.to_le_bytes(), &token.expires.0.to_le_bytes()];
        said.copy_from_slice(&parts.concat());
        mark.copy_from_slice(&self.mark(said));
        bytes
    }

    /// What a token of this host says; `None` for any other bytes.
    #[must_use]
    pub fn read(&self, token: &[u8; 16]) -> Option<HostToken> {
        let (said, mark) = token.split_first_chunk::<8>()?;
        if !bool::from(self.mark(said).ct_eq(mark)) {
            return None;
        }
        let [_, _, a, b, c, d, e, f] = *said;
        Some(HostToken {
            uses: u16::from_le_bytes([a, b]),
            expires: UnixHours(u32::from_le_bytes([c, d, e, f])),
        })
    }

    fn mark(&self, said: &[u8]) -> [u8; 8] {
        let full = hmac(self.0.expose(), &[said]);
        full.first_chunk().copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use chacha20::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;

    #[test]
    fn a_token_is_read_by_its_host_alone_and_bears_no_changed_bit() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let key = TokenKey::new(&Signer::from_seed([2; 32]));
        let other = TokenKey::new(&Signer::from_seed([3; 32]));
        let says = HostToken { uses: 100, expires: UnixHours(480_000) };
        let token = key.make(says, &mut rng);

        assert_eq!(key.read(&token), Some(says));
        assert_eq!(other.read(&token), None);
        for bit in 0..128 {
            let mut changed = token;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(key.read(&changed), None, "bit {bit}");
        }
    }
}
