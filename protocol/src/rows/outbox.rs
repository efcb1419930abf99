//! `outbox`: what a device of a contact has not confirmed yet.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::message::MessageKey;
use super::{DataClass, KeyPart, Scope, Table};
use crate::crypto::opaque_debug;
use crate::id::{Birth, DeviceId, HostId, MessageId, QueueId, SessionId};
use crate::time::UnixMillis;

/// (device, number) → [`OutboxRow`], in the order in which they are sent.
pub static OUTBOX: Table = Table {
    name: "outbox",
    key: &[KeyPart::shown("device", DeviceId::LENGTH), KeyPart::shown("number", 8)],
    scope: Scope::Home,
    class: DataClass::Content,
    purpose: "to deliver what was sent",
    ttl: "until delivered or expired, 30 d at most",
    subject: "the recipient",
};

/// Where the content of a line is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Carried {
    /// A message that a person wrote: in `messages`.
    Message(MessageKey),
    /// A content of the protocol, encoded, kept here.
    Content(ByteBuf),
    /// A first contact: the envelope's bytes, the same wherever it goes.
    FirstContact {
        /// The sealed bytes.
        sealed: ByteBuf,
    },
}

/// A host's word for an envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostWord {
    /// Which host.
    pub host: HostId,
    /// Its store at that time.
    pub birth: Birth,
    /// When.
    pub at: UnixMillis,
    /// Until when it keeps the envelope.
    pub until: UnixMillis,
    /// Where, to take it back.
    pub queue: QueueId,
    /// Which envelope, to take it back.
    pub envelope: [u8; 16],
    /// The queue's count that the host signed for.
    pub seq: u64,
}

/// One line of the outbox.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxRow {
    /// What it carries.
    pub carried: Carried,
    /// The id of the content.
    pub message: MessageId,
    /// The kind of the content, as its number.
    pub kind: u16,
    /// Whether it stays until the device's delivery receipt, or only until it is deposited.
    pub receipted: bool,
    /// Until when it is worth delivering.
    pub expires: UnixMillis,
    /// Not before this time.
    pub not_before: UnixMillis,
    /// Shown to take the envelope back.
    pub revoke: [u8; 16],
    /// In which session it was last encrypted.
    pub session: Option<SessionId>,
    /// The hosts that have it.
    pub words: Vec<HostWord>,
    /// Whether it has its k receipts.
    pub deposited: bool,
    /// How often it was sent again since.
    pub repeats: u8,
}

opaque_debug!(OutboxRow);

/// The key of a line: its device, then its number in big-endian.
#[must_use]
pub fn line_key(device: DeviceId, number: u64) -> Vec<u8> {
    [device.as_bytes().as_slice(), &number.to_be_bytes()].concat()
}

/// Reads the key of a line.
#[must_use]
pub fn parse_line_key(key: &[u8]) -> Option<(DeviceId, u64)> {
    let (device, number) = key.split_last_chunk::<8>()?;
    Some((DeviceId::from_slice(device)?, u64::from_be_bytes(*number)))
}
