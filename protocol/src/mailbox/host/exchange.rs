//! What goes into the machine of a host, and what comes out.

use crate::id::OwnerKey;
use crate::machine::{NetworkInput, NetworkOutput, WakeAt};
use crate::time::{Millis, UnixHours, UnixMillis};

/// Whom a host takes as owners; always capped in number and bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Anybody.
    Open,
    /// Who shows a token of a host link.
    Invited,
}

/// One input of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostInput {
    /// Something happened on the network.
    Network(NetworkInput),
    /// The operator asks for something; answered by [`HostEffect::Reply`], once.
    Command {
        /// Chosen by the asking side, not reused while unanswered.
        request: u64,
        /// What.
        command: HostCommand,
    },
    /// Whether the disk has less room than its floor: then nothing new is taken.
    Space {
        /// It has.
        low: bool,
    },
    /// The time asked for by [`HostEffect::WakeAt`] has come.
    Wake,
}

/// What an operator can ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostCommand {
    /// Make a token that admits this many persons.
    Invite {
        /// How many.
        uses: u16,
        /// For how long.
        life: Millis,
    },
    /// Who keeps a mailbox here.
    Owners,
    /// End a mailbox with all that is in it.
    Remove {
        /// Its key.
        owner: OwnerKey,
    },
    /// How full the host is.
    Status,
}

/// One output of the host; wrapped in [`crate::machine::Output`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostEffect {
    /// Something for the network.
    Network(NetworkOutput),
    /// Call with [`HostInput::Wake`] at this time; replaces the time asked for before.
    WakeAt(WakeAt),
    /// The answer to a command.
    Reply {
        /// Whose.
        request: u64,
        /// What.
        reply: HostReply,
    },
}

/// What a command brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostReply {
    /// A token for a host link, and when it ends.
    Invite([u8; 16], UnixMillis),
    /// Who keeps a mailbox here.
    Owners(Vec<OwnerView>),
    /// Whether there was such an owner.
    Removed(bool),
    /// How full the host is.
    Status(HostStatus),
}

/// An owner as the operator sees it: a key, never an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerView {
    /// The key.
    pub owner: OwnerKey,
    /// Queues.
    pub queues: u32,
    /// Envelopes.
    pub envelopes: u32,
    /// Bytes of envelopes.
    pub bytes: u64,
    /// When it was last seen, to the hour.
    pub last_seen: UnixHours,
}

/// How full a host is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostStatus {
    /// Whom it takes.
    pub admit: Admission,
    /// Owner keys.
    pub owners: u32,
    /// Queues.
    pub queues: u64,
    /// Envelopes.
    pub envelopes: u64,
    /// Bytes of envelopes.
    pub bytes: u64,
    /// Whether the wall clock is doubted: then nothing is swept.
    pub clock_doubted: bool,
    /// Whether the disk has less room than its floor.
    pub space_low: bool,
}
