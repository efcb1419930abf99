use super::*;

#[test]
fn both_sides_begin_the_same_session_and_talk() {
    let mut rng = rng(20);
    let (alice, bob) = pair_of_sessions(20);

    let (alice, hello) = alice.encrypt(b"hello", LENGTH, &mut rng).unwrap();
    let opened = open_plain(&bob, &hello).unwrap();
    let (bob, answer) = opened.session.encrypt(b"hi", LENGTH, &mut rng).unwrap();
    let back = open_plain(&alice, &answer).unwrap();

    assert_eq!((opened.content.as_slice(), back.content.as_slice()), (&b"hello"[..], &b"hi"[..]));
    assert_eq!(alice.id(), bob.id());
    assert!(!alice.heard() && bob.heard() && back.session.heard());
    assert_eq!(hello.len(), LENGTH);
    assert!(encoded(&back.session).len() <= MAX_SESSION);
}

#[test]
fn the_answering_side_sends_only_after_it_has_received() {
    let (_, bob) = pair_of_sessions(21);

    let refused = bob.encrypt(b"early", LENGTH, &mut rng(21)).unwrap_err();

    assert_eq!(refused, EncryptError::NothingReceived);
}

#[test]
fn a_handshake_is_1778_bytes_and_reads_back() {
    let mut rng = rng(22);
    let (alice, bob) = (Device::new(&mut rng), Device::new(&mut rng));
    let begun = initiate(&alice.local(), bob.account, &bob.bundle(), NET, purpose(7), &mut rng);
    let handshake = begun.unwrap().handshake;

    let bytes = handshake.to_bytes();

    assert_eq!(bytes.len(), PQXDH);
    assert_eq!(Pqxdh::from_bytes(&bytes), Ok(handshake));
    assert_eq!(Pqxdh::from_bytes(&bytes[1..]), Err(PqxdhError));
    let mut with_one_time_key = bytes;
    with_one_time_key[202] = 1;
    assert_eq!(Pqxdh::from_bytes(&with_one_time_key), Err(PqxdhError));
}

#[test]
fn unknown_prekeys_are_named() {
    let mut rng = rng(23);
    let (alice, mut bob) = (Device::new(&mut rng), Device::new(&mut rng));
    let begun = initiate(&alice.local(), bob.account, &bob.bundle(), NET, purpose(0), &mut rng);
    let handshake = begun.unwrap().handshake;
    let (signed, quantum) = (bob.prekeys[0].signed_id(), bob.prekeys[0].quantum_id());

    bob.prekeys = vec![Prekeys::random(NOW, &mut rng)];
    let gone = respond(&bob.local(), &handshake, &bob.prekeys, NET).unwrap_err();

    assert_eq!(gone, HandshakeError::UnknownSigned(signed));
    let mut other = handshake.clone();
    other.signed_id = bob.prekeys[0].signed_id();
    let gone = respond(&bob.local(), &other, &bob.prekeys, NET).unwrap_err();
    assert_eq!(gone, HandshakeError::UnknownQuantum(quantum));
}

#[test]
fn a_handshake_for_another_device_or_from_this_one_is_refused() {
    let mut rng = rng(24);
    let (alice, bob) = (Device::new(&mut rng), Device::new(&mut rng));
    let begun = initiate(&alice.local(), bob.account, &bob.bundle(), NET, purpose(0), &mut rng);
    let handshake = begun.unwrap().handshake;

    let wrong = respond(&alice.local(), &handshake, &alice.prekeys, NET).unwrap_err();

    assert_eq!(wrong, HandshakeError::NotForUs);
    let mut from_us = handshake;
    from_us.devices.0 = bob.id();
    let wrong = respond(&bob.local(), &from_us, &bob.prekeys, NET).unwrap_err();
    assert_eq!(wrong, HandshakeError::NotForUs);
}

#[test]
fn an_all_zero_key_in_a_handshake_aborts() {
    let mut rng = rng(25);
    let (alice, bob) = (Device::new(&mut rng), Device::new(&mut rng));
    let begun = initiate(&alice.local(), bob.account, &bob.bundle(), NET, purpose(0), &mut rng);
    let mut handshake = begun.unwrap().handshake;

    handshake.ek = DhPublic([0; 32]);

    let aborted = respond(&bob.local(), &handshake, &bob.prekeys, NET).unwrap_err();
    assert_eq!(aborted, HandshakeError::Contribution);
}

#[test]
fn any_change_to_a_handshake_or_the_network_gives_another_session() {
    let mut rng = rng(26);
    let (alice, bob) = (Device::new(&mut rng), Device::new(&mut rng));
    let begun = initiate(&alice.local(), bob.account, &bob.bundle(), NET, purpose(0), &mut rng);
    let begun = begun.unwrap();
    let (_, message) = begun.session.encrypt(b"hello", LENGTH, &mut rng).unwrap();
    let mut changes = vec![begun.handshake.clone(); 5];
    changes[0].purpose.generation = 1;
    changes[1].purpose.cause = Cause::Desync;
    changes[2].purpose.via = Via::Pair;
    changes[3].accounts.0 = AccountId([9; 32]);
    changes[4].ciphertext[0] ^= 1;

    for changed in changes {
        let other = respond(&bob.local(), &changed, &bob.prekeys, NET).unwrap().session;
        assert_ne!(other.id(), begun.session.id());
        assert_eq!(open_plain(&other, &message).unwrap_err(), OpenError::NoHeader);
    }
    let other = respond(&bob.local(), &begun.handshake, &bob.prekeys, "other").unwrap().session;
    assert_eq!(open_plain(&other, &message).unwrap_err(), OpenError::NoHeader);
}
