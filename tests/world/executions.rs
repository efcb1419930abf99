//! Executions that the protocol was made for, each played in the seeded world (PROTOCOL §12).
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../sim_support/mod.rs"]
mod sim_support;

use godwit_protocol::endpoint::{Command, OutgoingText, Reply};
use godwit_protocol::identity::account_text;
use godwit_protocol::rows::session::SESSIONS;
use godwit_protocol::sim::{Disk, NodeId, World};
use godwit_protocol::time::Millis;
use sim_support::{
    MINUTE, add, all_delivered, friends, in_turn, link, received, reply, send, status, they_talk,
    use_hosts, warnings,
};

#[test]
fn two_with_two_hosts_talk_while_each_is_away() {
    let mut world = World::new(1);
    let hosts = [world.host().unwrap(), world.host().unwrap()];
    let (a, b) = (world.person("Alice").unwrap(), world.person("Bob").unwrap());
    use_hosts(&mut world, a, &hosts[..1]);
    use_hosts(&mut world, b, &hosts);
    world.run_for(MINUTE).unwrap();
    add(&mut world, a, b);
    add(&mut world, b, a);
    world.run_for(MINUTE).unwrap();

    send(&mut world, a, b, "one");
    world.kill(a);
    world.run_for(MINUTE).unwrap();
    world.kill(b);
    world.start(a).unwrap();
    send(&mut world, a, b, "two");
    world.run_for(MINUTE).unwrap();
    world.kill(a);
    world.start(b).unwrap();
    send(&mut world, b, a, "three");
    world.run_for(MINUTE).unwrap();
    world.start(a).unwrap();

    let done = |world: &World| all_delivered(world, a) && all_delivered(world, b);
    assert!(world.run_until(MINUTE.saturating_mul(5), done).unwrap());
    assert_eq!(received(&world, b), ["one", "two"]);
    assert_eq!(received(&world, a), ["three"]);
}

/// A message, a copy of its recipient's home, and one more that comes after a restart.
fn copied_between(world: &mut World, from: NodeId, to: NodeId) -> Disk {
    send(world, from, to, "one");
    world.run_for(MINUTE).unwrap();
    let copy = world.disk(to);
    world.kill(to);
    send(world, from, to, "two");
    world.run_for(MINUTE).unwrap();
    world.start(to).unwrap();
    copy
}

#[test]
fn an_old_copy_of_a_home_is_found_and_gets_back_what_it_had_lost() {
    let (mut world, _, [a, b]) = friends(2);
    let copy = copied_between(&mut world, a, b);
    world.run_for(MINUTE).unwrap();
    assert_eq!(received(&world, b), ["one", "two"]);

    world.put_back(b, copy).unwrap();
    world.run_for(MINUTE.saturating_mul(5)).unwrap();

    assert_eq!(received(&world, b), ["one", "two"]);
    assert_eq!(warnings(&mut world, b), ["rolled_back"]);
    they_talk(&mut world, [a, b]);
}

/// A contact's message that the old copy cannot open comes before its host's word: the session that this
/// brings does not put off the one that brings back what was lost.
#[test]
fn an_old_copy_that_hears_a_friend_before_its_host_gets_back_what_it_had_lost() {
    for seed in 40..56 {
        let (mut world, host, [a, b]) = friends(seed);
        let copy = copied_between(&mut world, a, b);
        for (from, to) in [(b, a), (a, b), (b, a)] {
            send(&mut world, from, to, "more");
            world.run_for(MINUTE).unwrap();
        }
        assert_eq!(received(&world, b), ["one", "two", "more"]);

        for person in [a, b] {
            world.part(person, host, true);
        }
        world.put_back(b, copy).unwrap();
        world.run_for(MINUTE).unwrap();
        send(&mut world, a, b, "three");
        world.run_for(MINUTE).unwrap();
        assert!(status(&mut world, b).faults.no_header > 0, "seed {seed}: it opened");
        world.unite();
        world.run_for(MINUTE.saturating_mul(5)).unwrap();

        let came = received(&world, b);
        for text in ["one", "two", "more"] {
            assert!(came.iter().any(|it| it == text), "seed {seed}: {came:?}");
        }
        // What was under way moves to another session four times an hour.
        world.run_for(MINUTE.saturating_mul(70)).unwrap();
        assert_eq!(received(&world, b).len(), 4, "seed {seed}");
        assert_eq!(warnings(&mut world, b), ["rolled_back"], "seed {seed}");
        they_talk(&mut world, [a, b]);
    }
}

#[test]
fn of_two_living_copies_one_stands_down() {
    let (mut world, _, [a, b]) = friends(3);
    let copy = world.disk(b);
    let twin = world.twin(b, copy).unwrap().unwrap();

    let down = in_turn(&mut world, [b, twin]);
    assert_ne!(down[0], down[1], "one stands down, and one alone");
    let (stays, rests) = if down[0] { (twin, b) } else { (b, twin) };
    let text = OutgoingText { to: "Alice".to_owned(), text: "no".to_owned(), id: None };
    let Reply::Sent(sent) = reply(&mut world, rests, Command::Send(vec![text])) else { panic!() };
    assert_eq!(sent[0].as_ref().unwrap().state.as_str(), "queued");
    they_talk(&mut world, [a, stays]);
}

#[test]
fn a_blocked_contact_is_not_heard_and_talks_again_afterwards() {
    for away in [false, true] {
        let (mut world, _, people) = friends(6);
        let [a, b] = people;
        they_talk(&mut world, people);
        let who = account_text(&world.account(a).unwrap());
        if away {
            world.kill(a);
        }
        reply(&mut world, b, Command::Block { who: who.clone() });
        let text = OutgoingText { to: who.clone(), text: "no".to_owned(), id: None };
        let Reply::Sent(sent) = reply(&mut world, b, Command::Send(vec![text])) else { panic!() };
        assert_eq!(sent[0].as_ref().unwrap_err().code.as_str(), "E_NO_CONTACT");
        world.run_for(MINUTE).unwrap();
        if away {
            world.start(a).unwrap();
        }
        send(&mut world, a, b, "while blocked");
        world.run_for(MINUTE.saturating_mul(10)).unwrap();
        let told = received(&world, b);

        reply(&mut world, b, Command::Unblock { who });
        world.run_for(MINUTE).unwrap();
        send(&mut world, a, b, "again");
        send(&mut world, b, a, "welcome");
        world.run_for(MINUTE).unwrap();

        assert_eq!(received(&world, b), [told.as_slice(), &["again".to_owned()]].concat());
        assert_eq!(received(&world, a).last().unwrap(), "welcome");
        world.run_for(Millis::from_hours(30)).unwrap();
        assert_eq!(received(&world, b).len(), told.len() + 1, "heard while blocked");
    }
}

/// What the other side said of the old session's queue says nothing of the new one's, however the two
/// cross: what is sent from then on arrives, and so do the receipts.
#[test]
fn whoever_writes_on_while_it_is_unblocked_is_heard_at_once() {
    for seed in 63..64 {
        let (mut world, host, people) = friends(seed);
        let [a, b] = people;
        they_talk(&mut world, people);
        // By the host and directly, directly alone, by the host alone.
        match seed % 3 {
            1 => people.iter().for_each(|person| world.part(*person, host, true)),
            2 => world.part(a, b, true),
            _ => {}
        }
        people.iter().for_each(|person| world.cut_links(*person));
        they_talk(&mut world, people);
        let who = account_text(&world.account(a).unwrap());
        reply(&mut world, b, Command::Block { who: who.clone() });
        for text in ["while", "blocked"] {
            send(&mut world, a, b, text);
            world.run_for(Millis(seed % 7 * 20)).unwrap();
        }
        let told = received(&world, b).len();
        let before = received(&world, a).len();
        reply(&mut world, b, Command::Unblock { who });
        let mut sent = Vec::new();
        for number in 0..40 {
            sent.push(send(&mut world, a, b, &format!("now {number}")));
            world.run_for(Millis(10)).unwrap();
        }
        send(&mut world, b, a, "yes");

        world.run_for(MINUTE.saturating_mul(3)).unwrap();

        assert_eq!(received(&world, b).len(), told + 40, "seed {seed}");
        assert_eq!(received(&world, a).len(), before + 1, "seed {seed}");
        for message in sent {
            let why = world.why(a, message).unwrap().unwrap();
            assert_eq!(why.state.as_str(), "delivered", "seed {seed}");
        }
        assert!(all_delivered(&world, b), "seed {seed}: {}", world.describe(b));
    }
}

#[test]
fn a_session_that_is_gone_is_replaced_by_itself() {
    for broken in [0, 1] {
        let (mut world, _, people) = friends(4);
        they_talk(&mut world, people);
        world.kill(people[broken]);
        let mut disk = world.disk(people[broken]);
        disk.clear(&SESSIONS).unwrap();
        world.put_back(people[broken], disk).unwrap();

        they_talk(&mut world, people);
    }
}

#[test]
fn who_was_removed_and_asks_again_is_a_friend_again() {
    for asks in [0, 1] {
        let (mut world, _, people) = friends(5);
        they_talk(&mut world, people);
        let who = account_text(&world.account(people[0]).unwrap());
        reply(&mut world, people[1], Command::Remove { who: who.clone() });
        send(&mut world, people[0], people[1], "are you there?");
        world.run_for(Millis::from_hours(2)).unwrap();
        assert_eq!(received(&world, people[1]), Vec::<String>::new());

        add(&mut world, people[asks], people[1 - asks]);
        world.run_for(MINUTE).unwrap();
        if asks == 0 {
            // One account is asked once a day.
            world.run_for(Millis::from_hours(25)).unwrap();
            reply(&mut world, people[1], Command::Accept { who, name: None });
        }

        they_talk(&mut world, people);
        assert_eq!(received(&world, people[1]), ["are you there?", "still there?"]);
    }
}

#[test]
fn strangers_who_add_each_other_at_once_end_in_one_conversation() {
    for (seed, away) in
        [(6, [false, false]), (7, [true, false]), (8, [false, true]), (9, [true, true])]
    {
        let mut world = World::new(seed);
        let hosts = [world.host().unwrap(), world.host().unwrap()];
        let people = [world.person("Alice").unwrap(), world.person("Bob").unwrap()];
        for (person, host) in people.into_iter().zip(hosts) {
            use_hosts(&mut world, person, &[host]);
        }
        world.run_for(MINUTE).unwrap();
        let links = [link(&mut world, people[1]), link(&mut world, people[0])];
        world.part(people[0], people[1], true);
        for (person, link) in people.into_iter().zip(links) {
            world.give(person, Command::AddContact { link, name: None });
        }
        world.run_for(MINUTE).unwrap();
        for (person, away) in people.into_iter().zip(away) {
            if away {
                world.kill(person);
            }
        }
        world.run_for(MINUTE).unwrap();
        for person in people {
            world.start(person).unwrap();
        }
        world.run_for(MINUTE.saturating_mul(3)).unwrap();

        they_talk(&mut world, people);
        world.unite();
        they_talk(&mut world, people);
    }
}

#[test]
fn whoever_was_away_for_days_or_a_year_is_reached_again() {
    for (seed, days) in [(10, 8), (11, 40), (12, 400)] {
        let (mut world, _, people) = friends(seed);
        world.weather.patience = 1_800_000;
        world.kill(people[1]);
        send(&mut world, people[0], people[1], "before");
        world.run_for(Millis::from_days(days)).unwrap();
        world.start(people[1]).unwrap();
        world.run_for(Millis::from_days(2)).unwrap();
        world.weather.patience = 0;

        they_talk(&mut world, people);
        let here = received(&world, people[1]).contains(&"before".to_owned());
        assert_eq!(here, days < 14, "a message lives 14 days");
    }
}

#[test]
fn a_home_from_before_a_friendship_is_asked_again() {
    let mut world = World::new(16);
    let host = world.host().unwrap();
    let people = [world.person("Alice").unwrap(), world.person("Bob").unwrap()];
    for person in people {
        use_hosts(&mut world, person, &[host]);
    }
    world.run_for(MINUTE).unwrap();
    let before = world.disk(people[0]);
    add(&mut world, people[0], people[1]);
    add(&mut world, people[1], people[0]);
    world.run_for(Millis::from_hours(2)).unwrap();
    they_talk(&mut world, people);
    world.kill(people[0]);
    world.start(people[0]).unwrap();
    world.run_for(MINUTE).unwrap();
    world.part(people[0], people[1], true);

    world.put_back(people[0], before).unwrap();
    world.run_for(MINUTE).unwrap();
    assert_eq!(warnings(&mut world, people[0]), ["rolled_back"]);
    send(&mut world, people[1], people[0], "do you know me?");
    world.weather.patience = 60_000;
    world.run_for(Millis::from_days(4)).unwrap();

    let who = account_text(&world.account(people[1]).unwrap());
    reply(&mut world, people[0], Command::Accept { who, name: None });
    they_talk(&mut world, people);
    let here = received(&world, people[0]);
    assert!(here.contains(&"do you know me?".to_owned()), "{here:?}");
}

#[test]
fn friends_talk_though_a_clock_is_off_by_a_week() {
    let week = 7 * 86_400_000;
    for (seed, off) in [(13, week), (14, -week)] {
        for wrong in [0, 1] {
            let (mut world, host, people) = friends(seed);
            world.skew(people[wrong], off);
            they_talk(&mut world, people);
            for node in [people[wrong], host] {
                world.kill(node);
                world.start(node).unwrap();
            }
            they_talk(&mut world, people);
            world.skew(people[wrong], 0);
            world.skew(host, off);
            they_talk(&mut world, people);
        }
    }
}

#[test]
fn a_first_contact_outlives_the_bundle_that_it_used() {
    let mut world = World::new(15);
    let host = world.host().unwrap();
    let people = [world.person("Alice").unwrap(), world.person("Bob").unwrap()];
    for person in people {
        use_hosts(&mut world, person, &[host]);
    }
    world.run_for(MINUTE).unwrap();
    let link = link(&mut world, people[1]);
    world.kill(people[1]);
    world.run_for(Millis::from_days(9)).unwrap();
    reply(&mut world, people[0], Command::AddContact { link, name: None });
    send(&mut world, people[0], people[1], "are you there?");
    world.run_for(Millis::from_days(3)).unwrap();

    world.start(people[1]).unwrap();
    world.run_for(MINUTE).unwrap();
    let who = account_text(&world.account(people[0]).unwrap());
    reply(&mut world, people[1], Command::Accept { who, name: None });

    they_talk(&mut world, people);
    assert_eq!(received(&world, people[1]), ["are you there?", "still there?"]);
}
