//! A contact that asks without end: nothing is answered in full each time.

use super::*;
use crate::content::{Hello, Kind, Resend};
use crate::wire::frame::{Frame, Request};

/// How often it asks.
const TIMES: usize = 300;
/// Texts that it may ask for.
const TEXTS: usize = 20;

/// What a node deposits with the other while something runs, and the first frame of the kind.
pub(super) fn deposits(world: &World, from: usize) -> (usize, Option<Vec<u8>>) {
    let frames = world.sent.iter().filter(|(node, _)| *node == from);
    let deposits = frames.filter_map(|(_, bytes)| match Frame::decode(bytes) {
        Ok(Frame::Request(_, Request::Deposit { .. })) => Some(bytes.clone()),
        _ => None,
    });
    let all: Vec<Vec<u8>> = deposits.collect();
    (all.len(), all.first().cloned())
}

/// Node 0 says something in its own name.
fn say(world: &mut World, kind: Kind, body: Vec<u8>) {
    world.at += 1;
    let now = time(world.at);
    let to = {
        let other = &world.nodes[1].machine;
        (other.me.account, other.device)
    };
    let (node, mut out) = (&mut world.nodes[0], Vec::new());
    let cx = &mut Cx { now, rng: &mut node.rng, rows: &mut node.rows, out: &mut out };
    node.machine.queue_content(cx, to, kind, body).unwrap();
    world.step(0, None);
    world.run();
}

/// Friends of whom node 1 has written what node 0 has.
fn written() -> (World, Vec<MessageId>) {
    let mut world = World::friends();
    let ids = (0..TEXTS).map(|number| world.send(1, &format!("text {number}"))).collect();
    world.rest();
    assert_eq!(world.nodes[0].texts().len(), TEXTS);
    world.sent.clear();
    (world, ids)
}

#[test]
fn whoever_asks_for_messages_without_end_gets_each_once_a_day() {
    let (mut world, ids) = written();
    for _ in 0..TIMES {
        say(&mut world, Kind::RESEND, Resend(ids.clone()).to_bytes());
    }
    world.rest();
    let (sent, _) = deposits(&world, 1);
    assert!((TEXTS..=2 * TEXTS).contains(&sent), "{sent} envelopes for {TIMES} questions");
    world.sent.clear();
    world.at += Millis::from_days(1).0;
    say(&mut world, Kind::RESEND, Resend(ids).to_bytes());
    world.rest();
    let (sent, _) = deposits(&world, 1);
    assert!((TEXTS..=2 * TEXTS).contains(&sent), "{sent} envelopes a day later");
    assert_eq!(world.nodes[0].texts().len(), TEXTS);
}

#[test]
fn whoever_says_without_end_that_it_lost_everything_gets_it_once_a_day() {
    let (mut world, _) = written();
    for _ in 0..TIMES {
        say(&mut world, Kind::HELLO, Hello::Last(None).to_bytes());
    }
    world.rest();
    // Each is receipted, and no more: it goes again until it is.
    let (sent, _) = deposits(&world, 1);
    assert!((TEXTS..=TIMES + 2 * TEXTS).contains(&sent), "{sent} envelopes for {TIMES}");
    assert_eq!(world.nodes[0].texts().len(), TEXTS);
}

#[test]
fn whoever_repeats_an_envelope_without_end_is_receipted_once_in_twelve_hours() {
    let (mut world, _) = written();
    world.send(0, "again and again");
    let (_, envelope) = deposits(&world, 0);
    let envelope = envelope.unwrap();
    world.rest();
    world.sent.clear();
    for round in 0..3 {
        if world.link.is_none() {
            world.connect(0);
            world.run();
        }
        let link = world.link.unwrap();
        for _ in 0..TIMES {
            world.give(1, NetworkInput::Frame { link, bytes: envelope.clone() }.into_input());
        }
        world.run();
        let (receipts, _) = deposits(&world, 1);
        // Beside receipts lies what two who talk do each day.
        assert!(
            receipts <= 2 * round + 2,
            "{receipts} envelopes for {} repeats",
            TIMES * (round + 1)
        );
        world.at += Millis::from_hours(13).0;
        world.rest();
    }
    assert_eq!(world.nodes[1].texts(), ["again and again"]);
}
