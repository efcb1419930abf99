//! `messages` and `timeline`: what people wrote, and its order.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::{DataClass, KeyPart, Scope, Table};
use crate::crypto::opaque_debug;
use crate::endpoint::{MessageState, Reason, Step};
use crate::id::{AccountId, ConversationId, MessageId};
use crate::time::UnixMillis;

/// (message id, conversation, sender) → [`MessageRow`].
pub static MESSAGES: Table = Table {
    name: "messages",
    key: &[
        KeyPart::shown("message", MessageId::LENGTH),
        KeyPart::shown("conversation", ConversationId::LENGTH),
        KeyPart::shown("sender", AccountId::LENGTH),
    ],
    scope: Scope::Home,
    class: DataClass::Content,
    purpose: "the person's conversations",
    ttl: "until removed",
    subject: "the sender and the members of the conversation",
};

/// (conversation, order, message id, sender) → nothing: the order of a conversation.
pub static TIMELINE: Table = Table {
    name: "timeline",
    key: &[
        KeyPart::shown("conversation", ConversationId::LENGTH),
        KeyPart::shown("order", 8),
        KeyPart::shown("message", MessageId::LENGTH),
        KeyPart::shown("sender", AccountId::LENGTH),
    ],
    scope: Scope::Home,
    class: DataClass::Metadata,
    purpose: "to show a conversation in its order",
    ttl: "as its message",
    subject: "the members of the conversation",
};

/// conversation → [`ConversationRow`].
pub static CONVERSATIONS: Table = Table {
    name: "conversations",
    key: &[KeyPart::shown("conversation", ConversationId::LENGTH)],
    scope: Scope::Home,
    class: DataClass::Metadata,
    purpose: "to name parents and to see gaps",
    ttl: "until removed",
    subject: "the members of the conversation",
};

/// What identifies a message: a repeat is judged by all three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MessageKey {
    /// Its id.
    pub id: MessageId,
    /// Where it stands.
    pub conversation: ConversationId,
    /// Who wrote it.
    pub sender: AccountId,
}

impl MessageKey {
    /// The key in [`MESSAGES`].
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        [self.id.as_bytes().as_slice(), self.conversation.as_bytes(), self.sender.as_bytes()]
            .concat()
    }

    /// Reads a key of [`MESSAGES`].
    #[must_use]
    pub fn parse(key: &[u8]) -> Option<Self> {
        let (id, rest) = key.split_at_checked(MessageId::LENGTH)?;
        let (conversation, sender) = rest.split_at_checked(ConversationId::LENGTH)?;
        Some(Self {
            id: MessageId::from_slice(id)?,
            conversation: ConversationId::from_slice(conversation)?,
            sender: AccountId::from_slice(sender)?,
        })
    }

    /// The key in [`TIMELINE`].
    #[must_use]
    pub fn timeline(&self, order: u64) -> Vec<u8> {
        [
            self.conversation.as_bytes().as_slice(),
            &order.to_be_bytes(),
            self.id.as_bytes(),
            self.sender.as_bytes(),
        ]
        .concat()
    }

    /// Reads a key of [`TIMELINE`].
    #[must_use]
    pub fn parse_timeline(key: &[u8]) -> Option<(u64, Self)> {
        let (conversation, rest) = key.split_at_checked(ConversationId::LENGTH)?;
        let (order, rest) = rest.split_first_chunk::<8>()?;
        let (id, sender) = rest.split_at_checked(MessageId::LENGTH)?;
        let key = Self {
            id: MessageId::from_slice(id)?,
            conversation: ConversationId::from_slice(conversation)?,
            sender: AccountId::from_slice(sender)?,
        };
        Some((u64::from_be_bytes(*order), key))
    }
}

/// One message.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageRow {
    /// The kind of content, as its number.
    pub kind: u16,
    /// The body of the content, as its kind encodes it.
    pub body: ByteBuf,
    /// When its sender says it was sent.
    pub sent_at: UnixMillis,
    /// When it was received; `None` for what we sent.
    pub received_at: Option<UnixMillis>,
    /// Its place: see CLI, "inbox".
    pub order: u64,
    /// The messages that it follows.
    pub parents: Vec<MessageId>,
    /// How far it is.
    pub state: MessageState,
    /// Why it waits.
    pub reason: Option<Reason>,
    /// Until when it is worth delivering.
    pub expires: UnixMillis,
    /// What happened to it, oldest first, at most 24.
    pub steps: Vec<Step>,
}

opaque_debug!(MessageRow);

/// What a conversation needs to go on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ConversationRow {
    /// The newest messages that have no child yet, at most four.
    pub heads: Vec<MessageId>,
    /// The greatest order so far.
    pub last_order: u64,
    /// Parents that were named and are not here, at most [`crate::limits::MAX_MISSING`].
    pub missing: Vec<MissingRow>,
}

/// A message that others follow and that is not here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingRow {
    /// Which.
    pub id: MessageId,
    /// Who named it.
    pub named_by: AccountId,
    /// Since when it is missed, or when it was last asked for.
    pub since: UnixMillis,
    /// How often it was asked for.
    pub asked: u8,
    /// The place of the first message that follows it.
    pub follower: u64,
}
