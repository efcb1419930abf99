//! Hosts that sign for mail and do not serve it are found out, in the seeded world; honest ones are not.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../sim_support/mod.rs"]
mod sim_support;

use godwit_protocol::endpoint::{HostState, Step, StepKind};
use godwit_protocol::id::{HostId, MessageId};
use godwit_protocol::rows::mailbox::PRIVATE;
use godwit_protocol::sim::{Disk, Lies, NodeId, World};
use godwit_protocol::time::Millis;
use sim_support::{
    MINUTE, add, all_delivered, received, send, status, they_talk, use_hosts, warnings,
};

const LIAR: Lies = Lies { withhold: 1_000, alter: 0, replay: 0, records: 0 };

/// Alice with an honest host, Bob with another, both friends.
fn friends(seed: u64) -> (World, [NodeId; 2], [NodeId; 2]) {
    let mut world = World::new(seed);
    let hosts = [world.host().unwrap(), world.host().unwrap()];
    let people = [world.person("Alice").unwrap(), world.person("Bob").unwrap()];
    for (person, host) in people.iter().zip(hosts) {
        use_hosts(&mut world, *person, &[host]);
    }
    world.run_for(MINUTE).unwrap();
    add(&mut world, people[0], people[1]);
    add(&mut world, people[1], people[0]);
    world.run_for(MINUTE).unwrap();
    they_talk(&mut world, people);
    (world, hosts, people)
}

fn key(world: &World, host: NodeId) -> HostId {
    world.choice(host).unwrap().host
}

fn state(world: &mut World, person: NodeId, host: NodeId) -> HostState {
    let host = key(world, host);
    let hosts = status(world, person).hosts;
    hosts.iter().find(|view| view.host == host).unwrap().state
}

fn steps(world: &World, person: NodeId, message: MessageId, kind: StepKind) -> Vec<Step> {
    let steps = world.why(person, message).unwrap().unwrap().steps;
    steps.into_iter().filter(|step| step.kind == kind).collect()
}

/// Alice's message lies at Bob's host, which keeps it back; they cannot meet meanwhile, and Bob is heard.
fn kept_back(world: &mut World, host: NodeId, [alice, bob]: [NodeId; 2]) -> MessageId {
    world.part(alice, bob, true);
    world.cut_links(alice);
    world.lie(host, LIAR);
    let message = send(world, alice, bob, "do you read me?");
    // When somebody was heard is known to the hour.
    world.run_for(Millis::from_hours(2)).unwrap();
    send(world, bob, alice, "anybody there?");
    world.run_for(MINUTE.saturating_mul(5)).unwrap();
    assert_eq!(received(world, alice).last().unwrap(), "anybody there?");
    assert_eq!(received(world, bob).last().unwrap(), "still there?");
    world.weather.patience = 60_000;
    message
}

#[test]
fn a_host_that_does_not_serve_what_it_signed_for_is_found_out_and_left() {
    let (mut world, [other, liar], people) = friends(1);
    let [alice, bob] = people;
    let message = kept_back(&mut world, liar, people);
    assert_eq!(steps(&world, alice, message, StepKind::Deposited).len(), 1);
    world.unite();
    world.run_for(Millis::from_hours(30)).unwrap();

    let host = key(&world, liar);
    assert_eq!(received(&world, bob).last().unwrap(), "do you read me?");
    assert!(all_delivered(&world, alice));
    assert_eq!(state(&mut world, bob, liar), HostState::BrokenWord);
    assert!(warnings(&mut world, bob).contains(&"host".to_owned()));
    for person in people {
        let broken = steps(&world, person, message, StepKind::BrokenWord);
        assert_eq!(broken.iter().map(|step| step.host).collect::<Vec<_>>(), [Some(host)]);
        let known = world.broken_words(person).unwrap();
        assert_eq!(known.len(), 1);
        assert_eq!(known[0].evidence.proof.check("main"), Ok(()));
        assert_eq!((known[0].ours, known[0].evidence.message), (person == bob, message));
    }

    // Traffic goes elsewhere as soon as there is an elsewhere, and what lay there is fetched still.
    use_hosts(&mut world, bob, &[other]);
    world.run_for(MINUTE.saturating_mul(5)).unwrap();
    world.kill(bob);
    world.run_for(MINUTE).unwrap();
    let next = send(&mut world, alice, bob, "here?");
    world.run_for(MINUTE).unwrap();
    let deposited = steps(&world, alice, next, StepKind::Deposited);
    let hosts: Vec<_> = deposited.iter().map(|step| step.host).collect();
    assert_eq!(hosts, [Some(key(&world, other))]);

    // After a restart it is known as well; whoever uses it again forgives it.
    world.start(bob).unwrap();
    world.run_for(MINUTE).unwrap();
    assert_eq!(received(&world, bob).last().unwrap(), "here?");
    assert_eq!(state(&mut world, bob, liar), HostState::BrokenWord);
    world.lie(liar, Lies::default());
    use_hosts(&mut world, bob, &[liar]);
    world.run_for(MINUTE).unwrap();
    assert_eq!(state(&mut world, bob, liar), HostState::Ok);
    assert_eq!(world.broken_words(bob).unwrap().len(), 1);
}

/// Something else explains it: nobody is accused, and the message arrives.
fn is_excused(seed: u64, happens: impl FnOnce(&mut World, NodeId, NodeId)) {
    let (mut world, [_, host], people) = friends(seed);
    let [alice, bob] = people;
    kept_back(&mut world, host, people);
    happens(&mut world, host, bob);
    world.lie(host, Lies::default());
    world.cut_links(bob);
    world.unite();
    world.run_for(Millis::from_hours(30)).unwrap();

    assert!(received(&world, bob).contains(&"do you read me?".to_owned()));
    for person in [alice, bob] {
        assert!(world.broken_words(person).unwrap().is_empty(), "an honest host is accused");
    }
}

#[test]
fn a_host_that_serves_late_has_kept_its_word() {
    is_excused(2, |_, _, _| {});
}

#[test]
fn a_host_that_lost_its_disk_has_not_broken_its_word() {
    is_excused(3, |world, host, _| world.put_back(host, Disk::default()).unwrap());
}

#[test]
fn a_home_that_lost_rows_accuses_nobody() {
    is_excused(4, |world, host, bob| {
        world.lie(host, Lies::default());
        world.cut_links(bob);
        world.run_for(MINUTE).unwrap();
        assert_eq!(received(world, bob).last().unwrap(), "do you read me?");
        world.kill(bob);
        let mut disk = world.disk(bob);
        disk.clear(&godwit_protocol::rows::home::SEEN).unwrap();
        disk.mend();
        world.put_back(bob, disk).unwrap();
        world.run_for(MINUTE).unwrap();
    });
}

#[test]
fn a_host_that_lost_state_twice_gets_mail_and_its_word_does_not_count() {
    let mut world = World::new(5);
    let hosts = [world.host().unwrap(), world.host().unwrap(), world.host().unwrap()];
    let (alice, bob) = (world.person("Alice").unwrap(), world.person("Bob").unwrap());
    use_hosts(&mut world, alice, &hosts[..1]);
    use_hosts(&mut world, bob, &hosts);
    world.run_for(MINUTE).unwrap();
    add(&mut world, alice, bob);
    add(&mut world, bob, alice);
    world.run_for(MINUTE).unwrap();
    they_talk(&mut world, [alice, bob]);
    world.kill(bob);
    // What is deposited makes Alice look at the hosts of Bob, and compare.
    for text in ["one", "two"] {
        send(&mut world, alice, bob, text);
        world.run_for(Millis::from_hours(2)).unwrap();
        world.put_back(hosts[1], Disk::default()).unwrap();
        world.run_for(MINUTE).unwrap();
        world.start(bob).unwrap();
        world.run_for(MINUTE.saturating_mul(5)).unwrap();
        world.kill(bob);
    }
    assert_eq!(received(&world, bob), ["still there?", "one", "two"]);

    // Two of three are asked for: the unsteady one and a steady one are one word too few.
    world.kill(hosts[2]);
    world.run_for(MINUTE).unwrap();
    let message = send(&mut world, alice, bob, "three");
    world.run_for(MINUTE.saturating_mul(5)).unwrap();
    let at: Vec<_> = steps(&world, alice, message, StepKind::Deposited);
    assert_eq!(at.len(), 2, "the unsteady host gets mail");
    assert_eq!(world.why(alice, message).unwrap().unwrap().state.as_str(), "queued");
    world.start(hosts[2]).unwrap();
    world.run_for(MINUTE.saturating_mul(5)).unwrap();
    assert_eq!(world.why(alice, message).unwrap().unwrap().state.as_str(), "deposited");
}

/// It says so every ten minutes for two days: what lay there is given to it again six or seven times, and
/// everything arrives when it has come to its senses.
#[test]
fn a_host_that_loses_everything_without_end_is_not_served_without_end() {
    let (mut world, [_, host], [alice, bob]) = friends(31);
    world.part(alice, bob, true);
    world.cut_links(alice);
    world.lie(host, LIAR);
    for number in 0..5 {
        send(&mut world, alice, bob, &format!("text {number}"));
    }
    world.run_for(MINUTE).unwrap();
    let held = |world: &World| world.disk(host).count(&PRIVATE.mail);
    assert!(held(&world) >= 5);

    let mut given = 0;
    for _ in 0..2 * 24 * 6 {
        world.put_back(host, Disk::default()).unwrap();
        world.start(host).unwrap();
        world.run_for(MINUTE.saturating_mul(10)).unwrap();
        given += u32::from(held(&world) >= 5);
    }
    assert!((3..=9).contains(&given), "given {given} times");

    world.lie(host, Lies::default());
    world.cut_links(bob);
    world.run_for(Millis::from_hours(30)).unwrap();
    assert!(all_delivered(&world, alice));
    assert_eq!(received(&world, bob).len(), 6);
}
