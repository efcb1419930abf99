//! Where a node listens: what it was told, the port of the last time, or one port for everything.

use std::net::TcpListener;

use godwit_protocol::machine::{Address, NetworkInput};
use godwit_protocol::rows::home::{ADDRESSES, HOME};
use godwit_protocol::rows::typed::load;
use godwit_store::Store;
use tokio::sync::mpsc;

use crate::config::{Config, Profile, Reachability};
use crate::error::Error;
use crate::home::OpenHome;
use crate::network::{Network, NetworkConfig, NetworkError, Services, Sinks, is_loopback};

/// What the network may tell before the loop takes it.
const NETWORK_QUEUE: usize = 256;
/// How often a free port is drawn: TCP and UDP have each their own.
const DRAWS: usize = 4;

pub(crate) type Told = mpsc::Receiver<NetworkInput>;

/// A network that listens, and what it tells.
pub(crate) struct Heard {
    pub(crate) network: Network,
    pub(crate) endpoint: Told,
    pub(crate) host: Told,
}

/// Listens where it was asked to; where any port would do, on the port of the last time if it is
/// free, so that contacts find the node again, and else on one port for TCP and QUIC.
pub(crate) async fn start(home: &OpenHome, config: &Config, store: &Store) -> Result<Heard, Error> {
    let wanted = config.listeners();
    let known: Option<Vec<Address>> = load(&store.reader(), &HOME, ADDRESSES).unwrap_or_default();
    let known = known.unwrap_or_default();
    let mut tries: Vec<Vec<Address>> =
        port_of(&known).map(|port| at(&wanted, port)).into_iter().collect();
    if config.listen.is_empty() {
        tries.extend((0..DRAWS).filter_map(|_| Some(at(&wanted, free_port()?))));
    }
    for listen in tries {
        match listen_at(home, config, listen).await {
            // Taken, or one that this user may not have: another one is as good.
            Err(_) if asks_for_any(&wanted) => {}
            result => return result.map_err(unheard),
        }
    }
    listen_at(home, config, wanted).await.map_err(unheard)
}

async fn listen_at(
    home: &OpenHome,
    config: &Config,
    listen: Vec<Address>,
) -> Result<Heard, NetworkError> {
    let (to_endpoint, endpoint) = mpsc::channel(NETWORK_QUEUE);
    let (to_host, host) = mpsc::channel(NETWORK_QUEUE);
    let sinks = Sinks {
        endpoint: home.account.as_ref().map(|_| to_endpoint),
        host: config.hosting.map(|_| to_host),
    };
    let light = config.profile == Profile::Light;
    let services = Services {
        server: (config.hosting.is_some() || config.reachability == Reachability::Public) && !light,
        relays: config.hosting.is_some() && !light,
        // Nobody is in the room of a node that listens to its own machine alone.
        mdns: config.mdns && !listen.iter().all(is_loopback),
        light,
    };
    let settings = NetworkConfig {
        node_key: home.node_key.clone(),
        network: config.network.clone(),
        listen,
        announce: config.announce.clone(),
        services,
    };
    Ok(Heard { network: Network::start(settings, sinks).await?, endpoint, host })
}

fn unheard(error: NetworkError) -> Error {
    match error {
        NetworkError::PortInUse { address } => Error::PortInUse { address: address.to_string() },
        other => Error::Io(other.to_string()),
    }
}

fn asks_for_any(wanted: &[Address]) -> bool {
    wanted.iter().any(|address| at(std::slice::from_ref(address), 1) != [address.clone()])
}

/// The wanted addresses with a port in place of port 0.
fn at(wanted: &[Address], port: u16) -> Vec<Address> {
    let place = |address: &Address| {
        let text = address.as_str();
        let tcp = text.strip_suffix("/tcp/0").map(|place| format!("{place}/tcp/{port}"));
        let quic =
            || text.strip_suffix("/udp/0/quic-v1").map(|it| format!("{it}/udp/{port}/quic-v1"));
        Address::new(&tcp.or_else(quic)?).ok()
    };
    wanted.iter().map(|address| place(address).unwrap_or_else(|| address.clone())).collect()
}

/// The port of the last time.
fn port_of(known: &[Address]) -> Option<u16> {
    known.iter().find_map(|address| {
        let mut parts = address.as_str().split('/').skip(3);
        match (parts.next()?, parts.next()?) {
            ("tcp" | "udp", port) => port.parse().ok(),
            _ => None,
        }
    })
}

/// A port that nobody listens on now.
fn free_port() -> Option<u16> {
    let listener = TcpListener::bind(("::", 0)).or_else(|_| TcpListener::bind(("0.0.0.0", 0)));
    listener.and_then(|listener| listener.local_addr()).ok().map(|address| address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<Address> {
        texts.iter().map(|text| Address::new(text).unwrap()).collect()
    }

    #[test]
    fn the_port_of_the_last_time_is_kept_where_any_would_do() {
        let known = addresses(&["/ip4/127.0.0.1/tcp/4001"]);
        let wanted =
            addresses(&["/ip4/0.0.0.0/tcp/0", "/ip6/::/udp/0/quic-v1", "/ip6/::/tcp/7447"]);

        let kept = at(&wanted, port_of(&known).unwrap());

        let right = ["/ip4/0.0.0.0/tcp/4001", "/ip6/::/udp/4001/quic-v1", "/ip6/::/tcp/7447"];
        assert_eq!(kept, addresses(&right));
        assert_eq!(port_of(&[]), None);
        assert!(asks_for_any(&wanted));
        assert!(!asks_for_any(&wanted[2..]));
    }
}
