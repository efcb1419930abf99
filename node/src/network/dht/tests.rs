use std::time::Duration;

use futures::StreamExt as _;
use godwit_protocol::crypto::Secret;
use godwit_protocol::identity::{AccountRoot, Chain, DeviceKeys, RecoveryPhrase};
use godwit_protocol::machine::{Address, NetworkOutput};
use godwit_protocol::record::{AccountRecord, account_key};
use godwit_protocol::time::UnixMillis;
use libp2p::swarm::SwarmEvent;
use tokio::sync::mpsc;

use super::*;
use crate::clock::system_rng;
use crate::network::{Network, NetworkConfig, Services};

struct Node {
    network: Network,
    inputs: mpsc::Receiver<NetworkInput>,
}

async fn node(name: &str, server: bool) -> Node {
    let (sender, inputs) = mpsc::channel(64);
    let mut key = [0; 32];
    rand_core::Rng::fill_bytes(&mut system_rng(), &mut key);
    let config = NetworkConfig {
        node_key: Secret::new(key),
        network: name.parse().unwrap(),
        listen: vec![Address::new("/ip4/127.0.0.1/tcp/0").unwrap()],
        announce: Vec::new(),
        services: Services { server, ..Services::default() },
    };
    Node { network: Network::start(config, sender).await.unwrap(), inputs }
}

impl Node {
    async fn next(&mut self) -> NetworkInput {
        tokio::time::timeout(Duration::from_secs(30), self.inputs.recv()).await.unwrap().unwrap()
    }

    fn enter(&self, by: &Self) {
        let peers = vec![(by.network.host_id(), by.network.listen_addresses())];
        self.network.output(NetworkOutput::Enter { peers });
    }

    /// Enters by another and waits until that one holds records for it.
    async fn enters(&mut self, by: &Self) {
        self.enter(by);
        assert_eq!(self.next().await, NetworkInput::Dht { reachable: true });
    }

    async fn puts(&mut self, (key, value): (RecordKey, Vec<u8>)) -> bool {
        self.network.output(NetworkOutput::Put { key, value });
        loop {
            if let NetworkInput::Stored { key: stored, reached } = self.next().await {
                assert_eq!(stored, key);
                return reached;
            }
        }
    }

    async fn finds(&mut self, key: RecordKey) -> Vec<(HostId, Vec<u8>)> {
        self.network.output(NetworkOutput::Find { key });
        loop {
            if let NetworkInput::Found { key: found, values } = self.next().await {
                assert_eq!(found, key);
                return values;
            }
        }
    }

    async fn holds(&self, count: usize) {
        let held = async {
            while self.network.view().held != count {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), held).await.unwrap();
    }
}

fn record(net: &str, at: UnixMillis) -> (RecordKey, Vec<u8>) {
    let mut rng = system_rng();
    let root = AccountRoot::from_phrase(&RecoveryPhrase::random(&mut rng));
    let device = DeviceKeys::random(&mut rng);
    let chain = Chain::genesis(&root, &device, at);
    let record = AccountRecord::sign(device.signer(), net, &chain, at, (&[], &[]));
    (account_key(&root.account()), record.to_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_put_held_and_found_by_somebody_else() {
    let (holder, mut alice, mut bob) =
        (node("main", true).await, node("main", false).await, node("main", false).await);
    let good = record("main", wall());
    assert!(!alice.puts(good.clone()).await, "nobody is known yet");
    alice.enters(&holder).await;
    bob.enters(&holder).await;

    assert!(alice.puts(good.clone()).await);
    holder.holds(1).await;

    assert_eq!(bob.finds(good.0).await, [(holder.network.host_id(), good.1)]);
    assert!(bob.finds(RecordKey([7; 32])).await.is_empty());
    let view = alice.network.view();
    assert_eq!((view.server, view.held, view.dht_peers), (false, 0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_server_holds_what_it_puts() {
    let (mut host, mut bob) = (node("main", true).await, node("main", false).await);
    assert_eq!(host.next().await, NetworkInput::Dht { reachable: true });
    let good = record("main", wall());

    assert!(host.puts(good.clone()).await);
    host.holds(1).await;
    bob.enters(&host).await;

    assert_eq!(bob.finds(good.0).await, [(host.network.host_id(), good.1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_record_of_this_network_is_never_held() {
    let (holder, mut mallory) = (node("main", true).await, node("main", false).await);
    mallory.enters(&holder).await;
    let good = record("main", wall());
    let (key, value) = good.clone();
    let other = record("main", wall());
    let old = wall().saturating_sub(godwit_protocol::limits::RECORD_LIFE);
    let mut changed = value.clone();
    changed[200] ^= 1;

    for bad in [
        (key, changed),
        (key, value[..value.len() - 1].to_vec()),
        (key, vec![0; 100_000]),
        (key, other.1),
        record("alps", wall()),
        record("main", old),
    ] {
        mallory.puts(bad).await;
    }
    // What came before it was judged before it.
    mallory.puts(good.clone()).await;
    holder.holds(1).await;

    assert_eq!(mallory.finds(key).await, [(holder.network.host_id(), good.1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_networks_and_clients_are_no_part_of_it() {
    let (holder, client) = (node("main", true).await, node("main", false).await);
    let mut alice = node("main", false).await;
    let abroad = node("alps", true).await;

    alice.enter(&client);
    alice.enter(&abroad);
    alice.enters(&holder).await;

    let nodes = alice.network.view();
    assert_eq!(nodes.dht_peers, 1, "{nodes:?}");
    let good = record("main", wall());
    alice.puts(good).await;
    holder.holds(1).await;
    assert_eq!((client.network.view().held, abroad.network.view().held), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_connection_came_from_is_no_address_of_its_peer() {
    // A server that listens nowhere can be dialled by nobody, though it is connected.
    let (sender, _inputs) = mpsc::channel(64);
    let config = NetworkConfig {
        node_key: Secret::new([77; 32]),
        network: "main".parse().unwrap(),
        listen: Vec::new(),
        announce: Vec::new(),
        services: Services { server: true, ..Services::default() },
    };
    let hidden = Network::start(config, sender).await.unwrap();
    let (first, mut alice) = (node("main", true).await, node("main", false).await);
    let peers = vec![(first.network.host_id(), first.network.listen_addresses())];
    hidden.output(NetworkOutput::Enter { peers });
    alice.enters(&first).await;
    let both = async {
        while hidden.view().dht_peers == 0 || first.network.view().peers < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), both).await.unwrap();

    assert!(alice.finds(RecordKey([7; 32])).await.is_empty());

    assert_eq!((first.network.view().dht_peers, alice.network.view().dht_peers), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn records_reach_nodes_that_were_never_dialled_before() {
    let first = node("main", true).await;
    let others = [node("main", true).await, node("main", true).await, node("main", true).await];
    for other in &others {
        other.enter(&first);
    }
    let mut alice = node("main", false).await;
    alice.enters(&first).await;

    let good = record("main", wall());
    let held = async {
        // They learn of each other in their own time.
        while others.iter().any(|other| other.network.view().held == 0) {
            alice.puts(good.clone()).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), held).await.unwrap();
}

/// A server of Kademlia's that takes every question and answers none.
async fn silent(listen: mpsc::UnboundedSender<(HostId, Address)>) {
    let mut swarm = libp2p::SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(
            libp2p::tcp::Config::default(),
            libp2p::noise::Config::new,
            libp2p::yamux::Config::default,
        )
        .unwrap()
        .with_behaviour(|key| Silent {
            identify: libp2p::identify::Behaviour::new(libp2p::identify::Config::new(
                "/godwit/main/id/1".to_owned(),
                key.public(),
            )),
            streams: libp2p_stream::Behaviour::new(),
        })
        .unwrap()
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(60)))
        .build();
    let mut control = swarm.behaviour().streams.new_control();
    let mut questions = control.accept(StreamProtocol::new("/godwit/main/kad/1")).unwrap();
    swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse().unwrap()).unwrap();
    let own = translate::host_id(swarm.local_peer_id()).unwrap();
    let mut held = Vec::new();
    loop {
        tokio::select! {
            event = swarm.select_next_some() => {
                if let SwarmEvent::NewListenAddr { address, .. } = event {
                    listen.send((own, translate::address(&address).unwrap())).unwrap();
                }
            }
            Some((_, stream)) = questions.next() => held.push(stream),
        }
    }
}

#[derive(libp2p::swarm::NetworkBehaviour)]
struct Silent {
    identify: libp2p::identify::Behaviour,
    streams: libp2p_stream::Behaviour,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_never_answers_delays_a_search_and_does_not_end_it() {
    let (holder, mut alice) = (node("main", true).await, node("main", false).await);
    let (told, mut listens) = mpsc::unbounded_channel();
    tokio::spawn(silent(told));
    let (peer, address) = listens.recv().await.unwrap();
    let good = record("main", wall());
    alice.enters(&holder).await;
    assert!(alice.puts(good.clone()).await);
    holder.holds(1).await;

    alice.network.output(NetworkOutput::Enter { peers: vec![(peer, vec![address])] });
    let both = async {
        while alice.network.view().dht_peers < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), both).await.unwrap();

    assert_eq!(alice.finds(good.0).await, [(holder.network.host_id(), good.1)]);
}
