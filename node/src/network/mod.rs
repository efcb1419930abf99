//! The only libp2p code: connections, long-lived framed streams, dials.
//!
//! ```text
//! machine ── output (never blocks) ──► per-link queue ──► writer task ──► stream
//! machine ◄─ bounded channel ──────────────────────────── reader task ◄── stream
//! ```
//! One task owns the swarm; one task a link. Every queue is bounded: a link whose queue is full is
//! closed and reported, a reader whose machine is busy stops reading.
//! Source: NETWORK-NOTES §1, §2, §7; PROTOCOL §8.

mod link;
mod swarm;
mod translate;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use libp2p::{PeerId, Stream, StreamProtocol};
use libp2p_stream::Control;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use godwit_protocol::crypto::Secret;
use godwit_protocol::id::HostId;
use godwit_protocol::identity::Network as NetworkName;
use godwit_protocol::machine::{Address, LinkId, NetworkInput, NetworkOutput, Opener, StreamKind};

use link::LinkHandle;
use swarm::Order;

/// Streams that peers may have open here at once.
const MAX_ACCEPTED: usize = 4_096;
/// Streams that one peer may have open here at once.
const MAX_ACCEPTED_OF_PEER: usize = 16;
/// How long a dial may take, stream and all.
const DIAL_TIME: Duration = Duration::from_secs(15);

/// How the network is set up.
#[derive(Debug)]
pub struct NetworkConfig {
    /// The seed of the node key (Ed25519).
    pub node_key: Secret<32>,
    /// The network's name, in every protocol's name.
    pub network: NetworkName,
    /// Where to listen; port 0 for any.
    pub listen: Vec<Address>,
}

/// Why the network does not start.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NetworkError {
    /// Somebody else listens there.
    #[error("{address} is in use")]
    PortInUse {
        /// Where.
        address: Address,
    },
    /// Not an address that this node can listen on.
    #[error("{address} is not an address to listen on (/ip4 or /ip6 and /tcp)")]
    BadAddress {
        /// Which.
        address: Address,
    },
    /// The system refused.
    #[error("the network does not start: {0}")]
    Io(String),
}

/// A running network; clones are the same one.
#[derive(Clone)]
pub struct Network {
    shared: Arc<Shared>,
}

struct Shared {
    host: HostId,
    direct: StreamProtocol,
    inputs: mpsc::Sender<NetworkInput>,
    orders: mpsc::UnboundedSender<Order>,
    control: Control,
    links: Mutex<Links>,
    next_link: AtomicU64,
    listen: Vec<Address>,
    runtime: tokio::runtime::Handle,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Default)]
struct Links {
    open: HashMap<LinkId, LinkHandle>,
    accepted: HashMap<PeerId, usize>,
}

impl Network {
    /// Starts to listen, and to tell `inputs` what happens.
    ///
    /// # Errors
    /// [`NetworkError`]: every case; then nothing runs. A family of addresses that the machine
    /// lacks is no error while another listener works.
    pub async fn start(
        config: NetworkConfig,
        inputs: mpsc::Sender<NetworkInput>,
    ) -> Result<Self, NetworkError> {
        let name = format!("/godwit/{}/direct/1", config.network);
        let direct = StreamProtocol::try_from_owned(name)
            .map_err(|error| NetworkError::Io(error.to_string()))?;
        let (orders, received) = mpsc::unbounded_channel();
        let started = swarm::start(&config, received).await?;
        let mut control = started.control;
        let mut incoming =
            control.accept(direct.clone()).map_err(|error| NetworkError::Io(error.to_string()))?;
        let network = Self {
            shared: Arc::new(Shared {
                host: started.host,
                direct,
                inputs,
                orders,
                control,
                links: Mutex::default(),
                next_link: AtomicU64::new(1),
                listen: started.listen,
                runtime: tokio::runtime::Handle::current(),
                tasks: Mutex::new(vec![started.task]),
            }),
        };
        let accepting = network.clone();
        let task = tokio::spawn(async move {
            while let Some((peer, stream)) = incoming.next().await {
                accepting.accepted(peer, stream);
            }
        });
        network.tasks().push(task);
        Ok(network)
    }

    /// Where this node listens, with real ports.
    #[must_use]
    pub fn listen_addresses(&self) -> &[Address] {
        &self.shared.listen
    }

    /// This node's key.
    #[must_use]
    pub fn host_id(&self) -> HostId {
        self.shared.host
    }

    /// How many links are open.
    #[must_use]
    pub fn links(&self) -> usize {
        self.open_links().open.len()
    }

    /// Carries out what a machine asks for; never blocks, from any thread.
    pub fn output(&self, output: NetworkOutput) {
        match output {
            NetworkOutput::Send { link, bytes } => {
                let links = self.open_links();
                if let Some(handle) = links.open.get(&link)
                    && !handle.send(bytes)
                {
                    handle.kill();
                }
            }
            NetworkOutput::Close { link } => {
                // What is queued leaves first: the writer ends when its handle is gone.
                self.open_links().open.remove(&link);
            }
            NetworkOutput::Dial { peer, kind, addresses } => {
                let network = self.clone();
                self.shared.runtime.spawn(async move {
                    let dialled = network.dial(peer, kind, addresses);
                    let failed = match tokio::time::timeout(DIAL_TIME, dialled).await {
                        Ok(opened) => opened.is_none(),
                        Err(_) => true,
                    };
                    if failed {
                        let input = NetworkInput::DialFailed { peer, kind };
                        let _ = network.shared.inputs.send(input).await;
                    }
                });
            }
        }
    }

    /// Sends what is queued, closes every link and ends.
    pub async fn shutdown(self) {
        self.open_links().open.clear();
        let _ = self.shared.orders.send(Order::End);
        let tasks = core::mem::take(&mut *self.tasks());
        for mut task in tasks.into_iter().rev() {
            if tokio::time::timeout(Duration::from_millis(500), &mut task).await.is_err() {
                task.abort();
            }
        }
    }

    /// Opens a stream; `None` if it does not open. `LinkUp` is told before this returns.
    async fn dial(&self, peer: HostId, kind: StreamKind, addresses: Vec<Address>) -> Option<()> {
        let id = translate::peer_id(&peer).filter(|_| kind == StreamKind::Direct)?;
        let parsed = addresses.iter().filter_map(translate::multiaddr).collect();
        let (answer, connected) = oneshot::channel();
        self.shared.orders.send(Order::Connect { peer: id, addresses: parsed, answer }).ok()?;
        let remote = connected.await.ok()??;
        let mut control = self.shared.control.clone();
        let stream = control.open_stream(id, self.shared.direct.clone()).await.ok()?;
        self.run_link(id, peer, stream, Opener::Us, translate::address(&remote));
        Some(())
    }

    fn accepted(&self, peer: PeerId, stream: Stream) {
        let Some(host) = translate::host_id(&peer) else { return };
        {
            let mut links = self.open_links();
            let all: usize = links.accepted.values().sum();
            let of_peer = links.accepted.entry(peer).or_default();
            if all >= MAX_ACCEPTED || *of_peer >= MAX_ACCEPTED_OF_PEER {
                return;
            }
            *of_peer = of_peer.saturating_add(1);
        }
        self.run_link(peer, host, stream, Opener::Them, None);
    }

    fn run_link(
        &self,
        id: PeerId,
        peer: HostId,
        stream: Stream,
        opener: Opener,
        address: Option<Address>,
    ) {
        let link = LinkId(self.shared.next_link.fetch_add(1, Ordering::Relaxed));
        let (handle, task) = LinkHandle::new();
        self.open_links().open.insert(link, handle);
        let network = self.clone();
        self.shared.runtime.spawn(async move {
            let inputs = network.shared.inputs.clone();
            let kind = StreamKind::Direct;
            let up = NetworkInput::LinkUp { link, peer, kind, opener, address };
            if inputs.send(up).await.is_ok() {
                link::run(stream, link, task, inputs).await;
            }
            network.forget(link, id, opener);
        });
    }

    fn forget(&self, link: LinkId, peer: PeerId, opener: Opener) {
        let mut links = self.open_links();
        links.open.remove(&link);
        if opener == Opener::Them
            && let Some(count) = links.accepted.get_mut(&peer)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                links.accepted.remove(&peer);
            }
        }
    }

    fn open_links(&self) -> std::sync::MutexGuard<'_, Links> {
        self.shared.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tasks(&self) -> std::sync::MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.shared.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
