//! Nodes in the same room, by mDNS: who they say they are, and where.
//!
//! Rules: what is heard is told to the endpoint and dialled by nobody else; it is bounded, whatever
//! the room shouts. Source: issue "Reach", 1; NETWORK-NOTES §1.

use std::collections::HashMap;
use std::task::{Context, Poll};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, NewListenAddr, THandler,
    THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId, mdns};

use super::quiet::Quiet;

/// What the library may remember before it begins anew.
const MAX_HEARD: usize = 4_096;
/// Peers that are told of at once, and addresses of one.
const MAX_PEERS: usize = 256;
const MAX_OF_PEER: usize = 8;

/// A peer that was heard or has gone quiet, with all that is known of where it is.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) peer: PeerId,
    pub(super) addresses: Vec<Multiaddr>,
}

/// mDNS within bounds.
pub(super) struct Near {
    inner: Quiet<mdns::tokio::Behaviour>,
    own: PeerId,
    listens: Vec<NewListen>,
    peers: HashMap<PeerId, Vec<Multiaddr>>,
    told: Vec<Heard>,
}

type NewListen = (libp2p::core::transport::ListenerId, Multiaddr);

impl Near {
    /// # Errors
    /// What the system says; a node without it reaches others by other ways.
    pub(super) fn new(own: PeerId) -> std::io::Result<Self> {
        let (inner, listens) = (inner(own)?, Vec::new());
        Ok(Self { inner, own, listens, peers: HashMap::new(), told: Vec::new() })
    }

    fn heard(&mut self, event: mdns::Event) {
        let (found, list) = match event {
            mdns::Event::Discovered(list) => (true, list),
            mdns::Event::Expired(list) => (false, list),
        };
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
                self.told.push(Heard { peer, addresses });
            }
        }
        if self.inner.inner.discovered_nodes().len() > MAX_HEARD
            && let Ok(mut new) = inner(self.own)
        {
            for (listener_id, addr) in &self.listens {
                let listens = NewListenAddr { listener_id: *listener_id, addr };
                new.on_swarm_event(FromSwarm::NewListenAddr(listens));
            }
            self.inner = new;
        }
    }
}

fn inner(own: PeerId) -> std::io::Result<Quiet<mdns::tokio::Behaviour>> {
    let inner = mdns::tokio::Behaviour::new(mdns::Config::default(), own)?;
    Ok(Quiet { inner })
}

impl NetworkBehaviour for Near {
    type ConnectionHandler = <mdns::tokio::Behaviour as NetworkBehaviour>::ConnectionHandler;
    type ToSwarm = Heard;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.inner.handle_established_inbound_connection(connection, peer, local, remote)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.inner.handle_established_outbound_connection(connection, peer, address, role, port)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match &event {
            FromSwarm::NewListenAddr(it) => self.listens.push((it.listener_id, it.addr.clone())),
            FromSwarm::ExpiredListenAddr(it) => {
                self.listens.retain(|(id, address)| *id != it.listener_id || address != it.addr);
            }
            FromSwarm::ListenerClosed(it) => self.listens.retain(|(id, _)| *id != it.listener_id),
            _ => {}
        }
        self.inner.on_swarm_event(event);
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        self.inner.on_connection_handler_event(peer, connection, event);
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        loop {
            if let Some(heard) = self.told.pop() {
                return Poll::Ready(ToSwarm::GenerateEvent(heard));
            }
            match self.inner.poll(cx) {
                Poll::Ready(ToSwarm::GenerateEvent(event)) => self.heard(event),
                // It dials nobody and has no handlers: there is nothing else.
                Poll::Ready(_) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_heard_is_bounded_and_told_whole() {
        let mut near = Near::new(PeerId::random()).unwrap();
        let address =
            |port: usize| format!("/ip4/10.0.0.1/tcp/{port}").parse::<Multiaddr>().unwrap();
        let peer = PeerId::random();

        for port in 1..=MAX_OF_PEER + 1 {
            near.heard(mdns::Event::Discovered(vec![(peer, address(port))]));
        }
        let last = near.told.pop().unwrap();
        assert_eq!((last.peer, last.addresses.len()), (peer, MAX_OF_PEER));
        let strangers = (0..2 * MAX_PEERS).map(|port| (PeerId::random(), address(port + 1)));
        near.heard(mdns::Event::Discovered(strangers.collect()));
        assert_eq!(near.peers.len(), MAX_PEERS);
        for port in 1..=MAX_OF_PEER {
            near.heard(mdns::Event::Expired(vec![(peer, address(port))]));
        }
        assert!(near.told.pop().unwrap().addresses.is_empty(), "it has gone quiet");
        assert!(!near.peers.contains_key(&peer));
    }
}
