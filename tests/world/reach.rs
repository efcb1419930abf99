//! Who is behind a NAT, and who is in the same room, in the seeded world.

#[path = "../sim_support/mod.rs"]
mod sim_support;

use godwit_protocol::sim::{NodeId, World};
use godwit_protocol::time::Millis;
use sim_support::{MINUTE, add, all_delivered, friends, received, send, use_hosts};

const SECONDS: Millis = Millis::from_secs(10);

#[test]
fn whoever_is_behind_a_nat_is_reached_through_the_host() {
    for seed in 0..20 {
        let (mut world, host, [alice, bob]) = friends(seed);
        for hidden in [alice, bob] {
            world.hide(hidden);
            world.cut_links(hidden);
        }
        world.run_for(MINUTE).unwrap();

        send(&mut world, alice, bob, "through the host");
        world.run_for(SECONDS).unwrap();
        assert!(all_delivered(&world, alice), "seed {seed}: {}", world.describe(alice));
        assert!(world.direct_links(alice) > 0, "seed {seed}: {}", world.describe(alice));

        // The host is gone, and with it every circuit.
        world.kill(host);
        world.cut_links(alice);
        send(&mut world, alice, bob, "waits");
        world.run_for(MINUTE).unwrap();
        assert!(!all_delivered(&world, alice), "seed {seed}");
        world.start(host).unwrap();
        // Both dial it within 38 s, and a receipt in a mailbox may wait a minute for others.
        world.run_for(MINUTE.saturating_mul(2)).unwrap();
        assert!(all_delivered(&world, alice), "seed {seed}: {}", world.describe(alice));
        assert_eq!(received(&world, bob), ["through the host", "waits"], "seed {seed}");
    }
}

#[test]
fn two_in_one_room_need_no_host_and_no_address_that_still_leads_somewhere() {
    for seed in 0..20 {
        let mut world = World::new(seed);
        let (alice, bob) = (world.person("Alice").unwrap(), world.person("Bob").unwrap());
        add(&mut world, alice, bob);
        add(&mut world, bob, alice);
        world.run_for(MINUTE).unwrap();
        // Both have moved: what they know of each other leads nowhere.
        for moved in [alice, bob] {
            world.hide(moved);
            world.cut_links(moved);
        }
        send(&mut world, alice, bob, "are you here?");
        world.run_for(MINUTE).unwrap();
        assert!(!all_delivered(&world, alice), "seed {seed}");

        world.hear(alice, bob);
        world.run_for(SECONDS).unwrap();
        assert!(all_delivered(&world, alice), "seed {seed}: {}", world.describe(alice));
    }
}

#[test]
fn a_liar_in_the_room_delays_nothing_that_has_another_way() {
    for seed in 0..20 {
        let (mut world, host, [alice, bob]) = friends(seed);
        world.hide(bob);
        world.cut_links(bob);
        let stranger = world.person("Mallory").unwrap();
        use_hosts(&mut world, stranger, &[host]);
        world.run_for(MINUTE).unwrap();

        // It claims to be whoever Alice looks for, her host as well, at an address where it is not.
        for claimed in [bob, host] {
            world.claim(alice, claimed, "/room/nowhere");
        }
        send(&mut world, alice, bob, "never mind");

        world.run_for(SECONDS).unwrap();
        assert!(all_delivered(&world, alice), "seed {seed}: {}", world.describe(alice));
    }
}

#[test]
fn an_hour_in_which_nobody_answers_is_quiet_and_writes_nothing() {
    let mut world = World::new(7);
    let hosts: Vec<NodeId> = (0..3).map(|_| world.host().unwrap()).collect();
    let alice = world.person("Alice").unwrap();
    use_hosts(&mut world, alice, &hosts);
    let mut friends = Vec::new();
    for number in 0..12 {
        let friend = world.person(&format!("Friend {number}")).unwrap();
        use_hosts(&mut world, friend, &hosts[number % 3..=number % 3]);
        world.run_for(SECONDS).unwrap();
        add(&mut world, alice, friend);
        add(&mut world, friend, alice);
        friends.push(friend);
    }
    world.run_for(MINUTE.saturating_mul(3)).unwrap();
    for gone in hosts.iter().chain(&friends) {
        world.kill(*gone);
    }
    for friend in &friends {
        send(&mut world, alice, *friend, "is anybody there?");
    }
    world.run_for(MINUTE.saturating_mul(10)).unwrap();
    let (disk, before) = (world.disk(alice), world.dials(alice));

    world.run_for(MINUTE.saturating_mul(50)).unwrap();

    assert!(before.len() >= 15, "three hosts and twelve devices were dialled: {}", before.len());
    for (peer, count) in world.dials(alice) {
        let in_the_hour = count - before.get(&peer).copied().unwrap_or_default();
        assert!(in_the_hour <= 3 * 50, "{in_the_hour} dials of one peer");
    }
    assert!(world.disk(alice) == disk, "something was written");
    for gone in hosts.iter().chain(&friends) {
        world.start(*gone).unwrap();
    }
    world.run_for(MINUTE.saturating_mul(2)).unwrap();
    assert!(all_delivered(&world, alice), "{}", world.describe(alice));
}
