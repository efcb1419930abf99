use std::time::Duration;

use tokio::io::AsyncWriteExt as _;

use super::*;

struct Node {
    network: Network,
    inputs: mpsc::Receiver<NetworkInput>,
}

async fn node(seed: u8, name: &str) -> Node {
    serving(seed, name, Services::default()).await
}

async fn serving(seed: u8, name: &str, services: Services) -> Node {
    let (sender, inputs) = mpsc::channel(64);
    let config = NetworkConfig {
        node_key: Secret::new([seed; 32]),
        network: name.parse().unwrap(),
        listen: vec![Address::new("/ip4/127.0.0.1/tcp/0").unwrap()],
        announce: Vec::new(),
        services,
    };
    Node { network: Network::start(config, sender).await.unwrap(), inputs }
}

impl Node {
    fn dial(&self, peer: &Self, addresses: &[Address]) {
        self.network.output(NetworkOutput::Dial {
            peer: peer.network.host_id(),
            kind: StreamKind::Direct,
            addresses: addresses.to_vec(),
            relays: Vec::new(),
        });
    }

    /// What happens next, but for news of the DHT.
    async fn next(&mut self) -> NetworkInput {
        loop {
            let next = tokio::time::timeout(Duration::from_secs(30), self.inputs.recv()).await;
            let input = next.unwrap().unwrap();
            self.network.handled((&input).into());
            match input {
                NetworkInput::Dht { .. } => {}
                input => return input,
            }
        }
    }

    async fn up(&mut self) -> LinkId {
        match self.next().await {
            NetworkInput::LinkUp { link, .. } => link,
            other => panic!("{other:?}"),
        }
    }
}

impl Node {
    /// The next link; one before it may have ended with its circuit.
    async fn up_again(&mut self) -> LinkId {
        loop {
            match self.next().await {
                NetworkInput::LinkUp { link, .. } => return link,
                NetworkInput::LinkDown { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

async fn linked() -> (Node, Node, LinkId, LinkId) {
    let (mut a, mut b) = (node(1, "main").await, node(2, "main").await);
    let addresses = b.network.listen_addresses();
    a.dial(&b, &addresses);
    let (here, there) = (a.up().await, b.up().await);
    (a, b, here, there)
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_frames_arrive_in_order_and_the_close_comes_after_them() {
    let (a, mut b, here, there) = linked().await;
    let sender = a.network.clone();
    tokio::spawn(async move {
        for number in 0..10_000_u32 {
            let mut bytes = number.to_le_bytes().to_vec();
            bytes.resize(1_024, 7);
            // The queue is bounded: this test waits for room where a machine would count answers.
            while sender.open_links().open.get(&here).is_some_and(|link| !link.has_room()) {
                tokio::task::yield_now().await;
            }
            sender.output(NetworkOutput::Send { link: here, bytes });
        }
        sender.output(NetworkOutput::Close { link: here });
    });

    for number in 0..10_000_u32 {
        let NetworkInput::Frame { link, bytes } = b.next().await else { panic!("{number}") };
        assert_eq!((link, &bytes[..4]), (there, number.to_le_bytes().as_slice()));
    }
    assert_eq!(b.next().await, NetworkInput::LinkDown { link: there });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_port_another_key_and_another_network_are_failed_dials() {
    let (mut a, b, c) = (node(1, "main").await, node(2, "main").await, node(3, "alps").await);
    let nobody = [Address::new("/ip4/127.0.0.1/tcp/1").unwrap()];
    let failed = |peer: &Node| NetworkInput::DialFailed {
        peer: peer.network.host_id(),
        kind: StreamKind::Direct,
    };

    a.dial(&b, &nobody);
    assert_eq!(a.next().await, failed(&b));
    a.dial(&b, &c.network.listen_addresses());
    assert_eq!(a.next().await, failed(&b));
    a.dial(&c, &c.network.listen_addresses());
    assert_eq!(a.next().await, failed(&c));
    a.dial(&b, &[]);
    assert_eq!(a.next().await, failed(&b));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_does_not_read_costs_its_link_and_a_bounded_memory() {
    let (mut a, _b, here, _) = linked().await;

    for _ in 0..20_000 {
        a.network.output(NetworkOutput::Send { link: here, bytes: vec![0; 4_096] });
    }

    assert_eq!(a.next().await, NetworkInput::LinkDown { link: here });
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_on_the_raw_port_harms_no_link() {
    let (a, mut b, here, there) = linked().await;
    let address = b.network.listen_addresses()[0].to_string();
    let port: u16 = address.rsplit('/').next().unwrap().parse().unwrap();
    let mut raw = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    // The node may close before all of it is written.
    let _ = raw.write_all(&[0xff; 100_000]).await;

    a.network.output(NetworkOutput::Send { link: here, bytes: vec![1] });

    assert_eq!(b.next().await, NetworkInput::Frame { link: there, bytes: vec![1] });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_told_and_a_shutdown_is_heard_by_the_peer() {
    let (a, mut b, _, there) = linked().await;
    let (sender, _inputs) = mpsc::channel(1);
    let config = NetworkConfig {
        node_key: Secret::new([9; 32]),
        network: "main".parse().unwrap(),
        listen: b.network.listen_addresses(),
        announce: Vec::new(),
        services: Services::default(),
    };
    assert!(matches!(Network::start(config, sender).await, Err(NetworkError::PortInUse { .. })));

    a.network.shutdown().await;

    assert_eq!(b.next().await, NetworkInput::LinkDown { link: there });
}

/// A host with two peers that are connected to it and do not know each other's addresses.
async fn around_a_host() -> (Node, Node, Node) {
    let services = Services { server: true, relays: true, ..Services::default() };
    let host = serving(9, "main", services).await;
    let (a, b) = (node(1, "main").await, node(2, "main").await);
    let peers = vec![(host.network.host_id(), host.network.listen_addresses())];
    for node in [&a, &b] {
        node.network.output(NetworkOutput::Enter { peers: peers.clone() });
    }
    view(&host, |view| view.peers == 2).await;
    (host, a, b)
}

async fn view(node: &Node, wanted: impl Fn(View) -> bool) {
    let seen = async {
        while !wanted(node.network.view()) {
            // A look now and then: one that spins takes a core from the hole that it waits for.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), seen).await.unwrap();
}

fn through(from: &Node, to: &Node, relay: &Node) {
    from.network.output(NetworkOutput::Dial {
        peer: to.network.host_id(),
        kind: StreamKind::Direct,
        addresses: Vec::new(),
        relays: vec![relay.network.host_id()],
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_its_mail_at_a_host_is_reached_through_it_and_then_directly() {
    let (host, mut a, mut b) = around_a_host().await;
    host.network.output(NetworkOutput::Serve { peer: b.network.host_id() });
    b.network.output(NetworkOutput::Reserve { relay: host.network.host_id() });
    view(&b, |view| view.relays == 1).await;
    assert!(!b.network.listen_addresses().iter().any(|it| it.as_str().contains("circuit")));

    through(&a, &b, &host);
    let (here, there) = (a.up().await, b.up().await);
    a.network.output(NetworkOutput::Send { link: here, bytes: vec![1] });
    assert_eq!(b.next().await, NetworkInput::Frame { link: there, bytes: vec![1] });
    view(&a, |view| view.relayed == 0 && view.peers == 2).await;

    through(&a, &b, &host);
    let (here, there) = (a.up_again().await, b.up_again().await);
    a.network.output(NetworkOutput::Send { link: here, bytes: vec![2] });
    let frame = loop {
        match b.next().await {
            NetworkInput::LinkDown { link } if link != there => {}
            input => break input,
        }
    };
    assert_eq!(frame, NetworkInput::Frame { link: there, bytes: vec![2] });
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_is_reached_through_a_host() {
    let (host, mut a, b) = around_a_host().await;
    b.network.output(NetworkOutput::Reserve { relay: host.network.host_id() });

    through(&a, &b, &host);

    let (peer, kind) = (b.network.host_id(), StreamKind::Direct);
    assert_eq!(a.next().await, NetworkInput::DialFailed { peer, kind });
    assert_eq!(b.network.view().relays, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_serves_says_whether_it_reaches_this_node_and_knocks_nowhere_else() {
    let (mut host, mut a, _b) = around_a_host().await;
    let peers = host.network.listen_addresses();
    a.dial(&host, &peers);
    let (here, there) = (a.up().await, host.up().await);
    let address = |text: &str| Address::new(text).unwrap();
    let own = a.network.listen_addresses().remove(0);
    let (closed, elsewhere) = (address("/ip4/127.0.0.1/tcp/1"), address("/ip4/127.0.0.2/tcp/1"));
    let named = address(&own.as_str().replace("/ip4/127.0.0.1", "/dns4/localhost"));

    let asked = vec![own.clone(), closed.clone(), elsewhere.clone(), named];
    let proofs = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            // It is asked once identify has said that it can be.
            let proofs = a.network.prove(asked.clone()).await;
            if proofs.iter().any(|proof| proof.reached.is_some()) {
                return proofs;
            }
        }
    });
    let proofs = proofs.await.unwrap();

    let reached: Vec<Option<bool>> = proofs.iter().map(|proof| proof.reached).collect();
    assert_eq!(reached, [Some(true), Some(false), None, Some(true)]);
    assert_eq!(proofs[0].by, Some(host.network.host_id()));
    assert_eq!(a.network.proofs(), proofs);
    // Somebody else at the right place is not this node.
    let others = host.network.listen_addresses();
    assert_eq!(a.network.prove(others).await[0].reached, Some(false));
    // The link between them has not noticed.
    a.network.output(NetworkOutput::Send { link: here, bytes: vec![1] });
    assert_eq!(host.next().await, NetworkInput::Frame { link: there, bytes: vec![1] });
}

#[tokio::test]
async fn what_a_stranger_says_leads_nowhere_where_strangers_may_not_send_this_node() {
    // A node of the internet, by what it announces: loopback and private networks are not for strangers.
    let (sender, _inputs) = mpsc::channel(64);
    let config = NetworkConfig {
        node_key: Secret::new([51; 32]),
        network: "main".parse().unwrap(),
        listen: vec![Address::new("/ip4/127.0.0.1/tcp/0").unwrap()],
        announce: vec![Address::new("/ip4/203.0.113.9/tcp/7447").unwrap()],
        services: Services::default(),
    };
    let here = Network::start(config, sender).await.unwrap();
    let there = node(52, "main").await;
    let id = translate::peer_id(&there.network.host_id()).unwrap();
    let at = there.network.listening().borrow().clone();
    let found: Vec<Multiaddr> = at.iter().filter_map(translate::multiaddr).collect();
    assert!(!found.is_empty());

    for _ in 0..2 {
        assert_eq!(here.connect_found(id, &found).await, None, "nor is it trusted by being tried");
    }
    assert!(here.connect(id, &at, &[]).await.is_some(), "who is known may say so");
}
