use proptest::prelude::*;

use super::world::{End, World};
use super::*;
use crate::limits::{KEM_EPOCH_TIME, MAX_SKIP, MAX_UNANSWERED};
use crate::session::state::Role;

/// How many random runs; `GODWIT_CASES` asks for more.
fn runs() -> u32 {
    let asked = std::env::var("GODWIT_CASES").ok().and_then(|text| text.parse().ok());
    asked.unwrap_or(48)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: runs(), failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_delivered_message_opens_once_whatever_the_network_does(seed in any::<u64>()) {
        let mut world = World::new(seed);

        for _ in 0..300 {
            world.step();
        }
        world.land();
    }

    #[test]
    fn hostile_bytes_never_open_and_never_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        part in proptest::collection::vec(any::<u8>(), 0..1_300),
    ) {
        let (alice, _) = pair_of_sessions(1);

        prop_assert!(alice.locate(&[], &bytes).is_none());
        prop_assert!(Pqxdh::from_bytes(&bytes).is_err());
        prop_assert!(Bundle::from_bytes(&bytes, NET).is_err());
        let (_, accepted) = alice.accept_kem_part(&part, &mut rng(1));
        prop_assert_eq!(accepted, KemAccept::NotDue);
    }
}

#[test]
fn epochs_complete_while_the_network_loses_and_reorders() {
    let mut world = World::new(7);

    for _ in 0..3_000 {
        world.step();
    }
    world.land();

    assert!(world.completed >= 4, "only {} epochs", world.completed);
}

#[test]
fn any_changed_byte_keeps_a_message_closed_and_the_state_as_it_was() {
    let (alice, bob) = pair_of_sessions(30);
    let mut rng = rng(30);
    let (alice, _) = alice.encrypt(b"lost", LENGTH, &mut rng).unwrap();
    let (_, message) = alice.encrypt(b"hello", 300, &mut rng).unwrap();
    let before = encoded(&bob);

    for index in 0..message.len() {
        for bit in [0x01, 0x80] {
            let mut changed = message.clone();
            changed[index] ^= bit;
            assert!(open_plain(&bob, &changed).is_err(), "byte {index}");
        }
    }
    for length in 0..message.len() {
        assert!(open_plain(&bob, &message[..length]).is_err());
    }

    assert_eq!(encoded(&bob), before);
    assert_eq!(open_plain(&bob, &message).unwrap().content, b"hello");
}

#[test]
fn a_repeat_has_no_key_left() {
    let (alice, bob) = pair_of_sessions(31);
    let (_, message) = alice.encrypt(b"hello", LENGTH, &mut rng(31)).unwrap();
    let opened = open_plain(&bob, &message).unwrap();

    assert_eq!(open_plain(&opened.session, &message).unwrap_err(), OpenError::KeysGone);
}

#[test]
fn ten_thousand_ahead_opens_and_one_more_does_not() {
    let (mut alice, bob) = pair_of_sessions(32);
    let mut rng = rng(32);
    let mut last = Vec::new();
    for _ in 0..MAX_UNANSWERED {
        (alice, last) = alice.encrypt(b"", 300, &mut rng).unwrap();
    }
    assert_eq!(alice.encrypt(b"", 300, &mut rng).unwrap_err(), EncryptError::WaitingForPeer);

    let position = bob.locate(&[], &last).unwrap();
    let opened = bob.open(&position, SkippedKeys::default(), &last, NOW).unwrap();

    assert_eq!(position.skips(), 2 * (MAX_UNANSWERED - 1));
    let kept: usize = opened.new_skipped.iter().map(|run| run.keys.len()).sum();
    assert_eq!(kept, usize::try_from(position.skips()).unwrap());
}

#[test]
fn a_chain_passes_over_ten_thousand_keys_and_no_more() {
    let chain = chain::Chain::new(crate::crypto::Secret::new([1; 32]));

    let passed = chain.clone().skip_to(MAX_SKIP, KeyKind::Ec).map(|keys| keys.len());
    let refused = chain.clone().skip_to(MAX_SKIP + 1, KeyKind::Ec).map(|keys| keys.len());

    assert_eq!(passed, Ok(10_000));
    assert_eq!(refused, Err(chain::TooFarAhead));
    assert_eq!(OpenError::from(chain::TooFarAhead), OpenError::TooFarAhead);
}

#[test]
fn a_sender_goes_on_as_long_as_its_chains_are_answered() {
    let (alice, bob) = pair_of_sessions(33);
    let (mut alice, mut bob, mut rng) = (End::new(alice), End::new(bob), rng(33));

    for _ in 0..3 {
        let mut last = Vec::new();
        let mut sent = 0;
        while let Ok((next, message)) = alice.session.encrypt(b"", 300, &mut rng) {
            (alice.session, last) = (next, message);
            sent += 1;
        }
        assert!(sent >= 1_000, "only {sent} more");
        bob.receive(&last, NOW).unwrap();
        let answer = bob.send(b"still here", &mut rng);
        alice.receive(&answer, NOW).unwrap();
    }
}

#[test]
fn content_fits_exactly_and_a_byte_more_does_not() {
    let (alice, bob) = pair_of_sessions(34);
    let mut rng = rng(34);
    let fits = vec![0x80; LENGTH - MESSAGE_OVERHEAD];

    let (_, message) = alice.encrypt(&fits, LENGTH, &mut rng).unwrap();

    assert_eq!((message.len(), MESSAGE_OVERHEAD), (LENGTH, 142));
    assert_eq!(open_plain(&bob, &message).unwrap().content, fits);
    let more = [fits.as_slice(), &[0]].concat();
    let refused = alice.encrypt(&more, LENGTH, &mut rng).unwrap_err();
    assert_eq!(refused, EncryptError::TooLong { length: LENGTH, got: more.len() });
}

/// Both ends after one exchange, so that either may send.
fn talking(seed: u8) -> (End, End, ChaCha20Rng) {
    let (alice, bob) = pair_of_sessions(seed);
    // Another stream than the one that drew the devices' keys.
    let (mut alice, mut bob, mut rng) = (End::new(alice), End::new(bob), rng(!seed));
    let hello = alice.send(b"hello", &mut rng);
    bob.receive(&hello, NOW).unwrap();
    let answer = bob.send(b"answer", &mut rng);
    alice.receive(&answer, NOW).unwrap();
    (alice, bob, rng)
}

#[test]
fn an_epoch_is_due_after_a_day_or_fifty_messages_at_the_side_whose_turn_it_is() {
    let (mut alice, bob, mut rng) = talking(35);
    let day = NOW.saturating_add(KEM_EPOCH_TIME);

    assert!(!alice.session.kem_due(NOW) && alice.session.kem_due(day));
    assert!(!bob.session.kem_due(day));
    for _ in 0..48 {
        alice.send(b"", &mut rng);
    }
    assert!(alice.session.kem_due(NOW));
    assert!(Role::Initiator.offers(1) && Role::Responder.offers(2));
}

#[test]
fn parts_are_repeated_alike_and_answered_once() {
    let (alice, bob, mut rng) = talking(36);
    let day = NOW.saturating_add(KEM_EPOCH_TIME);
    let alice = alice.session.offer_kem(day, &mut rng).unwrap();
    let offer = alice.kem_part().unwrap();

    // Whatever is too long or too short is none.
    for wrong in [[&offer[..], &[0]].concat(), offer[..offer.len() - 1].to_vec()] {
        let (_, accepted) = bob.session.clone().accept_kem_part(&wrong, &mut rng);
        assert_eq!(accepted, KemAccept::NotDue);
    }
    let (bob, first) = bob.session.accept_kem_part(&offer, &mut rng);
    let answer = bob.kem_part().unwrap();
    let (again, second) = bob.accept_kem_part(&offer, &mut rng);

    assert_eq!((first, second), (KemAccept::Answer, KemAccept::Answer));
    assert_eq!(again.kem_part().unwrap(), answer);
    assert_eq!((offer.len(), answer.len()), (1_189, 1_093));
    let (alice, accepted) = alice.accept_kem_part(&answer, &mut rng);
    assert_eq!(accepted, KemAccept::Completed);
    assert_eq!(alice.kem_part(), None);
    let (_, repeated) = alice.accept_kem_part(&answer, &mut rng);
    assert_eq!(repeated, KemAccept::NotDue);
}

#[test]
fn an_epoch_that_is_not_derived_here_is_refused() {
    let (alice, bob, mut rng) = talking(37);
    let day = NOW.saturating_add(KEM_EPOCH_TIME);
    let offered = alice.session.offer_kem(day, &mut rng).unwrap();
    let (answered, _) = bob.session.accept_kem_part(&offered.kem_part().unwrap(), &mut rng);
    let (ahead, _) = offered.accept_kem_part(&answered.kem_part().unwrap(), &mut rng);
    let (_, message) = ahead.encrypt(b"new epoch", LENGTH, &mut rng).unwrap();

    assert_eq!(open_plain(&bob.session, &message).unwrap_err(), OpenError::PqUnknown);
    assert_eq!(open_plain(&answered, &message).unwrap().content, b"new epoch");
}

#[test]
fn nothing_of_an_old_epoch_is_left_after_it_completed() {
    let (mut alice, mut bob, mut rng) = talking(38);
    let before = [encoded(&alice.session), encoded(&bob.session)];
    let recorded = alice.send(b"recorded", &mut rng);
    bob.receive(&recorded, NOW).unwrap();

    let day = NOW.saturating_add(KEM_EPOCH_TIME);
    alice.session = alice.session.offer_kem(day, &mut rng).unwrap();
    let offer = alice.session.kem_part().unwrap();
    let seed_state = encoded(&alice.session);
    bob.session = bob.session.accept_kem_part(&offer, &mut rng).0;
    let answer = bob.session.kem_part().unwrap();
    alice.session = alice.session.accept_kem_part(&answer, &mut rng).0;
    for _ in 0..4 {
        let message = alice.send(b"under the new epoch", &mut rng);
        bob.receive(&message, day).unwrap();
        let message = bob.send(b"and back", &mut rng);
        alice.receive(&message, day).unwrap();
    }

    for end in [&alice, &bob] {
        let after = encoded(&end.session);
        for old in before.iter().chain([&seed_state]) {
            assert_eq!(shared_keys(old, &after), 0, "keys survive");
        }
        assert_eq!(open_plain(&end.session, &recorded).unwrap_err(), OpenError::NoHeader);
        assert!(end.skipped.is_empty());
    }
}

/// How many secrets of 32 bytes are in both dumps: a secret's length stands before it.
fn shared_keys(old: &[u8], new: &[u8]) -> usize {
    let secrets = |bytes: &[u8]| -> Vec<Vec<u8>> {
        let starts = bytes.windows(40).filter(|window| window[..8] == 32_u64.to_le_bytes());
        starts.map(|window| window[8..].to_vec()).collect()
    };
    let (old, new) = (secrets(old), secrets(new));
    assert!(old.len() >= 8, "the dump is read wrongly");
    old.iter().filter(|secret| new.contains(secret)).count()
}
