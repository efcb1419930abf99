//! `text`: what a person wrote, as UTF-8.

use super::ContentError;
use crate::limits::MAX_TEXT;

/// 1 byte to [`MAX_TEXT`] bytes of UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(String);

impl Text {
    /// Takes a text.
    ///
    /// # Errors
    /// [`ContentError::Malformed`] if it is empty, [`ContentError::TooLarge`] if it is too long.
    pub fn new(text: String) -> Result<Self, ContentError> {
        match text.len() {
            0 => Err(ContentError::Malformed),
            got if got > MAX_TEXT => Err(ContentError::TooLarge { limit: MAX_TEXT, got }),
            _ => Ok(Self(text)),
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The body.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.clone().into_bytes()
    }

    /// Reads a body.
    ///
    /// # Errors
    /// As [`Self::new`]; `Malformed` if it is not UTF-8.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ContentError> {
        let text = core::str::from_utf8(bytes).map_err(|_| ContentError::Malformed)?;
        Self::new(text.to_owned())
    }
}
