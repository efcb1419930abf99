//! One more than a host takes, for each bound that peers can reach.

use super::*;
use crate::limits::{
    MAX_ACK_IDS, MAX_CARD_RECORDS, MAX_CARDS_A_MINUTE, MAX_CONTACT_BYTES, MAX_CONTACT_ENVELOPE,
    MAX_FETCH_BYTES, MAX_INVITED_ENVELOPES, MAX_OWNER_BYTES, MAX_OWNER_INVITES, MAX_QUEUE_BYTES,
    MAX_REGISTER, MAX_STAMP_BITS, MAX_STREAM_OWNERS, MAX_STREAM_QUEUES,
};

const REJECTED: Answer = Answer::Refused(Refused::Rejected);

fn registrations(count: usize) -> Vec<Registration> {
    let queue = |number: usize| {
        let mut queue = [1; 32];
        queue[..8].copy_from_slice(&number.to_le_bytes());
        let access = QueueAccess::Token(token_hash(&TOKEN));
        Registration { queue: QueueId(queue), access, quota: 0 }
    };
    (0..count).map(queue).collect()
}

/// An envelope of a size, in a queue.
fn sized(queue: QueueId, number: u64, size: usize) -> Envelope {
    let mut bytes = vec![0; size];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    let expires = UnixMillis(START).saturating_add(Millis::from_days(2)).hours_up();
    Envelope::new(queue, [0; 16], expires, revoke_hash(&[9; 16]), bytes).unwrap()
}

#[test]
fn one_request_names_no_more_than_it_may() {
    let mut bench = Bench::new(Admission::Open);
    let (link, owner) = bench.owner(2, OwnerRole::Private);

    let queues = registrations(MAX_REGISTER + 1);
    assert_eq!(bench.ask(link, Request::Register { owner, queues }), REJECTED);
    let queues = registrations(MAX_REGISTER);
    assert_eq!(bench.ask(link, Request::Register { owner, queues }), Answer::Done);
    let queues = vec![QUEUE; MAX_REGISTER + 1];
    assert_eq!(bench.ask(link, Request::Drop { owner, queues }), REJECTED);
    let ids = vec![EnvelopeId([1; 16]); MAX_ACK_IDS + 1];
    assert_eq!(bench.ask(link, Request::Ack { owner, ids, fence: None }), REJECTED);
    let (link, owner) = bench.owner(3, OwnerRole::Public);
    let records = vec![ByteBuf::from(vec![1]); MAX_CARD_RECORDS + 1];
    let account = crate::id::AccountId([1; 32]);
    assert_eq!(bench.ask(link, Request::Publish { owner, account, records }), REJECTED);
}

#[test]
fn a_host_admits_no_more_owners_than_it_was_told() {
    let mut bench = Bench::new(Admission::Open);
    let most = u8::try_from(setup(Admission::Open).owners).unwrap();
    let admit = |bench: &mut Bench, seed: u8| {
        let link = bench.link();
        let owner = bench.prove(link, seed);
        bench.ask(link, Request::Admit { owner, role: OwnerRole::Private, token: None })
    };

    for seed in 0..most {
        assert_eq!(admit(&mut bench, 100 + seed), Answer::Done);
    }
    assert_eq!(admit(&mut bench, 90), Answer::Refused(Refused::Full));
}

#[test]
fn a_stream_shows_and_asks_no_more_than_it_may() {
    let mut bench = Bench::new(Admission::Open);
    let link = bench.link();
    for seed in 0..u8::try_from(MAX_STREAM_OWNERS).unwrap() {
        bench.prove(link, 10 + seed);
    }
    let (signer, owner) = owner(200);
    let challenge = bench.hello.as_ref().unwrap().challenge;
    let signature = prove_owner(&signer, "main", &host(), &challenge);

    let answer = bench.ask(link, Request::Prove { owner, signature });
    assert!(matches!(answer, Answer::Refused(Refused::Busy { .. })), "{answer:?}");
    let card = Request::GetCard { account: crate::id::AccountId([1; 32]) };
    for _ in 0..MAX_CARDS_A_MINUTE {
        assert_eq!(bench.ask(link, card.clone()), Answer::Refused(Refused::NotFound));
    }
    let answer = bench.ask(link, card.clone());
    assert!(matches!(answer, Answer::Refused(Refused::Busy { .. })), "{answer:?}");
    bench.at += Millis::from_minutes(1).0;
    assert_eq!(bench.ask(link, card), Answer::Refused(Refused::NotFound));
}

#[test]
fn a_queue_holds_no_more_bytes_than_it_may() {
    let mut bench = Bench::new(Admission::Open);
    bench.owner(2, OwnerRole::Private);
    let link = bench.sender();
    let most = MAX_QUEUE_BYTES / 65_636;

    for number in 0..most {
        let frames = bench.batch(vec![Bench::deposit(link, &sized(QUEUE, number, 65_536))]);
        assert!(matches!(frames[0], Frame::Answer(_, Answer::Deposited { .. })), "{number}");
    }
    let frames = bench.batch(vec![Bench::deposit(link, &sized(QUEUE, most, 65_536))]);
    assert_eq!(frames, [Frame::Answer(1, Answer::Refused(Refused::Full))]);
}

#[test]
fn a_contact_queue_takes_small_requests_and_few_bytes() {
    let mut bench = Bench::new(Admission::Open);
    bench.owner(2, OwnerRole::Public);
    let link = bench.link();
    let hello = bench.hello.clone().unwrap();
    let open = Request::Open { queue: CONTACT, key: OpenKey::Stamp };
    assert!(matches!(bench.ask(link, open), Answer::Opened { .. }));
    let deposit = |bench: &mut Bench, number: u64, size: usize| {
        let envelope = sized(CONTACT, number, size);
        let bytes_hash = envelope.bytes_hash();
        let (host, queue, challenge) = (host(), CONTACT, hello.challenge);
        let what = Stamped { host, queue, bytes_hash, challenge };
        let stamp = search_stamp(&what, hello.difficulty, &|| false).unwrap();
        let envelope = ByteBuf::from(envelope.to_bytes());
        bench.ask(link, Request::Deposit { envelope, stamp })
    };

    assert_eq!(deposit(&mut bench, 0, 32_768), REJECTED);
    let most = MAX_CONTACT_BYTES / u64::try_from(MAX_CONTACT_ENVELOPE).unwrap();
    for number in 0..most {
        let answer = deposit(&mut bench, number, 16_384);
        assert!(matches!(answer, Answer::Deposited { .. }), "{number}: {answer:?}");
    }
    assert_eq!(deposit(&mut bench, most, 16_384), Answer::Refused(Refused::Full));
}

#[test]
fn an_owner_registers_no_more_invites_than_it_may() {
    let mut bench = Bench::new(Admission::Open);
    let (link, owner) = bench.owner(2, OwnerRole::Public);
    let invite = |bench: &mut Bench, number: usize| {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&number.to_le_bytes());
        let expires = UnixMillis(START).saturating_add(Millis::from_days(1)).hours_up();
        bench.ask(link, Request::Invite { owner, queue: CONTACT, hash, expires })
    };

    for number in 0..MAX_OWNER_INVITES {
        assert_eq!(invite(&mut bench, number), Answer::Done);
    }
    assert_eq!(invite(&mut bench, MAX_OWNER_INVITES), Answer::Refused(Refused::Full));
}

/// The size of the largest envelope's bytes, and of all of it.
const LARGE: usize = 65_536;
const LARGE_ENVELOPE: u64 = 65_636;

fn token(queue: QueueId) -> Request {
    Request::Open { queue, key: OpenKey::Token(TOKEN) }
}

/// An owner with that many queues, and their names.
fn queues(bench: &mut Bench, count: usize) -> (LinkId, OwnerKey, Vec<QueueId>) {
    let (link, owner) = bench.owner(2, OwnerRole::Private);
    let all = registrations(count);
    let names = all.iter().map(|it| it.queue).collect();
    for part in all.chunks(MAX_REGISTER) {
        let register = Request::Register { owner, queues: part.to_vec() };
        assert_eq!(bench.ask(link, register), Answer::Done);
    }
    (link, owner, names)
}

#[test]
fn a_stream_opens_no_more_queues_than_it_may() {
    let mut bench = Bench::new(Admission::Open);
    // One queue stands already.
    let (.., names) = queues(&mut bench, MAX_STREAM_QUEUES - 1);
    bench.owner(3, OwnerRole::Public);
    let link = bench.sender();

    for name in names {
        assert!(matches!(bench.ask(link, token(name)), Answer::Opened { .. }));
    }
    let answer = bench.ask(link, Request::Open { queue: CONTACT, key: OpenKey::Stamp });
    assert!(matches!(answer, Answer::Refused(Refused::Busy { .. })), "{answer:?}");
}

#[test]
fn an_owner_and_a_host_hold_no_more_bytes_than_they_may() {
    let mut bench = Bench::new(Admission::Open);
    let a_queue = MAX_QUEUE_BYTES / LARGE_ENVELOPE;
    let most = MAX_OWNER_BYTES / LARGE_ENVELOPE;
    let count = usize::try_from(most / a_queue + 1).unwrap();
    let (.., names) = queues(&mut bench, count);
    let link = bench.link();
    let mut held = 0;
    for name in &names {
        assert!(matches!(bench.ask(link, token(*name)), Answer::Opened { .. }));
        for number in 0..a_queue {
            let frames = bench.batch(vec![Bench::deposit(link, &sized(*name, number, LARGE))]);
            if frames == [Frame::Answer(1, Answer::Refused(Refused::Full))] {
                assert_eq!(held, most);
                continue;
            }
            held += 1;
        }
    }
    assert_eq!(held, most);

    // The host's own bound, with another owner's envelope.
    let mut bench = Bench::new(Admission::Open);
    bench.machine.setup.bytes = LARGE_ENVELOPE;
    bench.owner(2, OwnerRole::Private);
    let link = bench.sender();
    let frames = bench.batch(vec![Bench::deposit(link, &sized(QUEUE, 1, LARGE))]);
    assert!(matches!(frames[0], Frame::Answer(_, Answer::Deposited { .. })));
    let frames = bench.batch(vec![Bench::deposit(link, &sized(QUEUE, 2, 2_048))]);
    assert_eq!(frames, [Frame::Answer(1, Answer::Refused(Refused::Full))]);
}

#[test]
fn a_fetch_pushes_no_more_bytes_than_it_may() {
    let mut bench = Bench::new(Admission::Open);
    let (link, owner) = bench.owner(2, OwnerRole::Private);
    let sender = bench.sender();
    for number in 0..32 {
        bench.batch(vec![Bench::deposit(sender, &sized(QUEUE, number, LARGE))]);
    }

    let pushed = items(&bench.ask_all(link, Request::Fetch { owner, fence: None }));

    let bytes: usize = pushed.iter().map(|it| it.to_bytes().len()).sum();
    let one_more = MAX_FETCH_BYTES + usize::try_from(LARGE_ENVELOPE).unwrap();
    assert!((MAX_FETCH_BYTES..one_more).contains(&bytes), "{bytes}");
}

#[test]
fn invited_strangers_have_no_more_places_than_are_reserved() {
    let mut bench = Bench::new(Admission::Open);
    let (owner_link, owner) = bench.owner(2, OwnerRole::Public);
    let expires = UnixMillis(START).saturating_add(Millis::from_days(3)).hours();
    let link = bench.link();
    let mut ask = |number: u8| {
        let proof = host_proof(&[number; 16], &host());
        let hash = host_proof_hash(&proof);
        let invite = Request::Invite { owner, queue: CONTACT, hash, expires };
        assert_eq!(bench.ask(owner_link, invite), Answer::Done);
        let open = Request::Open { queue: CONTACT, key: OpenKey::Invite(proof) };
        assert!(matches!(bench.ask(link, open), Answer::Opened { .. }));
        bench.batch(vec![Bench::deposit(link, &envelope(CONTACT, u64::from(number)))])
    };

    let most = u8::try_from(MAX_INVITED_ENVELOPES).unwrap();
    for number in 0..most {
        assert!(matches!(ask(number)[0], Frame::Answer(_, Answer::Deposited { .. })), "{number}");
    }
    assert_eq!(ask(most), [Frame::Answer(1, Answer::Refused(Refused::Full))]);
}

/// Strangers have taken all the room of a contact queue: those who were invited have theirs.
#[test]
fn strangers_take_no_room_from_those_who_were_invited() {
    let mut bench = Bench::new(Admission::Open);
    let (owner_link, owner) = bench.owner(2, OwnerRole::Public);
    let at = (OwnerRole::Public, owner, CONTACT);
    bench.machine.ledger.touch(&bench.rows, at).unwrap().unwrap().bytes = MAX_CONTACT_BYTES;
    let expires = UnixMillis(START).saturating_add(Millis::from_days(3)).hours();
    let link = bench.link();
    for number in 0..u8::try_from(MAX_INVITED_ENVELOPES).unwrap() {
        let proof = host_proof(&[number; 16], &host());
        let hash = host_proof_hash(&proof);
        bench.ask(owner_link, Request::Invite { owner, queue: CONTACT, hash, expires });
        bench.ask(link, Request::Open { queue: CONTACT, key: OpenKey::Invite(proof) });
        let mut bytes = vec![number; 16 * 1_024];
        bytes[0] = number;
        let hours = UnixMillis(START).saturating_add(Millis::from_days(2)).hours_up();
        let large = Envelope::new(CONTACT, [0; 16], hours, revoke_hash(&[9; 16]), bytes).unwrap();
        let frames = bench.batch(vec![Bench::deposit(link, &large)]);
        assert!(matches!(frames[0], Frame::Answer(_, Answer::Deposited { .. })), "{frames:?}");
    }
}

/// Every request is answered, whatever else is in its batch; nothing is signed for that has gone.
#[test]
fn a_deposit_whose_queue_goes_in_the_same_batch_is_turned_away() {
    let erase = |owner| vec![Request::Erase { owner }];
    let move_away = |owner| {
        let access = QueueAccess::Token(token_hash(&TOKEN));
        let queues = vec![Registration { queue: QUEUE, access, quota: 0 }];
        let drop = Request::Drop { owner, queues: vec![QUEUE] };
        vec![drop, Request::Register { owner, queues }]
    };
    for requests in [erase, move_away] {
        let mut bench = Bench::new(Admission::Open);
        let (link, owner) = bench.owner(2, OwnerRole::Private);
        let sender = bench.sender();
        let mut inputs = vec![Bench::deposit(sender, &envelope(QUEUE, 1))];
        inputs.extend(requests(owner).into_iter().map(|it| Bench::frame(link, it)));
        let frames = bench.batch(inputs);
        assert!(
            frames.contains(&Frame::Answer(1, Answer::Refused(Refused::NotFound))),
            "{frames:?}"
        );
        let signed = |it: &Frame| matches!(it, Frame::Answer(_, Answer::Deposited { .. }));
        assert!(!frames.iter().any(signed), "{frames:?}");
    }
}

#[test]
fn nothing_of_an_owner_is_left_that_it_erased() {
    let mut bench = Bench::new(Admission::Open);
    let (link, owner) = bench.owner(2, OwnerRole::Private);
    let sender = bench.sender();
    bench.batch(vec![Bench::deposit(sender, &envelope(QUEUE, 1))]);
    assert!(matches!(bench.ask(link, Request::Erase { owner }), Answer::Erased { .. }));
    let left: Vec<&str> = bench.rows.iter().map(|(table, ..)| table).collect();
    assert_eq!(left, ["hosting", "hosting"]);
}

#[test]
fn no_stranger_is_asked_for_more_work_than_anybody_may_ask() {
    let mut bench = Bench::new(Admission::Open);
    bench.machine.counters.strangers = u32::MAX;

    bench.link();

    assert_eq!(bench.hello.unwrap().difficulty, MAX_STAMP_BITS);
}
