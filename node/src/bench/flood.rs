//! A sender who waits for each receipt, alone at a host and beside one who floods it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use serde_json::Value;

use godwit_protocol::id::QueueId;
use godwit_protocol::identity::HostLink;
use godwit_protocol::limits::DEFAULT_GRANT;
use godwit_protocol::time::UnixHours;
use godwit_protocol::wire::frame::Answer;

use super::BenchError;
use super::deposit::{Peer, STREAMS, link_of, random};
use crate::clock::Clock;

/// Deposits of the flooder that wait for an answer, on each of its streams.
const UNDER_WAY: usize = 256;
/// The lowest priority of a thread.
const LOWEST: i32 = 19;
/// The pause between two deposits of the calm one.
const PAUSE: Duration = Duration::from_millis(5);

/// How long a calm sender waited for each receipt.
#[derive(Debug)]
pub struct FloodFigures {
    /// Alone.
    pub quiet: Vec<Duration>,
    /// Beside the flooder.
    pub flooded: Vec<Duration>,
    /// How many answers the flooder got meanwhile.
    pub answers: usize,
}

/// Measures so many deposits each way at the host of that link.
///
/// # Errors
/// [`BenchError`] if the host does not take us.
pub async fn flood(host_link: &Value, rounds: usize) -> Result<FloodFigures, BenchError> {
    let link = link_of(host_link)?;
    let expires = Clock::start().now().wall.saturating_add(DEFAULT_GRANT).hours();
    let calm_queues: Vec<QueueId> =
        (0..rounds.saturating_mul(2).div_ceil(500)).map(|_| QueueId(random())).collect();
    let mut calm = owned(&link, &calm_queues).await?;
    let at = |round: usize| calm_queues.get(round / 500).copied().unwrap_or(QueueId::ZERO);
    let mut quiet = Vec::with_capacity(rounds);
    for round in 0..rounds {
        quiet.push(one(&mut calm, at(round), expires).await?);
    }
    let (started, stop) = (Arc::new(Barrier::new(2)), Arc::new(AtomicBool::new(false)));
    let flooder = {
        let (link, started, stop) = (link.clone(), Arc::clone(&started), Arc::clone(&stop));
        std::thread::spawn(move || overwhelm(&link, expires, (&started, &stop)))
    };
    started.wait();
    let mut flooded = Vec::with_capacity(rounds);
    for round in rounds..rounds.saturating_mul(2) {
        flooded.push(one(&mut calm, at(round), expires).await?);
    }
    stop.store(true, Ordering::Relaxed);
    let ended = flooder.join().map_err(|_| BenchError("the flooder has ended".to_owned()))?;
    let answers = ended?;
    Ok(FloodFigures { quiet, flooded, answers })
}

/// Floods a host from a thread of its own until it is told to stop; how many answers came.
fn overwhelm(
    link: &HostLink,
    expires: UnixHours,
    (started, stop): (&Barrier, &AtomicBool),
) -> Result<usize, BenchError> {
    // Elsewhere it would have a machine of its own: here it gets what the host and the calm one leave.
    let _ = rustix::process::nice(LOWEST);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(BenchError::of)?.block_on(async {
        let queues: Vec<QueueId> = (0..STREAMS).map(|_| QueueId(random())).collect();
        let flooder = owned(link, &queues).await;
        started.wait();
        let mut flooder = flooder?;
        let streams: Vec<_> = flooder.senders.iter().map(|(link, queue)| (*link, *queue)).collect();
        for (link, queue) in &streams {
            for _ in 0..UNDER_WAY {
                flooder.send(*link, *queue, expires)?;
            }
        }
        let mut answers = 0_usize;
        while !stop.load(Ordering::Relaxed) {
            let (link, _) = flooder.answer().await?;
            answers = answers.saturating_add(1);
            if let Some(queue) = flooder.senders.get(&link).copied() {
                flooder.send(link, queue, expires)?;
            }
        }
        Ok(answers)
    })
}

/// An owner of its own with a stream for each queue.
async fn owned(link: &HostLink, queues: &[QueueId]) -> Result<Peer, BenchError> {
    let mut owner = Peer::start(&link.network).await?;
    owner.register(link, queues).await?;
    let mut peer = Peer::start(&link.network).await?;
    for queue in queues {
        peer.open(link, *queue).await?;
    }
    Ok(peer)
}

async fn one(peer: &mut Peer, queue: QueueId, expires: UnixHours) -> Result<Duration, BenchError> {
    tokio::time::sleep(PAUSE).await;
    let link = peer.senders.iter().find(|(_, known)| **known == queue).map(|(link, _)| *link);
    let link = link.ok_or_else(|| BenchError("no stream for that queue".to_owned()))?;
    let start = Instant::now();
    peer.send(link, queue, expires)?;
    match peer.answer().await? {
        (_, Answer::Deposited { .. }) => Ok(start.elapsed()),
        (_, other) => Err(BenchError(format!("not deposited: {other:?}"))),
    }
}
