//! A libp2p stream and nothing else, for measuring: Noise, Yamux, one connection on loopback, each
//! end on a thread and a runtime of its own, as two processes are.

use std::thread;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::io::{AsyncReadExt as _, AsyncWriteExt as _};
use libp2p::{Stream, StreamProtocol};
use tokio::sync::{mpsc, oneshot};

use godwit_protocol::crypto::Secret;
use godwit_protocol::id::HostId;
use godwit_protocol::machine::Address;

use super::swarm::{self, Order, Teller};
use super::{NetworkConfig, NetworkError, Services, translate};

const PROTOCOL: StreamProtocol = StreamProtocol::new("/godwit/bench/raw/1");

/// What the far end does with messages of one size: each comes back, or the last is confirmed.
#[derive(Clone, Copy)]
enum Far {
    Echo { size: usize },
    Sink { size: usize, count: usize },
}

/// The near end; the swarms end with it.
struct Near {
    stream: Stream,
    orders: mpsc::UnboundedSender<Order>,
}

impl Drop for Near {
    fn drop(&mut self) {
        let _ = self.orders.send(Order::End);
    }
}

/// How long a message of `size` bytes takes there and back, `rounds` times.
///
/// # Errors
/// [`NetworkError`] if the two do not connect.
pub(crate) async fn echo(size: usize, rounds: usize) -> Result<Vec<Duration>, NetworkError> {
    let mut near = connect(Far::Echo { size }).await?;
    let (message, mut buffer) = (vec![7; size], vec![0; size]);
    let mut took = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let start = Instant::now();
        near.stream.write_all(&message).await.map_err(io)?;
        near.stream.flush().await.map_err(io)?;
        near.stream.read_exact(&mut buffer).await.map_err(io)?;
        took.push(start.elapsed());
    }
    Ok(took)
}

/// How long `count` messages of `size` bytes take one way, one behind the other.
///
/// # Errors
/// As [`echo`].
pub(crate) async fn pipelined(size: usize, count: usize) -> Result<Duration, NetworkError> {
    let mut near = connect(Far::Sink { size, count }).await?;
    let message = vec![7; size];
    let start = Instant::now();
    for _ in 0..count {
        near.stream.write_all(&message).await.map_err(io)?;
    }
    near.stream.flush().await.map_err(io)?;
    near.stream.read_exact(&mut [0]).await.map_err(io)?;
    Ok(start.elapsed())
}

async fn connect(far: Far) -> Result<Near, NetworkError> {
    let (ready, listening) = oneshot::channel();
    thread::Builder::new()
        .name("far-end".to_owned())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            if let Ok(runtime) = runtime {
                // Its end shows at the near end.
                let _ = runtime.block_on(answer(far, ready));
            }
        })
        .map_err(io)?;
    let (host, listen) = listening.await.map_err(io)?;
    let (orders, received) = mpsc::unbounded_channel();
    let mut here = swarm::start(&config(1)?, received).await?;
    let peer = translate::peer_id(&host).ok_or_else(|| io("no key"))?;
    let addresses = listen.iter().filter_map(translate::multiaddr).collect();
    let (answer, connected) = oneshot::channel();
    let _ = orders.send(Order::Connect { peer, addresses, from: Teller::Known, answer });
    connected.await.ok().flatten().ok_or_else(|| io("the two do not connect"))?;
    let mut stream = here.control.open_stream(peer, PROTOCOL).await.map_err(io)?;
    // A stream is there for the other side once something was said on it.
    stream.write_all(&[0]).await.map_err(io)?;
    stream.flush().await.map_err(io)?;
    stream.read_exact(&mut [0]).await.map_err(io)?;
    Ok(Near { stream, orders })
}

async fn answer(
    far: Far,
    ready: oneshot::Sender<(HostId, Vec<Address>)>,
) -> Result<(), NetworkError> {
    let (_orders, received) = mpsc::unbounded_channel();
    let mut there = swarm::start(&config(2)?, received).await?;
    let mut accepted = there.control.accept(PROTOCOL).map_err(io)?;
    let _ = ready.send((there.host, there.listening.borrow().clone()));
    let (_, mut stream) = accepted.next().await.ok_or_else(|| io("no stream"))?;
    let mut hello = [0];
    stream.read_exact(&mut hello).await.map_err(io)?;
    stream.write_all(&hello).await.map_err(io)?;
    stream.flush().await.map_err(io)?;
    let (Far::Echo { size } | Far::Sink { size, .. }) = far;
    let mut buffer = vec![0; size];
    let mut came = 0_usize;
    while stream.read_exact(&mut buffer).await.is_ok() {
        came = came.saturating_add(1);
        match far {
            Far::Echo { .. } => stream.write_all(&buffer).await.map_err(io)?,
            Far::Sink { count, .. } if came == count => {
                stream.write_all(&[0]).await.map_err(io)?;
            }
            Far::Sink { .. } => continue,
        }
        stream.flush().await.map_err(io)?;
    }
    Ok(())
}

fn config(seed: u8) -> Result<NetworkConfig, NetworkError> {
    let listen = Address::new("/ip4/127.0.0.1/tcp/0").into_iter().collect();
    let network = "bench".parse().map_err(|_| io("no name"))?;
    let (announce, server) = (Vec::new(), false);
    let node_key = Secret::new([seed; 32]);
    let services = Services { server, ..Services::default() };
    Ok(NetworkConfig { node_key, network, listen, announce, services })
}

fn io(error: impl std::fmt::Display) -> NetworkError {
    NetworkError::Io(error.to_string())
}
