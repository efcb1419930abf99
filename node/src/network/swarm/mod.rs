//! The task that owns the swarm: listeners, connections, relays, the DHT, and who waits for what.

mod build;
mod crowd;
mod dials;
mod guard;
mod listen;
mod near;
mod peers;
mod quiet;
mod twin;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use futures::StreamExt as _;
use libp2p::core::transport::ListenerId;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{ConnectionId, SwarmEvent};
use libp2p::{Multiaddr, PeerId, StreamProtocol, Swarm, identify, identity, mdns, ping, relay};
use libp2p_stream::Control;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, sleep_until};

use godwit_protocol::id::{HostId, RecordKey};
use godwit_protocol::machine::{Address, NetworkInput};
use godwit_protocol::record::Published;

use super::checks::Checker;
use super::dht::Queries;
use super::range::{Range, told};
use super::{NetworkConfig, NetworkError, View, protocol, translate};
use crate::clock::wall;

use build::Behaviour;
use build::{BehaviourEvent, Served, build};
use guard::Allowed;
use near::{Heard, Room};
pub(super) use peers::Answer;
use peers::Peers;

/// Addresses that are taken from what one peer says of itself.
const MAX_SAID: usize = 8;
/// How long what was begun on a relayed connection has, once a direct one stands.
const MOVE_TIME: Duration = Duration::from_secs(1);
/// How long a second relayed connection has for punching a hole.
const PUNCH_TIME: Duration = Duration::from_secs(15);
/// When that is tried again, at first and at the latest: a try fails by the moment, or for good.
const PUNCH_AGAIN: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(600));
/// How often it is looked whether this machine was away, and how long it was then.
const LOOK: Duration = Duration::from_secs(10);
const GAP: Duration = Duration::from_secs(15);
/// How often records that are over are looked for.
const SWEEP: Duration = Duration::from_secs(60);

/// What the task tells.
pub(super) enum Word {
    /// To the machines.
    Input(NetworkInput),
    /// A connection to a peer is closed: streams that were on it may not notice. (Yamux 0.14.1 wakes
    /// no reader of a connection that is closed at this end.)
    Ended(PeerId),
}

/// Who has told an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Teller {
    /// The person, or a contact.
    Known,
    /// A node of the DHT.
    Stranger,
}

/// What the task is asked to do.
pub(super) enum Order {
    /// Be connected to a peer; the answer is the address that it was reached at. What a stranger said
    /// is dialled only where strangers may send this node.
    Connect { peer: PeerId, addresses: Vec<Multiaddr>, from: Teller, answer: Answer },
    /// Be connected to a peer through others that are connected.
    ConnectThrough { peer: PeerId, relays: Vec<PeerId>, answer: Answer },
    /// Be reached through a peer that is connected.
    Reserve { relay: PeerId },
    /// Let a peer be reached through this node.
    Serve { peer: PeerId },
    /// Nobody answers there: it is not told any more.
    Unreached { addresses: Vec<Multiaddr> },
    /// Which connected peers dial others back.
    WhoDialsBack { answer: oneshot::Sender<Vec<PeerId>> },
    /// Dial a connected peer where it says that it is: whether it answered there, or `None` if it may
    /// not be dialled there.
    DialBack { peer: PeerId, address: Multiaddr, answer: oneshot::Sender<Option<bool>> },
    /// Search where a node of the DHT is.
    Locate { peer: PeerId, answer: oneshot::Sender<Vec<Multiaddr>> },
    /// Search a record.
    Find { key: RecordKey },
    /// Put a record.
    Put { key: RecordKey, value: Vec<u8> },
    /// End.
    End,
}

/// A swarm that listens.
pub(super) struct Started {
    pub(super) host: HostId,
    pub(super) control: Control,
    pub(super) listening: watch::Receiver<Vec<Address>>,
    pub(super) view: Arc<Mutex<View>>,
    pub(super) told: mpsc::UnboundedReceiver<Word>,
    pub(super) task: JoinHandle<()>,
}

/// Listens everywhere it was asked to, then runs the task.
pub(super) async fn start(
    config: &NetworkConfig,
    orders: mpsc::UnboundedReceiver<Order>,
) -> Result<Started, NetworkError> {
    let key = identity::Keypair::ed25519_from_bytes(*config.node_key.expose()).map_err(io)?;
    let own = translate::host_id(&key.public().to_peer_id())
        .ok_or_else(|| NetworkError::Io("the node key is no Ed25519 key".to_owned()))?;
    let kad_name = protocol(&config.network, "kad")?;
    let (allowed, served) = (Allowed::new(), Served::default());
    let parts = (allowed.clone(), served.clone());
    let mut swarm = build(config, key, kad_name.clone(), parts)?;
    let heard = listen::listen(&mut swarm, &config.listen).await?;
    let control = swarm.behaviour().streams.new_control();
    let (checker, checked) = Checker::start(config.network.clone())?;
    let (telling, told) = mpsc::unbounded_channel();
    let (listens, listening) = watch::channel(Vec::new());
    let view = Arc::new(Mutex::new(View { server: config.services.server, ..View::default() }));
    let announce = config.announce.iter().filter_map(translate::multiaddr).collect();
    let mut task = Task {
        swarm,
        own,
        kad_name,
        reach_name: protocol(&config.network, "reach")?,
        server: config.services.server,
        announce,
        heard,
        external: Vec::new(),
        unreached: Vec::new(),
        allowed,
        served,
        reservations: HashMap::new(),
        reserved: HashMap::new(),
        peers: Peers::default(),
        room: Room::default(),
        over: Vec::new(),
        punches: Vec::new(),
        dial_back: HashSet::new(),
        probes: HashMap::new(),
        queries: Queries::default(),
        checker,
        telling,
        listens,
        view: Arc::clone(&view),
        reachable: false,
    };
    task.listens_changed();
    let task = tokio::spawn(task.run(orders, checked));
    Ok(Started { host: own, control, listening, view, told, task })
}

struct Task {
    swarm: Swarm<Behaviour>,
    own: HostId,
    kad_name: StreamProtocol,
    reach_name: StreamProtocol,
    server: bool,
    /// What is told in place of where this node listens.
    announce: Vec<Multiaddr>,
    heard: Vec<Multiaddr>,
    /// What is told now.
    external: Vec<Multiaddr>,
    /// Where nobody answers.
    unreached: Vec<Multiaddr>,
    allowed: Allowed,
    served: Served,
    /// Listeners at those through whom this node is reached.
    reservations: HashMap<PeerId, ListenerId>,
    /// Those of them that have said yes.
    reserved: HashMap<PeerId, ListenerId>,
    peers: Peers,
    room: Room,
    /// Relayed connections beside direct ones, and when they are closed.
    over: Vec<(Instant, ConnectionId)>,
    /// Peers that are reached through others alone: when a hole is tried again, and how long after that.
    punches: Vec<(Instant, Duration, PeerId)>,
    /// Connected peers that dial others back.
    dial_back: HashSet<PeerId>,
    /// Dials that only ask whether somebody answers.
    probes: HashMap<ConnectionId, oneshot::Sender<Option<bool>>>,
    queries: Queries,
    checker: Checker,
    telling: mpsc::UnboundedSender<Word>,
    listens: watch::Sender<Vec<Address>>,
    view: Arc<Mutex<View>>,
    reachable: bool,
}

impl Task {
    async fn run(
        mut self,
        mut orders: mpsc::UnboundedReceiver<Order>,
        mut checked: mpsc::Receiver<Published>,
    ) {
        let mut sweeps = tokio::time::interval(SWEEP);
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = SystemTime::now();
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::End) | None => return,
                    Some(order) => self.order(order),
                },
                Some(record) = checked.recv() => {
                    let kad = &mut self.swarm.behaviour_mut().kad;
                    kad.store_mut().take(&record);
                    self.look();
                }
                _ = sweeps.tick() => {
                    let kad = &mut self.swarm.behaviour_mut().kad;
                    kad.store_mut().holder.sweep(wall());
                    self.look();
                }
                _ = looks.tick() => {
                    let now = SystemTime::now();
                    if now.duration_since(last).is_ok_and(|since| since > LOOK + GAP) {
                        tracing::info!("this machine was away: links are made anew");
                        self.leave_all();
                    }
                    last = now;
                }
                () = sleep_until(self.over.first().map_or_else(Instant::now, |(at, _)| *at)),
                    if !self.over.is_empty() =>
                {
                    let (_, id) = self.over.remove(0);
                    tracing::debug!("a relayed connection is over");
                    self.swarm.close_connection(id);
                }
                () = sleep_until(self.punches.first().map_or_else(Instant::now, |it| it.0)),
                    if !self.punches.is_empty() =>
                {
                    let (_, wait, peer) = self.punches.remove(0);
                    self.punch_again(peer, wait);
                }
                event = self.swarm.select_next_some() => self.event(event),
            }
        }
    }

    fn order(&mut self, order: Order) {
        match order {
            Order::Connect { peer, addresses, from, answer } => {
                if from == Teller::Known {
                    addresses.iter().for_each(|address| self.allowed.trust(address));
                }
                self.connect((peer, false), addresses, answer);
            }
            Order::ConnectThrough { peer, relays, answer } => {
                let there = relays.iter().filter_map(|relay| self.circuit(relay));
                let addresses = there.filter_map(|it| it.with_p2p(peer).ok()).collect();
                self.connect((peer, true), addresses, answer);
            }
            Order::Reserve { relay } => self.reserve(relay),
            Order::Serve { peer } => self.served.add(peer),
            Order::Unreached { addresses } => {
                if addresses != self.unreached {
                    self.unreached = addresses;
                    self.listens_changed();
                }
            }
            Order::WhoDialsBack { answer } => {
                // Whoever came by itself may have come to say no.
                let there = self.dial_back.iter().filter(|it| self.peers.dialled(it).is_some());
                let _ = answer.send(there.copied().collect());
            }
            Order::DialBack { peer, address, answer } => self.dial_back(peer, address, answer),
            Order::Locate { peer, answer } => {
                self.queries.locate(&mut self.swarm.behaviour_mut().kad, peer, answer);
            }
            Order::Find { key } => {
                self.queries.find(&mut self.swarm.behaviour_mut().kad, key);
            }
            Order::Put { key, value } => {
                let kad = &mut self.swarm.behaviour_mut().kad;
                let failed = self.queries.put(kad, &self.checker, (key, value));
                self.tell(failed);
            }
            Order::End => {}
        }
    }

    fn event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::ConnectionEstablished { connection_id, .. }
                if self.probes.contains_key(&connection_id) =>
            {
                if let Some(answer) = self.probes.remove(&connection_id) {
                    let _ = answer.send(Some(true));
                }
                self.swarm.close_connection(connection_id);
            }
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                let over = self.peers.up(peer_id, connection_id, &endpoint);
                for id in over {
                    self.ends(MOVE_TIME, id);
                }
                if self.peers.is_extra(&peer_id, connection_id) {
                    self.ends(PUNCH_TIME, connection_id);
                } else if self.peers.only_relayed(&peer_id).is_some() {
                    self.punch_later(peer_id, PUNCH_AGAIN.0);
                }
                self.look();
            }
            SwarmEvent::ConnectionClosed {
                peer_id, connection_id, num_established, cause, ..
            } => {
                // Nothing but a question ran on one that only asked whether somebody answers.
                let counted = self.peers.down(&peer_id, connection_id);
                if counted && (num_established == 0 || cause.is_none()) {
                    let _ = self.telling.send(Word::Ended(peer_id));
                }
                if num_established == 0 {
                    self.served.remove(&peer_id);
                    self.dial_back.remove(&peer_id);
                }
                self.look();
            }
            SwarmEvent::OutgoingConnectionError { connection_id, .. } => {
                tracing::debug!("a dial failed");
                self.peers.failed(connection_id);
                if let Some(answer) = self.probes.remove(&connection_id) {
                    let _ = answer.send(Some(false));
                }
            }
            SwarmEvent::IncomingConnectionError { .. } => {
                tracing::debug!("a connection that came failed");
            }
            SwarmEvent::NewListenAddr { address, .. }
                if !self.heard.contains(&address) && !is_circuit(&address) =>
            {
                self.heard.push(address);
                self.listens_changed();
            }
            SwarmEvent::ExpiredListenAddr { address, .. } if !is_circuit(&address) => {
                self.heard.retain(|heard| *heard != address);
                // What stood on it leads nowhere any more. IPv6 addresses come and go by the day
                // beside others: there the pings find out.
                if matches!(address.iter().next(), Some(Protocol::Ip4(ip)) if !ip.is_loopback()) {
                    self.leave_all();
                }
                self.listens_changed();
            }
            SwarmEvent::Behaviour(BehaviourEvent::Ping(ping::Event {
                connection,
                result: Err(ping::Failure::Timeout | ping::Failure::Other { .. }),
                ..
            })) => {
                tracing::debug!("a connection is dead");
                self.swarm.close_connection(connection);
            }
            SwarmEvent::ListenerClosed { listener_id, .. } => {
                self.reservations.retain(|_, listener| *listener != listener_id);
                self.reserved.retain(|_, listener| *listener != listener_id);
                self.look();
            }
            SwarmEvent::Behaviour(BehaviourEvent::Identify(identify::Event::Received {
                peer_id,
                info,
                ..
            })) => self.identified(peer_id, &info),
            SwarmEvent::Behaviour(BehaviourEvent::Near(event)) => self.heard_near(event),
            SwarmEvent::Behaviour(BehaviourEvent::Relayed(
                relay::client::Event::ReservationReqAccepted { relay_peer_id, .. },
            )) => {
                if let Some(listener) = self.reservations.get(&relay_peer_id) {
                    self.reserved.insert(relay_peer_id, *listener);
                }
                self.look();
            }
            SwarmEvent::Behaviour(BehaviourEvent::Kad(event)) => {
                let told = self.queries.event(event, &self.checker, (self.own, self.server));
                self.tell(told);
                self.look();
            }
            _ => {}
        }
    }

    /// The room has said something.
    fn heard_near(&mut self, event: mdns::Event) {
        for Heard { peer, addresses } in self.room.heard(event) {
            if let Some(peer) = translate::host_id(&peer) {
                let addresses = addresses.iter().filter_map(translate::address).collect();
                self.tell(Some(NetworkInput::Near { peer, addresses }));
            }
        }
        let own = *self.swarm.local_peer_id();
        if let Some(near) = self.swarm.behaviour_mut().near.as_mut()
            && near::is_full(near)
            && let Ok(new) = near::behaviour(own, &self.heard)
        {
            *near = new;
        }
    }

    /// A peer has said what it speaks and where it listens: Kademlia learns by this alone.
    fn identified(&mut self, peer: PeerId, info: &identify::Info) {
        let dialled = self.peers.dialled(&peer).cloned();
        if info.protocols.contains(&self.reach_name) {
            self.dial_back.insert(peer);
        }
        let kad = &mut self.swarm.behaviour_mut().kad;
        if info.protocols.contains(&self.kad_name) {
            let said = info.listen_addrs.iter().take(MAX_SAID).cloned();
            for address in said.chain(dialled).filter_map(|it| translate::address(&it)) {
                if let Some(address) = translate::multiaddr(&address)
                    && self.allowed.may_dial(&address)
                {
                    kad.add_address(&peer, address);
                }
            }
        } else {
            kad.remove_peer(&peer);
        }
        self.look();
    }

    /// Where this node listens has changed: what it tells, and what it dials, follows.
    fn listens_changed(&mut self) {
        let range = Range::widest(self.heard.iter().chain(&self.announce));
        self.allowed.set_range(range);
        self.external_changed();
        let heard = self.heard.iter().filter_map(translate::address).collect();
        tracing::info!(addresses = self.heard.len(), "listening");
        drop(self.listens.send_replace(heard));
    }

    /// Where strangers are told that this node is: only if it serves them.
    fn external_changed(&mut self) {
        if !self.server {
            return;
        }
        let mut now =
            if self.announce.is_empty() { told(&self.heard) } else { self.announce.clone() };
        now.retain(|address| !self.unreached.contains(address));
        for gone in self.external.iter().filter(|it| !now.contains(it)) {
            self.swarm.remove_external_address(gone);
        }
        for new in now.iter().filter(|it| !self.external.contains(it)) {
            self.swarm.add_external_address(new.clone());
        }
        self.external = now;
    }

    /// Looks at what others are shown, and tells whether the DHT can be reached.
    fn look(&mut self) {
        let kad = &mut self.swarm.behaviour_mut().kad;
        let dht_peers = kad.kbuckets().map(|bucket| bucket.num_entries()).sum();
        let held = kad.store_mut().holder.len();
        {
            let mut view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
            *view = View {
                server: self.server,
                peers: self.peers.len(),
                dht_peers,
                held,
                relayed: self.peers.relayed(),
                relays: self.reserved.len(),
            };
        }
        // A server holds records itself: the only host of a small community is the whole DHT.
        let reachable = dht_peers > 0 || self.server;
        if reachable != self.reachable {
            self.reachable = reachable;
            tracing::info!(reachable, "nodes of the DHT");
            self.tell(Some(NetworkInput::Dht { reachable }));
        }
    }

    fn tell(&self, input: Option<NetworkInput>) {
        if let Some(input) = input {
            // Nobody listens only when the node ends.
            let _ = self.telling.send(Word::Input(input));
        }
    }
}

fn is_circuit(address: &Multiaddr) -> bool {
    address.iter().any(|part| part == Protocol::P2pCircuit)
}

fn io(error: impl std::fmt::Display) -> NetworkError {
    NetworkError::Io(error.to_string())
}
