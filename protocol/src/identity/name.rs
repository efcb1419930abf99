//! Names that people give: to contacts, and to themselves.

use core::fmt;

use unicode_normalization::UnicodeNormalization;

use crate::limits::MAX_NAME;

/// A name: 1 to 64 characters after trimming and NFC, nothing invisible, never like an account id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

/// Which rule a text breaks as a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing is left after trimming.
    #[error("a name has at least one character")]
    Empty,
    /// Too many characters.
    #[error("a name has at most {limit} characters, not {got}")]
    TooLong {
        /// The most there may be.
        limit: usize,
        /// How many there are.
        got: usize,
    },
    /// A control, invisible or direction-changing character.
    #[error("a name has no control or invisible characters")]
    Invisible,
    /// It reads like an account id.
    #[error("a name does not begin like an account id (gw1…)")]
    LikeAnAccount,
}

impl Name {
    /// Checks a name.
    ///
    /// # Errors
    /// [`NameError`] which rule is broken.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        // NFC changes the length by a small factor at most: stop reading long before it matters.
        let name: String = text.trim().nfc().take(16 * MAX_NAME).collect();
        let got = name.chars().count();
        if got == 0 {
            return Err(NameError::Empty);
        }
        if got > MAX_NAME {
            return Err(NameError::TooLong { limit: MAX_NAME, got });
        }
        if name.chars().any(is_invisible) {
            return Err(NameError::Invisible);
        }
        if name.to_lowercase().starts_with("gw1") {
            return Err(NameError::LikeAnAccount);
        }
        Ok(Self(name))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in which names are compared: two that differ in case alone are one.
    #[must_use]
    pub fn folded(&self) -> String {
        self.0.nfkc().flat_map(char::to_lowercase).collect()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Controls, format characters that show nothing or change direction, and odd spaces.
fn is_invisible(character: char) -> bool {
    character.is_control()
        || (character.is_whitespace() && character != ' ')
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_trimmed_and_composed() {
        assert_eq!(Name::parse("  Zoe\u{308} ").unwrap().as_str(), "Zoë");
        assert_eq!(Name::parse("BOB").unwrap().folded(), Name::parse("bob").unwrap().folded());
    }

    #[test]
    fn each_rule_has_its_error() {
        assert_eq!(Name::parse(" \n"), Err(NameError::Empty));
        assert_eq!(Name::parse(&"x".repeat(65)), Err(NameError::TooLong { limit: 64, got: 65 }));
        for odd in ["a\u{202e}b", "a\u{200b}b", "a\u{7}b", "a\nb", "a\u{feff}"] {
            assert_eq!(Name::parse(odd), Err(NameError::Invisible), "{odd:?}");
        }
        assert_eq!(Name::parse("GW1abc"), Err(NameError::LikeAnAccount));
    }
}
