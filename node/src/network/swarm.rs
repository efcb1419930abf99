//! The task that owns the swarm: listeners, connections, and who waits for one.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{IpAddr, TcpListener};

use futures::StreamExt as _;
use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::core::ConnectedPoint;
use libp2p::core::transport::ListenerId;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{
    Multiaddr, PeerId, Swarm, SwarmBuilder, TransportError, identify, identity, noise, ping, tcp,
    yamux,
};
use libp2p_stream::Control;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use godwit_protocol::id::HostId;
use godwit_protocol::machine::Address;

use super::{NetworkConfig, NetworkError, translate};

/// How long a connection without streams stays.
const IDLE: std::time::Duration = std::time::Duration::from_secs(120);

#[derive(NetworkBehaviour)]
struct Behaviour {
    // First: what a limit denies, no other behaviour hears of.
    limits: connection_limits::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    streams: libp2p_stream::Behaviour,
}

/// What the task is asked to do.
pub(super) enum Order {
    /// Be connected to a peer; the answer is the address that it was reached at.
    Connect { peer: PeerId, addresses: Vec<Multiaddr>, answer: oneshot::Sender<Option<Multiaddr>> },
    /// End.
    End,
}

/// A swarm that listens.
pub(super) struct Started {
    pub(super) host: HostId,
    pub(super) control: Control,
    pub(super) listen: Vec<Address>,
    pub(super) task: JoinHandle<()>,
}

/// Listens everywhere it was asked to, then runs the task.
pub(super) async fn start(
    config: &NetworkConfig,
    orders: mpsc::UnboundedReceiver<Order>,
) -> Result<Started, NetworkError> {
    let key = identity::Keypair::ed25519_from_bytes(*config.node_key.expose()).map_err(io)?;
    let host = translate::host_id(&key.public().to_peer_id())
        .ok_or_else(|| NetworkError::Io("the node key is no Ed25519 key".to_owned()))?;
    let version = format!("/godwit/{}/id/1", config.network);
    let mut swarm = SwarmBuilder::with_existing_identity(key)
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .map_err(io)?
        .with_dns()
        .map_err(io)?
        .with_behaviour(|key| Behaviour {
            limits: connection_limits::Behaviour::new(
                ConnectionLimits::default()
                    .with_max_pending_incoming(Some(128))
                    .with_max_established_incoming(Some(1_024))
                    .with_max_established_per_peer(Some(8)),
            ),
            identify: identify::Behaviour::new(identify::Config::new(version, key.public())),
            ping: ping::Behaviour::default(),
            streams: libp2p_stream::Behaviour::new(),
        })
        .map_err(io)?
        .with_swarm_config(|config| config.with_idle_connection_timeout(IDLE))
        .build();
    let listen = listen(&mut swarm, &config.listen).await?;
    let control = swarm.behaviour().streams.new_control();
    let task = tokio::spawn(run(swarm, orders));
    Ok(Started { host, control, listen, task })
}

async fn listen(
    swarm: &mut Swarm<Behaviour>,
    wanted: &[Address],
) -> Result<Vec<Address>, NetworkError> {
    let mut waiting: HashMap<ListenerId, Address> = HashMap::new();
    let mut failed = None;
    for address in wanted {
        let multiaddr = translate::multiaddr(address)
            .ok_or_else(|| NetworkError::BadAddress { address: address.clone() })?;
        if is_taken(&multiaddr) {
            return Err(NetworkError::PortInUse { address: address.clone() });
        }
        match swarm.listen_on(multiaddr) {
            Ok(listener) => drop(waiting.insert(listener, address.clone())),
            Err(TransportError::Other(error)) if in_use(&error) => {
                return Err(NetworkError::PortInUse { address: address.clone() });
            }
            Err(error) => failed = Some(error.to_string()),
        }
    }
    let mut heard = Vec::new();
    while !waiting.is_empty() {
        match swarm.select_next_some().await {
            SwarmEvent::NewListenAddr { listener_id, address } => {
                waiting.remove(&listener_id);
                heard.extend(translate::address(&address));
            }
            SwarmEvent::ListenerClosed { listener_id, reason: Err(error), .. } => {
                if let Some(address) = waiting.remove(&listener_id) {
                    if in_use(&error) {
                        return Err(NetworkError::PortInUse { address });
                    }
                    failed = Some(error.to_string());
                }
            }
            _ => {}
        }
    }
    match (heard.is_empty(), failed) {
        (true, Some(error)) => Err(NetworkError::Io(error)),
        (_, error) => {
            if error.is_some() {
                tracing::warn!("this machine lacks a family of addresses");
            }
            Ok(heard)
        }
    }
}

/// Whether somebody listens there: libp2p's own sockets share their ports, so that the system would
/// not say so.
fn is_taken(address: &Multiaddr) -> bool {
    let mut parts = address.iter();
    let ip: IpAddr = match parts.next() {
        Some(Protocol::Ip4(ip)) => ip.into(),
        Some(Protocol::Ip6(ip)) => ip.into(),
        _ => return false,
    };
    match parts.next() {
        Some(Protocol::Tcp(port)) if port != 0 => {
            TcpListener::bind((ip, port)).is_err_and(|error| error.kind() == ErrorKind::AddrInUse)
        }
        _ => false,
    }
}

fn in_use(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>()
            && io.kind() == std::io::ErrorKind::AddrInUse
        {
            return true;
        }
        cause = error.source();
    }
    error.to_string().contains("in use")
}

type Waiting = HashMap<PeerId, Vec<oneshot::Sender<Option<Multiaddr>>>>;

async fn run(mut swarm: Swarm<Behaviour>, mut orders: mpsc::UnboundedReceiver<Order>) {
    let mut waiting = Waiting::new();
    let mut reached: HashMap<PeerId, Multiaddr> = HashMap::new();
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(Order::Connect { peer, addresses, answer }) => {
                    if let Some(address) = reached.get(&peer) {
                        let _ = answer.send(Some(address.clone()));
                    } else {
                        connect(&mut swarm, &mut waiting, peer, addresses, answer);
                    }
                }
                Some(Order::End) | None => return,
            },
            event = swarm.select_next_some() => match event {
                SwarmEvent::ConnectionEstablished { peer_id, endpoint, .. } => {
                    let remote = remote(&endpoint);
                    for answer in waiting.remove(&peer_id).unwrap_or_default() {
                        let _ = answer.send(Some(remote.clone()));
                    }
                    reached.insert(peer_id, remote);
                }
                SwarmEvent::ConnectionClosed { peer_id, num_established: 0, .. } => {
                    reached.remove(&peer_id);
                }
                SwarmEvent::OutgoingConnectionError { peer_id: Some(peer), .. } => {
                    for answer in waiting.remove(&peer).unwrap_or_default() {
                        let _ = answer.send(None);
                    }
                }
                _ => {}
            },
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

fn remote(endpoint: &ConnectedPoint) -> Multiaddr {
    endpoint.get_remote_address().clone()
}

fn io(error: impl std::fmt::Display) -> NetworkError {
    NetworkError::Io(error.to_string())
}
