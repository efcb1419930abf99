//! What comes out of the endpoint.

use super::refusal::Refusal;
use super::view::{ContactView, EndpointStatus, HostView, MessageState};
use crate::id::{ConversationId, HostId, MessageId, QueueId};
use crate::machine::{NetworkOutput, WakeAt};
use crate::time::UnixMillis;

/// One output of the endpoint; wrapped in [`crate::machine::Output`].
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Something for the network.
    Network(NetworkOutput),
    /// Call with [`super::Input::Wake`] at this time; replaces the time asked for before.
    WakeAt(WakeAt),
    /// The answer to a command.
    Reply {
        /// Whose.
        request: u64,
        /// What.
        result: Result<Reply, Refusal>,
    },
    /// Changes up to this number are on disk: whoever reads the cursor may read on.
    Changed(u64),
    /// Search for a stamp; answered by [`super::Input::StampFound`].
    Search(StampJob),
    /// The own contact link has changed: `id` shows this one from now on.
    Link(String),
}

/// The search for a stamp: the one thing that takes longer than a millisecond.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StampJob {
    /// Its number.
    pub job: u64,
    /// The host whose queue it is for.
    pub host: HostId,
    /// The queue.
    pub queue: QueueId,
    /// `H` of the envelope's bytes.
    pub bytes_hash: [u8; 32],
    /// The challenge of the host's `Hello`.
    pub challenge: [u8; 32],
    /// How many leading zero bits.
    pub difficulty: u8,
}

/// A text that is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentMessage {
    /// Its id.
    pub id: MessageId,
    /// Where it stands.
    pub conversation: ConversationId,
    /// How far it is.
    pub state: MessageState,
}

/// What a command brought.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// For each text of `Send`, in order.
    Sent(Vec<Result<SentMessage, Refusal>>),
    /// The contact as it is now.
    Contact(ContactView),
    /// The own hosts as they are now, and `k`.
    Hosts(Vec<HostView>, u8),
    /// A link for one stranger, and when it ends.
    Invite(String, UnixMillis),
    /// The own link.
    Link(String),
    /// What the machine is doing.
    Status(EndpointStatus),
    /// Done.
    Done,
}
