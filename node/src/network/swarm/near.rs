//! Nodes in the same room, by mDNS: who they say they are, and where.
//!
//! Rules: what is heard is told to the endpoint and dialled by nobody else; it is bounded, whatever
//! the room shouts. Source: issue "Reach", 1; NETWORK-NOTES §1.

use std::collections::HashMap;

use libp2p::core::transport::ListenerId;
use libp2p::swarm::{FromSwarm, NetworkBehaviour as _, NewListenAddr};
use libp2p::{Multiaddr, PeerId, mdns};

use super::quiet::Quiet;

/// What the library may remember before it begins anew.
const MAX_HEARD: usize = 4_096;
/// Peers that are told of at once, and addresses of one.
const MAX_PEERS: usize = 256;
const MAX_OF_PEER: usize = 8;

/// mDNS that gives no address to anybody else.
pub(super) type Near = Quiet<mdns::tokio::Behaviour>;

/// mDNS for a node that listens there.
///
/// # Errors
/// What the system says; a node without it reaches others by other ways.
pub(super) fn behaviour(own: PeerId, listens: &[Multiaddr]) -> std::io::Result<Near> {
    let inner = mdns::tokio::Behaviour::new(mdns::Config::default(), own)?;
    let mut near = Quiet { inner };
    for addr in listens {
        let listener_id = ListenerId::next();
        near.on_swarm_event(FromSwarm::NewListenAddr(NewListenAddr { listener_id, addr }));
    }
    Ok(near)
}

/// Whether the room has shouted so much that it is better to begin anew.
pub(super) fn is_full(near: &Near) -> bool {
    near.inner.discovered_nodes().len() > MAX_HEARD
}

/// A peer that was heard or has gone quiet, with all that is known of where it is.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) peer: PeerId,
    pub(super) addresses: Vec<Multiaddr>,
}

/// Who was heard, within bounds.
#[derive(Debug, Default)]
pub(super) struct Room {
    peers: HashMap<PeerId, Vec<Multiaddr>>,
}

impl Room {
    /// What has changed by an event of mDNS.
    pub(super) fn heard(&mut self, event: mdns::Event) -> Vec<Heard> {
        let (found, list) = match event {
            mdns::Event::Discovered(list) => (true, list),
            mdns::Event::Expired(list) => (false, list),
        };
        let mut told = Vec::new();
        for (peer, address) in list {
            let known = self.peers.len();
            let addresses = match self.peers.get_mut(&peer) {
                Some(addresses) => addresses,
                None if found && known < MAX_PEERS => self.peers.entry(peer).or_default(),
                None => continue,
            };
            let before = addresses.len();
            if !found {
                addresses.retain(|known| *known != address);
            } else if before < MAX_OF_PEER && !addresses.contains(&address) {
                addresses.push(address);
            }
            if addresses.len() != before {
                let addresses = addresses.clone();
                if addresses.is_empty() {
                    self.peers.remove(&peer);
                }
                told.push(Heard { peer, addresses });
            }
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_heard_is_bounded_and_told_whole() {
        let mut room = Room::default();
        let address =
            |port: usize| format!("/ip4/10.0.0.1/tcp/{port}").parse::<Multiaddr>().unwrap();
        let peer = PeerId::random();
        let found = |list| mdns::Event::Discovered(list);

        for port in 1..=MAX_OF_PEER {
            room.heard(found(vec![(peer, address(port))]));
        }
        assert!(room.heard(found(vec![(peer, address(MAX_OF_PEER + 1))])).is_empty());
        let strangers = (0..2 * MAX_PEERS).map(|port| (PeerId::random(), address(port + 1)));
        assert_eq!(room.heard(found(strangers.collect())).len(), MAX_PEERS - 1);
        assert_eq!(room.peers.len(), MAX_PEERS);
        let gone = (1..=MAX_OF_PEER).map(|port| (peer, address(port))).collect();
        let told = room.heard(mdns::Event::Expired(gone));
        assert_eq!(told[0].addresses.len(), MAX_OF_PEER - 1, "all that is left");
        assert!(told[MAX_OF_PEER - 1].addresses.is_empty(), "it has gone quiet");
        assert!(!room.peers.contains_key(&peer));
    }

    #[tokio::test]
    async fn one_that_begins_anew_is_not_full() {
        let listens = ["/ip4/10.0.0.1/tcp/1".parse().unwrap()];

        assert!(!is_full(&behaviour(PeerId::random(), &listens).unwrap()));
    }
}
