//! One stream: frames of `LE32(length) ‖ bytes` both ways, a bounded queue outwards, back-pressure
//! inwards.
//!
//! Rule: `LinkUp`, frames, `LinkDown` in this order, each end of a link exactly once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader, ReadHalf, WriteHalf};
use libp2p::{PeerId, Stream};
use tokio::sync::{Notify, mpsc};

use super::budget::Places;
use godwit_protocol::limits::MAX_FRAME;
use godwit_protocol::machine::{LinkId, NetworkInput};

/// Frames that wait for one link.
const MAX_QUEUED_FRAMES: usize = 4_096;
/// Bytes that wait for one link.
const MAX_QUEUED_BYTES: usize = 8 << 20;
/// How long a frame may take once it has begun.
const FRAME_TIME: Duration = Duration::from_secs(30);
/// Bytes that one write gathers.
const GATHERED: usize = 64 << 10;

/// The sending end of a link.
pub(super) struct LinkHandle {
    peer: Option<PeerId>,
    frames: mpsc::Sender<Vec<u8>>,
    bytes: Arc<AtomicUsize>,
    kill: Arc<Notify>,
}

/// What the task of a link holds.
pub(super) struct LinkTask {
    frames: mpsc::Receiver<Vec<u8>>,
    bytes: Arc<AtomicUsize>,
    kill: Arc<Notify>,
}

impl LinkHandle {
    /// A link to a peer, or one within this node.
    pub(super) fn new(peer: Option<PeerId>) -> (Self, LinkTask) {
        let (sender, receiver) = mpsc::channel(MAX_QUEUED_FRAMES);
        let (bytes, kill) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let task =
            LinkTask { frames: receiver, bytes: Arc::clone(&bytes), kill: Arc::clone(&kill) };
        (Self { peer, frames: sender, bytes, kill }, task)
    }

    /// Queues a frame; `false` if there is no room or the link has ended.
    pub(super) fn send(&self, frame: Vec<u8>) -> bool {
        let length = frame.len();
        let waiting = self.bytes.fetch_add(length, Ordering::Relaxed);
        waiting.saturating_add(length) <= MAX_QUEUED_BYTES && self.frames.try_send(frame).is_ok()
    }

    /// Whether another frame of 1 KiB would find room.
    #[cfg(test)]
    pub(super) fn has_room(&self) -> bool {
        self.frames.capacity() > 0
            && self.bytes.load(Ordering::Relaxed).saturating_add(1_024) <= MAX_QUEUED_BYTES
    }

    pub(super) fn leads_to(&self, peer: &PeerId) -> bool {
        self.peer.as_ref() == Some(peer)
    }

    /// Ends the link at once.
    pub(super) fn kill(&self) {
        self.kill.notify_one();
    }
}

/// Runs a link to its end: the peer closes, either side breaks a rule, or the handle is dropped
/// (then what is queued leaves first).
pub(super) async fn run(
    stream: Stream,
    link: LinkId,
    (mut task, places): (LinkTask, Arc<Places>),
    inputs: mpsc::Sender<NetworkInput>,
) {
    tracing::debug!("a stream has opened");
    let (reader, mut writer) = stream.split();
    let kill = Arc::clone(&task.kill);
    tokio::select! {
        // The reasons do not matter to anybody: the link is over.
        _ = read(reader, link, (&inputs, &places)) => {}
        _ = write(&mut writer, &mut task) => {}
        () = kill.notified() => {}
    }
    tracing::debug!("a stream has ended");
    let _ = inputs.send(NetworkInput::LinkDown { link }).await;
}

/// Carries what is queued for a looped-back link to its other end, until either ends.
pub(super) async fn carry(mut task: LinkTask, other: LinkId, inputs: &mpsc::Sender<NetworkInput>) {
    let kill = Arc::clone(&task.kill);
    let frames = async {
        while let Some(bytes) = task.frames.recv().await {
            task.bytes.fetch_sub(bytes.len(), Ordering::Relaxed);
            if inputs.send(NetworkInput::Frame { link: other, bytes }).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = frames => {}
        () = kill.notified() => {}
    }
}

async fn read(
    reader: ReadHalf<Stream>,
    link: LinkId,
    (inputs, places): (&mpsc::Sender<NetworkInput>, &Places),
) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(GATHERED, reader);
    loop {
        let mut first = [0; 1];
        reader.read_exact(&mut first).await?;
        let frame = tokio::time::timeout(FRAME_TIME, async {
            let [a] = first;
            let mut rest = [0; 3];
            reader.read_exact(&mut rest).await?;
            let [b, c, d] = rest;
            let length = usize::try_from(u32::from_le_bytes([a, b, c, d])).unwrap_or(usize::MAX);
            if length == 0 || length > MAX_FRAME {
                return Err(io::Error::from(io::ErrorKind::InvalidData));
            }
            let mut bytes = vec![0; length];
            reader.read_exact(&mut bytes).await?;
            Ok(bytes)
        });
        let bytes = frame.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        let place = places.take().await;
        let Ok(slot) = inputs.reserve().await else { return Ok(()) };
        place.keep();
        slot.send(NetworkInput::Frame { link, bytes });
    }
}

async fn write(writer: &mut WriteHalf<Stream>, task: &mut LinkTask) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(GATHERED);
    while let Some(frame) = task.frames.recv().await {
        append(&mut buffer, &frame, &task.bytes);
        while buffer.len() < GATHERED {
            let Ok(frame) = task.frames.try_recv() else { break };
            append(&mut buffer, &frame, &task.bytes);
        }
        writer.write_all(&buffer).await?;
        writer.flush().await?;
        buffer.clear();
    }
    writer.close().await
}

fn append(buffer: &mut Vec<u8>, frame: &[u8], waiting: &AtomicUsize) {
    let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
    buffer.extend_from_slice(&length.to_le_bytes());
    buffer.extend_from_slice(frame);
    waiting.fetch_sub(frame.len(), Ordering::Relaxed);
}
