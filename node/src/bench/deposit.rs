//! 64 senders at a real host, each with one envelope under way; and a loop that shares flushes.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use rand_core::Rng as _;
use serde_json::Value;
use tokio::sync::mpsc;

use godwit_protocol::crypto::{Secret, Signer};
use godwit_protocol::envelope::Envelope;
use godwit_protocol::id::{HostId, OwnerKey, QueueId};
use godwit_protocol::identity::{HostLink, Network as NetworkName};
use godwit_protocol::limits::DEFAULT_GRANT;
use godwit_protocol::machine::{LinkId, NetworkInput, NetworkOutput, StreamKind};
use godwit_protocol::mailbox::{prove_owner, token_hash};
use godwit_protocol::wire::frame::{
    Answer, Frame, OpenKey, OwnerRole, QueueAccess, Registration, Request,
};
use godwit_store::{Bare, BareWrite, Kind};

use super::BenchError;
use crate::clock::{Clock, system_rng};
use crate::network::{Network, NetworkConfig, Services};

/// Bytes of an envelope's contents: the smallest bucket, which holds a text of 1 KiB.
const CONTENTS: usize = 2_048;
/// Senders at once.
const SENDERS: usize = 64;
/// Streams that one peer may have at a host.
pub(super) const STREAMS: usize = 16;

/// Senders with an open queue each.
pub struct Depositors {
    peers: Vec<Peer>,
}

/// One node key with its streams.
pub(super) struct Peer {
    network: Network,
    inputs: mpsc::Receiver<NetworkInput>,
    pub(super) senders: HashMap<LinkId, QueueId>,
}

impl Depositors {
    /// Registers a queue for every sender at the host of that link, and opens them.
    ///
    /// # Errors
    /// [`BenchError`] if the host does not take us.
    pub async fn connect(host_link: &Value) -> Result<Self, BenchError> {
        let link = link_of(host_link)?;
        let queues: Vec<QueueId> = (0..SENDERS).map(|_| QueueId(random())).collect();
        let mut owner = Peer::start(&link.network).await?;
        owner.register(&link, &queues).await?;
        let mut peers = Vec::new();
        for queues in queues.chunks(STREAMS) {
            let mut peer = Peer::start(&link.network).await?;
            for queue in queues {
                peer.open(&link, *queue).await?;
            }
            peers.push(peer);
        }
        Ok(Self { peers })
    }

    /// How long it takes until every sender has its receipts for `each` envelopes, one at a time.
    ///
    /// # Errors
    /// [`BenchError`] if the host refuses one.
    pub async fn deposit(&mut self, each: usize) -> Result<Duration, BenchError> {
        let start = Instant::now();
        let working = self.peers.iter_mut().map(|peer| peer.deposit(each));
        futures::future::try_join_all(working).await?;
        Ok(start.elapsed())
    }

    /// How many envelopes that is.
    #[must_use]
    pub const fn count(each: usize) -> usize {
        SENDERS.saturating_mul(each)
    }
}

/// A host's link, as its operator gives it.
pub(super) fn link_of(text: &Value) -> Result<HostLink, BenchError> {
    let link = text.as_str().and_then(|text| text.parse().ok());
    link.ok_or_else(|| BenchError("no link of a host".to_owned()))
}

pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    system_rng().fill_bytes(&mut bytes);
    bytes
}

/// A queue's token: nobody but this run needs it.
fn token(queue: &QueueId) -> [u8; 32] {
    godwit_protocol::crypto::hash(&[b"bench", queue.as_bytes()])
}

impl Peer {
    pub(super) async fn start(network: &NetworkName) -> Result<Self, BenchError> {
        let (sender, inputs) = mpsc::channel(1_024);
        let config = NetworkConfig {
            node_key: Secret::new(random()),
            network: network.clone(),
            listen: Vec::new(),
            announce: Vec::new(),
            services: Services::default(),
        };
        let network = Network::start(config, sender).await.map_err(BenchError::of)?;
        Ok(Self { network, inputs, senders: HashMap::new() })
    }

    async fn next(&mut self) -> Result<NetworkInput, BenchError> {
        let next = tokio::time::timeout(Duration::from_secs(30), self.inputs.recv()).await;
        let next = next.ok().flatten();
        let next = next.ok_or_else(|| BenchError("the host does not answer".to_owned()))?;
        self.network.handled((&next).into());
        Ok(next)
    }

    /// A new stream to the host, and its challenge.
    async fn dial(&mut self, link: &HostLink) -> Result<(LinkId, [u8; 32]), BenchError> {
        let (peer, addresses) = (link.host, link.addresses.clone());
        self.network.output(NetworkOutput::Dial {
            peer,
            kind: StreamKind::Mailbox,
            addresses,
            relays: Vec::new(),
        });
        loop {
            match self.next().await? {
                NetworkInput::Frame { link, bytes } => match Frame::decode(&bytes) {
                    Ok(Frame::Hello(hello)) => return Ok((link, hello.challenge)),
                    _ => return Err(BenchError("no hello".to_owned())),
                },
                NetworkInput::LinkUp { .. } | NetworkInput::Dht { .. } => {}
                other => return Err(BenchError(format!("no stream: {other:?}"))),
            }
        }
    }

    fn ask(&self, link: LinkId, request: Request) {
        if let Ok(bytes) = Frame::Request(1, request).encode() {
            self.network.output(NetworkOutput::Send { link, bytes });
        }
    }

    pub(super) async fn answer(&mut self) -> Result<(LinkId, Answer), BenchError> {
        loop {
            if let NetworkInput::Frame { link, bytes } = self.next().await? {
                match Frame::decode(&bytes) {
                    Ok(Frame::Answer(_, answer)) => return Ok((link, answer)),
                    _ => return Err(BenchError("no answer".to_owned())),
                }
            }
        }
    }

    /// A stream on which a queue is open.
    pub(super) async fn open(&mut self, link: &HostLink, queue: QueueId) -> Result<(), BenchError> {
        let (at, _) = self.dial(link).await?;
        let key = OpenKey::Token(token(&queue));
        self.ask(at, Request::Open { queue, key });
        match self.answer().await? {
            (_, Answer::Opened { .. }) => {
                self.senders.insert(at, queue);
                Ok(())
            }
            other => Err(BenchError(format!("not opened: {other:?}"))),
        }
    }

    pub(super) async fn register(
        &mut self,
        link: &HostLink,
        queues: &[QueueId],
    ) -> Result<(), BenchError> {
        let signer = Signer::random(&mut system_rng());
        let owner = OwnerKey(signer.verify_key().0);
        let (at, challenge) = self.dial(link).await?;
        let host: HostId = link.host;
        let signature = prove_owner(&signer, link.network.as_str(), &host, &challenge);
        let registration = |queue: &QueueId| Registration {
            queue: *queue,
            access: QueueAccess::Token(token_hash(&token(queue))),
            quota: 0,
        };
        let (role, token) = (OwnerRole::Private, link.token);
        let queues = queues.iter().map(registration).collect();
        for request in [
            Request::Prove { owner, signature },
            Request::Admit { owner, role, token },
            Request::Register { owner, queues },
        ] {
            self.ask(at, request);
            match self.answer().await? {
                (_, Answer::Done) => {}
                other => return Err(BenchError(format!("not registered: {other:?}"))),
            }
        }
        Ok(())
    }

    async fn deposit(&mut self, each: usize) -> Result<(), BenchError> {
        let now = Clock::start().now().wall;
        let expires = now.saturating_add(DEFAULT_GRANT).hours();
        let mut left: HashMap<LinkId, usize> = HashMap::new();
        for (link, queue) in &self.senders {
            left.insert(*link, each);
            self.send(*link, *queue, expires)?;
        }
        let mut open = left.len();
        while open > 0 {
            let (link, answer) = self.answer().await?;
            let Answer::Deposited { .. } = answer else {
                return Err(BenchError(format!("not deposited: {answer:?}")));
            };
            let count = left.entry(link).or_default();
            *count = count.saturating_sub(1);
            match self.senders.get(&link).copied() {
                Some(queue) if *count > 0 => self.send(link, queue, expires)?,
                _ => open = open.saturating_sub(1),
            }
        }
        Ok(())
    }

    pub(super) fn send(
        &self,
        link: LinkId,
        queue: QueueId,
        expires: godwit_protocol::time::UnixHours,
    ) -> Result<(), BenchError> {
        let mut contents = vec![7; CONTENTS];
        if let Some(start) = contents.first_chunk_mut::<16>() {
            *start = random();
        }
        let envelope = Envelope::new(queue, random(), expires, random(), contents);
        let envelope = envelope.map_err(BenchError::of)?.to_bytes();
        self.ask(link, Request::Deposit { envelope: envelope.into(), stamp: [0; 8] });
        Ok(())
    }
}

/// How long a bare engine takes for as many envelopes, 64 to a flush: the row of an envelope and the
/// one by which it is found.
///
/// # Errors
/// [`BenchError`] if the engine fails.
pub fn deposit_loop(folder: &Path, each: usize) -> Result<Duration, BenchError> {
    let engine =
        Bare::open((folder, Kind::Sled), 64 << 20, &["mail", "ids"]).map_err(BenchError::of)?;
    let mut arrival = 0_u64;
    let start = Instant::now();
    for _ in 0..each {
        let mut writes = Vec::with_capacity(SENDERS.saturating_mul(2));
        for _ in 0..SENDERS {
            arrival = arrival.saturating_add(1);
            let (owner, number) = ([9; 32], arrival.to_be_bytes());
            // The envelope with its header, and what encryption at rest adds.
            let mut row = vec![7; CONTENTS.saturating_add(190)];
            if let Some(start) = row.first_chunk_mut::<16>() {
                *start = random();
            }
            let key = [&owner[..], &number].concat();
            writes.push(BareWrite { table: "mail", key, value: Some(row) });
            let key = [&owner[..], &random::<16>(), &number].concat();
            writes.push(BareWrite { table: "ids", key, value: Some(vec![7; 100]) });
        }
        engine.commit(&writes).map_err(BenchError::of)?;
    }
    Ok(start.elapsed())
}
