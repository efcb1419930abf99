//! Queues that move each month, and everybody who was away meanwhile, in the seeded world.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../sim_support/mod.rs"]
mod sim_support;

use godwit_protocol::endpoint::Command;
use godwit_protocol::identity::account_text;
use godwit_protocol::sim::{Disk, NodeId, World};
use godwit_protocol::time::Millis;
use sim_support::{MINUTE, add, all_delivered, friends, received, reply, send, they_talk};

const DAY: Millis = Millis::from_days(1);

/// Days in which little happens: wakes come once an hour.
fn days(world: &mut World, count: u64) {
    let patience = core::mem::replace(&mut world.weather.patience, 3_600_000);
    world.run_for(DAY.saturating_mul(count)).unwrap();
    world.weather.patience = patience;
}

/// The number of a node's own queue, and the one that it was told.
fn numbers(world: &World, node: NodeId) -> (u32, u32) {
    let (own, told) = world.queue_numbers(node).unwrap();
    (own.into_iter().max().unwrap_or(0), told.into_iter().max().unwrap_or(0))
}

#[test]
fn each_month_mail_goes_into_another_queue_and_the_old_one_is_left() {
    let (mut world, host, [a, b]) = friends(1);
    they_talk(&mut world, [a, b]);
    let registered = world.registered(host, b);
    assert_eq!((numbers(&world, a), numbers(&world, b)), ((0, 0), (0, 0)));

    for month in 1..=6 {
        days(&mut world, 36);
        // Somebody is always away when the other writes.
        for (from, to) in [(a, b), (b, a)] {
            world.kill(to);
            send(&mut world, from, to, &format!("month {month}"));
            world.run_for(MINUTE).unwrap();
            world.start(to).unwrap();
            world.run_for(MINUTE.saturating_mul(2)).unwrap();
        }
        assert!(all_delivered(&world, a) && all_delivered(&world, b), "month {month}");
    }

    let (of_a, of_b) = (numbers(&world, a), numbers(&world, b));
    assert!((2..=6).contains(&of_a.0) && (2..=6).contains(&of_b.0), "{of_a:?} {of_b:?}");
    assert_eq!((of_a.1, of_b.1), (of_b.0, of_a.0), "each was told");
    assert!(world.registered(host, b) <= registered + 1, "what is left is dropped");
}

#[test]
fn who_missed_every_announcement_finds_its_way() {
    let (mut world, _, [a, b]) = friends(2);
    they_talk(&mut world, [a, b]);
    world.kill(a);
    days(&mut world, 120);
    let (own, _) = numbers(&world, b);
    assert_eq!(own, 1, "nobody raises further than a contact knows");
    send(&mut world, b, a, "where are you?");
    world.run_for(MINUTE).unwrap();
    world.kill(b);
    world.start(a).unwrap();
    send(&mut world, a, b, "here");
    world.run_for(MINUTE).unwrap();
    world.start(b).unwrap();
    they_talk(&mut world, [a, b]);
    assert_eq!(received(&world, b), ["still there?", "here", "still there?"]);
    days(&mut world, 80);
    assert!(numbers(&world, b).0 > own, "now it goes on");
}

#[test]
fn an_old_home_put_back_finds_the_queues_of_today() {
    for which in [0, 1] {
        let (mut world, _, people) = friends(3 + which);
        they_talk(&mut world, people);
        let old = people[usize::try_from(which).unwrap()];
        let copy = world.disk(old);
        for _ in 0..4 {
            days(&mut world, 36);
            they_talk(&mut world, people);
        }
        assert!(numbers(&world, people[0]).0 >= 2);
        world.put_back(old, copy).unwrap();
        world.run_for(MINUTE.saturating_mul(5)).unwrap();
        they_talk(&mut world, people);
        days(&mut world, 80);
        they_talk(&mut world, people);
        assert_eq!(numbers(&world, people[0]).1, numbers(&world, people[1]).0);
        assert_eq!(numbers(&world, people[1]).1, numbers(&world, people[0]).0);
    }
}

#[test]
fn friends_who_meet_anew_begin_with_the_first_queue_again() {
    let (mut world, _, [a, b]) = friends(7);
    they_talk(&mut world, [a, b]);
    for _ in 0..4 {
        days(&mut world, 36);
        they_talk(&mut world, [a, b]);
    }
    assert!(numbers(&world, a).1 >= 2);
    let who = account_text(&world.account(a).unwrap());
    reply(&mut world, b, Command::Remove { who });
    world.run_for(MINUTE).unwrap();
    add(&mut world, b, a);
    world.run_for(MINUTE).unwrap();
    they_talk(&mut world, [a, b]);
    // By way of the host alone, where the queue of that number has to be.
    world.kill(b);
    send(&mut world, a, b, "while you are away");
    world.run_for(MINUTE).unwrap();
    world.kill(a);
    world.start(b).unwrap();
    world.run_for(MINUTE).unwrap();
    assert_eq!(received(&world, b).last().unwrap(), "while you are away");
}

#[test]
fn a_host_with_an_empty_disk_gets_the_queues_of_today() {
    let (mut world, host, people) = friends(5);
    they_talk(&mut world, people);
    days(&mut world, 80);
    assert!(numbers(&world, people[0]).0 >= 1);
    world.put_back(host, Disk::default()).unwrap();
    world.run_for(MINUTE.saturating_mul(2)).unwrap();
    they_talk(&mut world, people);
}

#[test]
fn who_was_away_for_400_days_is_reached() {
    let (mut world, _, [a, b]) = friends(6);
    they_talk(&mut world, [a, b]);
    world.kill(b);
    days(&mut world, 395);
    send(&mut world, a, b, "are you alive?");
    days(&mut world, 5);
    world.start(b).unwrap();
    they_talk(&mut world, [a, b]);
    let texts = received(&world, b);
    assert!(texts.contains(&"are you alive?".to_owned()), "{texts:?}");
}
