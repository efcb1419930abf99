//! A node of the DHT that lies: libp2p's own Kademlia, with what it is told to answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use futures::StreamExt as _;
use libp2p::kad::store::{MemoryStore, MemoryStoreConfig, RecordStore as _};
use libp2p::kad::{self, InboundRequest, Mode, Record, StoreInserts};
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, PeerId, StreamProtocol, SwarmBuilder, identify, noise, tcp, yamux};
use tokio::sync::mpsc;

#[derive(NetworkBehaviour)]
struct Behaviour {
    identify: identify::Behaviour,
    kad: kad::Behaviour<MemoryStore>,
}

enum Order {
    /// Answer this to whoever asks for that key.
    Answer(Vec<u8>, Vec<u8>),
    /// Ask the others what is under a key.
    Ask(Vec<u8>, std::sync::mpsc::Sender<Vec<u8>>),
    Dial(Multiaddr),
}

/// A running one; ends with this value.
pub(crate) struct HostileHolder {
    /// Where it is, with its key.
    pub(crate) address: String,
    /// How often it was asked for a record.
    pub(crate) asked: Arc<AtomicUsize>,
    orders: Option<mpsc::UnboundedSender<Order>>,
    thread: Option<JoinHandle<()>>,
}

impl HostileHolder {
    pub(crate) fn start() -> Self {
        let (orders, received) = mpsc::unbounded_channel();
        let (ready, address) = std::sync::mpsc::channel();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(run(received, ready, count));
        });
        let address = address.recv().unwrap();
        Self { address, asked, orders: Some(orders), thread: Some(thread) }
    }

    fn order(&self, order: Order) {
        self.orders.as_ref().unwrap().send(order).ok().unwrap();
    }

    pub(crate) fn answers(&self, key: &[u8], value: Vec<u8>) {
        self.order(Order::Answer(key.to_vec(), value));
    }

    pub(crate) fn dials(&self, address: &str) {
        self.order(Order::Dial(address.parse().unwrap()));
    }

    /// What somebody else holds under a key.
    pub(crate) fn learns(&self, key: &[u8]) -> Option<Vec<u8>> {
        let (answer, answered) = std::sync::mpsc::channel();
        self.order(Order::Ask(key.to_vec(), answer));
        answered.recv().ok()
    }
}

impl Drop for HostileHolder {
    fn drop(&mut self) {
        drop(self.orders.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn swarm() -> libp2p::Swarm<Behaviour> {
    SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .unwrap()
        .with_behaviour(|key| {
            let own = key.public().to_peer_id();
            let name = StreamProtocol::new("/godwit/main/kad/1");
            let limits = MemoryStoreConfig { max_value_bytes: 1 << 20, ..Default::default() };
            let mut config = kad::Config::new(name);
            // What others put is heard and forgotten.
            config.set_record_filtering(StoreInserts::FilterBoth);
            config.set_max_packet_size(1 << 20);
            let mut kad =
                kad::Behaviour::with_config(own, MemoryStore::with_config(own, limits), config);
            kad.set_mode(Some(Mode::Server));
            let version = "/godwit/main/id/1".to_owned();
            let identify = identify::Config::new(version, key.public());
            Behaviour { identify: identify::Behaviour::new(identify), kad }
        })
        .unwrap()
        .with_swarm_config(|config| config.with_idle_connection_timeout(std::time::Duration::MAX))
        .build()
}

async fn run(
    mut orders: mpsc::UnboundedReceiver<Order>,
    ready: std::sync::mpsc::Sender<String>,
    asked: Arc<AtomicUsize>,
) {
    let mut swarm = swarm();
    let own: PeerId = *swarm.local_peer_id();
    swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse().unwrap()).unwrap();
    let mut asking: Vec<(kad::QueryId, std::sync::mpsc::Sender<Vec<u8>>)> = Vec::new();
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                None => return,
                Some(Order::Answer(key, value)) => {
                    let store = swarm.behaviour_mut().kad.store_mut();
                    store.put(Record::new(key, value)).unwrap();
                }
                Some(Order::Ask(key, answer)) => {
                    let query = swarm.behaviour_mut().kad.get_record(kad::RecordKey::new(&key));
                    asking.push((query, answer));
                }
                Some(Order::Dial(address)) => swarm.dial(address).unwrap(),
            },
            event = swarm.select_next_some() => match event {
                SwarmEvent::NewListenAddr { address, .. } => {
                    ready.send(format!("{address}/p2p/{own}")).unwrap();
                }
                SwarmEvent::Behaviour(BehaviourEvent::Identify(identify::Event::Received {
                    peer_id, info, ..
                })) => {
                    for address in info.listen_addrs {
                        swarm.behaviour_mut().kad.add_address(&peer_id, address);
                    }
                }
                SwarmEvent::ConnectionEstablished { peer_id, endpoint, .. }
                    if endpoint.is_dialer() =>
                {
                    let address = endpoint.get_remote_address().clone();
                    swarm.behaviour_mut().kad.add_address(&peer_id, address);
                }
                SwarmEvent::Behaviour(BehaviourEvent::Kad(kad::Event::InboundRequest {
                    request: InboundRequest::GetRecord { .. },
                })) => {
                    asked.fetch_add(1, Ordering::Relaxed);
                }
                SwarmEvent::Behaviour(BehaviourEvent::Kad(kad::Event::OutboundQueryProgressed {
                    id, result, step, ..
                })) => {
                    if let kad::QueryResult::GetRecord(Ok(kad::GetRecordOk::FoundRecord(found))) = result
                        && let Some((_, answer)) = asking.iter().find(|(query, _)| *query == id)
                    {
                        // Only the first one is waited for.
                        let _ = answer.send(found.record.value);
                    }
                    if step.last {
                        asking.retain(|(query, _)| *query != id);
                    }
                }
                _ => {}
            },
        }
    }
}
