//! Who can be dialled: some nodes are reached through their hosts alone.

use std::collections::{BTreeMap, BTreeSet};

use super::node::{NodeId, SimNode};
use super::world::World;
use crate::id::HostId;
use crate::machine::{Address, LinkId, NetworkInput, StreamKind};

/// What a dial has to go by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) addresses: Vec<Address>,
    pub(super) relays: Vec<HostId>,
}

/// Which nodes are hidden, and who lets whom be reached.
#[derive(Debug, Default)]
pub(super) struct Reach {
    hidden: BTreeSet<NodeId>,
    /// A node and through whom it wants to be reached.
    reserved: BTreeSet<(NodeId, HostId)>,
    /// A host and whom it lets be reached.
    served: BTreeSet<(HostId, HostId)>,
    /// How often a node has dialled whom.
    dials: BTreeMap<(NodeId, HostId), u32>,
}

impl World {
    /// No dial reaches a node any more but through a host: it is behind a NAT.
    pub fn hide(&mut self, node: NodeId) {
        self.reach.hidden.insert(node);
    }

    /// A node is heard in the room of another one, where it is: there it can be dialled.
    pub fn hear(&mut self, node: NodeId, other: NodeId) {
        self.claim(node, other, &room(other));
    }

    /// Somebody in a node's room says that another one is at an address.
    pub fn claim(&mut self, node: NodeId, other: NodeId, address: &str) {
        let peer = self.nodes.get(other.0).map(|it| it.host);
        if let (Some(peer), Ok(address)) = (peer, Address::new(address)) {
            self.network(node, NetworkInput::Near { peer, addresses: vec![address] });
        }
    }

    /// How often a node has dialled each peer so far.
    #[must_use]
    pub fn dials(&self, node: NodeId) -> BTreeMap<HostId, u32> {
        let own = self.reach.dials.iter().filter(|((by, _), _)| *by == node);
        own.map(|((_, peer), count)| (*peer, *count)).collect()
    }

    pub(super) fn dialled(&mut self, node: NodeId, peer: HostId) {
        let count = self.reach.dials.entry((node, peer)).or_default();
        *count = count.saturating_add(1);
    }

    /// How many links of a node lead to another person's node.
    #[must_use]
    pub fn direct_links(&self, node: NodeId) -> usize {
        let links = self.bus.of(node, None);
        let direct = |link: &&LinkId| {
            self.bus.links.get(link).is_some_and(|it| it.kind == StreamKind::Direct)
        };
        links.iter().filter(direct).count()
    }

    /// How many links of a node there are, or how many of them lead to another one.
    #[must_use]
    pub fn links(&self, node: NodeId, other: Option<NodeId>) -> usize {
        self.bus.of(node, other).len()
    }

    pub(super) fn reserve(&mut self, node: NodeId, relay: HostId) {
        self.reach.reserved.insert((node, relay));
    }

    pub(super) fn serve(&mut self, node: NodeId, peer: HostId) {
        if let Some(host) = self.nodes.get(node.0).map(|it| it.host) {
            self.reach.served.insert((host, peer));
        }
    }

    /// Whether a dial leads to a node.
    pub(super) fn leads(&self, way: &Way, other: NodeId) -> bool {
        let Some(peer) = self.nodes.get(other.0).map(|it| it.host) else { return false };
        let runs = |host: HostId| {
            let is_there = |it: &SimNode| it.host == host && it.machine.is_some();
            self.nodes.iter().any(is_there)
        };
        let through = |relay: &HostId| {
            self.reach.reserved.contains(&(other, *relay))
                && self.reach.served.contains(&(*relay, peer))
                && runs(*relay)
        };
        let hidden = self.reach.hidden.contains(&other);
        let fits = |address: &&Address| !hidden || address.as_str() == room(other);
        way.addresses.iter().find(fits).is_some() || way.relays.iter().any(through)
    }
}

/// Where a node is in its room.
fn room(node: NodeId) -> String {
    format!("/room/{}", node.0)
}
