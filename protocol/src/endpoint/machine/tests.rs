//! Two machines on a bus without time, loss or disk: crashes are a copy of the rows.

use std::collections::VecDeque;

use chacha20::ChaCha20Rng;
use rand_core::SeedableRng;

use super::*;
use crate::endpoint::query::{InboxQuery, inbox, why};
use crate::endpoint::{Command, ContactState, MessageState, OutgoingText, Reply};
use crate::identity::{AccountRoot, RecoveryPhrase};
use crate::machine::{Opener, StreamKind};
use crate::rows::memory::MemoryRows;
use crate::time::UnixMillis;

mod beyond;
mod busy;
mod endless;
mod evidence;
mod reach;

struct Node {
    seed: u8,
    machine: Endpoint,
    rows: MemoryRows,
    rng: ChaCha20Rng,
    replies: Vec<Result<Reply, crate::endpoint::Refusal>>,
}

pub(in crate::endpoint) fn person(seed: u8) -> Person {
    let mut rng = ChaCha20Rng::from_seed([seed; 32]);
    let root = AccountRoot::from_phrase(&RecoveryPhrase::random(&mut rng));
    let device = DeviceKeys::random(&mut rng);
    let chain = Chain::genesis(&root, &device, UnixMillis(1_700_000_000_000));
    Person {
        account: root.account(),
        device,
        chain,
        name: Some(format!("Person {seed}")),
        host: HostId([seed; 32]),
        network: Network::default(),
        bootstrap: Vec::new(),
        is_public: false,
        life: crate::limits::MESSAGE_LIFE,
    }
}

pub(in crate::endpoint) fn time(at: u64) -> Time {
    Time { wall: UnixMillis(1_700_000_000_000 + at), since_start: Millis(at) }
}

impl Node {
    fn new(seed: u8) -> Self {
        let mut rows = MemoryRows::default();
        let mut rng = ChaCha20Rng::from_seed([seed + 100; 32]);
        let machine = Endpoint::open(person(seed), time(0), &mut rng, &mut rows).unwrap();
        let mut node = Self { seed, machine, rows, rng, replies: Vec::new() };
        let address = Address::new(&format!("/ip4/127.0.0.1/tcp/{seed}")).unwrap();
        node.machine.addresses = vec![address];
        node
    }

    /// A kill and a new start: only the rows are left.
    fn restart(&mut self) {
        let addresses = self.machine.addresses.clone();
        self.machine =
            Endpoint::open(person(self.seed), time(0), &mut self.rng, &mut self.rows).unwrap();
        self.machine.addresses = addresses;
    }

    fn account(&self) -> AccountId {
        self.machine.me.account
    }

    fn texts(&self) -> Vec<String> {
        let query = InboxQuery { limit: 10_000, ..InboxQuery::default() };
        let views = inbox(&self.rows, self.account(), &query).unwrap();
        views.into_iter().filter(|view| !view.outgoing).map(|view| view.body).collect()
    }
}

/// The two nodes and what is under way between them.
struct World {
    nodes: [Node; 2],
    at: u64,
    link: Option<LinkId>,
    links: u64,
    queue: VecDeque<(usize, Input)>,
    /// Frames that are lost before the link breaks, counted down.
    lose_after: Option<usize>,
    /// What was sent, and by whom.
    sent: Vec<(usize, Vec<u8>)>,
}

impl World {
    fn new() -> Self {
        let nodes = [Node::new(1), Node::new(2)];
        let (queue, sent) = (VecDeque::new(), Vec::new());
        Self { nodes, at: 1, link: None, links: 0, queue, lose_after: None, sent }
    }

    fn give(&mut self, to: usize, input: Input) {
        self.queue.push_back((to, input));
    }

    fn run(&mut self) {
        for _ in 0..10_000 {
            let Some((to, input)) = self.queue.pop_front() else { return };
            self.step(to, Some(input));
        }
        panic!("the two do not come to rest");
    }

    /// A batch of at most one input.
    fn step(&mut self, to: usize, input: Option<Input>) {
        self.at += 1;
        let now = time(self.at);
        let node = &mut self.nodes[to];
        let mut out = Vec::new();
        let (machine, rng, rows) = (&mut node.machine, &mut node.rng, &mut node.rows);
        if let Some(input) = input {
            machine.handle(input, now, rng, rows, &mut out).unwrap();
        }
        machine.end_batch(now, rng, rows, &mut out).unwrap();
        for output in out {
            let (Output::Now(effect) | Output::After(effect)) = output;
            self.effect(to, effect);
        }
    }

    fn effect(&mut self, from: usize, effect: Effect) {
        match effect {
            Effect::Network(NetworkOutput::Send { link, bytes }) if Some(link) == self.link => {
                self.sent.push((from, bytes.clone()));
                match &mut self.lose_after {
                    Some(0) => self.cut(),
                    Some(left) => {
                        *left -= 1;
                        self.give(1 - from, NetworkInput::Frame { link, bytes }.into_input());
                    }
                    None => self.give(1 - from, NetworkInput::Frame { link, bytes }.into_input()),
                }
            }
            Effect::Network(NetworkOutput::Close { .. }) => self.cut(),
            Effect::Network(NetworkOutput::Dial { .. }) if self.link.is_none() => {
                self.connect(from)
            }
            Effect::Reply { result, .. } => self.nodes[from].replies.push(result),
            _ => {}
        }
    }

    fn connect(&mut self, opener: usize) {
        self.links += 1;
        let link = LinkId(self.links);
        self.link = Some(link);
        for (node, by) in [(opener, Opener::Us), (1 - opener, Opener::Them)] {
            let peer = HostId([self.nodes[1 - node].seed; 32]);
            let kind = StreamKind::Direct;
            let up = NetworkInput::LinkUp { link, peer, kind, opener: by, address: None };
            self.give(node, up.into_input());
        }
    }

    fn cut(&mut self) {
        self.lose_after = None;
        if let Some(link) = self.link.take() {
            self.queue.retain(|(_, input)| !matches!(input, Input::Network(_)));
            self.give(0, NetworkInput::LinkDown { link }.into_input());
            self.give(1, NetworkInput::LinkDown { link }.into_input());
        }
    }

    fn command(&mut self, node: usize, command: Command) -> Reply {
        self.give(node, Input::Command { request: 1, command });
        self.run();
        self.nodes[node].replies.pop().unwrap().unwrap()
    }

    fn send(&mut self, node: usize, text: &str) -> MessageId {
        let to = crate::identity::account_text(&self.nodes[1 - node].account());
        let text = OutgoingText { to, text: text.to_owned(), id: None };
        match self.command(node, Command::Send(vec![text])) {
            Reply::Sent(sent) => sent[0].as_ref().unwrap().id,
            other => panic!("{other:?}"),
        }
    }

    fn add(&mut self, node: usize) {
        let Reply::Link(link) = self.command(1 - node, Command::LinkHere) else { panic!() };
        self.command(node, Command::AddContact { link, name: None });
    }

    fn states(&self) -> [ContactState; 2] {
        [0, 1].map(|node| self.nodes[node].machine.contacts.values().next().unwrap().state)
    }

    fn friends() -> Self {
        let mut world = Self::new();
        world.add(0);
        world.add(1);
        world.rest();
        assert_eq!(world.states(), [ContactState::Accepted; 2]);
        world
    }

    /// Until nothing happens, dials after failures included.
    fn rest(&mut self) {
        for _ in 0..4 {
            self.at += 60_000;
            self.step(0, None);
            self.step(1, None);
            self.run();
        }
    }

    fn idle_lanes(&self) -> bool {
        let lanes = self.nodes.iter().flat_map(|node| node.machine.lanes.values());
        lanes.map(|lane| lane.lines.len()).sum::<usize>() == 0
    }
}

impl NetworkInput {
    fn into_input(self) -> Input {
        Input::Network(self)
    }
}

#[test]
fn two_who_add_each_other_talk_both_ways_in_order_and_nothing_is_left_to_do() {
    let mut world = World::friends();

    for number in 0..20 {
        world.send(0, &format!("a {number}"));
        world.send(1, &format!("b {number}"));
    }

    let said = |who: &str| (0..20).map(|number| format!("{who} {number}")).collect::<Vec<_>>();
    assert_eq!(world.nodes[0].texts(), said("b"));
    assert_eq!(world.nodes[1].texts(), said("a"));
    world.rest();
    assert!(world.idle_lanes());
    let faults = world.nodes.iter().map(|node| node.machine.counters.faults);
    assert!(faults.into_iter().all(|faults| faults == crate::endpoint::Faults::default()));
}

#[test]
fn two_who_have_all_in_flight_that_may_be_do_not_wait_for_each_other() {
    let mut world = World::friends();
    let many = crate::limits::MAX_IN_FLIGHT + 50;

    for node in [0, 1] {
        let to = crate::identity::account_text(&world.nodes[1 - node].account());
        let text = |number| OutgoingText { to: to.clone(), text: format!("{number}"), id: None };
        let command = Command::Send((0..many).map(text).collect());
        world.give(node, Input::Command { request: 1, command });
    }
    world.run();
    world.rest();

    assert!(world.idle_lanes());
    assert_eq!([0, 1].map(|node| world.nodes[node].texts().len()), [many; 2]);
}

#[test]
fn a_stranger_is_pending_until_accepted_and_its_texts_wait() {
    let mut world = World::new();
    world.add(0);
    let early = world.send(0, "before you know me");
    world.rest();
    assert_eq!(world.states(), [ContactState::Requested, ContactState::Pending]);
    assert!(world.nodes[1].texts().is_empty());

    let who = "Person 1".to_owned();
    world.command(1, Command::Accept { who, name: None });
    world.rest();

    assert_eq!(world.states(), [ContactState::Accepted; 2]);
    assert_eq!(world.nodes[1].texts(), ["before you know me"]);
    let why = why(&world.nodes[0].rows, early).unwrap().unwrap();
    assert_eq!(why.state, MessageState::Delivered);
}

#[test]
fn a_link_that_breaks_at_any_frame_loses_and_repeats_nothing() {
    for frames in 0..40 {
        let mut world = World::friends();
        world.lose_after = Some(frames);
        for number in 0..6 {
            world.send(number % 2, &format!("text {number}"));
        }
        world.rest();

        assert_eq!(world.nodes[1].texts(), ["text 0", "text 2", "text 4"], "{frames}");
        assert_eq!(world.nodes[0].texts(), ["text 1", "text 3", "text 5"], "{frames}");
        assert!(world.idle_lanes(), "{frames}");
    }
}

#[test]
fn a_first_contact_that_breaks_at_any_frame_ends_accepted_on_both_sides() {
    for frames in 0..24 {
        let mut world = World::new();
        world.lose_after = Some(frames);
        world.add(0);
        world.add(1);
        world.rest();

        assert_eq!(world.states(), [ContactState::Accepted; 2], "{frames}");
        world.send(0, "there");
        world.send(1, "back");
        world.rest();
        assert_eq!(world.nodes[1].texts(), ["there"], "{frames}");
        assert_eq!(world.nodes[0].texts(), ["back"], "{frames}");
    }
}

#[test]
fn a_restart_of_either_side_between_any_two_batches_loses_and_repeats_nothing() {
    for after in 0..30 {
        let mut world = World::friends();
        for number in 0..3 {
            let to = crate::identity::account_text(&world.nodes[1].account());
            let text = OutgoingText { to, text: format!("text {number}"), id: None };
            world.give(0, Input::Command { request: 1, command: Command::Send(vec![text]) });
        }
        for _ in 0..after {
            if let Some((to, input)) = world.queue.pop_front() {
                world.step(to, Some(input));
            }
        }
        // What was not taken yet is gone with the process, commands that had no answer included.
        let unsaid: Vec<_> = world
            .queue
            .iter()
            .filter(|(_, input)| matches!(input, Input::Command { .. }))
            .cloned()
            .collect();
        world.queue.clear();
        world.cut();
        world.nodes[after % 2].restart();
        world.queue.extend(unsaid);
        world.run();
        world.rest();

        assert_eq!(world.nodes[1].texts(), ["text 0", "text 1", "text 2"], "{after}");
        assert!(world.idle_lanes(), "{after}");
    }
}

#[test]
fn no_bytes_on_a_stream_make_the_machine_panic_or_change_its_contacts() {
    let mut world = World::friends();
    let link = world.link.unwrap();
    for seed in 0..64_u8 {
        let bytes = vec![seed; usize::from(seed) * 40];
        world.give(1, NetworkInput::Frame { link, bytes }.into_input());
        world.run();
        world.rest();
    }
    assert_eq!(world.states(), [ContactState::Accepted; 2]);
    world.send(0, "still here");
    world.rest();
    assert_eq!(world.nodes[1].texts(), ["still here"]);
}

#[test]
fn kem_epochs_go_by_while_two_talk() {
    let mut world = World::friends();

    for number in 0..260 {
        world.send(number % 2, "x");
    }
    world.rest();

    let now = time(world.at).wall;
    for node in [0, 1] {
        let peer = world.nodes[1 - node].machine.device;
        let (machine, rows) = (&mut world.nodes[node].machine, &world.nodes[node].rows);
        let session = machine.sessions.pair(rows, peer).unwrap().sending().unwrap();
        let session = machine.sessions.session(rows, peer, session).unwrap().unwrap();
        // Without a closed epoch it would have been due since the 50th message.
        assert!(!session.kem_due(now));
        assert_eq!(machine.counters.faults, crate::endpoint::Faults::default());
    }
    assert!(world.idle_lanes());
}

#[test]
fn whoever_was_removed_and_is_added_again_gets_what_waited() {
    for remover in [0, 1] {
        let mut world = World::friends();
        let who = world.nodes[remover].machine.contacts.values().next().unwrap().name.clone();
        world.command(remover, Command::Remove { who });
        world.send(1 - remover, "are you still there?");
        world.rest();
        assert!(world.nodes[remover].texts().is_empty());

        world.add(remover);
        world.rest();

        assert_eq!(world.states(), [ContactState::Accepted; 2]);
        assert_eq!(world.nodes[remover].texts(), ["are you still there?"]);
        world.send(remover, "I am");
        world.rest();
        assert_eq!(world.nodes[1 - remover].texts(), ["I am"]);
    }
}

#[test]
fn a_peer_that_closes_every_link_is_not_dialled_in_a_hurry() {
    let mut world = World::friends();
    world.cut();
    world.run();
    let mut dials = 0;
    world.give(
        0,
        Input::Command {
            request: 1,
            command: Command::Send(vec![OutgoingText {
                to: crate::identity::account_text(&world.nodes[1].account()),
                text: "x".to_owned(),
                id: None,
            }]),
        },
    );
    let peer = HostId([2; 32]);
    let start = world.at;
    while world.at < start + 60_000 {
        world.at += 10;
        let now = time(world.at);
        let node = &mut world.nodes[0];
        let mut out = Vec::new();
        let mut inputs: Vec<Input> = world.queue.drain(..).map(|(_, input)| input).collect();
        while let Some(input) = inputs.pop() {
            let (machine, rng, rows) = (&mut node.machine, &mut node.rng, &mut node.rows);
            machine.handle(input, now, rng, rows, &mut out).unwrap();
        }
        node.machine.end_batch(now, &mut node.rng, &mut node.rows, &mut out).unwrap();
        for output in out {
            let (Output::Now(effect) | Output::After(effect)) = output;
            if matches!(effect, Effect::Network(NetworkOutput::Dial { .. })) {
                dials += 1;
                let (link, kind) = (LinkId(1_000 + dials), StreamKind::Direct);
                let opener = Opener::Us;
                let up = NetworkInput::LinkUp { link, peer, kind, opener, address: None };
                let down = NetworkInput::LinkDown { link };
                world.queue.push_back((0, down.into_input()));
                world.queue.push_back((0, up.into_input()));
            }
        }
    }
    assert!((2..=8).contains(&dials), "{dials}");
}
