//! A mailbox host that lies: the real machine behind the real network, and a liar between the two.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use godwit_node::clock::{Clock, system_rng};
use godwit_node::network::{Handled, Network, NetworkConfig, Services, Sinks};
use godwit_protocol::crypto::{Secret, Signer};
use godwit_protocol::identity::{HostLink, Network as NetworkName};
use godwit_protocol::limits::{MAX_HOST_BYTES, MAX_OWNERS};
use godwit_protocol::machine::{Address, LinkId, NetworkOutput, Output};
use godwit_protocol::mailbox::host::{Admission, HostEffect, HostInput, HostMachine, HostSetup};
use godwit_protocol::rows::memory::MemoryRows;
use godwit_protocol::wire::frame::{Answer, Frame, Item};
use tokio::sync::{mpsc, watch};

/// In which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lie {
    /// Serves nothing.
    DropsAll,
    /// Serves nine of ten.
    DropsOneInTen,
    /// Serves the later one first.
    Reorders,
    /// Serves everything again each time.
    Replays,
    /// Serves an older one in place of one.
    Swaps,
    /// Serves them with a bit changed.
    Alters,
    /// Signs for something else.
    LiesInReceipts,
}

pub(crate) const LIES: [Lie; 7] = [
    Lie::DropsAll,
    Lie::DropsOneInTen,
    Lie::Reorders,
    Lie::Replays,
    Lie::Swaps,
    Lie::Alters,
    Lie::LiesInReceipts,
];

/// A running one; ends with this value.
pub(crate) struct HostileHost {
    /// What its owners use.
    pub(crate) link: String,
    lie: Arc<Mutex<Option<Lie>>>,
    end: Option<watch::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl HostileHost {
    pub(crate) fn start() -> Self {
        let (lie, (end, ended)) = (Arc::new(Mutex::new(None)), watch::channel(()));
        let (ready, link) = std::sync::mpsc::channel();
        let told = Arc::clone(&lie);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(serve(told, ready, ended));
        });
        let link = link.recv().unwrap();
        Self { link, lie, end: Some(end), thread: Some(thread) }
    }

    pub(crate) fn lies(&self, lie: Option<Lie>) {
        *self.lie.lock().unwrap_or_else(PoisonError::into_inner) = lie;
    }
}

impl Drop for HostileHost {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // A panic in it has been printed, and the test fails by what is missing.
            let _ = thread.join();
        }
    }
}

async fn serve(
    lie: Arc<Mutex<Option<Lie>>>,
    ready: std::sync::mpsc::Sender<String>,
    mut ended: watch::Receiver<()>,
) {
    let (seed, name) = ([66; 32], NetworkName::default());
    let config = NetworkConfig {
        node_key: Secret::new(seed),
        network: name.clone(),
        listen: vec![Address::new("/ip4/127.0.0.1/tcp/0").unwrap()],
        announce: Vec::new(),
        services: Services { server: true, ..Services::default() },
    };
    let (sink, mut inputs) = mpsc::channel(1_024);
    let sinks = Sinks { endpoint: None, host: Some(sink) };
    let network = Network::start(config, sinks).await.unwrap();
    let setup = HostSetup {
        signer: Signer::from_seed(seed),
        network: name.clone(),
        admit: Admission::Open,
        owners: MAX_OWNERS,
        bytes: MAX_HOST_BYTES,
        stamp_bits: 8,
    };
    let (clock, mut rng, mut rows) = (Clock::start(), system_rng(), MemoryRows::default());
    let mut machine = HostMachine::open(setup, clock.now(), &mut rng, &mut rows).unwrap();
    let (host, addresses) = (network.host_id(), network.listen_addresses());
    let link = HostLink { host, addresses, token: None, network: name };
    ready.send(link.to_string()).unwrap();
    let (mut liar, mut wake) = (Liar::default(), Duration::from_secs(1));
    loop {
        let mut out = Vec::new();
        tokio::select! {
            _ = ended.changed() => return network.shutdown().await,
            () = tokio::time::sleep(wake) => {}
            input = inputs.recv() => {
                let input = input.unwrap();
                let handled = Handled::from(&input);
                let input = HostInput::Network(input);
                machine.handle(input, clock.now(), &mut rng, &mut rows, &mut out).unwrap();
                network.handled(handled);
            }
        }
        machine.end_batch(clock.now(), &mut rng, &mut rows, &mut out).unwrap();
        liar.lie = *lie.lock().unwrap_or_else(PoisonError::into_inner);
        for output in out {
            let (Output::Now(effect) | Output::After(effect)) = output;
            match effect {
                HostEffect::Network(output) => {
                    liar.tell(output).into_iter().for_each(|it| network.output(it));
                }
                HostEffect::WakeAt(_) => wake = Duration::from_secs(1),
                HostEffect::Reply { .. } => {}
            }
        }
    }
}

/// The most envelopes that it remembers.
const REMEMBERED: usize = 64;

#[derive(Default)]
struct Liar {
    lie: Option<Lie>,
    count: usize,
    served: Vec<Item>,
    /// One that waits for the next, on each link.
    held: HashMap<LinkId, Item>,
}

impl Liar {
    /// What leaves in place of something.
    fn tell(&mut self, output: NetworkOutput) -> Vec<NetworkOutput> {
        let (Some(lie), NetworkOutput::Send { link, bytes }) = (self.lie, &output) else {
            return vec![output];
        };
        let link = *link;
        let send = |frame: Frame| {
            let bytes = frame.encode().unwrap();
            NetworkOutput::Send { link, bytes }
        };
        match Frame::decode(bytes) {
            Ok(Frame::Item(item)) => {
                let items = self.serve(lie, link, item);
                items.into_iter().map(|item| send(Frame::Item(item))).collect()
            }
            Ok(Frame::Answer(id, Answer::Deposited { mut receipt, path, expires, seq }))
                if lie == Lie::LiesInReceipts =>
            {
                self.count += 1;
                match self.count % 3 {
                    0 => receipt.root[0] ^= 1,
                    1 => receipt.birth.0[0] ^= 1,
                    _ => receipt.signature.0[9] ^= 1,
                }
                vec![send(Frame::Answer(id, Answer::Deposited { receipt, path, expires, seq }))]
            }
            _ => vec![output],
        }
    }

    fn serve(&mut self, lie: Lie, link: LinkId, item: Item) -> Vec<Item> {
        self.count += 1;
        let older = self.served.iter().filter(|old| old.owner == item.owner).cloned();
        let older: Vec<Item> = older.collect();
        if self.served.len() < REMEMBERED {
            self.served.push(item.clone());
        }
        match lie {
            Lie::DropsAll | Lie::LiesInReceipts => Vec::new(),
            Lie::DropsOneInTen if self.count.is_multiple_of(10) => Vec::new(),
            Lie::DropsOneInTen => vec![item],
            Lie::Reorders => match self.held.remove(&link) {
                Some(held) => vec![item, held],
                None => {
                    self.held.insert(link, item);
                    Vec::new()
                }
            },
            Lie::Replays => older.into_iter().chain([item]).collect(),
            Lie::Swaps => older.into_iter().take(1).collect(),
            Lie::Alters => {
                let mut altered = item;
                let place = 101 + self.count % 1_900;
                altered.envelope[place] ^= 1;
                vec![altered]
            }
        }
    }
}
