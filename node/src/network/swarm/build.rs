//! The swarm's parts: transports, behaviours, and the bounds that each has.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::Boxed;
use libp2p::core::upgrade::Version;
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::{
    PeerId, StreamProtocol, Swarm, SwarmBuilder, Transport as _, dcutr, identify, identity, noise,
    ping, quic, relay, tcp, yamux,
};

use super::crowd::Crowd;
use super::guard::{Allowed, Guard};
use super::near::{self, Near};
use super::quiet::Quiet;
use super::twin::Twin;
use crate::network::dht::{self, Kad};
use crate::network::{NetworkConfig, NetworkError, Services};

/// How long a connection without streams stays.
const IDLE: Duration = Duration::from_secs(120);
/// How often a connection is tried, and how long an answer may take; the second time without one it
/// counts as dead.
const PING_EVERY: Duration = Duration::from_secs(10);
const PING_TIME: Duration = Duration::from_secs(8);
/// Connections that peers may open, and at a light node.
const MAX_INCOMING: u32 = 4_096;
const MAX_INCOMING_LIGHT: u32 = 64;
/// Connections that are only being opened.
const MAX_PENDING: u32 = 128;
/// Descriptors that are not for the connections of others: the store, the local API, own dials.
const RESERVE: u32 = 128;
/// Who may be reached through this node at once: two persons' devices of a full host, and more.
const MAX_RESERVATIONS: usize = 1_024;
/// Circuits through this node at once, and of one peer.
const MAX_CIRCUITS: usize = 256;
const MAX_CIRCUITS_OF_PEER: usize = 16;
/// How long a circuit lasts and what it carries: enough for introductions and for text.
const CIRCUIT_TIME: Duration = Duration::from_secs(10 * 60);
const CIRCUIT_BYTES: u64 = 4 << 20;
/// Circuits that one peer may open in a burst, and how fast that fills again.
const CIRCUITS_A_PEER: (NonZeroU32, Duration) =
    (NonZeroU32::MIN.saturating_add(29), Duration::from_secs(20));

#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    // First: what a limit denies, no other behaviour hears of.
    limits: connection_limits::Behaviour,
    crowd: Crowd,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    pub(super) kad: Kad,
    pub(super) near: Toggle<Near>,
    /// Reached through hosts.
    relayed: Quiet<relay::client::Behaviour>,
    /// Lets others be reached through this node.
    relay: Toggle<relay::Behaviour>,
    punch: dcutr::Behaviour,
    twin: Twin,
    pub(super) streams: libp2p_stream::Behaviour,
}

/// The peers that may be reached through this node: those whose mail it keeps.
#[derive(Clone, Default)]
pub(super) struct Served {
    peers: Arc<Mutex<HashSet<PeerId>>>,
}

impl Served {
    pub(super) fn add(&self, peer: PeerId) {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner).insert(peer);
    }

    pub(super) fn remove(&self, peer: &PeerId) {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner).remove(peer);
    }

    fn contains(&self, peer: &PeerId) -> bool {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner).contains(peer)
    }
}

pub(super) fn build(
    config: &NetworkConfig,
    key: identity::Keypair,
    kad_name: StreamProtocol,
    (allowed, served): (Allowed, Served),
) -> Result<Swarm<Behaviour>, NetworkError> {
    let version = format!("/godwit/{}/id/1", config.network);
    let Services { server, relays, mdns, light } = config.services;
    let (incoming, pending) = admitted(if light { MAX_INCOMING_LIGHT } else { MAX_INCOMING });
    let swarm = SwarmBuilder::with_existing_identity(key)
        .with_tokio()
        .with_other_transport(|key| transport(key, allowed))
        .map_err(io)?
        .with_relay_client(noise::Config::new, yamux::Config::default)
        .map_err(io)?
        .with_behaviour(|key, relayed| {
            let own = key.public().to_peer_id();
            Behaviour {
                limits: connection_limits::Behaviour::new(
                    ConnectionLimits::default()
                        .with_max_pending_incoming(Some(pending))
                        .with_max_established_incoming(Some(incoming))
                        .with_max_established_per_peer(Some(8)),
                ),
                crowd: Crowd::new(incoming, pending),
                // Where this node listens is told by what it announces, not by its interfaces.
                identify: identify::Behaviour::new(
                    identify::Config::new(version, key.public())
                        .with_hide_listen_addrs(true)
                        .with_push_listen_addr_updates(true)
                        .with_cache_size(0),
                ),
                ping: ping::Behaviour::new(
                    ping::Config::new().with_interval(PING_EVERY).with_timeout(PING_TIME),
                ),
                kad: dht::behaviour(own, kad_name, server),
                near: room(own, mdns).into(),
                relayed: Quiet { inner: relayed },
                relay: relays.then(|| relay(own, served)).into(),
                punch: dcutr::Behaviour::new(own),
                twin: Twin::default(),
                streams: libp2p_stream::Behaviour::new(),
            }
        })
        .map_err(io)?
        // QUIC has a short lead: two peers that race end on the same transport, and a hole is punched
        // only where both dial the same one.
        .with_swarm_config(|config| config.with_idle_connection_timeout(IDLE).with_smart_dial())
        .build();
    Ok(swarm)
}

/// Connections that peers may have open, and be opening: what the process's own limit of descriptors
/// leaves for them.
fn admitted(wanted: u32) -> (u32, u32) {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let limit = limit.map_or(u32::MAX, |limit| u32::try_from(limit).unwrap_or(u32::MAX));
    let left = limit.saturating_sub(RESERVE).max(16);
    let pending = MAX_PENDING.min(left / 4);
    (wanted.min(left.saturating_sub(pending)), pending)
}

/// TCP with Noise and Yamux, and QUIC; all of it dials what it may.
fn transport(
    key: &identity::Keypair,
    allowed: Allowed,
) -> Result<Boxed<(PeerId, StreamMuxerBox)>, Box<dyn std::error::Error + Send + Sync>> {
    let tcp = tcp::tokio::Transport::new(tcp::Config::default())
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(key)?)
        .multiplex(yamux::Config::default())
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    let quic = quic::tokio::Transport::new(quic::Config::new(key))
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    let both = quic.or_transport(tcp).map(|either, _| either.into_inner());
    Ok(Guard::new(both, allowed).boxed())
}

/// mDNS, where it is wanted and the system has it.
fn room(own: PeerId, wanted: bool) -> Option<Near> {
    let near = wanted.then(|| near::behaviour(own, &[]))?;
    if near.is_err() {
        tracing::warn!("this machine lets nobody be heard by mDNS");
    }
    near.ok()
}

fn relay(own: PeerId, served: Served) -> relay::Behaviour {
    let mut config = relay::Config {
        max_reservations: MAX_RESERVATIONS,
        max_reservations_per_peer: 2,
        max_circuits: MAX_CIRCUITS,
        max_circuits_per_peer: MAX_CIRCUITS_OF_PEER,
        max_circuit_duration: CIRCUIT_TIME,
        max_circuit_bytes: CIRCUIT_BYTES,
        reservation_rate_limiters: vec![Box::new(move |peer, _: &_, _| served.contains(&peer))],
        circuit_src_rate_limiters: Vec::new(),
        ..relay::Config::default()
    };
    config = config.circuit_src_per_peer(CIRCUITS_A_PEER.0, CIRCUITS_A_PEER.1);
    relay::Behaviour::new(own, config)
}

fn io(error: impl std::fmt::Display) -> NetworkError {
    NetworkError::Io(error.to_string())
}
