use chacha20::ChaCha20Rng;
use rand_core::SeedableRng;

use super::*;
use crate::endpoint::machine::Endpoint;
use crate::endpoint::machine::tests::{person, time};
use crate::endpoint::{Command, Effect, Input};
use crate::id::{HostId, RecordKey};
use crate::identity::{ContactLink, LinkHead, account_text};
use crate::limits::{LOOKUP_FIRST, LOOKUP_LAST, LOOKUP_PACE, LOOKUP_TIME, MAX_LOOKUPS};
use crate::machine::{NetworkInput, NetworkOutput, Output};
use crate::record::{AccountRecord, RecordDevice, account_key, bundle_key};
use crate::rows::memory::MemoryRows;
use crate::session::{Bundle, BundleParts, Prekeys};
use crate::time::UnixMillis;

/// One machine, asked by hand.
struct Node {
    machine: Endpoint,
    rows: MemoryRows,
    rng: ChaCha20Rng,
    at: u64,
}

impl Node {
    fn new() -> Self {
        let (mut rows, mut rng) = (MemoryRows::default(), ChaCha20Rng::from_seed([9; 32]));
        let machine = Endpoint::open(person(1), time(0), &mut rng, &mut rows).unwrap();
        Self { machine, rows, rng, at: 0 }
    }

    /// What is searched after an input, some time later.
    fn searched(&mut self, later: Millis, input: Option<Input>) -> Vec<RecordKey> {
        self.at += later.0;
        let (now, mut out) = (time(self.at), Vec::new());
        let (machine, rng, rows) = (&mut self.machine, &mut self.rng, &mut self.rows);
        if let Some(input) = input {
            machine.handle(input, now, rng, rows, &mut out).unwrap();
        }
        machine.end_batch(now, rng, rows, &mut out).unwrap();
        let searches = out.into_iter().filter_map(|output| match output {
            Output::Now(Effect::Network(NetworkOutput::Find { key })) => Some(key),
            _ => None,
        });
        searches.collect()
    }

    fn adds(&mut self, seed: u8) -> Vec<RecordKey> {
        let command = Command::AddContact { link: link(seed), name: None };
        self.searched(Millis(1), Some(Input::Command { request: u64::from(seed), command }))
    }

    fn found(&mut self, key: RecordKey, values: Vec<Vec<u8>>) -> Vec<RecordKey> {
        let values = values.into_iter().map(|value| (HostId([7; 32]), value)).collect();
        let input = Input::Network(NetworkInput::Found { key, values });
        self.searched(Millis(1), Some(input))
    }

    fn reaches(&mut self, reachable: bool) -> Vec<RecordKey> {
        let input = Input::Network(NetworkInput::Dht { reachable });
        self.searched(Millis(1), Some(input))
    }

    fn devices(&self, seed: u8) -> usize {
        self.machine.contacts[&person(seed).account].devices.len()
    }
}

fn link(seed: u8) -> String {
    let head = person(seed).chain.head();
    let link = ContactLink {
        account: person(seed).account,
        network: person(seed).network,
        head: LinkHead { seq: head.seq, hash: head.short() },
        hosts: Vec::new(),
        bootstrap: Vec::new(),
        direct: Vec::new(),
        invite: None,
    };
    assert!(link.to_string().contains(&account_text(&link.account)));
    link.to_string()
}

fn key(seed: u8) -> RecordKey {
    account_key(&person(seed).account)
}

fn record(seed: u8, at: u64) -> Vec<u8> {
    let me = person(seed);
    let devices = [RecordDevice { device: me.device.id(), k: 1, hosts: Vec::new() }];
    let at = UnixMillis(time(at).wall.0);
    AccountRecord::sign(me.device.signer(), "main", &me.chain, at, (&[], &devices)).to_bytes()
}

fn bundle(seed: u8, at: u64) -> Vec<u8> {
    let (me, wall) = (person(seed), time(at).wall);
    let parts = BundleParts {
        net: "main",
        ik: me.device.identity().public(),
        contact_queues: &[],
        era: [0; 16],
        published: wall,
        seq: wall.0 / 1_000,
    };
    let prekeys = Prekeys::random(wall, &mut ChaCha20Rng::from_seed([seed; 32]));
    Bundle::sign(me.device.signer(), &prekeys, &parts).unwrap().to_bytes()
}

#[test]
fn no_more_is_searched_at_once_than_may_be_and_what_is_not_answered_makes_room() {
    let mut node = Node::new();
    for seed in 2..10 {
        assert!(node.adds(seed).is_empty(), "nobody can be asked yet");
    }

    let first = node.reaches(true);
    assert_eq!(first.len(), MAX_LOOKUPS);
    assert_eq!(node.found(first[0], Vec::new()).len(), 1);
    assert!(node.searched(Millis::from_secs(3), None).is_empty());
    let more = node.searched(LOOKUP_TIME, None);
    assert_eq!(more.len(), MAX_LOOKUPS);
}

#[test]
fn what_was_not_found_is_searched_again_after_longer_and_longer_waits() {
    let mut node = Node::new();
    node.reaches(true);
    assert_eq!(node.adds(2), [key(2)]);
    let mut wait = LOOKUP_FIRST;
    while wait < LOOKUP_LAST {
        assert!(node.found(key(2), Vec::new()).is_empty());
        let before = wait.saturating_sub(Millis::from_secs(3));
        assert!(node.searched(before, None).is_empty(), "{wait:?}");
        assert_eq!(node.searched(Millis::from_secs(6), None), [key(2)], "{wait:?}");
        wait = wait.saturating_mul(2);
    }
    node.found(key(2), Vec::new());
    assert_eq!(node.searched(LOOKUP_LAST.saturating_add(Millis(2_001)), None), [key(2)]);
}

#[test]
fn a_large_address_book_is_searched_one_a_minute_and_who_is_waited_for_comes_first() {
    let mut node = Node::new();
    node.reaches(true);
    for seed in 2..8 {
        node.adds(seed);
        node.found(key(seed), vec![record(seed, 0)]);
        node.found(bundle_key(&person(seed).device.id()), vec![bundle(seed, 0)]);
    }
    // Nothing waits for anybody.
    node.machine.lanes.clear();

    let mut searched = Vec::new();
    let mut begun = node.searched(Millis::from_days(1), None);
    for _ in 2..8 {
        assert_eq!(begun.len(), 1);
        searched.append(&mut begun);
        assert!(node.found(*searched.last().unwrap(), Vec::new()).is_empty());
        let soon = LOOKUP_PACE.saturating_sub(Millis::from_secs(3));
        assert!(node.searched(soon, None).is_empty());
        begun = node.searched(Millis::from_secs(6), None);
    }
    searched.sort();
    searched.dedup();
    assert_eq!(searched.len(), 6, "each of them, within as many minutes");
    assert!(begun.is_empty());
    for seed in [9, 10] {
        assert_eq!(node.adds(seed), [key(seed)], "whoever is waited for is searched at once");
    }
}

#[test]
fn a_contact_is_found_in_two_steps_and_of_many_values_the_highest_counts() {
    let mut node = Node::new();
    node.reaches(true);
    node.adds(2);
    let step = bundle_key(&person(2).device.id());

    let old = record(2, 0);
    assert_eq!(node.found(key(2), vec![old, record(2, 5_000), record(2, 2_000)]), [step]);
    assert_eq!(node.devices(2), 0);
    assert!(node.found(step, vec![bundle(2, 0)]).is_empty());

    assert_eq!(node.devices(2), 1);
    let kept = &node.machine.directory[&person(2).account];
    assert_eq!(kept.record, record(2, 5_000));
    assert_eq!(node.machine.discovery.found_at_strangers, 2);
}

#[test]
fn nothing_false_is_believed() {
    let mut node = Node::new();
    node.reaches(true);
    node.adds(2);
    let mut altered = record(2, 0);
    altered[100] ^= 1;
    let over = time(0).wall.saturating_sub(crate::limits::RECORD_LIFE);
    let me = person(2);
    let sign = |signer, net, at| AccountRecord::sign(signer, net, &me.chain, at, (&[], &[]));
    let now = time(0).wall;
    let values = vec![
        Vec::new(),
        altered,
        record(3, 0),
        record(2, 0)[..90].to_vec(),
        bundle(2, 0),
        sign(person(3).device.signer(), "main", now).to_bytes(),
        sign(me.device.signer(), "alps", now).to_bytes(),
        sign(me.device.signer(), "main", over).to_bytes(),
    ];

    assert!(node.found(key(2), values).is_empty(), "a record that is none leads to a bundle");
    assert_eq!(node.searched(Millis::from_secs(20), None), [key(2)]);
    let step = bundle_key(&person(2).device.id());
    assert_eq!(node.found(key(2), vec![record(2, 0)]), [step]);
    // The prekeys of another, and of a device that the chain does not show.
    node.found(step, vec![bundle(3, 0), record(2, 0), vec![1; 3_000]]);
    assert_eq!(node.devices(2), 0);
}

#[test]
fn an_older_record_takes_no_newer_ones_place() {
    let mut node = Node::new();
    node.reaches(true);
    node.adds(2);
    let step = bundle_key(&person(2).device.id());
    node.found(key(2), vec![record(2, 9_000)]);
    node.found(step, vec![bundle(2, 0)]);

    // A day later only the old one is left.
    let day = Millis::from_hours(25);
    assert_eq!(node.searched(day, None), [key(2)]);
    node.found(key(2), vec![record(2, 1_000)]);

    assert_eq!(node.machine.directory[&person(2).account].record, record(2, 9_000));
}
