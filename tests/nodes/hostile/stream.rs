//! A peer that writes whatever bytes it likes on a mailbox stream.

use std::io;
use std::time::Duration;

use futures::StreamExt as _;
use futures::io::{AsyncReadExt as _, AsyncWriteExt as _};
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId, Stream, StreamProtocol, SwarmBuilder, noise, tcp, yamux};
use libp2p_stream::Control;

/// A connection to one node.
pub(crate) struct RawPeer {
    control: Control,
    node: PeerId,
}

impl RawPeer {
    /// Connects to an address with its `/p2p/`.
    pub(crate) fn connect(address: &str) -> Self {
        let address: Multiaddr = address.parse().unwrap();
        let key = |part| match part {
            Protocol::P2p(peer) => Some(peer),
            _ => None,
        };
        let node = address.iter().find_map(key).unwrap();
        let mut swarm = SwarmBuilder::with_new_identity()
            .with_tokio()
            .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
            .unwrap()
            .with_behaviour(|_| libp2p_stream::Behaviour::new())
            .unwrap()
            .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::MAX))
            .build();
        let control = swarm.behaviour().new_control();
        swarm.dial(address).unwrap();
        tokio::spawn(async move {
            loop {
                swarm.select_next_some().await;
            }
        });
        Self { control, node }
    }

    /// A stream on which the node has said its `Hello`.
    pub(crate) async fn open(&mut self) -> Stream {
        let name = StreamProtocol::new("/godwit/main/mailbox/1");
        let mut stream = self.control.open_stream(self.node, name).await.unwrap();
        stream.flush().await.unwrap();
        let mut length = [0; 4];
        stream.read_exact(&mut length).await.unwrap();
        let mut hello = vec![0; usize::try_from(u32::from_le_bytes(length)).unwrap()];
        stream.read_exact(&mut hello).await.unwrap();
        stream
    }

    /// A frame of that length begins; how much of `bytes` follows.
    pub(crate) async fn begins(stream: &mut Stream, length: u32, bytes: &[u8]) -> io::Result<()> {
        stream.write_all(&[&length.to_le_bytes(), bytes].concat()).await?;
        stream.flush().await
    }

    /// One more byte; whether it could be written.
    pub(crate) async fn dribbles(stream: &mut Stream) -> bool {
        stream.write_all(&[7]).await.is_ok() && stream.flush().await.is_ok()
    }

    /// Waits until the node has closed it, so long at most.
    pub(crate) async fn is_closed(stream: &mut Stream, longest: Duration) -> bool {
        let end = async {
            let mut byte = [0; 64];
            while stream.read(&mut byte).await.is_ok_and(|count| count > 0) {}
        };
        tokio::time::timeout(longest, end).await.is_ok()
    }
}
