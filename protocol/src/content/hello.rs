//! `hello`: opens or answers a session, so that its handshake need not ride on.
//!
//! ```text
//! 0                  a plain hello
//! 1 ‖ last 16        names the newest content of the peer that is held here
//! 2                  none is held
//! ```

use super::ContentError;
use crate::id::MessageId;

/// A sign of life in a session; the second form asks for what came after `last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hello {
    /// Nothing is asked.
    Plain,
    /// This home is older than it was: everything after `last` is wanted again.
    Last(Option<MessageId>),
}

impl Hello {
    /// The body.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        match self {
            Self::Plain => vec![0],
            Self::Last(Some(last)) => [&[1][..], last.as_bytes()].concat(),
            Self::Last(None) => vec![2],
        }
    }

    /// Reads a body.
    ///
    /// # Errors
    /// [`ContentError::Malformed`] if it is none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ContentError> {
        match bytes.split_first() {
            Some((0, [])) => Ok(Self::Plain),
            Some((1, last)) => MessageId::from_slice(last)
                .map(|last| Self::Last(Some(last)))
                .ok_or(ContentError::Malformed),
            Some((2, [])) => Ok(Self::Last(None)),
            _ => Err(ContentError::Malformed),
        }
    }
}
