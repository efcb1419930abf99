//! Where this node was seen by one transport it is guessed to be by the other: routers keep ports where
//! they can, and both listen on one.
//!
//! Without it a hole is punched only between two that happen to have reached their host by the same
//! transport: each is then dialled by the one by which the other is not knocking.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::task::{Context, Poll};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::behaviour::{FromSwarm, NewExternalAddrCandidate};
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent,
    ToSwarm, dummy,
};
use libp2p::{Multiaddr, PeerId};

/// Addresses that are remembered: those of a few networks, and their twins.
const MAX_KNOWN: usize = 16;

/// Candidates of both transports.
#[derive(Debug, Default)]
pub(super) struct Twin {
    known: VecDeque<Multiaddr>,
    guessed: VecDeque<Multiaddr>,
}

impl Twin {
    fn seen(&mut self, address: &Multiaddr) {
        let Some(twin) = twin(address) else { return };
        if self.known.contains(address) {
            return;
        }
        for known in [address.clone(), twin.clone()] {
            if self.known.len() >= MAX_KNOWN {
                self.known.pop_front();
            }
            self.known.push_back(known);
        }
        self.guessed.push_back(twin);
    }
}

/// The same address by the other transport, if it is one of the two and nothing else.
fn twin(address: &Multiaddr) -> Option<Multiaddr> {
    let mut parts = address.iter().filter(|part| !matches!(part, Protocol::P2p(_)));
    let ip = parts.next().filter(|ip| matches!(ip, Protocol::Ip4(_) | Protocol::Ip6(_)))?;
    let twin = match (parts.next()?, parts.next(), parts.next()) {
        (Protocol::Tcp(port), None, _) => {
            Multiaddr::from(ip).with(Protocol::Udp(port)).with(Protocol::QuicV1)
        }
        (Protocol::Udp(port), Some(Protocol::QuicV1), None) => {
            Multiaddr::from(ip).with(Protocol::Tcp(port))
        }
        _ => return None,
    };
    Some(twin)
}

impl NetworkBehaviour for Twin {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
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
        if let FromSwarm::NewExternalAddrCandidate(NewExternalAddrCandidate { addr }) = event {
            self.seen(addr);
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
        // It is asked again whenever the swarm has told something.
        match self.guessed.pop_front() {
            Some(address) => Poll::Ready(ToSwarm::NewExternalAddrCandidate(address)),
            None => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<String> {
        twin(&text.parse().unwrap()).map(|address| address.to_string())
    }

    #[test]
    fn each_transport_has_the_other_for_its_twin() {
        let (tcp, quic) = ("/ip4/203.0.113.7/tcp/4001", "/ip4/203.0.113.7/udp/4001/quic-v1");
        assert_eq!(of(tcp).as_deref(), Some(quic));
        assert_eq!(of(quic).as_deref(), Some(tcp));
        let six = "/ip6/2001:db8::7/tcp/4001";
        assert_eq!(of(six).as_deref(), Some("/ip6/2001:db8::7/udp/4001/quic-v1"));
        for none in
            ["/dns/example.org/tcp/1", "/ip4/203.0.113.7/udp/1", "/ip4/203.0.113.7/tcp/1/ws"]
        {
            assert_eq!(of(none), None, "{none}");
        }
    }

    #[test]
    fn a_twin_is_guessed_once_and_no_more_are_remembered_than_may_be() {
        let mut it = Twin::default();
        let at =
            |port: u16| -> Multiaddr { format!("/ip4/203.0.113.7/tcp/{port}").parse().unwrap() };
        for _ in 0..3 {
            it.seen(&at(1));
            // It comes back as a candidate like any other.
            let back = twin(&at(1)).unwrap();
            it.seen(&back);
        }
        assert_eq!(it.guessed.len(), 1);
        for port in 2..100 {
            it.seen(&at(port));
        }
        assert!(it.known.len() <= MAX_KNOWN);
    }
}
