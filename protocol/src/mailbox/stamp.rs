//! The work that a stranger's deposit shows.
//!
//! ```text
//! BLAKE3("godwit/stamp/1" ‖ LP(host key) ‖ queue ‖ H(bytes) ‖ challenge ‖ stamp 8)  starts with d zero bits
//! ```
//! The challenge is that of the host's `Hello`: work is good for one stream of one host.
//! Source: PROTOCOL §7, "Strangers".

use crate::crypto::lp;
use crate::id::{HostId, QueueId};

/// What a stamp is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamped {
    /// Whose queue.
    pub host: HostId,
    /// The contact queue.
    pub queue: QueueId,
    /// `H` of the envelope's bytes.
    pub bytes_hash: [u8; 32],
    /// The challenge of the host's `Hello`.
    pub challenge: [u8; 32],
}

impl Stamped {
    fn prefix(&self) -> blake3::Hasher {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"godwit/stamp/1");
        hasher.update(&lp(self.host.as_bytes()));
        hasher.update(self.queue.as_bytes());
        hasher.update(&self.bytes_hash);
        hasher.update(&self.challenge);
        hasher
    }
}

fn zero_bits(hash: &[u8; 32]) -> u32 {
    let mut bits = 0_u32;
    for byte in hash {
        bits = bits.saturating_add(byte.leading_zeros());
        if *byte != 0 {
            break;
        }
    }
    bits
}

/// Whether a stamp shows enough work.
#[must_use]
pub fn check_stamp(what: &Stamped, difficulty: u8, stamp: &[u8; 8]) -> bool {
    let mut hasher = what.prefix();
    hasher.update(stamp);
    zero_bits(hasher.finalize().as_bytes()) >= u32::from(difficulty)
}

/// Searches a stamp: 2^difficulty hashes on average; `stopped` is asked every 4,096 of them.
#[must_use]
pub fn search_stamp(what: &Stamped, difficulty: u8, stopped: &dyn Fn() -> bool) -> Option<[u8; 8]> {
    let prefix = what.prefix();
    for number in 0..u64::MAX {
        if number % 4_096 == 0 && stopped() {
            return None;
        }
        let stamp = number.to_le_bytes();
        let mut hasher = prefix.clone();
        hasher.update(&stamp);
        if zero_bits(hasher.finalize().as_bytes()) >= u32::from(difficulty) {
            return Some(stamp);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_good_for_what_it_was_searched_for_alone() {
        let what = Stamped {
            host: HostId([1; 32]),
            queue: QueueId([2; 32]),
            bytes_hash: [3; 32],
            challenge: [4; 32],
        };
        let stamp = search_stamp(&what, 12, &|| false).unwrap();
        let elsewhere = Stamped { challenge: [5; 32], ..what };

        assert!(check_stamp(&what, 12, &stamp));
        assert!(!check_stamp(&elsewhere, 12, &stamp));
        assert_eq!(search_stamp(&what, 12, &|| true), None);
        assert!(check_stamp(&what, 0, &[0; 8]));
    }

    #[test]
    fn bits_are_counted_from_the_first() {
        let mut hash = [0; 32];
        assert_eq!(zero_bits(&hash), 256);
        hash[1] = 0b0001_0000;
        assert_eq!(zero_bits(&hash), 11);
    }
}
