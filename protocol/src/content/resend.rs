//! `resend`: asks for messages that others name as parents and that did not come.
//!
//! The body is that of `receipt`.

use super::ContentError;
use super::receipt::{ids_from_bytes, ids_to_bytes};
use crate::id::MessageId;

/// 1 to [`crate::limits::MAX_RECEIPT_IDS`] messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resend(pub Vec<MessageId>);

impl Resend {
    /// The body; ids above the bound are left out.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        ids_to_bytes(&self.0)
    }

    /// Reads a body.
    ///
    /// # Errors
    /// [`ContentError::Malformed`] if it is none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ContentError> {
        ids_from_bytes(bytes).map(Self).ok_or(ContentError::Malformed)
    }
}
