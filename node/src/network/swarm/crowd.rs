//! No address takes more than half of the places that peers have here, open or being opened: whoever
//! knocks from elsewhere finds one. Of IPv6 the first 64 bits count.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::task::{Context, Poll};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::behaviour::{ConnectionClosed, FromSwarm, ListenFailure};
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent,
    ToSwarm, dummy,
};
use libp2p::{Multiaddr, PeerId};

/// That address has its part.
#[derive(Debug, thiserror::Error)]
#[error("too many connections from one address")]
struct Crowded;

/// Connections that came, and where from.
#[derive(Debug)]
pub(super) struct Crowd {
    opening: Half,
    open: Half,
}

#[derive(Debug)]
struct Half {
    most: usize,
    from: HashMap<ConnectionId, IpAddr>,
    counts: HashMap<IpAddr, usize>,
}

impl Half {
    fn new(places: u32) -> Self {
        let most = usize::try_from(places / 2).unwrap_or(usize::MAX);
        Self { most, from: HashMap::new(), counts: HashMap::new() }
    }

    fn enter(&mut self, id: ConnectionId, address: &Multiaddr) -> Result<(), ConnectionDenied> {
        let Some(source) = source(address) else { return Ok(()) };
        let count = self.counts.entry(source).or_default();
        if *count >= self.most {
            return Err(ConnectionDenied::new(Crowded));
        }
        *count = count.saturating_add(1);
        self.from.insert(id, source);
        Ok(())
    }

    fn leave(&mut self, id: ConnectionId) {
        let Some(source) = self.from.remove(&id) else { return };
        if let Some(count) = self.counts.get_mut(&source) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.counts.remove(&source);
            }
        }
    }
}

/// Where a connection comes from; none for one that came through somebody else.
fn source(address: &Multiaddr) -> Option<IpAddr> {
    if address.iter().any(|part| part == Protocol::P2pCircuit) {
        return None;
    }
    match address.iter().next()? {
        Protocol::Ip4(ip) => Some(IpAddr::V4(ip)),
        Protocol::Ip6(ip) => match ip.to_ipv4_mapped() {
            Some(ip) => Some(IpAddr::V4(ip)),
            None => Some(IpAddr::V6((ip.to_bits() >> 64 << 64).into())),
        },
        _ => None,
    }
}

impl Crowd {
    /// So many places are there for connections that are open, and for those that are being opened.
    pub(super) fn new(open: u32, opening: u32) -> Self {
        Self { opening: Half::new(opening), open: Half::new(open) }
    }
}

impl NetworkBehaviour for Crowd {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        id: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.opening.enter(id, remote)
    }

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.opening.leave(id);
        self.open.enter(id, remote)?;
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionClosed(ConnectionClosed { connection_id, .. }) => {
                self.open.leave(connection_id);
            }
            FromSwarm::ListenFailure(ListenFailure { connection_id, .. }) => {
                self.opening.leave(connection_id);
                self.open.leave(connection_id);
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(
        &mut self,
        _: PeerId,
        _: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Multiaddr {
        text.parse().unwrap()
    }

    fn enter(half: &mut Half, id: usize, address: &str) -> bool {
        half.enter(ConnectionId::new_unchecked(id), &at(address)).is_ok()
    }

    #[test]
    fn one_address_has_half_of_the_places_and_gets_them_back() {
        let mut half = Half::new(4);
        let crowd = "/ip4/203.0.113.7/tcp/1";
        assert!(enter(&mut half, 1, crowd) && enter(&mut half, 2, "/ip4/203.0.113.7/tcp/2"));
        assert!(!enter(&mut half, 3, crowd));
        assert!(enter(&mut half, 4, "/ip4/203.0.113.8/udp/1/quic-v1"));
        half.leave(ConnectionId::new_unchecked(3));
        assert!(!enter(&mut half, 5, crowd));
        half.leave(ConnectionId::new_unchecked(1));
        assert!(enter(&mut half, 6, crowd));
        for id in [2, 4, 6] {
            half.leave(ConnectionId::new_unchecked(id));
        }
        assert!(half.from.is_empty() && half.counts.is_empty());
    }

    #[test]
    fn who_has_a_network_of_ipv6_has_one_address_and_relayed_ones_have_none() {
        let same = |a: &str, b: &str| source(&at(a)) == source(&at(b));
        assert!(same("/ip6/2001:db8::1/tcp/1", "/ip6/2001:db8::ffff:0:1:2/tcp/1"));
        assert!(!same("/ip6/2001:db8::1/tcp/1", "/ip6/2001:db8:0:1::1/tcp/1"));
        assert!(same("/ip6/::ffff:203.0.113.7/tcp/1", "/ip4/203.0.113.7/tcp/9"));
        assert_eq!(source(&at("/ip4/203.0.113.7/tcp/1/p2p-circuit")), None);
    }
}
