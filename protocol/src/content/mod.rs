//! What is inside a message: one envelope of fields around a body, one file per kind of body.
//!
//! ```text
//! v 1 ‖ kind LE16 ‖ message id 16 ‖ conversation 32 ‖ mode u8 ‖ sent_at LE64 (ms)
//!   ‖ count u8 (≤ 4) ‖ parents 16 each ‖ heads: seq LE64 ‖ hash 16 of the sender, then of the recipient ‖ LP(body)
//! ```
//! Rules: an unknown kind is kept and shown as unsupported; a mode below the one that is known, or
//! one that this version does not know, is refused; reading is total and trailing bytes are refused.
//! Source: PROTOCOL §10; `spec/content.md`.

mod contact_request;
mod control;
mod hello;
mod profile;
mod reachability;
mod receipt;
mod resend;
mod text;

pub use contact_request::ContactRequest;
pub use control::{Control, Evidence};
pub use hello::Hello;
pub use profile::Profile;
pub use reachability::{QueueNumber, Reachability};
pub use receipt::Receipt;
pub use resend::Resend;
pub use text::Text;

use crate::conversation::Mode;
use crate::crypto::opaque_debug;
use crate::id::{ConversationId, MessageId};
use crate::identity::LinkHead;
use crate::limits::{MAX_CONTENT, MAX_PARENTS};
use crate::time::UnixMillis;
use crate::wire::Reader;

const VERSION: u8 = 1;

/// What a content is, as its number; numbers are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(pub u16);

impl Kind {
    /// What a person wrote.
    pub const TEXT: Self = Self(1);
    /// What one commit made durable at the recipient.
    pub const RECEIPT: Self = Self(2);
    /// A stranger asks.
    pub const CONTACT_REQUEST: Self = Self(8);
    /// The name that a person suggests.
    pub const PROFILE: Self = Self(9);
    /// Where a device can be reached.
    pub const REACHABILITY: Self = Self(10);
    /// Opens or answers a session.
    pub const HELLO: Self = Self(11);
    /// A part of a KEM epoch.
    pub const KEM: Self = Self(12);
    /// Asks for messages that did not come.
    pub const RESEND: Self = Self(13);
    /// What two devices settle about the hosts that carry their mail.
    pub const CONTROL: Self = Self(14);

    /// Whether it is repeated until the recipient's device has receipted it.
    #[must_use]
    pub const fn is_receipted(self) -> bool {
        matches!(
            self,
            Self::TEXT | Self::CONTACT_REQUEST | Self::PROFILE | Self::REACHABILITY | Self::CONTROL
        )
    }

    /// Whether a person wrote it: only such contents have parents and a place in the inbox.
    #[must_use]
    pub const fn is_written_by_a_person(self) -> bool {
        matches!(self, Self::TEXT) || !self.is_known()
    }

    /// Whether this version knows it.
    #[must_use]
    pub const fn is_known(self) -> bool {
        matches!(
            self,
            Self::TEXT
                | Self::RECEIPT
                | Self::CONTACT_REQUEST
                | Self::PROFILE
                | Self::REACHABILITY
                | Self::HELLO
                | Self::KEM
                | Self::RESEND
                | Self::CONTROL
        )
    }
}

/// Bytes that are no content of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// Not the canonical bytes.
    #[error("malformed content")]
    Malformed,
    /// A version or mode that is not supported here.
    #[error("a content of another version or mode")]
    Unsupported,
    /// More bytes than a content may have.
    #[error("a content has at most {limit} bytes, not {got}")]
    TooLarge {
        /// The most there may be.
        limit: usize,
        /// How many there are.
        got: usize,
    },
}

/// A content: the fields that every kind has, and the body as its kind encodes it.
#[derive(Clone, PartialEq, Eq)]
pub struct Content {
    /// What it is.
    pub kind: Kind,
    /// Chosen by its sender; a repeat has the same.
    pub message: MessageId,
    /// Where it stands.
    pub conversation: ConversationId,
    /// The conversation's mode as the sender knows it.
    pub mode: Mode,
    /// When its sender says it was sent.
    pub sent_at: UnixMillis,
    /// The messages that it follows, at most [`MAX_PARENTS`].
    pub parents: Vec<MessageId>,
    /// The sigchain heads of the sender and of the recipient, as the sender knows them.
    pub heads: [LinkHead; 2],
    /// The body.
    pub body: Vec<u8>,
}

opaque_debug!(Content);

impl Content {
    /// Whether it is repeated until the recipient's device has receipted it: by its kind, and
    /// `hello{last}`.
    #[must_use]
    pub fn is_receipted(&self) -> bool {
        let asks = self.kind == Kind::HELLO && !matches!(self.body.as_slice(), [0]);
        self.kind.is_receipted() || asks
    }

    /// The canonical bytes.
    ///
    /// # Errors
    /// [`ContentError::TooLarge`] above [`MAX_CONTENT`]; `Malformed` with too many parents.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ContentError> {
        let parents = u8::try_from(self.parents.len()).map_err(|_| ContentError::Malformed)?;
        if self.parents.len() > MAX_PARENTS {
            return Err(ContentError::Malformed);
        }
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.kind.0.to_le_bytes());
        bytes.extend_from_slice(self.message.as_bytes());
        bytes.extend_from_slice(self.conversation.as_bytes());
        bytes.push(self.mode.byte());
        bytes.extend_from_slice(&self.sent_at.0.to_le_bytes());
        bytes.push(parents);
        for parent in &self.parents {
            bytes.extend_from_slice(parent.as_bytes());
        }
        for head in &self.heads {
            bytes.extend_from_slice(&head.seq.to_le_bytes());
            bytes.extend_from_slice(&head.hash);
        }
        crate::crypto::lp_into(&mut bytes, &self.body);
        if bytes.len() > MAX_CONTENT {
            return Err(ContentError::TooLarge { limit: MAX_CONTENT, got: bytes.len() });
        }
        Ok(bytes)
    }

    /// Reads a content.
    ///
    /// # Errors
    /// [`ContentError`]: every case.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ContentError> {
        if bytes.len() > MAX_CONTENT {
            return Err(ContentError::TooLarge { limit: MAX_CONTENT, got: bytes.len() });
        }
        let mut reader = Reader::new(bytes);
        match reader.byte() {
            Some(VERSION) => {}
            Some(_) => return Err(ContentError::Unsupported),
            None => return Err(ContentError::Malformed),
        }
        let raw = Raw::read(&mut reader).filter(|_| reader.finished());
        let raw = raw.ok_or(ContentError::Malformed)?;
        Ok(Self {
            kind: raw.kind,
            message: raw.message,
            conversation: raw.conversation,
            mode: Mode::from_byte(raw.mode).ok_or(ContentError::Unsupported)?,
            sent_at: raw.sent_at,
            parents: raw.parents,
            heads: raw.heads,
            body: raw.body,
        })
    }
}

/// The fields before they are judged.
struct Raw {
    kind: Kind,
    message: MessageId,
    conversation: ConversationId,
    mode: u8,
    sent_at: UnixMillis,
    parents: Vec<MessageId>,
    heads: [LinkHead; 2],
    body: Vec<u8>,
}

impl Raw {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let kind = Kind(u16::from_le_bytes(reader.array()?));
        let message = MessageId(reader.array()?);
        let conversation = ConversationId(reader.array()?);
        let mode = reader.byte()?;
        let sent_at = UnixMillis(reader.le64()?);
        let count = usize::from(reader.byte()?);
        if count > MAX_PARENTS {
            return None;
        }
        let mut parents = Vec::with_capacity(count);
        for _ in 0..count {
            parents.push(MessageId(reader.array()?));
        }
        let heads = [read_head(reader)?, read_head(reader)?];
        let body = reader.lp(MAX_CONTENT)?.to_vec();
        Some(Self { kind, message, conversation, mode, sent_at, parents, heads, body })
    }
}

fn read_head(reader: &mut Reader<'_>) -> Option<LinkHead> {
    Some(LinkHead { seq: reader.le64()?, hash: reader.array()? })
}

#[cfg(test)]
mod tests;
