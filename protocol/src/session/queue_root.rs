//! From one secret of a pair: the queue's id, what opens it, and the mark on every envelope in it.
//!
//! Source: PROTOCOL §6, §7, "Pairwise queues"; `spec/session.md#queues`.

use serde::{Deserialize, Serialize};

use super::opaque_debug;
use crate::crypto::{Secret, expand, hmac, lp};
use crate::id::{HostId, QueueId};
use crate::time::UnixHours;

/// The secret of one direction of a pair's queues.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct QueueRoot(Secret<32>);

/// Both directions, as this side sees them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueRoots {
    /// Where this side deposits.
    pub sending: QueueRoot,
    /// Where the peer deposits: this side registers its queues.
    pub receiving: QueueRoot,
}

opaque_debug!(QueueRoot, QueueRoots);

impl QueueRoot {
    pub(super) const fn new(secret: Secret<32>) -> Self {
        Self(secret)
    }

    /// The id of the `n`-th queue.
    #[must_use]
    pub fn queue_id(&self, n: u32) -> QueueId {
        let id: Secret<32> = expand(self.0.expose(), &[b"godwit/gw1/queue/id", &n.to_le_bytes()]);
        QueueId(*id.expose())
    }

    /// What opens the `n`-th queue at one host of one network.
    #[must_use]
    pub fn token(&self, n: u32, net: &str, host: &HostId) -> [u8; 32] {
        let key: Secret<32> =
            expand(self.0.expose(), &[b"godwit/gw1/queue/deposit", &n.to_le_bytes()]);
        hmac(key.expose(), &[b"godwit/token/1", &lp(net.as_bytes()), &lp(host.as_bytes())])
    }

    /// The mark that only the two ends can make, over everything that a host could alter.
    #[must_use]
    pub fn made(
        &self,
        generation: u32,
        queue: &QueueId,
        expires: UnixHours,
        bytes_hash: &[u8; 32],
    ) -> [u8; 16] {
        let key: Secret<32> = expand(self.0.expose(), &[b"godwit/gw1/queue/made"]);
        let full = hmac(
            key.expose(),
            &[&generation.to_le_bytes(), queue.as_bytes(), &expires.0.to_le_bytes(), bytes_hash],
        );
        full.first_chunk().copied().unwrap_or([0; 16])
    }
}
