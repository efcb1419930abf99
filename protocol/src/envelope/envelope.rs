//! One envelope, with everything about it that a host sees.
//!
//! ```text
//! queue 32 ‖ id 16 = H(bytes)[..16] ‖ made 16 ‖ expires LE32 (hours) ‖ revoke 32 ‖ bytes
//! ```
//! Rule: an [`Envelope`] exists only with the id of its bytes and one of the six sizes.

use core::fmt;

use super::bucket::Bucket;
use crate::crypto::hash;
use crate::id::{EnvelopeId, QueueId};
use crate::session::QueueRoot;
use crate::time::UnixHours;
use crate::wire::Reader;

/// Bytes before an envelope's contents.
pub const ENVELOPE_HEADER: usize = 100;

/// Bytes that are no envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Not the canonical bytes.
    #[error("malformed envelope")]
    Malformed,
    /// Not one of the six sizes.
    #[error("an envelope of {0} bytes: not one of the six sizes")]
    Size(usize),
    /// The id is not that of the bytes.
    #[error("the envelope's id is not that of its bytes")]
    Id,
}

/// What travels and what a mailbox stores.
#[derive(Clone, PartialEq, Eq)]
pub struct Envelope {
    queue: QueueId,
    made: [u8; 16],
    expires: UnixHours,
    revoke: [u8; 32],
    bytes: Vec<u8>,
    hash: [u8; 32],
}

impl Envelope {
    /// Puts an envelope together; `made` is [`crate::session::QueueRoot::made`] over the same
    /// parts, or random for a contact queue; `revoke` is [`revoke_hash`] of a secret.
    ///
    /// # Errors
    /// [`EnvelopeError::Size`] if the bytes have none of the six sizes.
    pub fn new(
        queue: QueueId,
        made: [u8; 16],
        expires: UnixHours,
        revoke: [u8; 32],
        bytes: Vec<u8>,
    ) -> Result<Self, EnvelopeError> {
        Bucket::exact(bytes.len()).ok_or(EnvelopeError::Size(bytes.len()))?;
        let hash = hash(&[&bytes]);
        Ok(Self { queue, made, expires, revoke, bytes, hash })
    }

    /// The same for another queue of the same root: its bytes do not name the queue, its mark does.
    #[must_use]
    pub fn moved(&self, root: &QueueRoot, generation: u32, queue: QueueId) -> Self {
        let made = root.made(generation, &queue, self.expires, &self.hash);
        Self { queue, made, ..self.clone() }
    }

    /// Reads an envelope.
    ///
    /// # Errors
    /// [`EnvelopeError`]: every case.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        let mut reader = Reader::new(bytes);
        let (queue, id, made, expires, revoke) =
            header(&mut reader).ok_or(EnvelopeError::Malformed)?;
        let contents = bytes.get(ENVELOPE_HEADER..).ok_or(EnvelopeError::Malformed)?;
        let envelope = Self::new(queue, made, expires, revoke, contents.to_vec())?;
        if envelope.id() == id { Ok(envelope) } else { Err(EnvelopeError::Id) }
    }

    /// The canonical bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(ENVELOPE_HEADER.saturating_add(self.bytes.len()));
        bytes.extend_from_slice(self.queue.as_bytes());
        bytes.extend_from_slice(self.id().as_bytes());
        bytes.extend_from_slice(&self.made);
        bytes.extend_from_slice(&self.expires.0.to_le_bytes());
        bytes.extend_from_slice(&self.revoke);
        bytes.extend_from_slice(&self.bytes);
        bytes
    }

    /// Where it goes.
    #[must_use]
    pub const fn queue(&self) -> QueueId {
        self.queue
    }

    /// The start of [`Self::bytes_hash`].
    #[must_use]
    pub fn id(&self) -> EnvelopeId {
        self.hash.first_chunk().map_or(EnvelopeId::ZERO, |start| EnvelopeId(*start))
    }

    /// The mark that only the two ends of a pairwise queue can make.
    #[must_use]
    pub const fn made(&self) -> [u8; 16] {
        self.made
    }

    /// Until when it is worth keeping.
    #[must_use]
    pub const fn expires(&self) -> UnixHours {
        self.expires
    }

    /// The hash of the secret that takes it back.
    #[must_use]
    pub const fn revoke(&self) -> [u8; 32] {
        self.revoke
    }

    /// A message, or what was sealed.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// `H(bytes)`.
    #[must_use]
    pub const fn bytes_hash(&self) -> [u8; 32] {
        self.hash
    }
}

type Header = (QueueId, EnvelopeId, [u8; 16], UnixHours, [u8; 32]);

fn header(reader: &mut Reader<'_>) -> Option<Header> {
    Some((
        QueueId(reader.array()?),
        EnvelopeId(reader.array()?),
        reader.array()?,
        UnixHours(reader.le32()?),
        reader.array()?,
    ))
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Envelope({:?}, {} bytes)", self.id(), self.bytes.len())
    }
}

/// `H("godwit/revoke/1" ‖ s)`: showing `s` takes an unfetched envelope back.
#[must_use]
pub fn revoke_hash(secret: &[u8; 16]) -> [u8; 32] {
    hash(&[b"godwit/revoke/1", secret])
}
