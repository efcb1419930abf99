use std::time::Duration;

use tokio::io::AsyncWriteExt as _;

use super::*;

struct Node {
    network: Network,
    inputs: mpsc::Receiver<NetworkInput>,
}

async fn node(seed: u8, name: &str) -> Node {
    let (sender, inputs) = mpsc::channel(64);
    let config = NetworkConfig {
        node_key: Secret::new([seed; 32]),
        network: name.parse().unwrap(),
        listen: vec![Address::new("/ip4/127.0.0.1/tcp/0").unwrap()],
        announce: Vec::new(),
        server: false,
    };
    Node { network: Network::start(config, sender).await.unwrap(), inputs }
}

impl Node {
    fn dial(&self, peer: &Self, addresses: &[Address]) {
        self.network.output(NetworkOutput::Dial {
            peer: peer.network.host_id(),
            kind: StreamKind::Direct,
            addresses: addresses.to_vec(),
        });
    }

    async fn next(&mut self) -> NetworkInput {
        tokio::time::timeout(Duration::from_secs(30), self.inputs.recv()).await.unwrap().unwrap()
    }

    async fn up(&mut self) -> LinkId {
        match self.next().await {
            NetworkInput::LinkUp { link, .. } => link,
            other => panic!("{other:?}"),
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
        server: false,
    };
    assert!(matches!(Network::start(config, sender).await, Err(NetworkError::PortInUse { .. })));

    a.network.shutdown().await;

    assert_eq!(b.next().await, NetworkInput::LinkDown { link: there });
}
