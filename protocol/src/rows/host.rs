//! `own_hosts`, `registered` and `peer_hosts`: the mailbox hosts that this node knows.

use serde::{Deserialize, Serialize};

use super::{DataClass, KeyPart, Scope, Table};
use crate::crypto::Signer;
use crate::crypto::opaque_debug;
use crate::endpoint::HostState;
use crate::id::{Birth, HostId, QueueId};
use crate::limits::SESSION_GRACE;
use crate::machine::Address;
use crate::time::{Millis, UnixMillis};

/// host → [`OwnHostRow`].
pub static OWN_HOSTS: Table = Table {
    name: "own_hosts",
    key: &[KeyPart::shown("host", HostId::LENGTH)],
    scope: Scope::Home,
    class: DataClass::Keys,
    purpose: "to be reached when away",
    ttl: "until left",
    subject: "the person",
};

/// (host, queue) → nothing: which queues a host has confirmed.
pub static REGISTERED: Table = Table {
    name: "registered",
    key: &[KeyPart::shown("host", HostId::LENGTH), KeyPart::shown("queue", QueueId::LENGTH)],
    scope: Scope::Home,
    class: DataClass::Operations,
    purpose: "to register what is missing and nothing else",
    ttl: "until left",
    subject: "the person and its contacts",
};

/// host → [`PeerHostRow`].
pub static PEER_HOSTS: Table = Table {
    name: "peer_hosts",
    key: &[KeyPart::shown("host", HostId::LENGTH)],
    scope: Scope::Home,
    class: DataClass::Operations,
    purpose: "to notice when a contact's host has lost state",
    ttl: "35 d after it was last used",
    subject: "the operator of the host",
};

/// An own host.
#[derive(Clone, Serialize, Deserialize)]
pub struct OwnHostRow {
    /// Where it listens.
    pub addresses: Vec<Address>,
    /// The token of its link.
    pub token: Option<[u8; 16]>,
    /// For record, bundle and contact queue.
    pub public: Signer,
    /// For pairwise queues.
    pub private: Signer,
    /// The contact queue here.
    pub contact_queue: QueueId,
    /// Whether both keys were admitted: contacts may be told of it.
    pub admitted: bool,
    /// It has forgotten us since, and is to be asked again.
    pub forgot_us: bool,
    /// How it does.
    pub state: HostState,
    /// Its store, as last seen.
    pub birth: Option<Birth>,
    /// The highest counts seen from it: of the public key, of the private one.
    pub seqs: [u64; 2],
    /// How many envelopes were acknowledged there.
    pub acked: u64,
    /// When it last answered.
    pub last_seen: Option<UnixMillis>,
    /// When it last lost state.
    pub lost_state_at: Option<UnixMillis>,
    /// How often it lost state in the last 35 d.
    pub losses: u32,
    /// Since when it is being left.
    pub left_at: Option<UnixMillis>,
}

opaque_debug!(OwnHostRow);

/// A contact's host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerHostRow {
    /// Its store, as last seen.
    pub birth: Option<Birth>,
    /// When it last lost state.
    pub lost_state_at: Option<UnixMillis>,
    /// How often it lost state in the last 35 d.
    pub losses: u32,
    /// The last use.
    pub last_used: UnixMillis,
}

impl PeerHostRow {
    /// It came back with less than it had. What is seen of one loss in several queues within an hour
    /// counts once, and what is older than 35 d not at all.
    pub fn lost(&mut self, now: UnixMillis) {
        let since = self.lost_state_at.map(|at| now.since(at));
        self.losses = match since {
            Some(since) if since < Millis::from_hours(1) => self.losses.max(1),
            Some(since) if since < SESSION_GRACE => self.losses.saturating_add(1),
            _ => 1,
        };
        self.lost_state_at = Some(now);
    }
}
