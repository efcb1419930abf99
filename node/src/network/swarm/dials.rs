//! Dials, and where this node lets itself be reached: at a peer's own addresses, through others, back.

use std::time::Duration;

use libp2p::multiaddr::Protocol;
use libp2p::swarm::ConnectionId;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::{Multiaddr, PeerId};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::peers::Answer;
use super::{PUNCH_AGAIN, Task, is_circuit};
use crate::network::range::Range;
use crate::network::reach::ip_of;

impl Task {
    /// Dials a peer at an address that it named, if that is where it is.
    pub(super) fn dial_back(
        &mut self,
        peer: PeerId,
        address: Multiaddr,
        answer: oneshot::Sender<Option<bool>>,
    ) {
        let seen = self.peers.at(&peer).filter(|it| !is_circuit(it)).and_then(ip_of);
        if seen.is_none() || seen != ip_of(&address) || !self.allowed.may_dial(&address) {
            let _ = answer.send(None);
            return;
        }
        let options = DialOpts::peer_id(peer)
            .addresses(vec![address])
            .condition(PeerCondition::Always)
            .allocate_new_port()
            .build();
        let id = options.connection_id();
        let answer = match self.swarm.dial(options) {
            Ok(()) => self.probes.insert(id, answer),
            Err(_) => Some(answer),
        };
        if let Some(answer) = answer {
            let _ = answer.send(Some(false));
        }
    }

    /// Closes every connection that does not end in this machine.
    pub(super) fn leave_all(&mut self) {
        for connection in self.peers.beyond_this_machine() {
            self.swarm.close_connection(connection);
        }
    }

    /// Dials a peer that is not connected, directly or through others.
    pub(super) fn connect(
        &mut self,
        way: (PeerId, bool),
        addresses: Vec<Multiaddr>,
        answer: Answer,
    ) {
        let (peer, relayed) = way;
        if let Some(address) = self.peers.at(&peer) {
            let _ = answer.send(Some(address.clone()));
            return;
        }
        let Some(answer) = self.peers.join(peer, relayed, answer) else { return };
        if addresses.is_empty() {
            let _ = answer.send(None);
            return;
        }
        let options =
            DialOpts::peer_id(peer).addresses(addresses).condition(PeerCondition::Always).build();
        let id = options.connection_id();
        self.peers.dialling(id, way, answer);
        if self.swarm.dial(options).is_err() {
            self.peers.failed(id);
        }
    }

    /// A connection is closed after a while.
    pub(super) fn ends(&mut self, after: Duration, id: ConnectionId) {
        let at = Instant::now() + after;
        let place = self.over.partition_point(|(other, _)| *other <= at);
        self.over.insert(place, (at, id));
    }

    /// A hole to a peer that is reached through others is tried again after a while.
    pub(super) fn punch_later(&mut self, peer: PeerId, wait: Duration) {
        self.punches.retain(|(_, _, other)| *other != peer);
        let at = Instant::now() + wait;
        let place = self.punches.partition_point(|(other, ..)| *other <= at);
        self.punches.insert(place, (at, wait, peer));
    }

    /// Tries it: every new relayed connection begins with that.
    pub(super) fn punch_again(&mut self, peer: PeerId, wait: Duration) {
        let Some(address) = self.peers.only_relayed(&peer).cloned() else { return };
        let condition = PeerCondition::Always;
        let options = DialOpts::peer_id(peer).addresses(vec![address]).condition(condition).build();
        // Whatever comes of it shows itself as a connection.
        let _ = self.swarm.dial(options);
        self.punch_later(peer, wait.saturating_mul(2).min(PUNCH_AGAIN.1));
    }

    /// Where peers are reached through a connected one.
    pub(super) fn circuit(&self, relay: &PeerId) -> Option<Multiaddr> {
        let address = self.peers.at(relay).filter(|address| !is_circuit(address))?;
        let address = address.clone().with_p2p(*relay).ok()?;
        Some(address.with(Protocol::P2pCircuit))
    }

    /// Is reached through a peer from now on, as long as it is connected.
    pub(super) fn reserve(&mut self, relay: PeerId) {
        // A server with an address of the internet needs nobody for that; one at home does.
        let public = self.server && self.allowed.range() == Range::Global;
        if public || self.reservations.contains_key(&relay) {
            return;
        }
        let listener = self.circuit(&relay).and_then(|it| self.swarm.listen_on(it).ok());
        if let Some(listener) = listener {
            self.reservations.insert(relay, listener);
        }
    }
}
