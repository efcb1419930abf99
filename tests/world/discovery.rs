//! Found without hints in the seeded world: records in the DHT, honest holders and lying ones.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

#[path = "../sim_support/mod.rs"]
mod sim_support;

use godwit_protocol::endpoint::{Command, EndpointStatus, Reply};
use godwit_protocol::identity::account_text;
use godwit_protocol::sim::{Lies, NodeId, World};
use godwit_protocol::time::Millis;
use sim_support::{MINUTE, add, all_delivered, link, received, reply, send, use_hosts};

const STRANGERS: usize = 4;

/// A link that says who, and nothing of where.
fn bare(link: &str) -> String {
    let parts = link.split('&').filter(|part| !part.starts_with("h=") && !part.starts_with("d="));
    parts.collect::<Vec<_>>().join("&")
}

fn status(world: &mut World, node: NodeId) -> EndpointStatus {
    match reply(world, node, Command::Status) {
        Reply::Status(status) => status,
        other => panic!("{other:?}"),
    }
}

struct Town {
    world: World,
    strangers: Vec<NodeId>,
    hosts: Vec<NodeId>,
    alice: NodeId,
    bob: NodeId,
}

/// Two people with a host each, and strangers who hold records.
fn town(seed: u64) -> Town {
    let mut world = World::new(seed);
    let strangers = (0..STRANGERS).map(|_| world.host().unwrap()).collect();
    let hosts: Vec<NodeId> = (0..3).map(|_| world.host().unwrap()).collect();
    let (alice, bob) = (world.person("Alice").unwrap(), world.person("Bob").unwrap());
    for (person, host) in [alice, bob].into_iter().zip(&hosts) {
        use_hosts(&mut world, person, &[*host]);
    }
    world.run_for(MINUTE).unwrap();
    Town { world, strangers, hosts, alice, bob }
}

fn adds(town: &mut Town, link: String) {
    reply(&mut town.world, town.alice, Command::AddContact { link, name: Some("bob".to_owned()) });
}

/// Whether Alice's request has come within five minutes; it is accepted then.
fn asked(town: &mut Town) -> bool {
    let Town { world, alice, bob, .. } = town;
    let who = account_text(&world.account(*alice).unwrap());
    (0..30).any(|_| {
        world.run_for(Millis::from_secs(10)).unwrap();
        let accept = Command::Accept { who: who.clone(), name: None };
        world.ask(*bob, accept).unwrap().unwrap().is_ok()
    })
}

#[test]
fn a_link_without_hints_finds_its_person() {
    for seed in 0..20 {
        let mut town = town(seed);
        let link = bare(&link(&mut town.world, town.bob));
        assert!(!link.contains("&h="), "{link}");
        // Nobody of those whom a link would name gives anything.
        let host = town.hosts[1];
        town.world.part(town.alice, host, true);

        adds(&mut town, link);
        town.world.run_for(MINUTE).unwrap();

        assert!(status(&mut town.world, town.alice).found_at_strangers >= 2, "seed {seed}");
        town.world.unite();
        assert!(asked(&mut town), "seed {seed}: the request arrives");
    }
}

#[test]
fn a_link_whose_host_is_gone_finds_the_new_one() {
    let mut town = town(1);
    let old = link(&mut town.world, town.bob);
    let Town { world, hosts, bob, .. } = &mut town;
    use_hosts(world, *bob, &[hosts[2]]);
    world.run_for(MINUTE).unwrap();
    let peer = world.choice(hosts[1]).unwrap().host;
    reply(world, *bob, Command::DropHost { host: peer, now: false });
    world.run_for(MINUTE.saturating_mul(3)).unwrap();
    world.kill(hosts[1]);

    adds(&mut town, old);

    assert!(asked(&mut town));
    town.world.run_for(MINUTE).unwrap();
    assert!(status(&mut town.world, town.alice).found_at_strangers >= 1);
}

#[test]
fn a_request_that_went_after_an_old_record_follows_the_new_one() {
    let mut town = town(4);
    let old = bare(&link(&mut town.world, town.bob));
    let Town { world, strangers, hosts, bob, .. } = &mut town;
    // The old host is gone, and nobody who holds records has heard of the new one.
    for node in strangers.iter().chain([&hosts[0]]) {
        world.part(*node, hosts[2], true);
    }
    world.kill(hosts[1]);
    use_hosts(world, *bob, &[hosts[2]]);
    let peer = world.choice(hosts[1]).unwrap().host;
    reply(world, *bob, Command::DropHost { host: peer, now: false });
    world.run_for(MINUTE).unwrap();
    adds(&mut town, old);
    town.world.run_for(MINUTE).unwrap();

    town.world.unite();

    // A host that could not put says so only at its next time.
    town.world.run_for(Millis::from_hours(11)).unwrap();
    eprintln!("{}", town.world.describe(town.alice));
    assert!(asked(&mut town));
}

#[test]
fn what_liars_hold_is_never_believed_and_honest_ones_are_enough() {
    for seed in 0..20 {
        let mut town = town(100 + seed);
        let link = bare(&link(&mut town.world, town.bob));
        let Town { world, strangers, hosts, .. } = &mut town;
        for liar in strangers.iter().chain(&hosts[1..]) {
            world.lie(*liar, Lies { records: 1_000, ..Lies::default() });
        }
        adds(&mut town, link);
        assert!(asked(&mut town), "seed {seed}: one honest holder of seven");
    }
}

#[test]
fn mail_follows_a_contact_that_moved_while_nobody_could_say_so() {
    let mut town = town(2);
    let Town { world, hosts, alice, bob, .. } = &mut town;
    // Alice keeps no mail anywhere: what Bob says about his hosts waits for her.
    let peer = world.choice(hosts[0]).unwrap().host;
    add(world, *alice, *bob);
    add(world, *bob, *alice);
    world.run_for(MINUTE).unwrap();
    reply(world, *alice, Command::DropHost { host: peer, now: false });
    world.run_for(MINUTE.saturating_mul(3)).unwrap();
    world.kill(*alice);
    use_hosts(world, *bob, &[hosts[2]]);
    world.run_for(MINUTE).unwrap();
    let peer = world.choice(hosts[1]).unwrap().host;
    world.kill(hosts[1]);
    reply(world, *bob, Command::DropHost { host: peer, now: false });
    world.run_for(MINUTE).unwrap();
    world.kill(*bob);

    world.start(*alice).unwrap();
    send(world, *alice, *bob, "where are you now?");
    world.run_for(Millis::from_hours(40)).unwrap();
    world.kill(*alice);
    world.start(*bob).unwrap();
    world.run_for(MINUTE).unwrap();

    assert_eq!(received(world, *bob), ["where are you now?"]);
    world.start(*alice).unwrap();
    world.run_for(MINUTE.saturating_mul(5)).unwrap();
    assert!(all_delivered(world, *alice));
}

#[test]
fn contacts_are_reached_by_what_is_known_when_every_holder_is_gone() {
    let mut town = town(3);
    let Town { world, strangers, hosts, alice, bob } = &mut town;
    add(world, *alice, *bob);
    add(world, *bob, *alice);
    world.run_for(MINUTE).unwrap();
    for node in strangers.iter().chain([&hosts[0], &hosts[2]]) {
        world.kill(*node);
    }
    world.kill(*bob);

    send(world, *alice, *bob, "by your host alone");
    world.run_for(Millis::from_hours(30)).unwrap();
    world.kill(*alice);
    world.start(*bob).unwrap();
    world.run_for(MINUTE).unwrap();

    assert_eq!(received(world, *bob), ["by your host alone"]);
}
