//! What a node costs while nothing happens: bytes as a meter on its way counts them, the rest as the
//! kernel does.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};

use super::BenchError;
use crate::network::bare;

/// A bare libp2p node that stays connected to the node at an address (with its `/p2p/`) until its
/// standard input ends: identify, ping and a client of Kademlia, as libp2p sets them.
///
/// # Errors
/// [`BenchError`] if the address is none, or nobody answers there.
pub async fn bare(address: &str) -> Result<(), BenchError> {
    bare::stay(address).await.map_err(BenchError::of)
}

/// A port that leads to another one and counts the bytes of both directions, without the headers of
/// TCP and IP. It works on a thread of its own, whatever this one waits for.
#[derive(Debug)]
pub struct Meter {
    port: u16,
    leads: watch::Sender<Option<SocketAddr>>,
    bytes: Arc<AtomicU64>,
    /// The thread ends with it.
    _end: oneshot::Sender<()>,
}

impl Meter {
    /// A meter on loopback; until it is told where it leads, whoever comes waits.
    ///
    /// # Errors
    /// [`BenchError`] if there is no port.
    pub fn open() -> Result<Self, BenchError> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").map_err(BenchError::of)?;
        listener.set_nonblocking(true).map_err(BenchError::of)?;
        let port = listener.local_addr().map_err(BenchError::of)?.port();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(BenchError::of)?;
        let (leads, to) = watch::channel(None);
        let (end, ended) = oneshot::channel();
        let bytes = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&bytes);
        let work = move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = ended => {}
                    () = serve(listener, to, counted) => {}
                }
            });
        };
        thread::Builder::new().name("meter".to_owned()).spawn(work).map_err(BenchError::of)?;
        Ok(Self { port, leads, bytes, _end: end })
    }

    /// The port of 127.0.0.1 on which it waits.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whoever comes is led there.
    pub fn lead_to(&self, address: SocketAddr) {
        self.leads.send_replace(Some(address));
    }

    /// Bytes that went through so far, in both directions.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

async fn serve(
    listener: std::net::TcpListener,
    to: watch::Receiver<Option<SocketAddr>>,
    bytes: Arc<AtomicU64>,
) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    while let Ok((near, _)) = listener.accept().await {
        let (mut to, bytes) = (to.clone(), Arc::clone(&bytes));
        tokio::spawn(async move {
            let address = to.wait_for(Option::is_some).await.ok().and_then(|it| *it);
            let Some(address) = address else { return };
            let Ok(far) = TcpStream::connect(address).await else { return };
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            // Whichever side ends first, both are closed.
            tokio::select! {
                () = carry(near_in, far_out, &bytes) => {}
                () = carry(far_in, near_out, &bytes) => {}
            }
        });
    }
}

async fn carry(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    bytes: &AtomicU64,
) {
    let mut buffer = vec![0; 16 * 1_024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let Some(part) = buffer.get(..count) else { return };
        if to.write_all(part).await.is_err() {
            return;
        }
        bytes.fetch_add(u64::try_from(count).unwrap_or(0), Ordering::Relaxed);
    }
}

/// What a process has used up to now, over all of its threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// How often a thread slept and was woken.
    pub wakeups: u64,
    /// Time on a core.
    pub cpu: Duration,
    /// Bytes of memory that it holds.
    pub resident: u64,
}

impl Usage {
    /// Asks the kernel.
    ///
    /// # Errors
    /// [`BenchError`] where there is no `/proc` as Linux has it.
    pub fn of(pid: u32) -> Result<Self, BenchError> {
        let missing = || BenchError("this needs /proc, as Linux has it".to_owned());
        let field = |path: String, name: &str| {
            let text = fs::read_to_string(path).ok()?;
            let line = text.lines().find(|line| line.starts_with(name))?.to_owned();
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        };
        let resident = field(format!("/proc/{pid}/status"), "VmRSS:").ok_or_else(missing)?;
        let (mut wakeups, mut nanoseconds) = (0_u64, 0_u64);
        for thread in fs::read_dir(format!("/proc/{pid}/task")).map_err(|_| missing())? {
            let thread = thread.map_err(BenchError::of)?.path().display().to_string();
            // A thread may end meanwhile.
            let slept = field(format!("{thread}/status"), "voluntary_ctxt_switches:");
            let ran = fs::read_to_string(format!("{thread}/schedstat")).ok();
            let ran = ran.and_then(|it| it.split_whitespace().next()?.parse::<u64>().ok());
            wakeups = wakeups.saturating_add(slept.unwrap_or(0));
            nanoseconds = nanoseconds.saturating_add(ran.unwrap_or(0));
        }
        let cpu = Duration::from_nanos(nanoseconds);
        Ok(Self { wakeups, cpu, resident: resident.saturating_mul(1_024) })
    }
}
