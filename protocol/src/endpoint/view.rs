//! What the endpoint shows of its rows: the values behind the JSON of CLI.md.

use crate::id::{AccountId, ConversationId, HostId, MessageId};
use crate::machine::Address;
use crate::time::UnixMillis;

/// How far a message is; out: `queued` < `deposited` < `delivered`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub enum MessageState {
    /// On the sender's disk.
    Queued,
    /// On the disks of k hosts.
    Deposited,
    /// On the recipient's disk.
    Delivered,
    /// Its life ended first.
    Expired,
    /// It will not arrive.
    Failed,
    /// Ours to read.
    Received,
    /// Read.
    Read,
}

impl MessageState {
    /// The word of CLI.md.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Deposited => "deposited",
            Self::Delivered => "delivered",
            Self::Expired => "expired",
            Self::Failed => "failed",
            Self::Received => "received",
            Self::Read => "read",
        }
    }
}

/// Why a message or a contact waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Reason {
    /// No bundle of the recipient is known yet.
    Resolving,
    /// No link to the recipient or its hosts yet.
    Dialling,
    /// The other side has not accepted us.
    AwaitingAcceptance,
    /// The recipient has no mailbox and is not online.
    NoMailbox,
    /// Its hosts do not know the queue.
    NoQueue,
    /// Its queue is full.
    Full,
    /// It, or its hosts, ask us to wait.
    Busy,
    /// Too many messages without an answer.
    WaitingForPeer,
    /// Its hosts cannot be reached.
    HostUnreachable,
    /// This home lives twice.
    TwoHomes,
}

impl Reason {
    /// Every one.
    pub const ALL: [Self; 10] = [
        Self::Resolving,
        Self::Dialling,
        Self::AwaitingAcceptance,
        Self::NoMailbox,
        Self::NoQueue,
        Self::Full,
        Self::Busy,
        Self::WaitingForPeer,
        Self::HostUnreachable,
        Self::TwoHomes,
    ];

    /// The word of CLI.md.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Resolving => "resolving",
            Self::Dialling => "dialling",
            Self::AwaitingAcceptance => "awaiting_acceptance",
            Self::NoMailbox => "no_mailbox",
            Self::NoQueue => "no_queue",
            Self::Full => "full",
            Self::Busy => "busy",
            Self::WaitingForPeer => "waiting_for_peer",
            Self::HostUnreachable => "host_unreachable",
            Self::TwoHomes => "two_homes",
        }
    }
}

/// Where a contact stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum ContactState {
    /// We asked.
    Requested,
    /// They asked.
    Pending,
    /// Both want it.
    Accepted,
    /// Not heard any more.
    Blocked,
}

impl ContactState {
    /// The word of CLI.md.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Pending => "pending",
            Self::Accepted => "accepted",
            Self::Blocked => "blocked",
        }
    }
}

/// A contact as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactView {
    /// Its name here.
    pub name: String,
    /// Who.
    pub account: AccountId,
    /// Where it stands.
    pub state: ContactState,
    /// Whether the safety number was compared.
    pub verified: bool,
    /// How many active devices are known.
    pub devices: usize,
    /// Since when it is here.
    pub added_at: UnixMillis,
    /// What it waits for.
    pub reason: Option<Reason>,
    /// The first line of its request, while it is pending.
    pub text: Option<String>,
    /// The direct conversation with it.
    pub conversation: ConversationId,
}

/// How an own host does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum HostState {
    /// Not everything is registered yet.
    Registering,
    /// All is well.
    Ok,
    /// It cannot be reached.
    Unreachable,
    /// It does not take us.
    Refused,
    /// It came back with less than it had; we registered again.
    LostState,
    /// It lost state more than once.
    Unsteady,
    /// It signed for what it does not serve.
    BrokenWord,
    /// Left, but kept until all contacts know.
    Draining,
}

impl HostState {
    /// The word of CLI.md.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Registering => "registering",
            Self::Ok => "ok",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::LostState => "lost_state",
            Self::Unsteady => "unsteady",
            Self::BrokenWord => "broken_word",
            Self::Draining => "draining",
        }
    }
}

/// An own host as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostView {
    /// Its node key.
    pub host: HostId,
    /// Where it listens.
    pub addresses: Vec<Address>,
    /// How it does.
    pub state: HostState,
    /// When it last answered.
    pub last_seen: Option<UnixMillis>,
    /// When it was last found to have lost state.
    pub lost_state_at: Option<UnixMillis>,
    /// When it was last found not to serve what it signed for.
    pub broken_word_at: Option<UnixMillis>,
    /// Whose mail it had no room for within a day (`None`: that of strangers), and when it said so.
    pub full: Vec<(Option<AccountId>, UnixMillis)>,
}

/// A message as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageView {
    /// Its id.
    pub id: MessageId,
    /// Where it stands.
    pub conversation: ConversationId,
    /// The sender's name here; the own name for what we sent.
    pub from: String,
    /// The sender.
    pub from_account: AccountId,
    /// Whether we sent it.
    pub outgoing: bool,
    /// When its sender says it was sent.
    pub sent_at: UnixMillis,
    /// When it was received; `None` for what we sent.
    pub received_at: Option<UnixMillis>,
    /// The kind of content (`text`, …).
    pub kind: String,
    /// The text, or for another kind what is known of it.
    pub body: String,
    /// How far it is.
    pub state: MessageState,
    /// Why it waits.
    pub reason: Option<Reason>,
}

/// One step in the life of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum StepKind {
    /// On the sender's disk.
    Queued,
    /// The recipient's keys are known.
    Resolved,
    /// A link was tried.
    Dialled,
    /// A host signed for it.
    Deposited,
    /// It left on a direct stream.
    SentDirect,
    /// It was fetched from a host.
    Fetched,
    /// The recipient has it.
    Delivered,
    /// It was sent again.
    Retried,
    /// A host refused it.
    Refused,
    /// It came on a direct stream.
    ReceivedDirect,
    /// Its life ended.
    Expired,
    /// A host that signed for it never served it.
    BrokenWord,
}

impl StepKind {
    /// Every one.
    pub const ALL: [Self; 12] = [
        Self::Queued,
        Self::Resolved,
        Self::Dialled,
        Self::Deposited,
        Self::SentDirect,
        Self::Fetched,
        Self::Delivered,
        Self::Retried,
        Self::Refused,
        Self::ReceivedDirect,
        Self::Expired,
        Self::BrokenWord,
    ];

    /// The word of CLI.md.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Resolved => "resolved",
            Self::Dialled => "dialled",
            Self::Deposited => "deposited",
            Self::SentDirect => "sent_direct",
            Self::Fetched => "fetched",
            Self::Delivered => "delivered",
            Self::Retried => "retried",
            Self::Refused => "refused",
            Self::ReceivedDirect => "received_direct",
            Self::Expired => "expired",
            Self::BrokenWord => "broken_word",
        }
    }
}

/// A step with its time.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Step {
    /// When it last happened.
    pub at: UnixMillis,
    /// What.
    pub kind: StepKind,
    /// At which host.
    pub host: Option<HostId>,
    /// `ok`, or why not.
    pub result: String,
    /// How often it happened.
    pub count: u32,
}

/// The life of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// Its id.
    pub id: MessageId,
    /// How far it is.
    pub state: MessageState,
    /// Why it waits.
    pub reason: Option<Reason>,
    /// What happened, oldest first; never empty.
    pub steps: Vec<Step>,
}

/// A fact in the past tense, kept under a change number.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Change {
    /// A message has come or was queued: (sender, conversation, id).
    Message(AccountId, ConversationId, MessageId),
    /// A message's state has changed.
    State(MessageId, MessageState, Option<Reason>),
    /// A contact has changed; `None`: removed.
    Contact(AccountId, Option<ContactState>),
    /// An own host has changed.
    Host(HostId, HostState),
    /// Something a person should know, by its code.
    Warning(String),
}

/// Mail that did not open, by reason, since the home began; 0 in every ordinary run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Faults {
    /// No session's header key fits.
    pub no_header: u64,
    /// The message's keys are gone.
    pub keys_gone: u64,
    /// The body does not open.
    pub body_failed: u64,
    /// A KEM epoch that is not derived here.
    pub pq_unknown: u64,
    /// Too far ahead in a chain.
    pub too_far_ahead: u64,
    /// Made by neither end.
    pub noise: u64,
}

/// What the endpoint is doing.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointStatus {
    /// Messages not deposited yet.
    pub queued: u64,
    /// Messages deposited and not delivered.
    pub deposited: u64,
    /// The own hosts.
    pub hosts: Vec<HostView>,
    /// Receipts that make a message deposited.
    pub k: u8,
    /// Mail that did not open.
    pub faults: Faults,
    /// What a person should know, by code.
    pub warnings: Vec<String>,
    /// Whether the wall clock is doubted.
    pub clock_doubted: bool,
    /// Records of contacts that came from nodes that are neither the contact nor its hosts.
    pub found_at_strangers: u64,
    /// Whether this home stands down: another copy of it is alive.
    pub stood_down: bool,
}
