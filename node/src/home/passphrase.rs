//! A passphrase as it was typed or read from a file.

use core::fmt;

use zeroize::Zeroizing;

use super::HomeError;

/// The longest passphrase, in bytes: what a person or a password manager writes, and no file by mistake.
const MAX_PASSPHRASE: usize = 1_024;

/// A passphrase; wiped when dropped, never printed.
#[derive(PartialEq, Eq)]
pub struct Passphrase(Zeroizing<Vec<u8>>);

impl Passphrase {
    /// Takes the bytes without one line end (`\n` or `\r\n`).
    ///
    /// # Errors
    /// [`HomeError::PassphraseUnfit`] if nothing is left, or more than 1 KiB.
    pub fn new(bytes: Vec<u8>) -> Result<Self, HomeError> {
        let mut bytes = Zeroizing::new(bytes);
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
        }
        if bytes.is_empty() || bytes.len() > MAX_PASSPHRASE {
            return Err(HomeError::PassphraseUnfit);
        }
        Ok(Self(bytes))
    }

    /// The most bytes that are worth reading for one.
    #[must_use]
    pub const fn max_bytes() -> u64 {
        1_024 + 2
    }

    /// The bytes, for whoever opens the home.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_is_cut_and_no_more() {
        for (typed, kept) in
            [("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), (" a ", " a "), ("a\r", "a\r")]
        {
            assert_eq!(Passphrase::new(typed.into()).unwrap().expose(), kept.as_bytes());
        }
    }

    #[test]
    fn an_empty_or_endless_passphrase_is_refused() {
        for typed in [String::new(), "\n".into(), "\r\n".into(), "x".repeat(MAX_PASSPHRASE + 1)] {
            assert!(matches!(Passphrase::new(typed.into()), Err(HomeError::PassphraseUnfit)));
        }
    }
}
