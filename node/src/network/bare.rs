//! A bare libp2p node, for measuring: Noise, Yamux, identify, ping and a client of Kademlia, each as
//! libp2p sets it, connected to one peer. Nothing of a messenger.

use futures::StreamExt as _;
use libp2p::kad::store::MemoryStore;
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, StreamProtocol, SwarmBuilder, identify, kad, noise, ping, tcp, yamux};
use tokio::sync::oneshot;

use super::NetworkError;

#[derive(NetworkBehaviour)]
struct Behaviour {
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    kad: kad::Behaviour<MemoryStore>,
}

/// Stays connected to the node at an address (with its `/p2p/`) until its standard input ends.
///
/// # Errors
/// [`NetworkError`] if the address is none, or nobody answers there.
pub(crate) async fn stay(address: &str) -> Result<(), NetworkError> {
    let address: Multiaddr = address.parse().map_err(io)?;
    let mut swarm = SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .map_err(io)?
        .with_behaviour(|key| {
            let own = key.public().to_peer_id();
            let name = StreamProtocol::new("/godwit/main/kad/1");
            Behaviour {
                identify: identify::Behaviour::new(identify::Config::new(
                    "/godwit/main/id/1".to_owned(),
                    key.public(),
                )),
                ping: ping::Behaviour::default(),
                kad: kad::Behaviour::with_config(
                    own,
                    MemoryStore::new(own),
                    kad::Config::new(name),
                ),
            }
        })
        .map_err(io)?
        .with_swarm_config(|config| config.with_idle_connection_timeout(std::time::Duration::MAX))
        .build();
    swarm.dial(address).map_err(io)?;
    let (end, mut ended) = oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ = end.send(());
    });
    loop {
        tokio::select! {
            _ = &mut ended => return Ok(()),
            event = swarm.select_next_some() => match event {
                SwarmEvent::OutgoingConnectionError { error, .. } => return Err(io(error)),
                SwarmEvent::Behaviour(BehaviourEvent::Identify(identify::Event::Received {
                    peer_id, info, ..
                })) => {
                    for address in info.listen_addrs {
                        swarm.behaviour_mut().kad.add_address(&peer_id, address);
                    }
                }
                _ => {}
            },
        }
    }
}

fn io(error: impl std::fmt::Display) -> NetworkError {
    NetworkError::Io(error.to_string())
}
