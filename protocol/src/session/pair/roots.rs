//! Which queue root a pair uses: it belongs to the device pair, not to a session.
//!
//! Rule: the root of a session that came through a contact queue and in which the peer was heard;
//! of several the highest generation, then the lowest session id. Three are kept: the chosen one
//! and of the others those in which the peer was not heard yet before the rest, the newest first; a replaced
//! one goes 35 days after the peer was heard under the new.
//! Source: PROTOCOL §7, "Pairwise queues".

use core::cmp::Reverse;

use serde::{Deserialize, Serialize};

use crate::id::SessionId;
use crate::limits::{MAX_QUEUE_ROOTS, SESSION_GRACE};
use crate::session::handshake::Started;
use crate::session::queue_root::QueueRoots;
use crate::time::UnixMillis;

/// A queue root and the session that brought it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairRoot {
    /// The session, by which the two ends name the root.
    pub session: SessionId,
    /// Its generation.
    pub generation: u32,
    /// Both directions.
    pub roots: QueueRoots,
    /// Whether the peer was heard in the session.
    pub heard: bool,
    /// Since when another one is chosen.
    pub replaced_at: Option<UnixMillis>,
}

impl PairRoot {
    pub(super) fn new(session: SessionId, generation: u32, started: &Started) -> Self {
        let roots = started.queue_roots.clone();
        Self { session, generation, roots, heard: false, replaced_at: None }
    }

    const fn rank(&self) -> (u32, Reverse<SessionId>) {
        (self.generation, Reverse(self.session))
    }
}

/// The roots of a pair.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RootSet(Vec<PairRoot>);

impl RootSet {
    pub(super) fn chosen(&self) -> Option<&PairRoot> {
        self.0.iter().filter(|root| root.heard).max_by_key(|root| root.rank())
    }

    pub(super) fn all(&self) -> &[PairRoot] {
        &self.0
    }

    pub(super) fn add(&mut self, root: PairRoot, now: UnixMillis) {
        self.0.push(root);
        self.trim(now);
    }

    pub(super) fn heard(&mut self, session: SessionId, now: UnixMillis) {
        for root in &mut self.0 {
            root.heard |= root.session == session;
        }
        let chosen = self.chosen().map(|root| root.session);
        for root in self.0.iter_mut().filter(|root| root.heard) {
            root.replaced_at =
                if Some(root.session) == chosen { None } else { root.replaced_at.or(Some(now)) };
        }
        self.trim(now);
    }

    pub(super) fn trim(&mut self, now: UnixMillis) {
        let chosen = self.chosen().map(|root| root.session);
        let old =
            |root: &PairRoot| root.replaced_at.is_some_and(|at| now.since(at) >= SESSION_GRACE);
        self.0.retain(|root| !old(root));
        self.0.sort_by_key(|root| (Some(root.session) != chosen, root.heard, Reverse(root.rank())));
        self.0.truncate(MAX_QUEUE_ROOTS);
    }
}

impl super::Pair {
    /// The root under which this side deposits; `None` until the peer was heard in a session that
    /// came through a contact queue.
    #[must_use]
    pub fn sending_root(&self) -> Option<&PairRoot> {
        self.roots.chosen()
    }

    /// The roots under which this side registers its queues: the chosen one first.
    #[must_use]
    pub fn receiving_roots(&self) -> &[PairRoot] {
        self.roots.all()
    }
}
