//! The task that owns the swarm: listeners, connections, the DHT, and who waits for what.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{
    Multiaddr, PeerId, StreamProtocol, Swarm, SwarmBuilder, identify, identity, noise, ping, tcp,
    yamux,
};
use libp2p_stream::Control;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use godwit_protocol::id::{HostId, RecordKey};
use godwit_protocol::machine::{Address, NetworkInput};
use godwit_protocol::record::Published;

use super::checks::Checker;
use super::dht::{self, Kad, Queries};
use super::range::{Range, Ranged, told};
use super::{NetworkConfig, NetworkError, View, listen, protocol, translate};
use crate::clock::wall;

/// How long a connection without streams stays.
const IDLE: Duration = Duration::from_secs(120);
/// Addresses that are taken from what one peer says of itself.
const MAX_SAID: usize = 8;
/// How often records that are over are looked for.
const SWEEP: Duration = Duration::from_secs(60);

#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    // First: what a limit denies, no other behaviour hears of.
    limits: connection_limits::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    kad: Ranged<Kad>,
    streams: libp2p_stream::Behaviour,
}

/// What the task is asked to do.
pub(super) enum Order {
    /// Be connected to a peer; the answer is the address that it was reached at.
    Connect { peer: PeerId, addresses: Vec<Multiaddr>, answer: oneshot::Sender<Option<Multiaddr>> },
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
    pub(super) told: mpsc::UnboundedReceiver<NetworkInput>,
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
    let mut swarm = build(config, key, kad_name.clone())?;
    let heard = listen::listen(&mut swarm, &config.listen).await?;
    let control = swarm.behaviour().streams.new_control();
    let (checker, checked) = Checker::start(config.network.clone())?;
    let (telling, told) = mpsc::unbounded_channel();
    let (listens, listening) = watch::channel(Vec::new());
    let view = Arc::new(Mutex::new(View { server: config.server, ..View::default() }));
    let announce = config.announce.iter().filter_map(translate::multiaddr).collect();
    let mut task = Task {
        swarm,
        own,
        kad_name,
        server: config.server,
        announce,
        heard,
        external: Vec::new(),
        waiting: HashMap::new(),
        reached: HashMap::new(),
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

fn build(
    config: &NetworkConfig,
    key: identity::Keypair,
    kad_name: StreamProtocol,
) -> Result<Swarm<Behaviour>, NetworkError> {
    let version = format!("/godwit/{}/id/1", config.network);
    let server = config.server;
    let swarm = SwarmBuilder::with_existing_identity(key)
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .map_err(io)?
        .with_quic()
        .with_behaviour(|key| Behaviour {
            limits: connection_limits::Behaviour::new(
                ConnectionLimits::default()
                    .with_max_pending_incoming(Some(128))
                    .with_max_established_incoming(Some(1_024))
                    .with_max_established_per_peer(Some(8)),
            ),
            // Where this node listens is told by what it announces, not by its interfaces.
            identify: identify::Behaviour::new(
                identify::Config::new(version, key.public())
                    .with_hide_listen_addrs(true)
                    .with_push_listen_addr_updates(true)
                    .with_cache_size(0),
            ),
            ping: ping::Behaviour::default(),
            kad: dht::behaviour(key.public().to_peer_id(), kad_name, server),
            streams: libp2p_stream::Behaviour::new(),
        })
        .map_err(io)?
        .with_swarm_config(|config| config.with_idle_connection_timeout(IDLE))
        .build();
    Ok(swarm)
}

type Waiting = HashMap<PeerId, Vec<oneshot::Sender<Option<Multiaddr>>>>;

/// Where a connected peer is: at the address that was dialled, or wherever it came from.
struct Reached {
    address: Multiaddr,
    dialled: bool,
}

struct Task {
    swarm: Swarm<Behaviour>,
    own: HostId,
    kad_name: StreamProtocol,
    server: bool,
    /// What is told in place of where this node listens.
    announce: Vec<Multiaddr>,
    heard: Vec<Multiaddr>,
    /// What is told now.
    external: Vec<Multiaddr>,
    waiting: Waiting,
    reached: HashMap<PeerId, Reached>,
    queries: Queries,
    checker: Checker,
    telling: mpsc::UnboundedSender<NetworkInput>,
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
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::End) | None => return,
                    Some(order) => self.order(order),
                },
                Some(record) = checked.recv() => {
                    let kad = &mut self.swarm.behaviour_mut().kad.inner;
                    kad.store_mut().take(&record);
                    self.look();
                }
                _ = sweeps.tick() => {
                    let kad = &mut self.swarm.behaviour_mut().kad.inner;
                    kad.store_mut().holder.sweep(wall());
                    self.look();
                }
                event = self.swarm.select_next_some() => self.event(event),
            }
        }
    }

    fn order(&mut self, order: Order) {
        match order {
            Order::Connect { peer, addresses, answer } => {
                let kad = &mut self.swarm.behaviour_mut().kad;
                addresses.iter().for_each(|address| kad.trust(address));
                if let Some(Reached { address, .. }) = self.reached.get(&peer) {
                    let _ = answer.send(Some(address.clone()));
                } else {
                    connect(&mut self.swarm, &mut self.waiting, peer, addresses, answer);
                }
            }
            Order::Find { key } => {
                self.queries.find(&mut self.swarm.behaviour_mut().kad.inner, key);
            }
            Order::Put { key, value } => {
                let kad = &mut self.swarm.behaviour_mut().kad.inner;
                let failed = self.queries.put(kad, &self.checker, (key, value));
                self.tell(failed);
            }
            Order::End => {}
        }
    }

    fn event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::ConnectionEstablished { peer_id, endpoint, .. } => {
                let address = endpoint.get_remote_address().clone();
                for answer in self.waiting.remove(&peer_id).unwrap_or_default() {
                    let _ = answer.send(Some(address.clone()));
                }
                let dialled = endpoint.is_dialer();
                self.reached.insert(peer_id, Reached { address, dialled });
                self.look();
            }
            SwarmEvent::ConnectionClosed { peer_id, num_established: 0, .. } => {
                self.reached.remove(&peer_id);
                self.look();
            }
            SwarmEvent::OutgoingConnectionError { peer_id: Some(peer), .. } => {
                tracing::debug!("a dial failed");
                for answer in self.waiting.remove(&peer).unwrap_or_default() {
                    let _ = answer.send(None);
                }
            }
            SwarmEvent::IncomingConnectionError { .. } => {
                tracing::debug!("a connection that came failed");
            }
            SwarmEvent::NewListenAddr { address, .. } if !self.heard.contains(&address) => {
                self.heard.push(address);
                self.listens_changed();
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                self.heard.retain(|heard| *heard != address);
                self.listens_changed();
            }
            SwarmEvent::Behaviour(BehaviourEvent::Identify(identify::Event::Received {
                peer_id,
                info,
                ..
            })) => self.identified(peer_id, &info),
            SwarmEvent::Behaviour(BehaviourEvent::Kad(event)) => {
                let told = self.queries.event(event, &self.checker, (self.own, self.server));
                self.tell(told);
                self.look();
            }
            _ => {}
        }
    }

    /// A peer has said what it speaks and where it listens: Kademlia learns by this alone.
    fn identified(&mut self, peer: PeerId, info: &identify::Info) {
        // The address that a connection came from is nobody's to dial.
        let dialled = self.reached.get(&peer).filter(|it| it.dialled).map(|it| it.address.clone());
        let kad = &mut self.swarm.behaviour_mut().kad;
        if info.protocols.contains(&self.kad_name) {
            let said = info.listen_addrs.iter().take(MAX_SAID).cloned();
            for address in said.chain(dialled).filter_map(|it| translate::address(&it)) {
                if let Some(address) = translate::multiaddr(&address)
                    && kad.may_dial(&address)
                {
                    kad.inner.add_address(&peer, address);
                }
            }
        } else {
            kad.inner.remove_peer(&peer);
        }
        self.look();
    }

    /// Where this node listens has changed: what it tells, and what it dials, follows.
    fn listens_changed(&mut self) {
        let range = Range::widest(self.heard.iter().chain(&self.announce));
        self.swarm.behaviour_mut().kad.range = range;
        if self.server {
            let now =
                if self.announce.is_empty() { told(&self.heard) } else { self.announce.clone() };
            for gone in self.external.iter().filter(|it| !now.contains(it)) {
                self.swarm.remove_external_address(gone);
            }
            for new in now.iter().filter(|it| !self.external.contains(it)) {
                self.swarm.add_external_address(new.clone());
            }
            self.external = now;
        }
        let heard = self.heard.iter().filter_map(translate::address).collect();
        tracing::info!(addresses = self.heard.len(), "listening");
        drop(self.listens.send_replace(heard));
    }

    /// Looks at what others are shown, and tells whether the DHT can be reached.
    fn look(&mut self) {
        let kad = &mut self.swarm.behaviour_mut().kad.inner;
        let dht_peers = kad.kbuckets().map(|bucket| bucket.num_entries()).sum();
        let held = kad.store_mut().holder.len();
        {
            let mut view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
            *view = View { server: self.server, peers: self.reached.len(), dht_peers, held };
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
            let _ = self.telling.send(input);
        }
    }
}

fn connect(
    swarm: &mut Swarm<Behaviour>,
    waiting: &mut Waiting,
    peer: PeerId,
    addresses: Vec<Multiaddr>,
    answer: oneshot::Sender<Option<Multiaddr>>,
) {
    if addresses.is_empty() {
        let _ = answer.send(None);
        return;
    }
    let answers = waiting.entry(peer).or_default();
    let first = answers.is_empty();
    answers.push(answer);
    let options = DialOpts::peer_id(peer)
        .addresses(addresses)
        .condition(PeerCondition::DisconnectedAndNotDialing)
        .build();
    if first && swarm.dial(options).is_err() {
        for answer in waiting.remove(&peer).unwrap_or_default() {
            let _ = answer.send(None);
        }
    }
}

fn io(error: impl std::fmt::Display) -> NetworkError {
    NetworkError::Io(error.to_string())
}
