//! A peer that takes nothing for a while: what was refused goes again, on the stream that is there.

use super::endless::deposits;
use super::*;

const TEXTS: usize = 20;

/// Minutes go by.
fn minutes(world: &mut World, count: u64) {
    for _ in 0..count {
        world.at += 60_000;
        world.step(0, None);
        world.step(1, None);
        world.run();
    }
}

/// Friends of whom node 1 has no room and node 0 has written; what was written.
fn refused() -> (World, Vec<String>) {
    let mut world = World::friends();
    world.nodes[1].machine.space_low = true;
    world.sent.clear();
    let texts: Vec<String> = (0..TEXTS).map(|number| format!("text {number}")).collect();
    for text in &texts {
        world.send(0, text);
    }
    assert_eq!(deposits(&world, 0).0, TEXTS);
    (world, texts)
}

#[test]
fn what_a_full_disk_refused_arrives_on_the_same_stream_once_there_is_room() {
    let (mut world, texts) = refused();
    let links = world.links;
    minutes(&mut world, 1);
    assert_eq!(deposits(&world, 0).0, TEXTS + 1, "one asks for all");
    assert_eq!(world.nodes[1].texts(), Vec::<String>::new());

    world.nodes[1].machine.space_low = false;
    minutes(&mut world, 4);

    assert_eq!(world.nodes[1].texts(), texts);
    assert_eq!(world.links, links, "another stream");
    assert!(world.idle_lanes());
    assert!(deposits(&world, 0).0 <= 2 * TEXTS + 3);
}

#[test]
fn whoever_takes_nothing_for_a_day_is_asked_a_few_dozen_times() {
    let (mut world, _) = refused();
    minutes(&mut world, 24 * 60 - 10);
    let asked = deposits(&world, 0).0 - TEXTS;
    assert!((20..40).contains(&asked), "{asked} times");
    world.send(0, "and this");
    assert_eq!(deposits(&world, 0).0, TEXTS + asked + 1);

    world.nodes[1].machine.space_low = false;
    minutes(&mut world, 61);
    assert_eq!(world.nodes[1].texts().len(), TEXTS + 1);
    assert!(world.idle_lanes());
}
