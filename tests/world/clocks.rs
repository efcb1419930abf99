//! Clocks that jump and come back, and hosts that say another time, in the seeded world.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../sim_support/mod.rs"]
mod sim_support;

use godwit_protocol::sim::{NodeId, World};
use godwit_protocol::time::Millis;
use sim_support::{
    MINUTE, add, all_delivered, friends, received, send, they_talk, use_hosts, warnings,
};

const DAY: i64 = 86_400_000;

#[test]
fn a_minute_in_another_year_costs_nobody_anything() {
    for (seed, off) in (30..).zip([-19_000 * DAY, 2 * DAY, 730 * DAY]) {
        for wrong in 0..3 {
            for restarted in [false, true] {
                let (mut world, host, [a, b]) = friends(seed);
                they_talk(&mut world, [a, b]);
                let node = [host, a, b][wrong];
                world.kill(b);
                send(&mut world, a, b, "before");
                world.run_for(MINUTE).unwrap();

                world.skew(node, off);
                // A machine that restarts with a clock far ahead cannot tell that from a long absence.
                if restarted && off < 30 * DAY {
                    world.kill(node);
                    world.start(node).unwrap();
                }
                if node != b || restarted {
                    world.kill(b);
                    world.start(b).unwrap();
                }
                world.run_for(MINUTE).unwrap();
                send(&mut world, a, b, "meanwhile");
                world.run_for(MINUTE).unwrap();
                world.skew(node, 0);
                if !world.runs(b) {
                    world.start(b).unwrap();
                }

                let done = |world: &World| all_delivered(world, a);
                let there = world.run_until(Millis::from_hours(3), done).unwrap();
                let state = [a, b].map(|node| world.describe(node));
                assert!(there, "{wrong} off by {off}, {restarted}: {state:?}");
                assert_eq!(received(&world, b)[1..], ["before", "meanwhile"]);
                // Nothing was erased in that minute, and nothing signed that outlives it: strangers and
                // friends take what is signed now.
                world.run_for(Millis::from_days(3)).unwrap();
                they_talk(&mut world, [a, b]);
                let carol = world.person("Carol").unwrap();
                use_hosts(&mut world, carol, &[host]);
                world.run_for(MINUTE).unwrap();
                add(&mut world, carol, a);
                add(&mut world, a, carol);
                they_talk(&mut world, [carol, a]);
            }
        }
    }
}

#[test]
fn one_host_of_three_that_says_another_time_is_shown_and_two_stop_the_sweeping() {
    let mut world = World::new(40);
    let hosts: Vec<_> = (0..3).map(|_| world.host().unwrap()).collect();
    let alice = world.person("Alice").unwrap();
    // A clock that jumps is noticed by the host itself; one that was wrong from the start is not.
    starts_at(&mut world, hosts[0], 2 * DAY);
    use_hosts(&mut world, alice, &hosts);
    world.run_for(MINUTE).unwrap();
    assert_eq!(warnings(&mut world, alice), ["host_clock"]);

    starts_at(&mut world, hosts[1], 2 * DAY);
    world.run_for(MINUTE).unwrap();
    assert_eq!(warnings(&mut world, alice), ["clock"]);

    for host in &hosts[..2] {
        starts_at(&mut world, *host, 0);
    }
    // A day of agreement ends their own doubts, and then they say so on a new stream.
    world.weather.patience = 60_000;
    world.run_for(Millis::from_hours(25)).unwrap();
    starts_at(&mut world, alice, 0);
    world.run_for(MINUTE).unwrap();
    assert_eq!(warnings(&mut world, alice), Vec::<String>::new());
}

fn starts_at(world: &mut World, node: NodeId, off: i64) {
    world.kill(node);
    world.skew(node, off);
    world.start(node).unwrap();
}
