//! The recovery phrase: 24 words of BIP39 (English), empty passphrase.

use core::fmt;

use bip39::Mnemonic;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

/// A text that is no recovery phrase.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PhraseError {
    /// It does not have 24 words.
    #[error("a recovery phrase has 24 words, not {0}")]
    Length(usize),
    /// A word is not on the list, or the checksum does not hold.
    #[error("a word is misspelt or the words are out of order")]
    Checksum,
}

/// 256 bits as 24 words.
pub struct RecoveryPhrase(Zeroizing<String>);

impl RecoveryPhrase {
    /// Draws a phrase.
    ///
    /// # Panics
    /// Never: BIP39 takes 32 bytes of entropy.
    #[must_use]
    pub fn random(rng: &mut dyn CryptoRng) -> Self {
        let mut entropy = Zeroizing::new([0; 32]);
        rng.fill_bytes(entropy.as_mut_slice());
        #[expect(clippy::expect_used, reason = "BIP39 takes exactly 16, 20, 24, 28 or 32 bytes")]
        let mnemonic = Mnemonic::from_entropy(entropy.as_slice()).expect("32 bytes of entropy");
        Self(Zeroizing::new(mnemonic.to_string()))
    }

    /// Reads 24 words, separated by any white space, in any case.
    ///
    /// # Errors
    /// [`PhraseError`] which rule is broken.
    pub fn parse(text: &str) -> Result<Self, PhraseError> {
        let words: Vec<String> = text.split_whitespace().take(25).map(str::to_lowercase).collect();
        if words.len() != 24 {
            return Err(PhraseError::Length(words.len()));
        }
        let words = Zeroizing::new(words.join(" "));
        Mnemonic::parse_normalized(&words).map_err(|_| PhraseError::Checksum)?;
        Ok(Self(words))
    }

    /// The words, separated by single spaces.
    #[must_use]
    pub fn words(&self) -> Zeroizing<String> {
        self.0.clone()
    }

    /// The 64-byte seed.
    pub(super) fn seed(&self) -> Zeroizing<[u8; 64]> {
        // Checked when the phrase was made: the words are a mnemonic.
        let seed = Mnemonic::parse_normalized(&self.0).map(|words| words.to_seed_normalized(""));
        Zeroizing::new(seed.unwrap_or([0; 64]))
    }
}

impl fmt::Debug for RecoveryPhrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryPhrase")
    }
}

#[cfg(test)]
mod tests {
    use chacha20::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;

    #[test]
    fn a_drawn_phrase_reads_back_in_any_case_and_spacing() {
        let phrase = RecoveryPhrase::random(&mut ChaCha20Rng::from_seed([1; 32]));
        let odd = phrase.words().to_uppercase().replace(' ', "\n  ");

        assert_eq!(RecoveryPhrase::parse(&odd).unwrap().words(), phrase.words());
        assert_eq!(phrase.words().split(' ').count(), 24);
    }

    #[test]
    fn the_seed_is_that_of_bip39() {
        let phrase = RecoveryPhrase::parse(&format!("{}art", "abandon ".repeat(23))).unwrap();

        assert!(
            data_encoding::HEXLOWER
                .encode(phrase.seed().as_slice())
                .starts_with("408b285c123836004f4b8842c89324c1"),
        );
    }

    #[test]
    fn wrong_lengths_and_wrong_words_are_told_apart() {
        let misspelt = format!("{}zebra", "abandon ".repeat(23));

        assert_eq!(RecoveryPhrase::parse("abandon").unwrap_err(), PhraseError::Length(1));
        assert_eq!(RecoveryPhrase::parse(&misspelt).unwrap_err(), PhraseError::Checksum);
    }
}
