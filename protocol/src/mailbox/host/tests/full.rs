//! Full queues, and who is told.

use super::*;
use crate::limits::MAX_FULL_QUEUES;

fn told(frames: &[Frame]) -> Vec<QueueId> {
    let full = frames.iter().filter_map(|frame| match frame {
        Frame::Full(_, queue) => Some(*queue),
        _ => None,
    });
    full.collect()
}

/// Fills the queue from a number on, and returns what came of one more.
fn fill(bench: &mut Bench, link: LinkId, from: u64, many: u64) -> Vec<Frame> {
    let numbers = from..from + many;
    bench.batch(numbers.map(|number| Bench::deposit(link, &envelope(QUEUE, number))).collect());
    bench.batch(vec![Bench::deposit(link, &envelope(QUEUE, from + many))])
}

/// Fetches everything and acknowledges it; what was said of full queues.
fn empty(bench: &mut Bench, link: LinkId, owner: OwnerKey) -> Vec<QueueId> {
    let mut frames = bench.ask_all(link, Request::Fetch { owner, fence: None });
    let mut full = told(&frames);
    loop {
        let ids: Vec<EnvelopeId> = items(&frames).iter().map(Envelope::id).collect();
        if ids.is_empty() {
            return full;
        }
        frames = bench.ack(link, owner, ids);
        full.extend(told(&frames));
    }
}

/// Envelopes of a queue.
const MOST: u64 = 1_000;

#[test]
fn an_owner_that_was_away_is_told_once_and_again_when_it_is_full_again() {
    let mut bench = Bench::new(Admission::Open);
    let (_, owner) = bench.owner(2, OwnerRole::Private);
    let sender = bench.sender();
    let refused = Frame::Answer(1, Answer::Refused(Refused::Full));
    assert_eq!(MOST, u64::from(MAX_QUEUE_ENVELOPES));
    assert_eq!(fill(&mut bench, sender, 0, MOST), std::slice::from_ref(&refused));
    for _ in 0..3 {
        let frames = bench.batch(vec![Bench::deposit(sender, &envelope(QUEUE, MOST))]);
        assert_eq!(frames, std::slice::from_ref(&refused));
    }
    // The host remembers it beyond its end, and says it when everything else is out.
    bench.restart();
    let link = bench.link();
    bench.prove(link, 2);
    assert_eq!(empty(&mut bench, link, owner), [QUEUE]);

    let again = bench.link();
    bench.prove(again, 2);
    assert_eq!(empty(&mut bench, again, owner), []);
    let sender = bench.sender();
    for link in [link, again] {
        bench.batch(vec![HostInput::Network(NetworkInput::LinkDown { link })]);
    }
    fill(&mut bench, sender, 2 * MOST, MOST);
    let link = bench.link();
    bench.prove(link, 2);
    assert_eq!(empty(&mut bench, link, owner), [QUEUE]);
}

#[test]
fn an_owner_that_takes_nothing_away_is_told_once_whatever_is_refused() {
    let mut bench = Bench::new(Admission::Open);
    let (link, owner) = bench.owner(2, OwnerRole::Private);
    bench.ask_all(link, Request::Fetch { owner, fence: None });
    let sender = bench.sender();
    assert_eq!(told(&fill(&mut bench, sender, 0, MOST)), [QUEUE]);
    let many = |bench: &mut Bench| {
        let refused = |number| vec![Bench::deposit(sender, &envelope(QUEUE, 9_000 + number))];
        (0..1_000_u64).flat_map(|number| told(&bench.batch(refused(number)))).count()
    };
    assert_eq!(many(&mut bench), 0);

    // Half of it is free: the next time is another time.
    let first = (0..MOST).map(|number| envelope(QUEUE, number).id()).take(MAX_FETCH_ITEMS);
    assert_eq!(told(&bench.ack(link, owner, first.collect())), []);
    assert_eq!(told(&fill(&mut bench, sender, MOST, 512)), [QUEUE]);
    assert_eq!(many(&mut bench), 0);
}

#[test]
fn a_flood_of_full_queues_is_not_one_of_words() {
    let mut bench = Bench::new(Admission::Open);
    let link = bench.link();
    let owner = bench.prove(link, 2);
    bench.ask(link, Request::Admit { owner, role: OwnerRole::Private, token: None });
    let access = QueueAccess::Token(token_hash(&TOKEN));
    let queue = |number: u8| QueueId([number; 32]);
    let many = 40;
    let registration = |it| Registration { queue: queue(it), access: access.clone(), quota: 1 };
    let queues = (0..many).map(registration).collect();
    assert_eq!(bench.ask(link, Request::Register { owner, queues }), Answer::Done);
    let sender = bench.link();
    for it in 0..many {
        bench.ask(sender, Request::Open { queue: queue(it), key: OpenKey::Token(TOKEN) });
        bench.batch(vec![Bench::deposit(sender, &envelope(queue(it), 1))]);
    }
    let frames = bench.ask_all(link, Request::Fetch { owner, fence: None });
    assert_eq!(told(&frames).len(), MAX_FULL_QUEUES);
    // What goes leaves nothing behind.
    let queues = (0..many).map(queue).collect();
    assert_eq!(bench.ask(link, Request::Drop { owner, queues }), Answer::Done);
    let row = bench.machine.ledger.owner(&bench.rows, owner).unwrap().unwrap().1;
    assert_eq!(row.full, []);
}
