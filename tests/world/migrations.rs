//! What an earlier version stored is read by this one: a seeded world that stood still in the middle of
//! its life, kept as text for each version of the store, goes on where it stood.
//!
//! ```text
//! store/fixtures/N.txt:  "at" milliseconds │ "node" number │ table key value, in hexadecimal
//! ```
//! `GODWIT_FIXTURE=1` writes the one of this version, where its rows have changed shape.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::indexing_slicing, reason = "the tests know how many nodes there are")]

#[path = "../sim_support/mod.rs"]
mod sim_support;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use godwit_protocol::endpoint::{Command, Faults};
use godwit_protocol::identity::account_text;
use godwit_protocol::mailbox::host::HostCommand;
use godwit_protocol::rows::memory::MemoryRows;
use godwit_protocol::rows::steps::{OLDEST_VERSION, STEPS, VERSION};
use godwit_protocol::rows::{self, ReadRows as _, Rows as _, Table};
use godwit_protocol::sim::{Disk, Lies, NodeId, World};
use godwit_protocol::time::Millis;
use sim_support::{
    MINUTE, add, all_delivered, link, received, reply, send, status, they_talk, use_hosts,
};

const SEED: u64 = 23;

/// What each version stored.
const FIXTURES: [(u32, &str); 3] = [
    (2, include_str!("../../store/fixtures/2.txt")),
    (3, include_str!("../../store/fixtures/3.txt")),
    (4, include_str!("../../store/fixtures/4.txt")),
];

/// Two hosts, and four people: Carol is a stranger to Alice, Dave is blocked.
fn world() -> (World, [NodeId; 2], [NodeId; 4]) {
    let mut world = World::new(SEED);
    let hosts = [world.host().unwrap(), world.host().unwrap()];
    let people = ["Alice", "Bob", "Carol", "Dave"].map(|name| world.person(name).unwrap());
    (world, hosts, people)
}

fn as_text(world: &World, nodes: &[NodeId]) -> String {
    let mut text = format!("at {}\n", world.now().0);
    for (number, node) in nodes.iter().enumerate() {
        writeln!(text, "node {number}").unwrap();
        text.push_str(&world.disk(*node).rows().to_text());
    }
    text
}

/// Everything is stopped in the middle of a life.
fn lived() -> (World, Vec<NodeId>) {
    let (mut world, hosts, people) = world();
    let [alice, bob, carol, dave] = people;
    use_hosts(&mut world, alice, &[hosts[0]]);
    use_hosts(&mut world, bob, &[hosts[1]]);
    use_hosts(&mut world, carol, &[hosts[1], hosts[0]]);
    use_hosts(&mut world, dave, &[hosts[0]]);
    world.run_for(MINUTE).unwrap();
    add(&mut world, alice, bob);
    add(&mut world, bob, alice);
    add(&mut world, dave, alice);
    world.run_for(MINUTE).unwrap();
    they_talk(&mut world, [alice, bob]);
    // A host keeps something back, is found out, and is left for another one.
    world.part(alice, bob, true);
    world.cut_links(alice);
    world.lie(hosts[1], Lies { withhold: 1_000, ..Lies::default() });
    send(&mut world, alice, bob, "kept back");
    world.run_for(Millis::from_hours(2)).unwrap();
    send(&mut world, bob, alice, "anybody?");
    world.run_for(MINUTE.saturating_mul(5)).unwrap();
    world.unite();
    world.run_for(Millis::from_hours(30)).unwrap();
    world.lie(hosts[1], Lies::default());
    use_hosts(&mut world, bob, &[hosts[0]]);
    world.run_for(MINUTE).unwrap();
    let left = world.choice(hosts[1]).unwrap().host;
    world.give(bob, Command::DropHost { host: left, now: true });
    world.give(alice, Command::Invite);
    world.run_for(MINUTE).unwrap();
    world
        .ask_host(hosts[0], HostCommand::Invite { uses: 3, life: Millis::from_hours(24) })
        .unwrap();
    // Bob and Carol are away: mail and a request wait at the hosts, and in Alice's outbox.
    world.kill(bob);
    send(&mut world, alice, bob, "for later");
    world.run_for(MINUTE).unwrap();
    let there = link(&mut world, alice);
    world.kill(alice);
    reply(&mut world, carol, Command::AddContact { link: there, name: None });
    world.run_for(MINUTE).unwrap();
    (world, hosts.into_iter().chain(people).collect())
}

/// The world of a fixture, at the moment when it stood still.
fn of(text: &str) -> (World, [NodeId; 2], [NodeId; 4]) {
    let (mut world, hosts, people) = world();
    let (at, disks) = text.split_once("\nnode ").unwrap();
    let nodes: Vec<NodeId> = hosts.into_iter().chain(people).collect();
    for node in &nodes {
        world.kill(*node);
    }
    let at = Millis(at.strip_prefix("at ").unwrap().parse().unwrap());
    world.run_for(at.saturating_sub(world.now())).unwrap();
    for (disk, node) in disks.split("\nnode ").zip(&nodes) {
        let (number, lines) = disk.split_once('\n').unwrap_or((disk, ""));
        assert_eq!(nodes[number.trim().parse::<usize>().unwrap()], *node);
        let old = MemoryRows::from_text(&tables(), lines).unwrap();
        world.put_back(*node, Disk::of(brought(&old))).unwrap();
        world.start(*node).unwrap();
    }
    (world, hosts, people)
}

/// What the store does at its start (`store/src/migrate.rs`).
fn brought(old: &MemoryRows) -> MemoryRows {
    let mut new = old.clone();
    for step in &STEPS {
        let rows = old.iter().filter(|(table, ..)| *table == step.table.name);
        for (_, key, _) in rows {
            let row = new.get(step.table, key).unwrap().unwrap();
            if let Some(row) = step.apply(&row).unwrap() {
                new.put(step.table, key, row);
            }
        }
    }
    new
}

fn tables() -> Vec<&'static Table> {
    rows::tables().into_iter().chain(rows::mailbox::tables()).collect()
}

#[test]
fn a_world_that_an_earlier_version_stored_goes_on() {
    for (version, text) in FIXTURES {
        let (mut world, _, [alice, bob, carol, _]) = of(text);
        world.run_for(MINUTE.saturating_mul(5)).unwrap();
        assert_eq!(received(&world, bob).last().unwrap(), "for later", "version {version}");
        assert!(all_delivered(&world, alice), "version {version}");
        assert_eq!(world.broken_words(bob).unwrap().len(), 1, "version {version}");
        they_talk(&mut world, [alice, bob]);
        // Carol's request lay at Alice's host.
        let carols = world.account(carol).unwrap();
        reply(&mut world, alice, Command::Accept { who: account_text(&carols), name: None });
        they_talk(&mut world, [alice, carol]);
        for person in [alice, bob, carol] {
            assert_eq!(status(&mut world, person).faults, Faults::default(), "version {version}");
        }
        world.run_for(Millis::from_days(9)).unwrap();
        they_talk(&mut world, [alice, bob]);
    }
}

#[test]
fn there_is_a_fixture_for_every_version_that_is_read() {
    let known: Vec<u32> = FIXTURES.iter().map(|(version, _)| *version).collect();
    assert_eq!(known, (OLDEST_VERSION..=VERSION).collect::<Vec<u32>>());
    let (world, nodes) = lived();
    let text = as_text(&world, &nodes);
    if std::env::var_os("GODWIT_FIXTURE").is_some() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../store/fixtures");
        std::fs::write(folder.join(format!("{VERSION}.txt")), &text).unwrap();
    }
    // Every table that lives longer than an exchange is in them.
    let held = |table: &&Table| text.contains(&format!("\n{} ", table.name));
    let missing: Vec<&str> =
        tables().into_iter().filter(|it| !held(it)).map(|it| it.name).collect();
    assert_eq!(missing, ["served", "host_tokens"]);
    // Its rows have the shapes that this program writes.
    let old = FIXTURES.last().unwrap().1;
    let first = |text: &str| -> BTreeSet<String> {
        let rows = text.lines().filter_map(|line| line.split_once(' '));
        let shape = |(table, row): (&str, &str)| {
            let value = row.split_once(' ')?.1;
            Some(format!("{table} {}", value.get(..2).unwrap_or("none")))
        };
        rows.filter_map(shape).collect()
    };
    assert_eq!(first(old), first(&text), "a shape has changed: GODWIT_FIXTURE=1");
}
