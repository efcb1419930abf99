//! Frames of `/godwit/<net>/mailbox/1` and `/direct/1`: the two speak the same ones.
//!
//! ```text
//! acceptor ── Hello ──────────────────────────► opener         first, once
//! opener   ── Request(id, …) ─────────────────► acceptor       pipelined; on `direct` both sides ask
//!          ◄───────────────── Answer(id, …) ──                 one for each request, any order
//!          ◄── Item, End, Full ──                              what a `Fetch` brings
//! ```
//!
//! Every enum is append-only. Decoding is total and bounded by [`MAX_FRAME`]; what is signed is
//! hand-written canonical bytes, never a codec's output.
//! Source: PROTOCOL §7, §8; `spec/streams.md`.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::codec::{self, CodecError};
use crate::crypto::SignatureBytes;
use crate::id::{AccountId, Birth, EnvelopeId, HostId, OwnerKey, QueueId};
use crate::limits::MAX_FRAME;
use crate::time::{UnixHours, UnixMillis};

/// One frame of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Frame {
    /// What the accepting side says first.
    Hello(Hello),
    /// A request; the id is chosen by the asking side and not reused while it is unanswered.
    Request(u32, Request),
    /// The answer to the request of that id.
    Answer(u32, Answer),
    /// One envelope that a fetch brings.
    Item(Item),
    /// Everything that was there is out; what follows are live pushes.
    End(OwnerKey),
    /// Something was refused for want of room in this queue; said once, after `End`.
    Full(OwnerKey, QueueId),
}

impl Frame {
    /// How many kinds there are.
    const KNOWN: u32 = 6;

    /// Encodes the frame.
    ///
    /// # Errors
    /// [`CodecError::TooLarge`] above [`MAX_FRAME`].
    pub fn encode(&self) -> Result<Vec<u8>, CodecError> {
        codec::encode(self, MAX_FRAME)
    }

    /// Whether these bytes are a frame of a number that this version does not know.
    #[must_use]
    pub fn is_later(bytes: &[u8]) -> bool {
        bytes.first_chunk().is_some_and(|number| u32::from_le_bytes(*number) >= Self::KNOWN)
    }

    /// Decodes a frame.
    ///
    /// # Errors
    /// [`CodecError`] if the bytes are not exactly one frame.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        codec::decode(bytes, MAX_FRAME)
    }
}

/// What the side that accepted a stream says first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Fresh for this stream; owner keys and stamps are bound to it.
    pub challenge: [u8; 32],
    /// The host's wall clock.
    pub time: UnixMillis,
    /// When the host's store was created, as a random value.
    pub birth: Birth,
    /// How many leading zero bits a stranger's stamp needs.
    pub difficulty: u8,
}

/// Which of an owner's two keys a host is asked to admit; a token's uses are counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum OwnerRole {
    /// Record, bundle and contact queue: names the account by its nature.
    Public,
    /// Pairwise queues: the host is told no account.
    Private,
}

/// A queue that an owner wants to have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// Its id.
    pub queue: QueueId,
    /// Who may deposit.
    pub access: QueueAccess,
    /// The most bytes the owner grants it; the host's own limit holds as well.
    pub quota: u32,
}

/// Who may deposit into a queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum QueueAccess {
    /// Whoever shows the token with this hash (pairwise queues).
    Token([u8; 32]),
    /// Strangers, by stamp or by invite (a contact queue).
    Stamp,
}

/// What opens a queue for deposits on one stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum OpenKey {
    /// The token of a pairwise queue.
    Token([u8; 32]),
    /// The proof of an invite: `HMAC(invite, "godwit/invite/host/1" ‖ LP(host key))`.
    Invite([u8; 32]),
    /// Nothing: each deposit bears a stamp.
    Stamp,
}

/// A home's fence as one host keeps it: the highest by (`fence`, `acked`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FenceRecord {
    /// The host.
    pub host: HostId,
    /// The private owner key, which signs.
    pub owner: OwnerKey,
    /// Grows; never goes back in one home.
    pub fence: u64,
    /// Drawn whenever `fence` grows.
    pub mark: [u8; 16],
    /// How many envelopes were acknowledged at this host.
    pub acked: u64,
    /// Over the canonical bytes of the above.
    pub signature: SignatureBytes,
}

/// A host's word for one commit: signed once, shared by every deposit in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DepositReceipt {
    /// The host, whose node key signs.
    pub host: HostId,
    /// When, rounded down to the hour.
    pub hour: UnixHours,
    /// The host's store.
    pub birth: Birth,
    /// Merkle root over the commit's deposits.
    pub root: [u8; 32],
    /// Over the canonical bytes of the above.
    pub signature: SignatureBytes,
}

/// Where one deposit lies under a receipt's root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptPath {
    /// The leaf's number.
    pub index: u32,
    /// How many leaves the tree has.
    pub leaves: u32,
    /// The siblings, lowest first; at most [`crate::limits::MAX_RECEIPT_PATH`].
    pub siblings: Vec<[u8; 32]>,
}

/// What one side asks of the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Shows that the asking side holds an owner key: once a stream and key, before its first use.
    /// The signature (kind `owner`) covers `host ‖ challenge`.
    Prove {
        /// The key.
        owner: OwnerKey,
        /// Its signature.
        signature: SignatureBytes,
    },
    /// Asks to become an owner here.
    Admit {
        /// A proved key.
        owner: OwnerKey,
        /// Which of the two keys it is.
        role: OwnerRole,
        /// The token of a host link.
        token: Option<[u8; 16]>,
    },
    /// Registers queues; a queue already registered by this owner is changed.
    Register {
        /// A proved and admitted key.
        owner: OwnerKey,
        /// At most [`crate::limits::MAX_REGISTER`].
        queues: Vec<Registration>,
    },
    /// Gives queues up; what lies in them is deleted.
    Drop {
        /// A proved key.
        owner: OwnerKey,
        /// At most [`crate::limits::MAX_REGISTER`].
        queues: Vec<QueueId>,
    },
    /// Leaves the account record and bundles with the host, for `GetCard`.
    Publish {
        /// A proved public key.
        owner: OwnerKey,
        /// The account that they are about.
        account: AccountId,
        /// Account record first, then bundles.
        records: Vec<ByteBuf>,
    },
    /// Registers an invite by the hash of its proof for this host; one use.
    Invite {
        /// A proved public key.
        owner: OwnerKey,
        /// The contact queue that it opens.
        queue: QueueId,
        /// `H(proof)`.
        hash: [u8; 32],
        /// Until when.
        expires: UnixHours,
    },
    /// Asks for everything in the owner's queues, then for what comes.
    Fetch {
        /// A proved key.
        owner: OwnerKey,
        /// The home's fence, for a private key.
        fence: Option<FenceRecord>,
    },
    /// Deletes every row of the owner's queues with these ids.
    Ack {
        /// A proved key.
        owner: OwnerKey,
        /// At most [`crate::limits::MAX_ACK_IDS`].
        ids: Vec<EnvelopeId>,
        /// The home's fence, for a private key.
        fence: Option<FenceRecord>,
    },
    /// Deletes the owner, its queues and everything in them.
    Erase {
        /// A proved key.
        owner: OwnerKey,
    },
    /// Asks for an account's record and bundles.
    GetCard {
        /// Whose.
        account: AccountId,
    },
    /// Opens a queue for deposits on this stream.
    Open {
        /// Which.
        queue: QueueId,
        /// By what.
        key: OpenKey,
    },
    /// Deposits one envelope; on `direct` it needs no `Open`.
    Deposit {
        /// The envelope's bytes (`spec/envelope.md`).
        envelope: ByteBuf,
        /// Zero unless the queue was opened with [`OpenKey::Stamp`].
        stamp: [u8; 8],
    },
    /// Takes an envelope that was not acknowledged back.
    Revoke {
        /// Where it was deposited.
        queue: QueueId,
        /// Which.
        id: EnvelopeId,
        /// The revoke secret.
        secret: [u8; 16],
    },
}

/// What the other side says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// Done, and durable where it changed anything.
    Done,
    /// The queue is open; `seq` counts the durable commits that touched it.
    Opened {
        /// The queue's count.
        seq: u64,
    },
    /// The fetch has begun.
    Fetching {
        /// The count over all of the owner's queues.
        seq: u64,
        /// The highest fence that the host holds.
        fence: Option<FenceRecord>,
    },
    /// The envelope is on the host's disk.
    Deposited {
        /// The commit's receipt.
        receipt: DepositReceipt,
        /// Where the envelope lies in it.
        path: ReceiptPath,
        /// Until when the host keeps it.
        expires: UnixHours,
        /// The queue's count after that commit, as in the leaf.
        seq: u64,
    },
    /// Record and bundles of an account.
    Card {
        /// Account record first, then bundles.
        records: Vec<ByteBuf>,
    },
    /// The owner is gone.
    Erased {
        /// When, rounded down to the hour.
        hour: UnixHours,
        /// The host's word (kind `erasure-receipt`) over `host ‖ owner ‖ hour`.
        signature: SignatureBytes,
    },
    /// Coarse on purpose.
    Refused(Refused),
}

/// Why not: nothing finer crosses the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refused {
    /// Not allowed.
    Rejected,
    /// Not now.
    Busy {
        /// Milliseconds until it is worth asking again.
        retry_after: u32,
    },
    /// Nothing of that name here.
    NotFound,
    /// No room.
    Full,
}

/// One envelope that a fetch brings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// For which key.
    pub owner: OwnerKey,
    /// The envelope's bytes.
    pub envelope: ByteBuf,
}

#[cfg(test)]
mod tests {
    use super::{Frame, OwnerKey, QueueId};

    #[test]
    fn a_frame_of_a_later_version_is_told_from_a_broken_one() {
        let last = Frame::Full(OwnerKey([1; 32]), QueueId([2; 32])).encode().unwrap();
        assert_eq!(last[..4], (Frame::KNOWN - 1).to_le_bytes());
        assert!(!Frame::is_later(&last) && !Frame::is_later(&last[..9]));
        assert!(!Frame::is_later(&[]) && !Frame::is_later(&[9, 0, 0]));
        assert!(Frame::is_later(&[6, 0, 0, 0]) && Frame::is_later(&[255; 70]));
    }
}
