use chacha20::ChaCha20Rng;
use proptest::prelude::*;

use super::*;
use crate::limits::{MAX_SESSIONS, MAX_SKIPPED_KEYS, PAIR_MEMORY, SESSION_GRACE};
use crate::rows::memory::MemoryRows;
use crate::rows::session::{HEADER_KEYS, SKIPPED};
use crate::session::tests::{Device, LENGTH, NET, NOW, rng};
use crate::session::{Cause, Purpose, Via, initiate, respond};
use crate::time::Millis;

/// A device with its store.
struct Node {
    device: Device,
    rows: MemoryRows,
    sessions: Sessions,
}

impl Node {
    fn new(rng: &mut dyn CryptoRng) -> Self {
        Self { device: Device::new(rng), rows: MemoryRows::default(), sessions: Sessions::new() }
    }

    fn open(&mut self, from: &Self, bytes: &[u8]) -> Result<OpenedMessage, OpenFailure> {
        self.sessions.open(&mut self.rows, NOW, from.device.id(), None, bytes)
    }

    fn encrypt(&mut self, to: &Self, content: &[u8], rng: &mut dyn CryptoRng) -> Vec<u8> {
        let peer = to.device.id();
        let session = self.sessions.pair(&self.rows, peer).unwrap().sending().unwrap();
        self.sessions.encrypt(&self.rows, (peer, session), content, LENGTH, rng).unwrap()
    }

    /// Ends a batch and starts anew from the rows.
    fn restart(&mut self) {
        self.sessions.flush(&mut self.rows).unwrap();
        self.sessions = Sessions::new();
    }

    fn begin(&mut self, with: &Self, generation: u32, rng: &mut dyn CryptoRng) -> Started {
        let purpose = Purpose { generation, cause: Cause::FirstContact, via: Via::Contact };
        let (local, bundle) = (self.device.local(), with.device.bundle());
        let started = initiate(&local, with.device.account, &bundle, NET, purpose, rng).unwrap();
        self.sessions.insert(&mut self.rows, NOW, with.device.id(), &started).unwrap();
        started
    }

    fn answer(
        &mut self,
        from: &Self,
        begun: &Started,
        bytes: &[u8],
    ) -> Result<OpenedMessage, OpenFailure> {
        let (local, prekeys) = (self.device.local(), &self.device.prekeys);
        let started = respond(&local, &begun.handshake, prekeys, NET).unwrap();
        self.sessions.open_sealed(&mut self.rows, NOW, from.device.id(), &started, bytes)
    }
}

/// Alice and Bob after Alice's first message has opened.
fn pair(seed: u8) -> (Node, Node, ChaCha20Rng) {
    let mut rng = rng(seed);
    let (mut alice, mut bob) = (Node::new(&mut rng), Node::new(&mut rng));
    let begun = alice.begin(&bob, 0, &mut rng);
    let hello = alice.encrypt(&bob, b"hello", &mut rng);
    let opened = bob.answer(&alice, &begun, &hello).unwrap();
    assert!(opened.new_session && opened.first_heard && opened.content == b"hello");
    (alice, bob, rng)
}

#[test]
fn sessions_go_on_after_every_restart() {
    let (mut alice, mut bob, mut rng) = pair(1);

    for round in 0..5_u8 {
        let message = bob.encrypt(&alice, &[round], &mut rng);
        alice.restart();
        let opened = alice.open(&bob, &message).unwrap();
        assert_eq!((opened.content, opened.first_heard), (vec![round], round == 0));
        let message = alice.encrypt(&bob, &[round], &mut rng);
        bob.restart();
        assert_eq!(bob.open(&alice, &message).unwrap().content, [round]);
    }
}

#[test]
fn the_handshake_rides_until_the_peer_was_heard() {
    let (mut alice, mut bob, mut rng) = pair(2);
    let (peer, session) = (bob.device.id(), {
        let id = bob.device.id();
        alice.sessions.pair(&alice.rows, id).unwrap().sending().unwrap()
    });

    alice.restart();
    assert!(alice.sessions.handshake(&alice.rows, peer, session).unwrap().is_some());

    let answer = bob.encrypt(&alice, b"answer", &mut rng);
    alice.open(&bob, &answer).unwrap();
    alice.restart();
    assert!(alice.sessions.handshake(&alice.rows, peer, session).unwrap().is_none());
}

#[test]
fn late_messages_open_from_their_rows_once() {
    let (mut alice, mut bob, mut rng) = pair(3);
    let late: Vec<Vec<u8>> = (0..3).map(|n| alice.encrypt(&bob, &[n], &mut rng)).collect();
    let last = alice.encrypt(&bob, b"last", &mut rng);
    bob.open(&alice, &last).unwrap();
    // Two turns later the chain of the late ones has ended.
    for _ in 0..2 {
        let message = bob.encrypt(&alice, b"turn", &mut rng);
        alice.open(&bob, &message).unwrap();
        let message = alice.encrypt(&bob, b"turn", &mut rng);
        bob.open(&alice, &message).unwrap();
        bob.restart();
    }
    assert_eq!((bob.rows.count(&SKIPPED), bob.rows.count(&HEADER_KEYS)), (2, 1));

    for (n, message) in late.iter().enumerate().rev() {
        assert_eq!(bob.open(&alice, message).unwrap().content, [u8::try_from(n).unwrap()]);
        bob.restart();
        let again = bob.open(&alice, message).unwrap_err();
        assert_eq!(again, OpenFailure::Unopened(OpenError::KeysGone));
    }
    assert_eq!(bob.rows.count(&SKIPPED), 0);
}

#[test]
fn what_does_not_open_changes_no_row() {
    let (mut alice, mut bob, mut rng) = pair(4);
    bob.restart();
    let before = bob.rows.clone();
    let _ = alice.encrypt(&bob, b"lost", &mut rng);
    let message = alice.encrypt(&bob, b"text", &mut rng);

    for index in [0, 1, 30, 100, 124, 200] {
        let mut changed = message.clone();
        changed[index] ^= 1;
        assert!(bob.open(&alice, &changed).is_err(), "byte {index}");
    }
    let other = bob.sessions.open(&mut bob.rows, NOW, alice.device.id(), Some(1), &message);
    assert_eq!(other, Err(OpenFailure::Unopened(OpenError::NoHeader)));

    bob.restart();
    assert!(bob.rows == before, "a row changed");
    assert_eq!(bob.open(&alice, &message).unwrap().content, b"text");
}

#[test]
fn what_was_not_flushed_is_gone_with_its_batch() {
    let (mut alice, mut bob, mut rng) = pair(5);
    bob.restart();
    let durable = bob.rows.clone();
    let message = alice.encrypt(&bob, b"text", &mut rng);

    bob.open(&alice, &message).unwrap();
    bob.sessions.discard();
    bob.rows = durable;

    assert_eq!(bob.open(&alice, &message).unwrap().content, b"text", "fetched again");
}

#[test]
fn a_handshake_that_is_known_builds_nothing() {
    let mut rng = rng(6);
    let (mut alice, mut bob) = (Node::new(&mut rng), Node::new(&mut rng));
    let begun = alice.begin(&bob, 0, &mut rng);
    let (first, second) =
        (alice.encrypt(&bob, b"first", &mut rng), alice.encrypt(&bob, b"second", &mut rng));
    bob.answer(&alice, &begun, &first).unwrap();

    let opened = bob.answer(&alice, &begun, &second).unwrap();
    assert!(!opened.new_session && opened.content == b"second");

    let peer = alice.device.id();
    bob.sessions.forget(&mut bob.rows, peer).unwrap();
    let refused = bob.answer(&alice, &begun, &first).unwrap_err();
    assert_eq!(refused, OpenFailure::NotAdmitted(AdmitError::Known));
}

#[test]
fn a_forgotten_pair_leaves_one_row_for_400_days() {
    let (alice, mut bob, _) = pair(7);
    let peer = alice.device.id();
    bob.restart();

    bob.sessions.forget(&mut bob.rows, peer).unwrap();
    bob.restart();

    assert_eq!((bob.rows.len(), bob.rows.count(&PAIRS)), (1, 1));
    let later = NOW.saturating_add(PAIR_MEMORY);
    bob.sessions.sweep(&mut bob.rows, later, None, 10).unwrap();
    bob.restart();
    assert!(bob.rows.is_empty());
}

#[test]
fn at_most_four_sessions_of_a_pair_have_rows() {
    let mut rng = rng(8);
    let (mut alice, bob) = (Node::new(&mut rng), Node::new(&mut rng));

    for generation in 0..6 {
        alice.begin(&bob, generation, &mut rng);
        alice.restart();
    }

    assert_eq!(alice.rows.count(&SESSIONS), MAX_SESSIONS);
}

#[test]
fn skipped_keys_are_bounded_and_the_oldest_go_first() {
    let (mut alice, mut bob, mut rng) = pair(9);
    let oldest = alice.encrypt(&bob, b"oldest", &mut rng);
    let mut newest = Vec::new();
    for turn in 0..3 {
        for _ in 0..4_600 {
            newest = alice.encrypt(&bob, b"lost", &mut rng);
        }
        let now = NOW.saturating_add(Millis::from_days(turn));
        let last = alice.encrypt(&bob, b"last", &mut rng);
        bob.sessions.open(&mut bob.rows, now, alice.device.id(), None, &last).unwrap();
        let answer = bob.encrypt(&alice, b"answer", &mut rng);
        alice.open(&bob, &answer).unwrap();
    }
    bob.restart();

    let stored = load_all::<SessionRow>(&bob.rows, &SESSIONS, &[]).unwrap();
    let row = &stored[0].1;
    let most = u32::try_from(MAX_SKIPPED_KEYS).unwrap();
    assert!(row.skipped_ec <= most && row.skipped_pq <= most && row.skipped_ec > most - 1_000);
    let gone = bob.open(&alice, &oldest).unwrap_err();
    assert_eq!(gone, OpenFailure::Unopened(OpenError::KeysGone));
    assert!(bob.open(&alice, &newest).is_ok());
}

#[test]
fn a_pair_that_skips_too_many_keys_waits_for_the_next_day() {
    let (mut alice, mut bob, mut rng) = pair(10);
    for round in 0..3 {
        let (mut last, peer) = (Vec::new(), alice.device.id());
        for _ in 0..4_900 {
            last = alice.encrypt(&bob, b"", &mut rng);
        }
        let today = bob.sessions.open(&mut bob.rows, NOW, peer, None, &last);
        if round < 2 {
            today.unwrap();
            let answer = bob.encrypt(&alice, b"answer", &mut rng);
            alice.open(&bob, &answer).unwrap();
        } else {
            assert_eq!(today, Err(OpenFailure::Wait));
            let tomorrow = NOW.saturating_add(Millis::from_days(1));
            bob.sessions.open(&mut bob.rows, tomorrow, peer, None, &last).unwrap();
        }
    }
}

#[test]
fn replaced_sessions_and_skipped_keys_go_after_35_days() {
    let (mut alice, mut bob, mut rng) = pair(11);
    let _ = alice.encrypt(&bob, b"lost", &mut rng);
    let message = alice.encrypt(&bob, b"text", &mut rng);
    bob.open(&alice, &message).unwrap();
    bob.begin(&alice, 1, &mut rng);
    bob.restart();
    assert_eq!((bob.rows.count(&SESSIONS), bob.rows.count(&SKIPPED)), (2, 2));

    let later = NOW.saturating_add(SESSION_GRACE);
    let next = bob.sessions.sweep(&mut bob.rows, later, None, 10).unwrap();
    bob.restart();

    assert_eq!(next, None);
    assert_eq!((bob.rows.count(&SESSIONS), bob.rows.count(&SKIPPED)), (1, 0));
}

#[test]
fn kem_epochs_go_through_the_rows() {
    let (mut alice, mut bob, mut rng) = pair(12);
    let answer = bob.encrypt(&alice, b"answer", &mut rng);
    alice.open(&bob, &answer).unwrap();
    let (a, b) = (alice.device.id(), bob.device.id());
    let session = alice.sessions.pair(&alice.rows, b).unwrap().sending().unwrap();
    let day = NOW.saturating_add(Millis::from_days(1));

    let offer = alice.sessions.offer_kem(&alice.rows, (b, session), day, &mut rng).unwrap();
    alice.restart();
    let offer = offer.unwrap();
    let answer =
        bob.sessions.accept_kem_part(&bob.rows, (a, session), &offer, NOW, &mut rng).unwrap();
    bob.restart();
    let done = alice
        .sessions
        .accept_kem_part(&alice.rows, (b, session), &answer.unwrap(), NOW, &mut rng)
        .unwrap();

    assert_eq!(done, None);
    let message = alice.encrypt(&bob, b"under the first epoch", &mut rng);
    assert_eq!(bob.open(&alice, &message).unwrap().content, b"under the first epoch");
    let ended = bob.sessions.session(&bob.rows, a, session).unwrap().unwrap().kem_part();
    assert_eq!(ended, None, "the epoch is closed");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_message_opens_once_through_the_rows(
        steps in proptest::collection::vec((any::<bool>(), 0_u8..4, any::<u16>()), 1..120),
    ) {
        let (alice, bob, mut rng) = pair(13);
        let mut nodes = [alice, bob];
        let (mut flying, mut sent) = (Vec::new(), 0_u32);
        for (from_alice, act, pick) in steps {
            let (left, right) = nodes.split_at_mut(1);
            let (from, to) = if from_alice { (&mut left[0], &mut right[0]) } else { (&mut right[0], &mut left[0]) };
            match act {
                0 | 1 => {
                    sent += 1;
                    let message = from.encrypt(to, &sent.to_le_bytes(), &mut rng);
                    flying.push((from_alice, sent, message));
                }
                2 => to.restart(),
                _ if flying.is_empty() => {}
                _ => {
                    let (by_alice, number, message) =
                        flying.swap_remove(usize::from(pick) % flying.len());
                    let (from, to) = if by_alice { (&left[0], &mut right[0]) } else { (&right[0], &mut left[0]) };
                    let opened = to.open(from, &message).unwrap();
                    prop_assert_eq!(opened.content, number.to_le_bytes());
                    prop_assert!(to.open(from, &message).is_err(), "a repeat opened");
                }
            }
        }
    }
}
