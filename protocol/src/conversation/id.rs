//! The id of a direct conversation, with its mode bound into it.

use crate::crypto::hash;
use crate::id::{AccountId, ConversationId};

/// Who may read along; the mode in the id is the floor, never lowered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// End-to-end encrypted: the default, and the only one before federations.
    Sealed,
}

impl Mode {
    /// The byte of the format.
    #[must_use]
    pub const fn byte(self) -> u8 {
        match self {
            Self::Sealed => 1,
        }
    }

    /// Reads the byte; `None` for a mode that this version does not support.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Sealed),
            _ => None,
        }
    }
}

/// `H("godwit/direct/1" ‖ mode ‖ the two account ids, lower first)`.
#[must_use]
pub fn direct(mode: Mode, one: AccountId, other: AccountId) -> ConversationId {
    let (low, high) = if one <= other { (one, other) } else { (other, one) };
    ConversationId(hash(&[b"godwit/direct/1", &[mode.byte()], low.as_bytes(), high.as_bytes()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_name_the_conversation_alike_and_every_pair_differently() {
        let (a, b, c) = (AccountId([1; 32]), AccountId([2; 32]), AccountId([3; 32]));

        assert_eq!(direct(Mode::Sealed, a, b), direct(Mode::Sealed, b, a));
        assert_ne!(direct(Mode::Sealed, a, b), direct(Mode::Sealed, a, c));
    }

    #[test]
    fn the_id_is_the_one_of_the_specification() {
        let id = direct(Mode::Sealed, AccountId([1; 32]), AccountId([2; 32]));

        assert_eq!(
            id.to_string(),
            "511b1b6d48c390cab26be594d0ab4e672d8818986b7043279a8231350a51b33a"
        );
    }
}
