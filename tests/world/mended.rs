//! Homes that lost rows and were mended: whatever is gone, people talk on, in the seeded world.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../sim_support/mod.rs"]
mod sim_support;

use godwit_protocol::endpoint::{Command, MessageState, Reason};
use godwit_protocol::identity::account_text;
use godwit_protocol::limits::MAX_QUEUE_ENVELOPES;
use godwit_protocol::rows;
use godwit_protocol::rows::contact::CONTACTS;
use godwit_protocol::sim::{Disk, NodeId, World};
use godwit_protocol::time::Millis;
use sim_support::{
    MINUTE, add, all_delivered, friends, in_turn, is_down, received, reply, send, status,
    they_talk, use_hosts,
};

/// Two friends, with a host or without one, who have spoken; the second, who was asked or has asked, is
/// away.
fn spoken(seed: u64, hosted: bool, asked: bool) -> (World, Option<NodeId>, [NodeId; 2]) {
    let (mut world, host, people) = if hosted {
        let (world, host, people) = friends(seed);
        (world, Some(host), people)
    } else {
        let mut world = World::new(seed);
        let people = [world.person("Alice").unwrap(), world.person("Bob").unwrap()];
        add(&mut world, people[0], people[1]);
        add(&mut world, people[1], people[0]);
        world.run_for(MINUTE).unwrap();
        (world, None, people)
    };
    let [alice, bob] = people;
    let people = if asked { [alice, bob] } else { [bob, alice] };
    they_talk(&mut world, people);
    world.run_for(Millis::from_hours(1)).unwrap();
    world.kill(people[1]);
    (world, host, people)
}

fn goes_on(world: &mut World, people: [NodeId; 2], disk: Disk, knows: bool) {
    world.put_back(people[1], disk).unwrap();
    world.run_for(MINUTE).unwrap();
    if !knows {
        add(world, people[1], people[0]);
        world.run_for(MINUTE).unwrap();
    }
    they_talk(world, people);
}

/// More comes for Bob than his host has room for: both know, and all of it arrives.
#[test]
fn a_queue_that_was_full_is_told_once_and_nothing_is_lost() {
    let (mut world, _, [alice, bob]) = friends(3);
    world.kill(bob);
    world.run_for(MINUTE).unwrap();
    let most = usize::try_from(MAX_QUEUE_ENVELOPES).unwrap();
    for number in 0..most + 50 {
        send(&mut world, alice, bob, &format!("text {number}"));
    }
    world.run_for(MINUTE).unwrap();
    let views = world.inbox(alice).unwrap();
    let waiting = views.iter().filter(|view| view.state == MessageState::Queued);
    assert_eq!(waiting.clone().count(), 50);
    assert!(waiting.filter(|view| view.reason == Some(Reason::Full)).count() > 0);

    world.start(bob).unwrap();
    world.run_for(MINUTE).unwrap();
    let alices = world.account(alice).unwrap();
    let said = status(&mut world, bob);
    let full: Vec<_> = said.hosts[0].full.iter().map(|(account, _)| *account).collect();
    assert_eq!((full, said.warnings), (vec![Some(alices)], vec!["mailbox_full".to_owned()]));
    world.run_for(MINUTE.saturating_mul(30)).unwrap();
    assert!(all_delivered(&world, alice));
    assert_eq!(received(&world, bob).len(), most + 50);
    world.run_for(Millis::from_days(1)).unwrap();
    assert_eq!(status(&mut world, bob).hosts[0].full, []);
}

#[test]
fn whatever_table_is_lost_the_friends_talk_on() {
    for (seed, table) in (100..).zip(rows::tables()) {
        for (hosted, asked) in [(true, true), (true, false), (false, true), (false, false)] {
            println!("{}, {hosted}, {asked}", table.name);
            let (mut world, _, people) = spoken(seed, hosted, asked);
            let mut disk = world.disk(people[1]);
            disk.clear(table).unwrap();
            disk.mend();
            goes_on(&mut world, people, disk, table.name != CONTACTS.name);
        }
    }
}

#[test]
fn who_lost_everything_is_a_friend_again_when_it_asks() {
    for hosted in [true, false] {
        for mended in [true, false] {
            println!("{hosted}, {mended}");
            for seed in 7..12 {
                let (mut world, _, people) = spoken(seed, hosted, mended);
                let mut disk = Disk::default();
                if mended {
                    disk.mend();
                }
                goes_on(&mut world, people, disk, false);
                assert!(received(&world, people[1]).contains(&"still there?".to_owned()));
            }
        }
    }
}

#[test]
fn who_lost_everything_is_asked_by_whoever_writes_to_it() {
    for hosted in [true, false] {
        let (mut world, host, people) = spoken(8, hosted, true);
        world.put_back(people[1], Disk::default()).unwrap();
        world.run_for(MINUTE).unwrap();
        // A host keeps what comes for the queues of the lost home, and does not tell.
        let mut patience = MINUTE.saturating_mul(10);
        if let Some(host) = host {
            use_hosts(&mut world, people[1], &[host]);
            world.part(people[0], people[1], true);
            world.weather.patience = 60_000;
            patience = Millis::from_days(4);
        }
        send(&mut world, people[0], people[1], "do you know me?");
        world.run_for(patience).unwrap();

        let who = account_text(&world.account(people[0]).unwrap());
        reply(&mut world, people[1], Command::Accept { who, name: None });
        they_talk(&mut world, people);
        assert_eq!(received(&world, people[1]), ["do you know me?", "still there?"]);
    }
}

#[test]
fn of_two_copies_the_one_that_is_kept_goes_on_and_the_other_stands_down() {
    let (mut world, _, [a, b]) = friends(3);
    they_talk(&mut world, [a, b]);
    let copy = world.disk(b);
    let twin = world.twin(b, copy).unwrap().unwrap();
    let down = in_turn(&mut world, [b, twin]);
    let (kept, other) = if down == [true, false] { (b, twin) } else { (twin, b) };
    assert!(is_down(&mut world, kept) && !is_down(&mut world, other));

    world.kill(kept);
    let mut disk = world.disk(kept);
    disk.mend();
    world.put_back(kept, disk).unwrap();
    world.run_for(MINUTE).unwrap();
    world.kill(other);
    world.start(other).unwrap();
    world.run_for(MINUTE).unwrap();

    assert!(is_down(&mut world, other) && !is_down(&mut world, kept));
    they_talk(&mut world, [a, kept]);
}
