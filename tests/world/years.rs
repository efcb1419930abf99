//! A long time of ordinary life in the seeded world: nothing is lost, nobody doubts anything, and what is
//! kept beside the messages does not grow.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../sim_support/mod.rs"]
mod sim_support;

use std::collections::BTreeMap;

use godwit_protocol::endpoint::{Faults, HostState, MessageState};
use godwit_protocol::rows;
use godwit_protocol::rows::home::CHANGES;
use godwit_protocol::rows::message::{MESSAGES, TIMELINE};
use godwit_protocol::sim::{NodeId, World};
use godwit_protocol::time::Millis;
use sim_support::{MINUTE, add, send, status, use_hosts};

/// Nights pass in great steps, the moments in which people act in small ones.
const HOUR: u64 = 3_600_000;

struct Life {
    world: World,
    hosts: [NodeId; 2],
    people: [NodeId; 3],
    said: u32,
}

impl Life {
    fn new(seed: u64) -> Self {
        let mut world = World::new(seed);
        let hosts = [world.host().unwrap(), world.host().unwrap()];
        let people = ["Alice", "Bob", "Carol"].map(|name| world.person(name).unwrap());
        for person in people {
            use_hosts(&mut world, person, &hosts);
        }
        world.run_for(MINUTE).unwrap();
        let [alice, bob, carol] = people;
        for (a, b) in [(alice, bob), (alice, carol), (bob, carol)] {
            add(&mut world, a, b);
            add(&mut world, b, a);
        }
        world.run_for(MINUTE.saturating_mul(2)).unwrap();
        Self { world, hosts, people, said: 0 }
    }

    fn minutes(&mut self, count: u64) {
        self.world.weather.patience = 0;
        self.world.run_for(MINUTE.saturating_mul(count)).unwrap();
    }

    fn hours(&mut self, count: u64) {
        self.world.weather.patience = HOUR;
        self.world.run_for(Millis::from_hours(count)).unwrap();
    }

    /// Alice's node always runs, Bob's in the evenings, Carol's on Sundays; hosts are started anew
    /// once a month, and somebody writes to somebody.
    fn day(&mut self, number: u64) {
        let [alice, bob, carol] = self.people;
        let sunday = number.is_multiple_of(7);
        if number % 30 == 11 {
            for host in self.hosts {
                self.world.kill(host);
                self.minutes(2);
                self.world.start(host).unwrap();
            }
        }
        self.hours(18);
        self.world.start(bob).unwrap();
        if sunday {
            self.world.start(carol).unwrap();
        }
        self.minutes(5);
        let mut pairs = vec![(alice, bob), (bob, alice), (alice, carol), (bob, carol)];
        if sunday {
            pairs.extend([(carol, alice), (carol, bob)]);
        }
        for (from, to) in pairs {
            if self.world.draw(3) == 0 {
                self.said += 1;
                send(&mut self.world, from, to, &format!("words {}", self.said));
            }
        }
        self.minutes(10);
        self.hours(2);
        self.world.kill(bob);
        self.world.kill(carol);
        self.hours(4);
    }

    fn rows(&self) -> BTreeMap<(usize, &'static str), usize> {
        let nodes = self.hosts.iter().chain(&self.people).copied().enumerate();
        let mut counts = BTreeMap::new();
        for (number, node) in nodes {
            for table in rows::tables().into_iter().chain(rows::mailbox::tables()) {
                let messages = [&MESSAGES, &TIMELINE, &CHANGES];
                if !messages.iter().any(|known| known.name == table.name) {
                    counts.insert((number, table.name), self.world.disk(node).count(table));
                }
            }
        }
        counts
    }

    /// Everybody is here for a day: everything is delivered, and nothing was doubted.
    fn check(&mut self) {
        for person in self.people {
            self.world.start(person).unwrap();
        }
        self.minutes(30);
        self.hours(3);
        for person in self.people {
            let views = self.world.inbox(person).unwrap();
            let open = views.iter().find(|it| it.outgoing && it.state != MessageState::Delivered);
            assert!(open.is_none(), "{open:?}\n{}", self.world.describe(person));
            let status = status(&mut self.world, person);
            assert_eq!(status.faults, Faults::default());
            assert_eq!(status.warnings, Vec::<String>::new());
            assert!(status.hosts.iter().all(|host| host.state == HostState::Ok), "{status:?}");
            assert!(self.world.broken_words(person).unwrap().is_empty());
        }
        assert_eq!(self.world.keys_reused(), 0);
    }
}

#[test]
fn four_hundred_days_lose_nothing_and_leave_nothing_behind() {
    let mut life = Life::new(1);
    (1..=100).for_each(|day| life.day(day));
    life.check();
    let before = life.rows();
    (101..=400).for_each(|day| life.day(day));
    life.check();
    let after = life.rows();
    for (at, now) in after {
        let then = before.get(&at).copied().unwrap_or(0);
        assert!(now <= then + then / 2 + 16, "{at:?}: {then} rows after 100 days, {now} after 400");
    }
}
