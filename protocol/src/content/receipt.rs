//! `receipt`: names everything that one commit made durable at the recipient.
//!
//! ```text
//! count u8 (1 to 64) ‖ message ids 16 each
//! ```

use super::ContentError;
use crate::id::MessageId;
use crate::limits::MAX_RECEIPT_IDS;
use crate::wire::Reader;

/// 1 to [`MAX_RECEIPT_IDS`] messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt(pub Vec<MessageId>);

impl Receipt {
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

/// A count and ids, as `receipt` and `resend` have them.
pub(super) fn ids_to_bytes(ids: &[MessageId]) -> Vec<u8> {
    let ids = ids.get(..ids.len().min(MAX_RECEIPT_IDS)).unwrap_or_default();
    let mut bytes = vec![u8::try_from(ids.len()).unwrap_or(u8::MAX)];
    for id in ids {
        bytes.extend_from_slice(id.as_bytes());
    }
    bytes
}

pub(super) fn ids_from_bytes(bytes: &[u8]) -> Option<Vec<MessageId>> {
    let mut reader = Reader::new(bytes);
    let count = usize::from(reader.byte()?);
    if count == 0 || count > MAX_RECEIPT_IDS {
        return None;
    }
    let mut ids = Vec::with_capacity(count);
    for _ in 0..count {
        ids.push(MessageId(reader.array()?));
    }
    reader.finished().then_some(ids)
}
