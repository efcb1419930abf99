//! Listening: where the node is asked to, with the ports that the system gives.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::time::Duration;

use futures::StreamExt as _;
use libp2p::core::transport::ListenerId;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, Swarm, TransportError};
use tokio::time::timeout;

use godwit_protocol::machine::Address;

use super::Behaviour;
use crate::network::{NetworkError, translate};

/// How long a listener may be without an address: a machine without a network has none, and its node
/// starts all the same.
const PATIENCE: Duration = Duration::from_secs(2);

/// Listens; returns the addresses that are there by then.
pub(super) async fn listen(
    swarm: &mut Swarm<Behaviour>,
    wanted: &[Address],
) -> Result<Vec<Multiaddr>, NetworkError> {
    // All of them before the first listens: one of `::` would find the one of `0.0.0.0` in its place.
    for address in wanted {
        if translate::multiaddr(address).is_some_and(|multiaddr| is_taken(&multiaddr)) {
            return Err(NetworkError::PortInUse { address: address.clone() });
        }
    }
    let mut waiting: HashMap<ListenerId, Address> = HashMap::new();
    let mut failed = None;
    for address in wanted {
        let multiaddr = translate::multiaddr(address)
            .ok_or_else(|| NetworkError::BadAddress { address: address.clone() })?;
        match swarm.listen_on(multiaddr) {
            Ok(listener) => drop(waiting.insert(listener, address.clone())),
            Err(TransportError::Other(error)) if in_use(&error) => {
                return Err(NetworkError::PortInUse { address: address.clone() });
            }
            Err(error) => failed = Some(error.to_string()),
        }
    }
    if let (true, Some(error)) = (waiting.is_empty(), &failed) {
        return Err(NetworkError::Io(error.clone()));
    }
    let mut heard = Vec::new();
    let listened = timeout(PATIENCE, async {
        while !waiting.is_empty() {
            match swarm.select_next_some().await {
                SwarmEvent::NewListenAddr { listener_id, address } => {
                    waiting.remove(&listener_id);
                    heard.push(address);
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
        match &failed {
            Some(error) if heard.is_empty() => Err(NetworkError::Io(error.clone())),
            _ => Ok(()),
        }
    });
    if let Ok(result) = listened.await {
        result?;
    }
    if failed.is_some() {
        tracing::warn!("this machine lacks a family of addresses");
    }
    Ok(heard)
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
    let bound = match parts.next() {
        Some(Protocol::Tcp(port)) if port != 0 => TcpListener::bind((ip, port)).map(drop),
        Some(Protocol::Udp(port)) if port != 0 => UdpSocket::bind((ip, port)).map(drop),
        _ => return false,
    };
    bound.is_err_and(|error| error.kind() == ErrorKind::AddrInUse)
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
