//! Links between processes: ordered, delayed, cut.

use std::collections::{BTreeMap, BTreeSet};

use super::node::NodeId;
use crate::envelope::Envelope;
use crate::machine::{LinkId, StreamKind};
use crate::wire::frame::{Frame, Request};

/// One end of a link: which process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    pub(super) node: NodeId,
    pub(super) process: u64,
}

#[derive(Debug)]
pub(super) struct SimLink {
    /// The opener first.
    pub(super) ends: [End; 2],
    pub(super) kind: StreamKind,
    /// When the last frame towards each end arrives: frames do not overtake each other.
    pub(super) last: [u64; 2],
}

impl SimLink {
    /// Which end that process is, if it is one.
    pub(super) fn side(&self, node: NodeId) -> Option<usize> {
        self.ends.iter().position(|end| end.node == node)
    }
}

/// Where the nonce of a message lies, of which its key is made.
const NONCE: core::ops::Range<usize> = 1..25;

/// All links, and who cannot reach whom.
#[derive(Debug, Default)]
pub(super) struct Bus {
    /// What was encrypted under each nonce that was ever seen on a link.
    nonces: BTreeMap<Vec<u8>, [u8; 32]>,
    /// Nonces that were seen over other bytes as well.
    pub(super) reused: usize,
    pub(super) links: BTreeMap<LinkId, SimLink>,
    next: u64,
    apart: BTreeSet<(NodeId, NodeId)>,
}

impl Bus {
    pub(super) fn open(&mut self, ends: [End; 2], kind: StreamKind, now: u64) -> LinkId {
        self.next = self.next.saturating_add(1);
        let link = LinkId(self.next);
        self.links.insert(link, SimLink { ends, kind, last: [now; 2] });
        link
    }

    /// Looks at a frame as whoever captures everything does.
    pub(super) fn capture(&mut self, frame: &[u8]) {
        let Ok(Frame::Request(_, Request::Deposit { envelope, .. })) = Frame::decode(frame) else {
            return;
        };
        let Ok(envelope) = Envelope::from_bytes(&envelope) else { return };
        let Some(nonce) = envelope.bytes().get(NONCE) else { return };
        let hash = envelope.bytes_hash();
        let known = self.nonces.entry(nonce.to_vec()).or_insert(hash);
        if *known != hash {
            self.reused = self.reused.saturating_add(1);
        }
    }

    pub(super) fn part(&mut self, a: NodeId, b: NodeId, apart: bool) {
        let pair = (a.min(b), a.max(b));
        if apart {
            self.apart.insert(pair);
        } else {
            self.apart.remove(&pair);
        }
    }

    pub(super) fn unite(&mut self) {
        self.apart.clear();
    }

    pub(super) fn are_apart(&self, a: NodeId, b: NodeId) -> bool {
        self.apart.contains(&(a.min(b), a.max(b)))
    }

    /// The links of a node, or those between two.
    pub(super) fn of(&self, node: NodeId, other: Option<NodeId>) -> Vec<LinkId> {
        let fits = |link: &&SimLink| {
            link.side(node).is_some() && other.is_none_or(|other| link.side(other).is_some())
        };
        self.links.iter().filter(|(_, link)| fits(link)).map(|(id, _)| *id).collect()
    }
}
