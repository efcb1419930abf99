//! The very rows that texts leave at both ends: two machines talk in memory, and every write is
//! kept, batch by batch.

use std::collections::VecDeque;

use godwit_protocol::crypto::Signer;
use godwit_protocol::endpoint::{Command, Effect, Endpoint, Input, OutgoingText, Person, Reply};
use godwit_protocol::id::HostId;
use godwit_protocol::identity::{
    AccountRoot, Chain, DeviceKeys, Network, RecoveryPhrase, account_text,
};
use godwit_protocol::limits::MESSAGE_LIFE;
use godwit_protocol::machine::{
    Address, LinkId, NetworkInput, NetworkOutput, Opener, Output, StreamKind,
};
use godwit_protocol::rows::recorder::{Recorder, Write};
use godwit_protocol::time::{Millis, Time};
use godwit_store::BareWrite;

use super::BenchError;
use crate::clock::{Clock, system_rng};

/// What one batch wrote.
pub(super) type Written = Vec<BareWrite>;

struct End {
    machine: Endpoint,
    rows: Recorder,
    account: String,
    host: HostId,
    inbox: VecDeque<Input>,
    batches: Vec<Written>,
    replies: Vec<Reply>,
}

/// Two machines and the frames between them.
pub(super) struct Pair {
    ends: [End; 2],
    clock: Clock,
    linked: bool,
}

impl Pair {
    /// Two friends with a direct stream.
    pub(super) fn new() -> Result<Self, BenchError> {
        let clock = Clock::start();
        let ends = [end(&clock, 1)?, end(&clock, 2)?];
        let mut pair = Self { ends, clock, linked: false };
        for (from, to) in [(0, 1), (1, 0)] {
            let link = match pair.command(from, Command::LinkHere)? {
                Some(Reply::Link(link)) => link,
                _ => return Err(BenchError("no link".to_owned())),
            };
            pair.command(to, Command::AddContact { link, name: None })?;
        }
        Ok(pair)
    }

    /// The batches that `count` texts write at the sender and at the recipient, sent in arrays of
    /// `array`.
    pub(super) fn texts(
        &mut self,
        count: usize,
        array: usize,
        bytes: usize,
    ) -> Result<[Vec<Written>; 2], BenchError> {
        for end in &mut self.ends {
            end.batches.clear();
        }
        let to = self.ends.get(1).map(|end| end.account.clone()).unwrap_or_default();
        let text = OutgoingText { to, text: "x".repeat(bytes), id: None };
        let mut left = count;
        while left > 0 {
            let texts = left.min(array);
            left = left.saturating_sub(texts);
            self.command(0, Command::Send(vec![text.clone(); texts]))?;
        }
        let [a, b] = &mut self.ends;
        Ok([core::mem::take(&mut a.batches), core::mem::take(&mut b.batches)])
    }

    fn command(&mut self, at: usize, command: Command) -> Result<Option<Reply>, BenchError> {
        if let Some(end) = self.ends.get_mut(at) {
            end.inbox.push_back(Input::Command { request: 1, command });
        }
        for _ in 0..10_000 {
            let busy = self.ends.iter().position(|end| !end.inbox.is_empty());
            let Some(busy) = busy else { break };
            self.turn(busy)?;
        }
        Ok(self.ends.get_mut(at).and_then(|end| end.replies.pop()))
    }

    fn turn(&mut self, at: usize) -> Result<(), BenchError> {
        let now = self.clock.now();
        let Some(end) = self.ends.get_mut(at) else { return Ok(()) };
        let (mut out, mut rng) = (Vec::new(), system_rng());
        for input in core::mem::take(&mut end.inbox) {
            end.machine
                .handle(input, now, &mut rng, &mut end.rows, &mut out)
                .map_err(BenchError::of)?;
        }
        end.machine.end_batch(now, &mut rng, &mut end.rows, &mut out).map_err(BenchError::of)?;
        let written: Written = end.rows.take().into_iter().filter_map(bare).collect();
        if !written.is_empty() {
            end.batches.push(written);
        }
        for output in out {
            let (Output::Now(effect) | Output::After(effect)) = output;
            match effect {
                Effect::Network(NetworkOutput::Send { link, bytes }) => {
                    self.give(at, NetworkInput::Frame { link, bytes });
                }
                Effect::Network(NetworkOutput::Dial { .. }) if !self.linked => self.link(at),
                Effect::Reply { result: Ok(reply), .. } => {
                    if let Some(end) = self.ends.get_mut(at) {
                        end.replies.push(reply);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Gives something to the other end.
    fn give(&mut self, from: usize, input: NetworkInput) {
        if let Some(end) = self.ends.get_mut(1_usize.saturating_sub(from)) {
            end.inbox.push_back(Input::Network(input));
        }
    }

    fn link(&mut self, opener: usize) {
        self.linked = true;
        let other = 1_usize.saturating_sub(opener);
        for (at, by, peer) in [(opener, Opener::Us, other), (other, Opener::Them, opener)] {
            let Some(peer) = self.ends.get(peer).map(|end| end.host) else { continue };
            let (link, kind) = (LinkId(1), StreamKind::Direct);
            let up = NetworkInput::LinkUp { link, peer, kind, opener: by, address: None };
            self.give(1_usize.saturating_sub(at), up);
        }
    }
}

/// A write as the engine gets it; nothing here erases an owner.
fn bare(write: Write) -> Option<BareWrite> {
    match write {
        Write::Put(table, key, value) => {
            Some(BareWrite { table: table.name, key, value: Some(value) })
        }
        Write::Delete(table, key) => Some(BareWrite { table: table.name, key, value: None }),
        Write::EraseOwner(_) => None,
    }
}

fn end(clock: &Clock, number: u8) -> Result<End, BenchError> {
    let (now, mut rng) = (clock.now(), system_rng());
    let root = AccountRoot::from_phrase(&RecoveryPhrase::random(&mut rng));
    let device = DeviceKeys::random(&mut rng);
    let chain = Chain::genesis(&root, &device, now.wall);
    let host = HostId(Signer::random(&mut rng).verify_key().0);
    let person = Person {
        account: root.account(),
        device,
        chain,
        name: None,
        host,
        network: Network::default(),
        bootstrap: Vec::new(),
        is_public: false,
        life: MESSAGE_LIFE,
    };
    let account = account_text(&person.account);
    let mut rows = Recorder::default();
    let at = Time { wall: now.wall, since_start: Millis(0) };
    let machine = Endpoint::open(person, at, &mut rng, &mut rows).map_err(BenchError::of)?;
    let address = Address::new(&format!("/bench/{number}")).map_err(BenchError::of)?;
    let inbox = VecDeque::from([Input::Addresses(vec![address])]);
    Ok(End { machine, rows, account, host, inbox, batches: Vec::new(), replies: Vec::new() })
}
