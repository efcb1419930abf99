//! What people do in the seeded world.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]
#![expect(clippy::indexing_slicing, reason = "the tests know how many nodes there are")]

use godwit_protocol::endpoint::{
    Command, EndpointStatus, MessageState, MessageView, OutgoingText, Reply,
};
use godwit_protocol::id::MessageId;
use godwit_protocol::identity::account_text;
use godwit_protocol::sim::{NodeId, World};
use godwit_protocol::time::Millis;

pub(crate) const MINUTE: Millis = Millis::from_minutes(1);

pub(crate) fn reply(world: &mut World, node: NodeId, command: Command) -> Reply {
    world.ask(node, command).unwrap().unwrap().unwrap()
}

pub(crate) fn use_hosts(world: &mut World, node: NodeId, hosts: &[NodeId]) {
    let hosts = hosts.iter().map(|host| world.choice(*host).unwrap()).collect();
    reply(world, node, Command::UseHosts { hosts, k: None });
}

pub(crate) fn link(world: &mut World, node: NodeId) -> String {
    match reply(world, node, Command::LinkHere) {
        Reply::Link(link) => link,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn add(world: &mut World, node: NodeId, other: NodeId) {
    let link = link(world, other);
    reply(world, node, Command::AddContact { link, name: None });
}

pub(crate) fn send(world: &mut World, from: NodeId, to: NodeId, text: &str) -> MessageId {
    let to = account_text(&world.account(to).unwrap());
    let text = OutgoingText { to, text: text.to_owned(), id: None };
    match reply(world, from, Command::Send(vec![text])) {
        Reply::Sent(sent) => sent[0].as_ref().unwrap().id,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn received(world: &World, node: NodeId) -> Vec<String> {
    let views = world.inbox(node).unwrap();
    views.into_iter().filter(|view| !view.outgoing).map(|view| view.body).collect()
}

pub(crate) fn all_delivered(world: &World, node: NodeId) -> bool {
    let views = world.inbox(node).unwrap();
    views.iter().filter(|view| view.outgoing).all(|view| view.state == MessageState::Delivered)
}

/// Two friends who each keep mail at one host.
pub(crate) fn friends(seed: u64) -> (World, NodeId, [NodeId; 2]) {
    let mut world = World::new(seed);
    let host = world.host().unwrap();
    let people = [world.person("Alice").unwrap(), world.person("Bob").unwrap()];
    for person in people {
        use_hosts(&mut world, person, &[host]);
    }
    world.run_for(MINUTE).unwrap();
    add(&mut world, people[0], people[1]);
    add(&mut world, people[1], people[0]);
    world.run_for(MINUTE.saturating_mul(2)).unwrap();
    (world, host, people)
}

pub(crate) fn status(world: &mut World, node: NodeId) -> EndpointStatus {
    match reply(world, node, Command::Status) {
        Reply::Status(status) => status,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn warnings(world: &mut World, node: NodeId) -> Vec<String> {
    status(world, node).warnings
}

/// Both say a word, and it arrives.
#[track_caller]
pub(crate) fn they_talk(world: &mut World, people: [NodeId; 2]) {
    for (from, to) in [(0, 1), (1, 0)] {
        send(world, people[from], people[to], "still there?");
    }
    let arrived = |world: &World| {
        people.iter().all(|person| {
            let views = world.inbox(*person).unwrap();
            let open = |view: &&MessageView| {
                view.outgoing
                    && !matches!(view.state, MessageState::Delivered | MessageState::Expired)
            };
            views.iter().find(open).is_none()
        })
    };
    let done = world.run_until(Millis::from_hours(3), arrived).unwrap();
    let state = || people.map(|person| world.describe(person));
    assert!(done, "they do not talk: {:?}", state());
}

/// Two living copies of a home start in turn, each meeting the host; which of them stand down.
pub(crate) fn in_turn(world: &mut World, copies: [NodeId; 2]) -> [bool; 2] {
    for _ in 0..6 {
        for node in copies {
            world.run_for(MINUTE).unwrap();
            world.kill(node);
            world.start(node).unwrap();
        }
    }
    world.run_for(MINUTE).unwrap();
    copies.map(|node| is_down(world, node))
}

/// Whether a copy of a home has stood down.
pub(crate) fn is_down(world: &mut World, node: NodeId) -> bool {
    warnings(world, node).iter().any(|warning| warning == "two_homes")
}
