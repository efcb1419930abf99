//! A large address book on three hosts, and a host with hundreds of owners, in the seeded world.

#[path = "../sim_support/mod.rs"]
mod sim_support;

use std::collections::BTreeMap;

use godwit_protocol::endpoint::HostState;
use godwit_protocol::limits::{DIAL_PACE, MAX_DIALS_AT_ONCE};
use godwit_protocol::sim::{Disk, NodeId, World};
use godwit_protocol::time::Millis;
use sim_support::{MINUTE, add, all_delivered, received, send, status, they_talk, use_hosts};

const SECOND: Millis = Millis::from_secs(1);

/// So many contacts, unless told otherwise.
fn contacts() -> usize {
    let told = std::env::var("GODWIT_CONTACTS").ok().and_then(|count| count.parse().ok());
    told.unwrap_or(150)
}

#[test]
fn a_large_address_book_costs_one_link_a_host_and_dials_at_an_even_pace() {
    let mut world = World::new(1);
    // Of her own hosts each admits 256 people; a larger book lies at more of them.
    let count = 3.max(contacts().div_ceil(200));
    let hosts: Vec<NodeId> = (0..count).map(|_| world.host().unwrap()).collect();
    let alice = world.person("Alice").unwrap();
    use_hosts(&mut world, alice, &hosts[..3]);
    world.run_for(SECOND).unwrap();
    let mut friends = Vec::new();
    for number in 0..contacts() {
        let friend = world.person(&format!("Friend {number}")).unwrap();
        use_hosts(&mut world, friend, &hosts[number % count..=number % count]);
        add(&mut world, friend, alice);
        add(&mut world, alice, friend);
        world.run_for(SECOND.saturating_mul(10)).unwrap();
        assert!(all_delivered(&world, friend));
        world.kill(friend);
        friends.push(friend);
    }

    // Whoever waits for nobody dials nobody but its hosts.
    world.kill(alice);
    let before = world.dials(alice);
    world.start(alice).unwrap();
    world.run_for(MINUTE).unwrap();
    assert_eq!(since(&before, &world.dials(alice)), 3);
    assert_eq!(world.links(alice, None), 3);

    let before = world.dials(alice);
    for friend in &friends {
        send(&mut world, alice, *friend, "hello, all of you");
    }
    for _ in 0..60 {
        world.run_for(SECOND).unwrap();
        assert!(world.links(alice, None) <= count);
    }
    assert_eq!(status(&mut world, alice).queued, 0, "{}", world.describe(alice));
    let pace = u64::from(MAX_DIALS_AT_ONCE) + 2 * MINUTE.0 / DIAL_PACE.0;
    let dials = since(&before, &world.dials(alice));
    assert!(u64::from(dials) <= pace, "{dials} dials");

    for friend in friends.iter().rev().take(3) {
        world.start(*friend).unwrap();
        world.run_for(SECOND.saturating_mul(10)).unwrap();
        assert_eq!(received(&world, *friend), ["hello, all of you"]);
    }
}

/// How many dials there were between two counts.
fn since<K: Ord>(before: &BTreeMap<K, u32>, after: &BTreeMap<K, u32>) -> u32 {
    after.values().sum::<u32>() - before.values().sum::<u32>()
}

#[test]
fn a_host_that_lost_everything_has_its_256_owners_back_in_two_minutes_and_not_in_one_moment() {
    const OWNERS: usize = 256;
    let mut world = World::new(2);
    let host = world.host().unwrap();
    let mut owners = Vec::new();
    for number in 0..OWNERS {
        let owner = world.person(&format!("Owner {number}")).unwrap();
        use_hosts(&mut world, owner, &[host]);
        if number % 64 == 1 {
            add(&mut world, owner, owners[number - 1]);
            add(&mut world, owners[number - 1], owner);
        }
        owners.push(owner);
    }
    world.run_for(MINUTE).unwrap();
    assert!(owners.iter().all(|owner| world.links(*owner, Some(host)) == 1));

    // Away for so long that everybody waits as long as one waits.
    world.kill(host);
    world.run_for(MINUTE.saturating_mul(10)).unwrap();
    world.put_back(host, Disk::default()).unwrap();
    let (mut linked, mut most) = (0, 0);
    for _ in 0..60 {
        world.run_for(SECOND).unwrap();
        let now = owners.iter().filter(|owner| world.links(**owner, Some(host)) > 0).count();
        most = most.max(now.saturating_sub(linked));
        linked = now;
    }
    assert_eq!(linked, OWNERS);
    assert!(most <= OWNERS / 6, "{most} of {OWNERS} came within one second");
    world.run_for(MINUTE).unwrap();
    for owner in &owners {
        let state = status(&mut world, *owner).hosts[0].state;
        assert_eq!(state, HostState::LostState);
    }
    for number in (0..OWNERS).step_by(64) {
        let pair = [owners[number], owners[number + 1]];
        they_talk(&mut world, pair);
        assert!(pair.iter().all(|owner| all_delivered(&world, *owner)));
    }
}
