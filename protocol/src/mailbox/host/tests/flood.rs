//! One who deposits without end, and many who were never seen: nobody else notices.

use super::*;

const OTHER: QueueId = QueueId([40; 32]);

/// Another owner with a queue, and a link on which it is open.
fn another(bench: &mut Bench) -> (LinkId, OwnerKey, LinkId) {
    let link = bench.link();
    let owner = bench.prove(link, 4);
    bench.ask(link, Request::Admit { owner, role: OwnerRole::Private, token: None });
    let access = QueueAccess::Token(token_hash(&TOKEN));
    let queues = vec![Registration { queue: OTHER, access, quota: 0 }];
    assert_eq!(bench.ask(link, Request::Register { owner, queues }), Answer::Done);
    let sender = bench.link();
    bench.ask(sender, Request::Open { queue: OTHER, key: OpenKey::Token(TOKEN) });
    (link, owner, sender)
}

fn deposited(frames: &[Frame]) -> usize {
    let taken = |frame: &&Frame| matches!(frame, Frame::Answer(_, Answer::Deposited { .. }));
    frames.iter().filter(taken).count()
}

#[test]
fn a_hundred_thousand_deposits_by_one_contact_fill_one_queue_and_no_more() {
    let mut bench = Bench::new(Admission::Open);
    bench.owner(2, OwnerRole::Private);
    let (link, owner, calm) = another(&mut bench);
    let flooder = bench.sender();
    let (mut taken, mut rows) = (0, Vec::new());
    for round in 0..100 {
        let number = |number| Bench::deposit(flooder, &envelope(QUEUE, round * 1_000 + number));
        let mut inputs: Vec<HostInput> = (0..1_000).map(number).collect();
        inputs.push(Bench::deposit(calm, &envelope(OTHER, round)));
        let frames = bench.batch(inputs);
        assert_eq!(frames.len(), 1_001);
        taken += deposited(&frames);
        rows.push(bench.rows.len());
    }
    assert_eq!(taken, usize::try_from(MAX_QUEUE_ENVELOPES).unwrap() + 100);
    // Two rows for each of the calm one's, and nothing for what is refused.
    assert_eq!(rows[99] - rows[0], 2 * 99);
    let frames = bench.ask_all(link, Request::Fetch { owner, fence: None });
    assert_eq!(items(&frames).len(), 100);
}

#[test]
fn a_thousand_fresh_strangers_fill_one_contact_queue_and_no_more() {
    let mut bench = Bench::new(Admission::Open);
    let (_, public) = bench.owner(2, OwnerRole::Public);
    let (link, owner, calm) = another(&mut bench);
    let (mut taken, mut hardest) = (0, 0);
    for number in 0..1_000 {
        let stranger = bench.link();
        let hello = bench.hello.clone().unwrap();
        hardest = hardest.max(hello.difficulty);
        bench.ask(stranger, Request::Open { queue: CONTACT, key: OpenKey::Stamp });
        let envelope = envelope(CONTACT, number);
        let bytes_hash = envelope.bytes_hash();
        let challenge = hello.challenge;
        let what = Stamped { host: host(), queue: CONTACT, bytes_hash, challenge };
        let stamp = search_stamp(&what, hello.difficulty, &|| false).unwrap();
        let envelope = ByteBuf::from(envelope.to_bytes());
        let frames = bench.ask_all(stranger, Request::Deposit { envelope, stamp });
        taken += deposited(&frames);
        bench.batch(vec![HostInput::Network(NetworkInput::LinkDown { link: stranger })]);
    }
    assert_eq!(taken, usize::try_from(MAX_CONTACT_ENVELOPES).unwrap());
    assert!(hardest <= STAMP_BITS + 1, "{hardest} bits for everybody");
    assert_eq!(deposited(&bench.batch(vec![Bench::deposit(calm, &envelope(OTHER, 1))])), 1);
    let frames = bench.ask_all(link, Request::Fetch { owner, fence: None });
    assert_eq!(items(&frames).len(), 1);
    let link = bench.link();
    bench.prove(link, 2);
    let frames = bench.ask_all(link, Request::Fetch { owner: public, fence: None });
    assert_eq!(items(&frames).len(), 50);
    assert_eq!(bench.machine.links.len(), 4);
}
