//! Safety numbers: what two people compare to know that nobody stands between them.
//!
//! ```text
//! h₁ = SHA-512("godwit/safety/1" ‖ account ‖ genesis hash)    hᵢ₊₁ = SHA-512(hᵢ ‖ account ‖ genesis hash)
//! 30 digits = six times five bytes of h₅₂₀₀, big-endian, modulo 100,000
//! ```
//! Source: PROTOCOL §2; `spec/identity.md`; the shape is that of Signal's numeric fingerprints.

use sha2::{Digest as _, Sha512};

use crate::id::AccountId;
use crate::identity::Chain;

/// How often the hash is taken.
const ROUNDS: usize = 5_200;
/// Groups of five digits of one account.
const GROUPS: usize = 6;

/// The number of two accounts: 60 digits in 12 groups of five, the same for both.
#[must_use]
pub fn safety_number(one: &Chain, other: &Chain) -> String {
    let (low, high) = if one.account() <= other.account() { (one, other) } else { (other, one) };
    let halves = [low, high].map(|chain| half(&chain.account(), &chain.genesis_hash()));
    halves.concat().join(" ")
}

fn half(account: &AccountId, genesis: &[u8; 32]) -> Vec<String> {
    let mut hash = Sha512::new()
        .chain_update(b"godwit/safety/1")
        .chain_update(account.as_bytes())
        .chain_update(genesis)
        .finalize();
    for _ in 1..ROUNDS {
        hash = Sha512::new()
            .chain_update(hash)
            .chain_update(account.as_bytes())
            .chain_update(genesis)
            .finalize();
    }
    let group = |bytes: &[u8]| {
        let number = bytes.iter().fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
        format!("{:05}", number % 100_000)
    };
    hash.chunks_exact(5).take(GROUPS).map(group).collect()
}

#[cfg(test)]
mod tests {
    use chacha20::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    use super::*;
    use crate::identity::{AccountRoot, DeviceKeys, RecoveryPhrase};
    use crate::time::UnixMillis;
    use crate::vectors::Vectors;

    fn chain(seed: u8) -> Chain {
        let mut rng = ChaCha20Rng::from_seed([seed; 32]);
        let root = AccountRoot::from_phrase(&RecoveryPhrase::random(&mut rng));
        Chain::genesis(&root, &DeviceKeys::random(&mut rng), UnixMillis(1_700_000_000_000))
    }

    #[test]
    fn both_see_the_same_sixty_digits_and_another_pair_sees_others() {
        let (alice, bob, mallory) = (chain(1), chain(2), chain(3));

        let number = safety_number(&alice, &bob);

        assert_eq!(number, safety_number(&bob, &alice));
        assert_ne!(number, safety_number(&alice, &mallory));
        let groups: Vec<&str> = number.split(' ').collect();
        assert_eq!(groups.len(), 12);
        assert!(groups.iter().all(|it| it.len() == 5 && it.bytes().all(|b| b.is_ascii_digit())));
    }

    #[test]
    fn the_number_of_known_ids_is_the_one_of_the_vector() {
        let shown = half(&AccountId([1; 32]), &[2; 32]).join(" ");

        let mut vectors = Vectors::default();
        vectors
            .part("identity.md: half a safety number, of account 32 x 01 and genesis hash 32 x 02");
        vectors.text("digits", &shown);
        vectors.are(include_str!("../../spec/vectors/safety.json"));
    }
}
