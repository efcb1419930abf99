//! `profile`: the name that a person suggests to contacts.
//!
//! ```text
//! LP(name, ≤ 256 bytes; may be empty)
//! ```
//! Whether it is a name is judged where it is used: a suggested name never reserves one.

use super::ContentError;
use crate::crypto::lp;
use crate::limits::MAX_NAME;
use crate::wire::Reader;

/// The suggested name, as sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// At most 64 characters; empty for none.
    pub name: String,
}

impl Profile {
    /// The body.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        lp(self.name.as_bytes())
    }

    /// Reads a body.
    ///
    /// # Errors
    /// [`ContentError::Malformed`] if it is none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ContentError> {
        let mut reader = Reader::new(bytes);
        let name = read_name(&mut reader).filter(|_| reader.finished());
        name.map(|name| Self { name }).ok_or(ContentError::Malformed)
    }
}

/// `LP` of a name of at most 64 characters.
pub(super) fn read_name(reader: &mut Reader<'_>) -> Option<String> {
    let name = core::str::from_utf8(reader.lp(4 * MAX_NAME)?).ok()?;
    (name.chars().count() <= MAX_NAME).then(|| name.to_owned())
}
