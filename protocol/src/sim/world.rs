//! Nodes, commands and time: what a test talks to.

use core::cmp::Reverse;
use std::collections::BinaryHeap;

use chacha20::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::bus::{Bus, End};
use super::journal::Disk;
use super::node::{AnyEffect, AnyInput, Machine, NodeId, Role, SimNode};
use super::reach::{Reach, Way};
use super::tamper::Lies;
use crate::endpoint::query::{self, InboxQuery};
use crate::endpoint::{
    Command, Effect, Endpoint, HostChoice, Input, MessageView, Refusal, Reply, StampJob, Why,
};
use crate::id::{AccountId, HostId, MessageId};
use crate::machine::{Address, LinkId, NetworkInput, NetworkOutput, Opener, StreamKind};
use crate::mailbox::host::{HostCommand, HostEffect, HostInput, HostReply};
use crate::mailbox::{Stamped, search_stamp};
use crate::rows::RowsError;
use crate::rows::contact::{CONTACTS, ContactRow};
use crate::rows::evidence::BrokenRow;
use crate::rows::host::{OWN_HOSTS, OwnHostRow};
use crate::rows::memory::MemoryRows;
use crate::rows::session::{QUEUE_NUMBERS, QueueNumberRow};
use crate::rows::typed::load_all;
use crate::time::{Millis, UnixMillis};

/// How the network and the disks behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weather {
    /// The longest delay of a frame, in milliseconds.
    pub latency: u64,
    /// How often a frame breaks its link, in parts of a thousand.
    pub cuts: u32,
    /// The longest time until a batch is durable, in milliseconds.
    pub sync: u64,
    /// Wakes come at most this often, in milliseconds: long absences cost less.
    pub patience: u64,
}

impl Default for Weather {
    fn default() -> Self {
        Self { latency: 40, cuts: 0, sync: 10, patience: 0 }
    }
}

#[derive(Debug)]
pub(super) enum Event {
    Turn,
    Durable,
    Leave,
    Wake,
    Input(AnyInput),
    Told(NetworkInput),
    Frame(LinkId, Vec<u8>),
    /// A dial arrives: its link opens at both ends, or fails.
    Dial(HostId, StreamKind, Way),
    Up(LinkId, Opener),
    Down(LinkId),
}

struct Entry {
    node: NodeId,
    process: u64,
    event: Event,
}

/// Whether something happens that happens `of_a_thousand` times in a thousand.
pub(super) fn chance(rng: &mut ChaCha20Rng, of_a_thousand: u32) -> bool {
    rng.next_u32() % 1_000 < of_a_thousand
}

/// The world: the same seed and the same calls give the same run.
pub struct World {
    now: u64,
    count: u64,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    entries: std::collections::BTreeMap<u64, Entry>,
    pub(super) nodes: Vec<SimNode>,
    pub(super) bus: Bus,
    pub(super) reach: Reach,
    pub(super) rng: ChaCha20Rng,
    requests: u64,
    /// How the network and the disks behave from now on.
    pub weather: Weather,
}

impl World {
    /// An empty world.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut bytes = [7; 32];
        for (byte, value) in bytes.iter_mut().zip(seed.to_le_bytes()) {
            *byte = value;
        }
        Self {
            now: 0,
            count: 0,
            queue: BinaryHeap::new(),
            entries: std::collections::BTreeMap::new(),
            nodes: Vec::new(),
            bus: Bus::default(),
            reach: Reach::default(),
            rng: ChaCha20Rng::from_seed(bytes),
            requests: 0,
            weather: Weather::default(),
        }
    }

    /// A number below `end`, drawn from the world's own source.
    pub fn draw(&mut self, end: u64) -> u64 {
        self.rng.next_u64().checked_rem(end).unwrap_or(0)
    }

    /// Milliseconds since the world began.
    #[must_use]
    pub const fn now(&self) -> Millis {
        Millis(self.now)
    }

    /// A person's node, started.
    ///
    /// # Errors
    /// [`RowsError`] never for a new home.
    pub fn person(&mut self, name: &str) -> Result<NodeId, RowsError> {
        let seed = self.rng.next_u64();
        self.add(|| Role::Person { seed, name: name.to_owned() })
    }

    /// A mailbox host, started; it admits anybody.
    ///
    /// # Errors
    /// As [`Self::person`].
    pub fn host(&mut self) -> Result<NodeId, RowsError> {
        let seed = self.rng.next_u64();
        self.add(|| Role::Host { seed })
    }

    fn add(&mut self, role: impl Fn() -> Role) -> Result<NodeId, RowsError> {
        let node = NodeId(self.nodes.len());
        let address = Address::new(&format!("/sim/{}", node.0))
            .map_err(|error| RowsError(error.to_string()))?;
        self.nodes.push(SimNode::new(role(), address));
        self.start(node)?;
        Ok(node)
    }

    /// A second process over a copy of a person's home: what must not be.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn twin(&mut self, of: NodeId, disk: Disk) -> Result<Option<NodeId>, RowsError> {
        let Some(role) = self.nodes.get(of.0).map(|node| node.role.clone()) else {
            return Ok(None);
        };
        let twin = self.add(|| role.clone())?;
        self.kill(twin);
        self.put_back(twin, disk)?;
        Ok(Some(twin))
    }

    /// Starts a node that is not running over what is on its disk.
    ///
    /// # Errors
    /// [`RowsError`] if its rows cannot be read.
    pub fn start(&mut self, node: NodeId) -> Result<(), RowsError> {
        let now = self.now;
        let Some(it) = self.nodes.get_mut(node.0).filter(|it| it.machine.is_none()) else {
            return Ok(());
        };
        it.start(now, &mut self.rng)?;
        self.turn_soon(node);
        self.dht_joined();
        Ok(())
    }

    /// Kills a node: between any two outputs, without a word.
    pub fn kill(&mut self, node: NodeId) {
        for link in self.bus.of(node, None) {
            self.cut(link);
        }
        if let Some(it) = self.nodes.get_mut(node.0) {
            it.stop();
        }
    }

    /// Whether a node runs.
    #[must_use]
    pub fn runs(&self, node: NodeId) -> bool {
        self.nodes.get(node.0).is_some_and(|it| it.machine.is_some())
    }

    /// What is durable at a node now.
    #[must_use]
    pub fn disk(&self, node: NodeId) -> Disk {
        self.nodes.get(node.0).map(|it| it.rows.disk()).unwrap_or_default()
    }

    /// Kills a node and starts it over another disk: an older copy, or an empty one.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn put_back(&mut self, node: NodeId, disk: Disk) -> Result<(), RowsError> {
        self.kill(node);
        if let Some(it) = self.nodes.get_mut(node.0) {
            it.put_back(disk);
        }
        self.start(node)
    }

    /// Lets a node's wall clock run ahead of the world's (or behind it) from now on.
    pub fn skew(&mut self, node: NodeId, milliseconds: i64) {
        if let Some(it) = self.nodes.get_mut(node.0) {
            it.skew = milliseconds;
        }
    }

    /// Lets a host lie from now on.
    pub fn lie(&mut self, node: NodeId, lies: Lies) {
        if let Some(it) = self.nodes.get_mut(node.0) {
            it.lies(lies);
        }
    }

    /// Lets two nodes not reach each other, or again.
    pub fn part(&mut self, a: NodeId, b: NodeId, apart: bool) {
        self.bus.part(a, b, apart);
        if apart {
            for link in self.bus.of(a, Some(b)) {
                self.cut(link);
            }
        }
    }

    /// Everybody can reach everybody again.
    pub fn unite(&mut self) {
        self.bus.unite();
    }

    /// Breaks every link of a node.
    pub fn cut_links(&mut self, node: NodeId) {
        for link in self.bus.of(node, None) {
            self.cut(link);
        }
    }

    /// Gives a command to a person's node; its answer comes by [`Self::reply`].
    pub fn give(&mut self, node: NodeId, command: Command) -> u64 {
        self.requests = self.requests.saturating_add(1);
        let request = self.requests;
        self.input(node, AnyInput::Person(Input::Command { request, command }));
        request
    }

    /// The answer to a command, if it has come.
    #[must_use]
    pub fn reply(&self, node: NodeId, request: u64) -> Option<&Result<Reply, Refusal>> {
        let replies = self.nodes.get(node.0).map(|it| it.replies.as_slice()).unwrap_or_default();
        replies.iter().find(|(known, _)| *known == request).map(|(_, reply)| reply)
    }

    /// Gives a command and waits for its answer: `None` if none came within a minute.
    ///
    /// # Errors
    /// As [`Self::run_for`].
    pub fn ask(
        &mut self,
        node: NodeId,
        command: Command,
    ) -> Result<Option<Result<Reply, Refusal>>, RowsError> {
        let request = self.give(node, command);
        self.run_until(Millis::from_minutes(1), |world| world.reply(node, request).is_some())?;
        Ok(self.reply(node, request).cloned())
    }

    /// Gives a command to a host and waits for its answer.
    ///
    /// # Errors
    /// As [`Self::run_for`].
    pub fn ask_host(
        &mut self,
        node: NodeId,
        command: HostCommand,
    ) -> Result<Option<HostReply>, RowsError> {
        self.requests = self.requests.saturating_add(1);
        let request = self.requests;
        self.input(node, AnyInput::Host(HostInput::Command { request, command }));
        let find = |world: &Self| {
            let replies = world.nodes.get(node.0).map(|it| it.host_replies.as_slice());
            let mut replies = replies.unwrap_or_default().iter();
            replies.find(|(known, _)| *known == request).map(|(_, reply)| reply.clone())
        };
        self.run_until(Millis::from_minutes(1), |world| find(world).is_some())?;
        Ok(find(self))
    }

    /// A host as a person chooses it.
    #[must_use]
    pub fn choice(&self, host: NodeId) -> Option<HostChoice> {
        let it = self.nodes.get(host.0)?;
        let addresses = vec![it.address.clone()];
        Some(HostChoice { host: it.host, addresses, token: None })
    }

    /// A person's account.
    #[must_use]
    pub fn account(&self, node: NodeId) -> Option<AccountId> {
        self.nodes.get(node.0)?.account
    }

    /// The machine of a person's node, while it runs.
    #[must_use]
    pub fn endpoint(&self, node: NodeId) -> Option<&Endpoint> {
        match self.nodes.get(node.0)?.machine.as_ref()? {
            Machine::Person(machine) => Some(machine),
            Machine::Host(_) => None,
        }
    }

    fn rows(&self, node: NodeId) -> Option<&MemoryRows> {
        self.nodes.get(node.0).map(|it| it.rows.durable_rows())
    }

    /// Every message that is on a person's disk, in the order in which it is shown.
    ///
    /// # Errors
    /// [`RowsError`] if its rows cannot be read.
    pub fn inbox(&self, node: NodeId) -> Result<Vec<MessageView>, RowsError> {
        let (Some(rows), Some(account)) = (self.rows(node), self.account(node)) else {
            return Ok(Vec::new());
        };
        let query = InboxQuery { limit: usize::MAX, ..InboxQuery::default() };
        query::inbox(rows, account, &query)
    }

    /// The life of one message, as its node tells it.
    ///
    /// # Errors
    /// As [`Self::inbox`].
    pub fn why(&self, node: NodeId, message: MessageId) -> Result<Option<Why>, RowsError> {
        let Some(rows) = self.rows(node) else { return Ok(None) };
        Ok(query::why(rows, message)?.ok())
    }

    /// The numbers of a person's own queues, and those that its contacts have told it.
    ///
    /// # Errors
    /// As [`Self::inbox`].
    pub fn queue_numbers(&self, node: NodeId) -> Result<(Vec<u32>, Vec<u32>), RowsError> {
        let Some(rows) = self.rows(node) else { return Ok((Vec::new(), Vec::new())) };
        let own = load_all::<QueueNumberRow>(rows, &QUEUE_NUMBERS, &[])?;
        let contacts = load_all::<ContactRow>(rows, &CONTACTS, &[])?;
        let devices = contacts.iter().flat_map(|(_, contact)| &contact.devices);
        let told = devices.map(|device| device.queue_n).collect();
        Ok((own.into_iter().map(|(_, row)| row.n).collect(), told))
    }

    /// How many queues a host has registered for a person, as its operator sees it.
    pub fn registered(&mut self, host: NodeId, person: NodeId) -> u32 {
        let keys: Vec<_> =
            match self.rows(person).map(|it| load_all::<OwnHostRow>(it, &OWN_HOSTS, &[])) {
                Some(Ok(rows)) => rows.iter().map(|(_, row)| row.private.verify_key().0).collect(),
                _ => Vec::new(),
            };
        match self.ask_host(host, HostCommand::Owners) {
            Ok(Some(HostReply::Owners(owners))) => {
                let ours = owners.iter().filter(|view| keys.contains(&view.owner.0));
                ours.map(|view| view.queues).sum()
            }
            _ => 0,
        }
    }

    /// The words that hosts broke, as a node knows.
    ///
    /// # Errors
    /// [`RowsError`] never for rows of this version.
    pub fn broken_words(&self, node: NodeId) -> Result<Vec<BrokenRow>, RowsError> {
        match self.rows(node) {
            Some(rows) => query::broken_words(rows, None),
            None => Ok(Vec::new()),
        }
    }

    /// How often a message was announced as new by this home since it was last put back.
    #[must_use]
    pub fn times_shown(&self, node: NodeId, message: MessageId) -> u32 {
        self.nodes.get(node.0).and_then(|it| it.shown.get(&message)).copied().unwrap_or(0)
    }

    /// Lets time pass.
    ///
    /// # Errors
    /// [`RowsError`] if a machine could not go on: never in an ordinary run.
    pub fn run_for(&mut self, length: Millis) -> Result<(), RowsError> {
        self.run_until(length, |_| false).map(drop)
    }

    /// Lets time pass until something holds, at most so long; returns whether it holds.
    ///
    /// # Errors
    /// As [`Self::run_for`].
    pub fn run_until(
        &mut self,
        longest: Millis,
        mut holds: impl FnMut(&Self) -> bool,
    ) -> Result<bool, RowsError> {
        let end = self.now.saturating_add(longest.0);
        loop {
            if holds(self) {
                return Ok(true);
            }
            let Some(Reverse((at, _))) = self.queue.peek().copied().filter(|it| it.0.0 <= end)
            else {
                self.now = end;
                return Ok(holds(self));
            };
            self.now = self.now.max(at);
            self.step()?;
        }
    }

    fn step(&mut self) -> Result<(), RowsError> {
        let Some(Reverse((_, number))) = self.queue.pop() else { return Ok(()) };
        let Some(Entry { node, process, event }) = self.entries.remove(&number) else {
            return Ok(());
        };
        let lives = |it: &&mut SimNode| it.process == process && it.machine.is_some();
        let Some(it) = self.nodes.get_mut(node.0).filter(lives) else { return Ok(()) };
        match event {
            Event::Turn => return self.turn(node),
            Event::Durable => {
                if let Some(batch) = it.under_way.pop_front() {
                    it.rows.durable(batch.ops);
                    it.leaving.extend(batch.after);
                }
                if !it.leaving.is_empty() {
                    self.soon(node, 1, Event::Leave);
                }
                self.turn_if_waiting(node);
            }
            Event::Leave => {
                let effect = it.leaving.pop_front();
                if !it.leaving.is_empty() {
                    self.soon(node, 1, Event::Leave);
                }
                if let Some(effect) = effect {
                    self.effect(node, effect);
                }
            }
            Event::Wake => {
                if it.wake.is_some_and(|at| at <= self.now) {
                    it.wake = None;
                    self.turn_soon(node);
                }
            }
            Event::Input(input) => self.input(node, input),
            Event::Told(input) => self.network(node, input),
            Event::Frame(link, bytes) => {
                if self.bus.links.contains_key(&link) {
                    self.network(node, NetworkInput::Frame { link, bytes });
                }
            }
            Event::Dial(peer, kind, way) => self.dial(node, peer, kind, &way),
            Event::Up(link, opener) => self.up(node, link, opener),
            Event::Down(link) => self.network(node, NetworkInput::LinkDown { link }),
        }
        Ok(())
    }

    /// Schedules something at a node's present process, at most `within` milliseconds from now.
    pub(super) fn soon(&mut self, node: NodeId, within: u64, event: Event) {
        let delay = self.draw(within.saturating_add(1));
        self.at(node, self.now.saturating_add(delay), event);
    }

    fn at(&mut self, node: NodeId, at: u64, event: Event) {
        let Some(process) = self.nodes.get(node.0).map(|it| it.process) else { return };
        self.count = self.count.saturating_add(1);
        self.queue.push(Reverse((at, self.count)));
        self.entries.insert(self.count, Entry { node, process, event });
    }

    fn input(&mut self, node: NodeId, input: AnyInput) {
        if let Some(it) = self.nodes.get_mut(node.0).filter(|it| it.machine.is_some()) {
            it.inbox.push_back(input);
            self.turn_soon(node);
        }
    }

    pub(super) fn network(&mut self, node: NodeId, input: NetworkInput) {
        if let Some(it) = self.nodes.get_mut(node.0) {
            it.network(input);
            self.turn_soon(node);
        }
    }

    fn turn_soon(&mut self, node: NodeId) {
        let Some(it) = self.nodes.get_mut(node.0) else { return };
        if !core::mem::replace(&mut it.turn_due, true) {
            self.soon(node, 2, Event::Turn);
        }
    }

    fn turn_if_waiting(&mut self, node: NodeId) {
        if self.nodes.get(node.0).is_some_and(|it| it.turn_missed || !it.inbox.is_empty()) {
            self.turn_soon(node);
        }
    }

    fn turn(&mut self, node: NodeId) -> Result<(), RowsError> {
        let (now, sync) = (self.now, self.weather.sync);
        let Some(it) = self.nodes.get_mut(node.0) else { return Ok(()) };
        it.turn_due = false;
        if it.under_way.len() >= 2 {
            // It comes when a batch is durable.
            it.turn_missed = true;
            return Ok(());
        }
        it.turn_missed = false;
        let before = it.under_way.len();
        let effects = it.turn(now, &mut self.rng)?;
        let (batches, leaving) = (it.under_way.len(), !it.leaving.is_empty());
        if batches > before {
            let delay = self.draw(sync.saturating_add(1));
            if let Some(it) = self.nodes.get_mut(node.0) {
                it.durable_at = it.durable_at.max(now.saturating_add(delay));
                let at = it.durable_at;
                self.at(node, at, Event::Durable);
            }
        }
        if leaving {
            self.soon(node, 1, Event::Leave);
        }
        for effect in effects {
            self.effect(node, effect);
        }
        Ok(())
    }

    fn effect(&mut self, node: NodeId, effect: AnyEffect) {
        match effect {
            AnyEffect::Person(Effect::Network(output))
            | AnyEffect::Host(HostEffect::Network(output)) => self.output(node, output),
            AnyEffect::Person(Effect::WakeAt(at)) | AnyEffect::Host(HostEffect::WakeAt(at)) => {
                let earliest = self.now.saturating_add(self.weather.patience);
                let Some(it) = self.nodes.get_mut(node.0) else { return };
                let at = it.wake_at(at).max(earliest);
                if it.wake != Some(at) {
                    it.wake = Some(at);
                    self.at(node, at, Event::Wake);
                }
            }
            AnyEffect::Person(Effect::Reply { request, result }) => {
                if let Some(it) = self.nodes.get_mut(node.0) {
                    it.replies.push((request, result));
                }
            }
            AnyEffect::Host(HostEffect::Reply { request, reply }) => {
                if let Some(it) = self.nodes.get_mut(node.0) {
                    it.host_replies.push((request, reply));
                }
            }
            AnyEffect::Person(Effect::Search(job)) => self.search(node, job),
            AnyEffect::Person(Effect::Changed(_)) => {
                if let Some(it) = self.nodes.get_mut(node.0) {
                    it.read_changes();
                }
            }
            AnyEffect::Person(Effect::Link(_)) => {}
        }
    }

    fn search(&mut self, node: NodeId, job: StampJob) {
        let StampJob { job, host, queue, bytes_hash, challenge, difficulty } = job;
        let what = Stamped { host, queue, bytes_hash, challenge };
        if let Some(stamp) = search_stamp(&what, difficulty, &|| false) {
            let input = AnyInput::Person(Input::StampFound { job, stamp });
            self.soon(node, 200, Event::Input(input));
        }
    }

    fn output(&mut self, node: NodeId, output: NetworkOutput) {
        match output {
            NetworkOutput::Send { link, bytes } => self.send(node, link, bytes),
            NetworkOutput::Close { link } => self.cut(link),
            NetworkOutput::Put { key, value } => self.dht_put(node, key, &value),
            NetworkOutput::Find { key } => self.dht_find(node, key),
            // Who is not apart is entered already.
            NetworkOutput::Enter { .. } => {}
            NetworkOutput::Reserve { relay } => self.reserve(node, relay),
            NetworkOutput::Serve { peer } => self.serve(node, peer),
            NetworkOutput::Dial { peer, kind, addresses, relays } => {
                self.dialled(node, peer);
                let way = Way { addresses, relays };
                self.soon(node, self.weather.latency, Event::Dial(peer, kind, way));
            }
        }
    }

    fn send(&mut self, node: NodeId, link: LinkId, bytes: Vec<u8>) {
        if chance(&mut self.rng, self.weather.cuts) {
            self.cut(link);
            return;
        }
        let delay = self.draw(self.weather.latency.saturating_add(1));
        let Some(it) = self.nodes.get_mut(node.0) else { return };
        self.bus.capture(&bytes);
        let frames = it.liar.tell(bytes, &mut self.rng);
        let Some(state) = self.bus.links.get_mut(&link) else { return };
        let Some(to) = state.side(node).map(|side| 1_usize.saturating_sub(side)) else { return };
        let (Some(end), Some(last)) = (state.ends.get(to).copied(), state.last.get_mut(to)) else {
            return;
        };
        *last = (*last).max(self.now.saturating_add(delay));
        let at = *last;
        for bytes in frames {
            self.at(end.node, at, Event::Frame(link, bytes));
        }
    }

    /// Breaks a link: what is under way on it is lost, both ends learn of it.
    fn cut(&mut self, link: LinkId) {
        let Some(state) = self.bus.links.remove(&link) else { return };
        for end in state.ends {
            if self.nodes.get(end.node.0).is_some_and(|it| it.process == end.process) {
                self.soon(end.node, 100, Event::Down(link));
            }
        }
    }

    fn dial(&mut self, node: NodeId, peer: HostId, kind: StreamKind, way: &Way) {
        let fits = |it: &SimNode| match it.machine {
            Some(Machine::Person(_)) => kind == StreamKind::Direct,
            Some(Machine::Host(_)) => kind == StreamKind::Mailbox,
            None => false,
        };
        let mut there: Vec<NodeId> = Vec::new();
        for (number, it) in self.nodes.iter().enumerate() {
            let other = NodeId(number);
            let is_it = it.host == peer && fits(it) && other != node;
            if is_it && !self.bus.are_apart(node, other) && self.leads(way, other) {
                there.push(other);
            }
        }
        let which = self.draw(u64::try_from(there.len()).unwrap_or(1).max(1));
        let found = usize::try_from(which).ok().and_then(|which| there.get(which)).copied();
        let Some(other) = found else {
            self.network(node, NetworkInput::DialFailed { peer, kind });
            return;
        };
        let end = |node: NodeId| {
            let process = self.nodes.get(node.0).map_or(0, |it| it.process);
            End { node, process }
        };
        let link = self.bus.open([end(node), end(other)], kind, self.now);
        self.up(node, link, Opener::Us);
        self.at(other, self.now, Event::Up(link, Opener::Them));
    }

    fn up(&mut self, node: NodeId, link: LinkId, opener: Opener) {
        let Some(state) = self.bus.links.get(&link) else { return };
        let kind = state.kind;
        let other = state.ends.iter().find(|end| end.node != node);
        let peer = other.and_then(|end| self.nodes.get(end.node.0)).map(|it| it.host);
        if let Some(peer) = peer {
            let up = NetworkInput::LinkUp { link, peer, kind, opener, address: None };
            self.network(node, up);
        }
    }

    /// How many messages were encrypted under a nonce that another one had: no key is used twice, not
    /// even by a home that was put back. By the captured bytes of the whole run.
    #[must_use]
    pub const fn keys_reused(&self) -> usize {
        self.bus.reused
    }

    /// What one node is doing, for whoever looks for the reason of a failed run.
    #[must_use]
    pub fn describe(&self, node: NodeId) -> String {
        let Some(it) = self.nodes.get(node.0) else { return String::new() };
        let links = self.bus.of(node, None).len();
        let machine = match &it.machine {
            Some(Machine::Person(machine)) => machine.describe(),
            Some(Machine::Host(_)) => "a host".to_owned(),
            None => "not running".to_owned(),
        };
        format!("{links} links, {} inputs wait; {machine}", it.inbox.len())
    }

    /// What a node's wall clock shows.
    #[must_use]
    pub fn wall(&self, node: NodeId) -> UnixMillis {
        self.nodes.get(node.0).map_or(UnixMillis(0), |it| it.time(self.now).wall)
    }
}
