//! The only libp2p code: connections, long-lived framed streams, dials, the DHT.
//!
//! ```text
//! machine ── output (never blocks) ──► per-link queue ──► writer task ──► stream
//! machine ◄─ bounded channel ──────────────────────────── reader task ◄── stream
//! ```
//! One task owns the swarm; one task a link. Every queue is bounded: a link whose queue is full is
//! closed and reported, a reader whose machine is busy, or has enough frames of that peer, stops reading.
//! Source: NETWORK-NOTES §1, §2, §7; PROTOCOL §8.

pub(crate) mod bare;
mod budget;
mod checks;
mod dht;
mod enter;
mod link;
mod located;
mod names;
mod range;
pub(crate) mod raw;
pub(crate) mod reach;
mod swarm;
mod translate;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use libp2p::{Multiaddr, PeerId, Stream, StreamProtocol};
use libp2p_stream::Control;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;

use godwit_protocol::crypto::Secret;
use godwit_protocol::id::HostId;
use godwit_protocol::identity::Network as NetworkName;
use godwit_protocol::machine::{Address, LinkId, NetworkInput, NetworkOutput, Opener, StreamKind};

use budget::Budgets;
pub(crate) use enter::Entrance;
use link::LinkHandle;
use located::Located;
use names::Names;
pub use reach::Proof;
use swarm::{Order, Word};

/// Streams that peers may have open here at once.
const MAX_ACCEPTED: usize = 4_096;
/// Streams that one peer may have open here at once.
const MAX_ACCEPTED_OF_PEER: usize = 16;
/// Questions to dial back that are answered at once.
const MAX_DIALLING_BACK: usize = 16;
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
    /// What is told in place of where it listens; may be empty.
    pub announce: Vec<Address>,
    /// What the node does for others.
    pub services: Services,
}

/// What a node does for others; nothing by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Services {
    /// Whether it answers searches and holds records: a node that others can reach.
    pub server: bool,
    /// Whether those whose mail it keeps are reached through it.
    pub relays: bool,
    /// Whether it says in its room that it is there, and hears who else is.
    pub mdns: bool,
    /// Whether it keeps few links.
    pub light: bool,
}

/// What the network looks like from here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct View {
    /// Whether this node answers searches and holds records.
    pub server: bool,
    /// Peers that are connected.
    pub peers: usize,
    /// Nodes of the DHT that are known.
    pub dht_peers: usize,
    /// Records that are held for others.
    pub held: usize,
    /// Peers that are reached through others alone.
    pub relayed: usize,
    /// Peers through which this node is reached.
    pub relays: usize,
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
    #[error(
        "{address} is not an address to listen on (/ip4 or /ip6, and /tcp/PORT or /udp/PORT/quic-v1)"
    )]
    BadAddress {
        /// Which.
        address: Address,
    },
    /// The system refused.
    #[error("the network does not start: {0}")]
    Io(String),
}

/// What a machine has taken, as far as the network wants to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handled {
    /// A frame of that link.
    Frame(LinkId),
    /// The news that that link has ended.
    End(LinkId),
    /// Something else.
    Other,
}

impl From<&NetworkInput> for Handled {
    fn from(input: &NetworkInput) -> Self {
        match input {
            NetworkInput::Frame { link, .. } => Self::Frame(*link),
            NetworkInput::LinkDown { link } => Self::End(*link),
            _ => Self::Other,
        }
    }
}

/// Who is told what happens: streams that this node opened and accepted direct ones go to the
/// endpoint, accepted mailbox ones to the host. Without one, its streams are not accepted.
#[derive(Debug, Clone, Default)]
pub struct Sinks {
    /// The endpoint.
    pub endpoint: Option<mpsc::Sender<NetworkInput>>,
    /// The mailbox host.
    pub host: Option<mpsc::Sender<NetworkInput>>,
}

impl From<mpsc::Sender<NetworkInput>> for Sinks {
    fn from(endpoint: mpsc::Sender<NetworkInput>) -> Self {
        Self { endpoint: Some(endpoint), host: None }
    }
}

impl Sinks {
    fn of(&self, kind: StreamKind, opener: Opener) -> Option<&mpsc::Sender<NetworkInput>> {
        match (kind, opener) {
            (StreamKind::Mailbox, Opener::Them) => self.host.as_ref(),
            _ => self.endpoint.as_ref(),
        }
    }
}

/// A running network; clones are the same one.
#[derive(Clone)]
pub struct Network {
    shared: Arc<Shared>,
}

struct Shared {
    host: HostId,
    direct: StreamProtocol,
    mailbox: StreamProtocol,
    reach: StreamProtocol,
    sinks: Sinks,
    orders: mpsc::UnboundedSender<Order>,
    control: Control,
    links: Mutex<Links>,
    budgets: Budgets,
    names: Names,
    located: Located,
    next_link: AtomicU64,
    listening: watch::Receiver<Vec<Address>>,
    announce: Vec<Address>,
    view: Arc<Mutex<View>>,
    proofs: Mutex<Vec<Proof>>,
    runtime: tokio::runtime::Handle,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    accepting: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Default)]
struct Links {
    open: HashMap<LinkId, LinkHandle>,
    accepted: HashMap<PeerId, usize>,
    /// Peers that are dialled until they answer.
    entrances: HashSet<HostId>,
}

impl Network {
    /// Starts to listen, and to tell `inputs` what happens.
    ///
    /// # Errors
    /// [`NetworkError`]: every case; then nothing runs. A family of addresses that the machine
    /// lacks is no error while another listener works.
    pub async fn start(
        config: NetworkConfig,
        sinks: impl Into<Sinks>,
    ) -> Result<Self, NetworkError> {
        let sinks = sinks.into();
        let direct = protocol(&config.network, "direct")?;
        let mailbox = protocol(&config.network, "mailbox")?;
        let reach = protocol(&config.network, "reach")?;
        let (orders, received) = mpsc::unbounded_channel();
        let started = swarm::start(&config, received).await?;
        let mut control = started.control;
        let mut incoming = Vec::new();
        for (kind, name) in [(StreamKind::Direct, &direct), (StreamKind::Mailbox, &mailbox)] {
            if sinks.of(kind, Opener::Them).is_some() {
                let accepted = control.accept(name.clone());
                let streams = accepted.map_err(|error| NetworkError::Io(error.to_string()))?;
                incoming.push((kind, streams));
            }
        }
        let asking = config.services.server.then(|| control.accept(reach.clone())).transpose();
        let asking = asking.map_err(|error| NetworkError::Io(error.to_string()))?;
        let network = Self {
            shared: Arc::new(Shared {
                host: started.host,
                direct,
                mailbox,
                reach,
                sinks,
                orders,
                control,
                links: Mutex::default(),
                budgets: Budgets::default(),
                names: Names::default(),
                located: Located::default(),
                next_link: AtomicU64::new(1),
                listening: started.listening,
                announce: config.announce,
                view: started.view,
                proofs: Mutex::default(),
                runtime: tokio::runtime::Handle::current(),
                tasks: Mutex::new(vec![started.task]),
                accepting: Mutex::default(),
            }),
        };
        for (kind, mut streams) in incoming {
            let accepting = network.clone();
            let task = tokio::spawn(async move {
                while let Some((peer, stream)) = streams.next().await {
                    accepting.accepted(peer, kind, stream);
                }
            });
            network.keep(task);
        }
        if let Some(mut streams) = asking {
            let answering = network.clone();
            let places = Arc::new(Semaphore::new(MAX_DIALLING_BACK));
            network.keep(tokio::spawn(async move {
                while let Some((peer, stream)) = streams.next().await {
                    let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
                    let answering = answering.clone();
                    tokio::spawn(async move {
                        answering.dial_back(peer, stream).await;
                        drop(place);
                    });
                }
            }));
        }
        network.keep(tokio::spawn(network.clone().tell(started.told)));
        Ok(network)
    }

    /// Where this node listens, with real ports.
    #[must_use]
    pub fn listen_addresses(&self) -> Vec<Address> {
        self.shared.listening.borrow().clone()
    }

    /// Where it tells others that it listens: what it was told to announce, else the addresses of the
    /// widest range that it has; best first.
    #[must_use]
    pub fn announced_addresses(&self) -> Vec<Address> {
        if !self.shared.announce.is_empty() {
            let unproved = |it: &&Address| !self.is_unreached(it);
            return self.shared.announce.iter().filter(unproved).cloned().collect();
        }
        let listen: Vec<Multiaddr> =
            self.listen_addresses().iter().filter_map(translate::multiaddr).collect();
        range::told(&listen).iter().filter_map(translate::address).collect()
    }

    /// What is told of where this node is, proved or not.
    #[must_use]
    pub fn claimed_addresses(&self) -> Vec<Address> {
        if self.shared.announce.is_empty() {
            self.announced_addresses()
        } else {
            self.shared.announce.clone()
        }
    }

    /// Whether the person said what is told.
    #[must_use]
    pub fn announces(&self) -> bool {
        !self.shared.announce.is_empty()
    }

    /// What came of the last look at whether this node is reached.
    #[must_use]
    pub fn proofs(&self) -> Vec<Proof> {
        self.proofs_mut().clone()
    }

    fn is_unreached(&self, address: &Address) -> bool {
        let proofs = self.proofs_mut();
        proofs.iter().any(|proof| proof.address == *address && proof.reached == Some(false))
    }

    fn proofs_mut(&self) -> std::sync::MutexGuard<'_, Vec<Proof>> {
        self.shared.proofs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Resolves whenever the addresses have changed.
    #[must_use]
    pub fn listening(&self) -> watch::Receiver<Vec<Address>> {
        self.shared.listening.clone()
    }

    /// What the network looks like from here.
    #[must_use]
    pub fn view(&self) -> View {
        *self.shared.view.lock().unwrap_or_else(PoisonError::into_inner)
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
            NetworkOutput::Dial { peer, kind: StreamKind::Mailbox, .. }
                if peer == self.shared.host && self.shared.sinks.host.is_some() =>
            {
                self.loop_back();
            }
            NetworkOutput::Enter { peers } => self.enter(peers, Entrance::Once),
            NetworkOutput::Find { key } => self.order(Order::Find { key }),
            NetworkOutput::Put { key, value } => self.order(Order::Put { key, value }),
            NetworkOutput::Reserve { relay } => {
                if let Some(relay) = translate::peer_id(&relay) {
                    self.order(Order::Reserve { relay });
                }
            }
            NetworkOutput::Serve { peer } => {
                if let Some(peer) = translate::peer_id(&peer) {
                    self.order(Order::Serve { peer });
                }
            }
            NetworkOutput::Dial { peer, kind, addresses, relays } => {
                let network = self.clone();
                self.shared.runtime.spawn(async move {
                    let dialled = network.dial(peer, kind, (addresses, relays));
                    let failed = match tokio::time::timeout(DIAL_TIME, dialled).await {
                        Ok(opened) => opened.is_none(),
                        Err(_) => true,
                    };
                    if failed && let Some(sink) = &network.shared.sinks.endpoint {
                        let _ = sink.send(NetworkInput::DialFailed { peer, kind }).await;
                    }
                });
            }
        }
    }

    /// Sends what is queued, closes every link and ends.
    pub async fn shutdown(self) {
        self.open_links().open.clear();
        let accepting = core::mem::take(
            &mut *self.shared.accepting.lock().unwrap_or_else(PoisonError::into_inner),
        );
        accepting.iter().for_each(JoinHandle::abort);
        let _ = self.shared.orders.send(Order::End);
        let tasks = core::mem::take(&mut *self.tasks());
        for mut task in tasks.into_iter().rev() {
            if tokio::time::timeout(Duration::from_millis(500), &mut task).await.is_err() {
                task.abort();
            }
        }
    }

    /// Opens a stream; `None` if it does not open. `LinkUp` is told before this returns.
    async fn dial(
        &self,
        peer: HostId,
        kind: StreamKind,
        (addresses, relays): (Vec<Address>, Vec<HostId>),
    ) -> Option<()> {
        let id = translate::peer_id(&peer)?;
        let name = match kind {
            StreamKind::Direct => &self.shared.direct,
            StreamKind::Mailbox => &self.shared.mailbox,
        };
        let remote = match kind {
            StreamKind::Direct => self.connect(id, &addresses, &relays).await?,
            StreamKind::Mailbox => self.connect_host(id, &addresses, &relays).await?,
        };
        let mut control = self.shared.control.clone();
        let stream = control.open_stream(id, name.clone()).await.ok()?;
        let address = translate::address(&remote);
        self.run_link((id, peer), stream, (kind, Opener::Us), address);
        Some(())
    }

    fn accepted(&self, peer: PeerId, kind: StreamKind, stream: Stream) {
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
        self.run_link((peer, host), stream, (kind, Opener::Them), None);
    }

    fn run_link(
        &self,
        (id, peer): (PeerId, HostId),
        stream: Stream,
        (kind, opener): (StreamKind, Opener),
        address: Option<Address>,
    ) {
        let Some(inputs) = self.shared.sinks.of(kind, opener).cloned() else { return };
        let link = LinkId(self.shared.next_link.fetch_add(1, Ordering::Relaxed));
        let (handle, task) = LinkHandle::new(Some(id));
        let places = self.shared.budgets.enter(link, id);
        self.open_links().open.insert(link, handle);
        let network = self.clone();
        self.shared.runtime.spawn(async move {
            let up = NetworkInput::LinkUp { link, peer, kind, opener, address };
            if inputs.send(up).await.is_ok() {
                link::run(stream, link, (task, places), inputs).await;
            }
            network.forget(link, id, opener);
        });
    }

    /// A stream from this node's endpoint to its own host: nobody dials itself.
    fn loop_back(&self) {
        let sinks = &self.shared.sinks;
        let (Some(endpoint), Some(host)) = (sinks.endpoint.clone(), sinks.host.clone()) else {
            return;
        };
        let new = || LinkId(self.shared.next_link.fetch_add(1, Ordering::Relaxed));
        let (here, there) = (new(), new());
        let (to_host, from_here) = LinkHandle::new(None);
        let (to_endpoint, from_there) = LinkHandle::new(None);
        {
            let mut links = self.open_links();
            links.open.insert(here, to_host);
            links.open.insert(there, to_endpoint);
        }
        for (link, opener, sink, other_link, other, task) in [
            (here, Opener::Us, &endpoint, there, &host, from_here),
            (there, Opener::Them, &host, here, &endpoint, from_there),
        ] {
            let (sink, other) = (sink.clone(), other.clone());
            let (network, peer, kind) = (self.clone(), self.shared.host, StreamKind::Mailbox);
            self.shared.runtime.spawn(async move {
                let up = NetworkInput::LinkUp { link, peer, kind, opener, address: None };
                if sink.send(up).await.is_ok() {
                    link::carry(task, other_link, &other).await;
                }
                network.open_links().open.remove(&link);
                network.open_links().open.remove(&other_link);
                let _ = sink.send(NetworkInput::LinkDown { link }).await;
            });
        }
    }

    /// Tells both machines what the swarm brings, outside of the task that owns it.
    async fn tell(self, mut told: mpsc::UnboundedReceiver<Word>) {
        let sinks = self.shared.sinks.clone();
        while let Some(word) = told.recv().await {
            match word {
                Word::Input(input) => {
                    for sink in sinks.host.iter().chain(&sinks.endpoint) {
                        let _ = sink.send(input.clone()).await;
                    }
                }
                Word::Ended(peer) => {
                    let links = self.open_links();
                    links.open.values().filter(|it| it.leads_to(&peer)).for_each(LinkHandle::kill);
                }
            }
        }
    }

    /// A machine has taken an input: a frame's place is free for the next one of its peer.
    pub fn handled(&self, input: Handled) {
        match input {
            Handled::Frame(link) => {
                if let Some(places) = self.shared.budgets.of(link) {
                    places.free();
                }
            }
            Handled::End(link) => self.shared.budgets.ended(link),
            Handled::Other => {}
        }
    }

    /// The same of a request that was refused: its place stays taken for a moment, so that whoever
    /// asks on and on for what it is refused costs little.
    pub fn refused(&self, input: Handled) {
        let Handled::Frame(link) = input else { return self.handled(input) };
        if let Some(places) = self.shared.budgets.of(link) {
            self.shared.runtime.spawn(async move {
                tokio::time::sleep(budget::REFUSED).await;
                places.free();
            });
        }
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

    fn order(&self, order: Order) {
        // The task is gone only when the node ends.
        let _ = self.shared.orders.send(order);
    }

    /// A task that ends with the network.
    fn keep(&self, task: JoinHandle<()>) {
        let mut tasks = self.shared.accepting.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.retain(|task| !task.is_finished());
        tasks.push(task);
    }

    fn open_links(&self) -> std::sync::MutexGuard<'_, Links> {
        self.shared.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tasks(&self) -> std::sync::MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.shared.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an address is one of this machine alone.
pub(crate) fn is_loopback(address: &Address) -> bool {
    let multiaddr = translate::multiaddr(address);
    multiaddr.is_some_and(|it| range::Range::of(&it) == Some(range::Range::Loopback))
}

fn protocol(network: &NetworkName, name: &str) -> Result<StreamProtocol, NetworkError> {
    StreamProtocol::try_from_owned(format!("/godwit/{network}/{name}/1"))
        .map_err(|error| NetworkError::Io(error.to_string()))
}

#[cfg(test)]
mod tests;
