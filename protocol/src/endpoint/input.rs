//! What goes into the endpoint.

use crate::crypto::opaque_debug;
use crate::id::{AccountId, HostId, MessageId};
use crate::machine::{Address, NetworkInput};

/// One input of the endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Something happened on the network.
    Network(NetworkInput),
    /// A person or program asks for something; answered by [`super::Effect::Reply`], once.
    Command {
        /// Chosen by the asking side, not reused while unanswered.
        request: u64,
        /// What.
        command: Command,
    },
    /// Where this node can be reached at present, best first; replaces what was known.
    Addresses(Vec<Address>),
    /// Whether the disk has less room than its floor: then nothing new is taken, from the person or
    /// from peers.
    Space {
        /// It has.
        low: bool,
    },
    /// The search for a stamp has ended.
    StampFound {
        /// The job's number.
        job: u64,
        /// The stamp.
        stamp: [u8; 8],
    },
    /// The time asked for by [`super::Effect::WakeAt`] has come.
    Wake,
}

/// A text to send.
#[derive(Clone, PartialEq, Eq)]
pub struct OutgoingText {
    /// A contact's name, account text, or a unique prefix of at least eight characters of one.
    pub to: String,
    /// The text: 1 byte to [`crate::limits::MAX_TEXT`] bytes.
    pub text: String,
    /// Chosen by the caller, so that a send whose answer was not seen can be repeated.
    pub id: Option<MessageId>,
}

opaque_debug!(OutgoingText);

/// A mailbox host that a person chose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostChoice {
    /// Its node key.
    pub host: HostId,
    /// Where it listens, best first.
    pub addresses: Vec<Address>,
    /// The token of its link, if it gave one.
    pub token: Option<[u8; 16]>,
}

/// What a person or program can ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Send texts; each gets its own result, all are in one batch.
    Send(Vec<OutgoingText>),
    /// Add the contact of a `godwit:` link, under a name or the one it suggests.
    AddContact {
        /// The link as typed.
        link: String,
        /// The name to keep it under.
        name: Option<String>,
    },
    /// Accept a pending request.
    Accept {
        /// Who: as [`OutgoingText::to`].
        who: String,
        /// The name to keep it under.
        name: Option<String>,
    },
    /// Remove a contact with its conversation; declines a pending request.
    Remove {
        /// Who.
        who: String,
    },
    /// Hear a contact no more; it is not told.
    Block {
        /// Who.
        who: String,
    },
    /// Hear a blocked contact again.
    Unblock {
        /// Who.
        who: String,
    },
    /// Say that a contact's safety number was compared and is the same.
    Verify {
        /// Who.
        who: String,
    },
    /// Give a contact another name.
    Rename {
        /// Who.
        who: String,
        /// The new name.
        name: String,
    },
    /// Make a link that is good for one stranger.
    Invite,
    /// Mark messages of a contact as read.
    MarkRead {
        /// Who wrote them.
        from: AccountId,
        /// Which.
        messages: Vec<MessageId>,
    },
    /// Use these hosts as well (idempotent); `k` receipts make a message deposited.
    UseHosts {
        /// Which.
        hosts: Vec<HostChoice>,
        /// How many receipts; `None` for 1 with one host, else 2.
        k: Option<u8>,
    },
    /// Stop using a host.
    DropHost {
        /// Which.
        host: HostId,
        /// Before every contact knows: what is there is fetched and erased, and what still comes is
        /// turned away. A host that is not linked is left as it is.
        now: bool,
    },
    /// What the machine is doing.
    Status,
    /// The own contact link with this device's present addresses (`id --here`).
    LinkHere,
}
