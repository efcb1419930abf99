//! Who is connected, by which connections, and who waits for one.

use std::collections::HashMap;

use libp2p::core::ConnectedPoint;
use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId};
use tokio::sync::oneshot;

use crate::network::range::Range;

/// The answer to who waits: where the peer was reached, or that it was not.
pub(in crate::network) type Answer = oneshot::Sender<Option<Multiaddr>>;

#[derive(Debug)]
struct Connection {
    id: ConnectionId,
    address: Multiaddr,
    dialled: bool,
    relayed: bool,
    /// It came beside a relayed one: only to try once more whether a hole can be punched.
    extra: bool,
}

/// A dial that somebody waits for.
#[derive(Debug)]
struct Dial {
    peer: PeerId,
    relayed: bool,
    answers: Vec<Answer>,
}

/// The peers of this moment.
#[derive(Debug, Default)]
pub(super) struct Peers {
    connected: HashMap<PeerId, Vec<Connection>>,
    dials: HashMap<ConnectionId, Dial>,
}

impl Peers {
    pub(super) fn len(&self) -> usize {
        self.connected.len()
    }

    /// Peers that are reached through others alone.
    pub(super) fn relayed(&self) -> usize {
        let only = |connections: &&Vec<Connection>| connections.iter().all(|it| it.relayed);
        self.connected.values().filter(only).count()
    }

    /// Where a connected peer is; directly, if it can be.
    pub(super) fn at(&self, peer: &PeerId) -> Option<&Multiaddr> {
        let connections = self.connected.get(peer)?;
        connections.iter().min_by_key(|it| it.relayed).map(|it| &it.address)
    }

    /// Connections to other machines.
    pub(super) fn beyond_this_machine(&self) -> Vec<ConnectionId> {
        let beyond = |it: &&Connection| Range::of(&it.address) != Some(Range::Loopback);
        self.connected.values().flatten().filter(beyond).map(|it| it.id).collect()
    }

    /// The address at which a peer answered when it was dialled. The one that a connection came from
    /// is nobody's to dial.
    pub(super) fn dialled(&self, peer: &PeerId) -> Option<&Multiaddr> {
        let connections = self.connected.get(peer)?;
        connections.iter().find(|it| it.dialled && !it.relayed).map(|it| &it.address)
    }

    /// A peer is connected: whoever waits hears of it. Returns connections that are over: a relayed
    /// one is of no use beside a direct one.
    pub(super) fn up(
        &mut self,
        peer: PeerId,
        id: ConnectionId,
        endpoint: &ConnectedPoint,
    ) -> Vec<ConnectionId> {
        let address = endpoint.get_remote_address().clone();
        let waiting: Vec<ConnectionId> =
            self.dials.iter().filter(|(_, dial)| dial.peer == peer).map(|(id, _)| *id).collect();
        for dial in waiting.iter().filter_map(|id| self.dials.remove(id)) {
            for answer in dial.answers {
                // Whoever does not wait any more needs no answer.
                let _ = answer.send(Some(address.clone()));
            }
        }
        let (dialled, relayed) = (endpoint.is_dialer(), endpoint.is_relayed());
        let connections = self.connected.entry(peer).or_default();
        let extra = relayed && connections.iter().any(|it| it.relayed);
        connections.push(Connection { id, address, dialled, relayed, extra });
        let direct = connections.iter().any(|it| !it.relayed);
        let over = connections.iter().filter(|it| direct && it.relayed);
        over.map(|it| it.id).collect()
    }

    /// Whether a connection only tries to punch a hole.
    pub(super) fn is_extra(&self, peer: &PeerId, id: ConnectionId) -> bool {
        let connections = self.connected.get(peer).into_iter().flatten();
        connections.into_iter().any(|it| it.id == id && it.extra)
    }

    /// Where a peer was dialled through others, if nothing else leads to it.
    pub(super) fn only_relayed(&self, peer: &PeerId) -> Option<&Multiaddr> {
        let connections = self.connected.get(peer)?;
        let only = connections.iter().all(|it| it.relayed);
        connections.iter().find(|it| only && it.dialled && !it.extra).map(|it| &it.address)
    }

    /// A connection has ended; whether it was one of these on which anything ran.
    pub(super) fn down(&mut self, peer: &PeerId, id: ConnectionId) -> bool {
        let Some(connections) = self.connected.get_mut(peer) else { return false };
        let counted = connections.iter().any(|it| it.id == id && !it.extra);
        connections.retain(|it| it.id != id);
        if connections.is_empty() {
            self.connected.remove(peer);
        }
        counted
    }

    /// Whether the peer is being dialled that way already; then the answer waits with the others.
    pub(super) fn join(&mut self, peer: PeerId, relayed: bool, answer: Answer) -> Option<Answer> {
        let mut dials = self.dials.values_mut();
        match dials.find(|dial| dial.peer == peer && dial.relayed == relayed) {
            Some(dial) => {
                dial.answers.push(answer);
                None
            }
            None => Some(answer),
        }
    }

    pub(super) fn dialling(
        &mut self,
        id: ConnectionId,
        (peer, relayed): (PeerId, bool),
        answer: Answer,
    ) {
        self.dials.insert(id, Dial { peer, relayed, answers: vec![answer] });
    }

    pub(super) fn failed(&mut self, id: ConnectionId) {
        for answer in self.dials.remove(&id).map(|dial| dial.answers).unwrap_or_default() {
            let _ = answer.send(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use libp2p::core::Endpoint;
    use libp2p::core::transport::PortUse;

    use super::*;

    fn dialled(text: &str) -> ConnectedPoint {
        let address = text.parse().unwrap();
        let (role_override, port_use) = (Endpoint::Dialer, PortUse::Reuse);
        ConnectedPoint::Dialer { address, role_override, port_use }
    }

    #[test]
    fn a_relayed_connection_is_over_when_a_direct_one_stands() {
        let (mut peers, peer) = (Peers::default(), PeerId::random());
        let [first, second, third] = [1, 2, 3].map(ConnectionId::new_unchecked);
        let circuit = format!("/ip4/10.0.0.1/tcp/1/p2p/{}/p2p-circuit", PeerId::random());

        assert!(peers.up(peer, first, &dialled(&circuit)).is_empty());
        assert_eq!((peers.relayed(), peers.dialled(&peer)), (1, None));
        assert_eq!(peers.up(peer, second, &dialled("/ip4/10.0.0.2/tcp/2")), [first]);
        assert_eq!(peers.at(&peer).unwrap().to_string(), "/ip4/10.0.0.2/tcp/2");
        assert_eq!(peers.beyond_this_machine().len(), 2);
        peers.down(&peer, first);
        assert_eq!(peers.up(peer, third, &dialled(&circuit)), [third]);
        assert!(peers.down(&peer, second) && peers.down(&peer, third));
        assert!(!peers.down(&peer, third));
        assert_eq!((peers.len(), peers.at(&peer)), (0, None));
    }

    #[test]
    fn a_second_relayed_connection_only_tries_for_a_hole() {
        let (mut peers, peer) = (Peers::default(), PeerId::random());
        let [first, second, direct] = [1, 2, 3].map(ConnectionId::new_unchecked);
        let circuit = format!("/ip4/10.0.0.1/tcp/1/p2p/{}/p2p-circuit", PeerId::random());
        assert_eq!(peers.only_relayed(&peer), None);

        peers.up(peer, first, &dialled(&circuit));
        assert_eq!(peers.only_relayed(&peer).unwrap().to_string(), circuit);
        assert!(peers.up(peer, second, &dialled(&circuit)).is_empty());
        assert!(peers.is_extra(&peer, second) && !peers.is_extra(&peer, first));
        assert!(!peers.down(&peer, second), "nothing ran on it");
        peers.up(peer, second, &dialled(&circuit));
        assert_eq!(peers.up(peer, direct, &dialled("/ip4/10.0.0.2/tcp/2")), [first, second]);
        assert_eq!(peers.only_relayed(&peer), None);
        assert!(peers.down(&peer, first));
    }

    #[test]
    fn whoever_waits_is_answered_by_any_connection_and_by_its_own_failure() {
        let (mut peers, peer) = (Peers::default(), PeerId::random());
        let [direct, circuit] = [1, 2].map(ConnectionId::new_unchecked);
        let (answers, mut waits): (Vec<_>, Vec<_>) = (0..3).map(|_| oneshot::channel()).unzip();
        let [first, second, third]: [Answer; 3] = answers.try_into().unwrap();

        peers.dialling(direct, (peer, false), first);
        assert!(peers.join(peer, false, second).is_none());
        peers.dialling(circuit, (peer, true), third);
        peers.failed(direct);
        assert_eq!(waits[0].try_recv(), Ok(None));
        assert_eq!(waits[1].try_recv(), Ok(None));
        assert!(waits[2].try_recv().is_err());
        peers.up(peer, circuit, &dialled("/ip4/10.0.0.2/tcp/2"));
        assert!(waits[2].try_recv().unwrap().is_some());
    }
}
