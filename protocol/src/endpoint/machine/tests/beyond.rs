//! One more than a person's node takes, for each bound that peers, people and time can reach.

use super::*;
use crate::content::{Hello, Kind};
use crate::endpoint::contacts::stranger;
use crate::endpoint::repair::note_missing;
use crate::endpoint::{Code, StepKind};
use crate::id::{AccountId, ConversationId};
use crate::limits::{
    CHANGES_KEPT, MAX_ASKED, MAX_CONTACTS, MAX_MISSING, MAX_OUTBOX_LINES, MAX_PENDING, MAX_RAISED,
    MAX_REFILL, MAX_SEAL_KEYS,
};
use crate::rows::Rows;
use crate::rows::message::{
    CONVERSATIONS, ConversationRow, MESSAGES, MessageKey, MessageRow, MissingRow, TIMELINE,
};

const DAY: Millis = Millis::from_days(1);

fn message(number: usize) -> MessageId {
    let mut id = [7; 16];
    id[..8].copy_from_slice(&number.to_le_bytes());
    MessageId(id)
}

/// Alice's first message to Bob, delivered, as it lies in her rows.
fn sent(world: &mut World) -> (MessageKey, MessageRow) {
    let id = world.send(0, "the first");
    world.rest();
    let alice = &world.nodes[0];
    let conversation = alice.machine.conversation(world.nodes[1].account());
    let key = MessageKey { id, conversation, sender: alice.account() };
    let row: MessageRow = load(&alice.rows, &MESSAGES, &key.bytes()).unwrap().unwrap();
    (key, row)
}

fn put(rows: &mut MemoryRows, key: &MessageKey, row: &MessageRow) {
    save(rows, &MESSAGES, &key.bytes(), row).unwrap();
    rows.put(&TIMELINE, &key.timeline(row.order), Vec::new());
}

impl Node {
    /// Something done by the machine itself, outside of a batch.
    fn with<T>(&mut self, at: u64, act: impl FnOnce(&mut Endpoint, &mut Cx<'_>) -> T) -> T {
        let (mut out, now) = (Vec::new(), time(at));
        let (rows, rng) = (&mut self.rows, &mut self.rng);
        act(&mut self.machine, &mut Cx { rows, rng, now, out: &mut out })
    }
}

#[test]
fn no_more_waits_for_a_device_than_may() {
    let mut world = World::friends();
    world.cut();
    world.send(0, "waits");
    let lane = world.nodes[0].machine.lanes.values_mut().find(|lane| !lane.lines.is_empty());
    let lane = lane.unwrap();
    let (first, row) = lane.lines.first_key_value().map(|(it, row)| (*it, row.clone())).unwrap();
    let more = (first + 1..).take(MAX_OUTBOX_LINES - lane.lines.len());
    more.for_each(|number| drop(lane.lines.insert(number, row.clone())));

    let to = crate::identity::account_text(&world.nodes[1].account());
    let text = OutgoingText { to, text: "one too many".to_owned(), id: None };
    let Reply::Sent(sent) = world.command(0, Command::Send(vec![text])) else { panic!() };

    assert_eq!(sent[0].as_ref().unwrap_err().code, Code::Full);
}

/// Fills a book with strangers who ask.
fn fill(node: &mut Node, count: u32) {
    for number in 0..count {
        let mut bytes = [9; 32];
        bytes[..4].copy_from_slice(&number.to_le_bytes());
        let account = AccountId(bytes);
        node.machine.contacts.insert(account, stranger(account, time(1).wall));
    }
}

#[test]
fn no_more_strangers_wait_for_an_answer_than_may_and_an_invited_one_need_not() {
    let mut world = World::new();
    let alice = world.nodes[0].account();
    fill(&mut world.nodes[1], u32::try_from(MAX_PENDING).unwrap());

    world.add(0);
    world.rest();
    assert!(!world.nodes[1].machine.contacts.contains_key(&alice));
    let Reply::Status(status) = world.command(1, Command::Status) else { panic!() };
    assert_eq!(status.warnings, ["contacts"]);

    let Reply::Invite(link, _) = world.command(1, Command::Invite) else { panic!() };
    let who = crate::identity::account_text(&world.nodes[1].account());
    world.command(0, Command::Remove { who });
    world.command(0, Command::AddContact { link, name: None });
    world.rest();
    assert_eq!(world.nodes[1].machine.contacts[&alice].state, ContactState::Accepted);
}

#[test]
fn no_more_are_in_the_book_than_may_be() {
    let mut world = World::new();
    fill(&mut world.nodes[0], u32::try_from(MAX_CONTACTS).unwrap());
    let Reply::Link(link) = world.command(1, Command::LinkHere) else { panic!() };

    world.give(0, Input::Command { request: 1, command: Command::AddContact { link, name: None } });
    world.run();

    let refused = world.nodes[0].replies.pop().unwrap().unwrap_err();
    assert_eq!(refused.code, Code::Full);
}

#[test]
fn no_more_parents_are_missed_at_once_than_may_be() {
    let (key, row) = sent(&mut World::friends());
    let mut conversation = ConversationRow::default();

    let missing: Vec<MessageId> = (0..MAX_MISSING).map(message).collect();
    note_missing(&mut conversation, (&key, &row), &missing, row.sent_at);
    note_missing(&mut conversation, (&key, &row), &[message(MAX_MISSING)], row.sent_at);

    assert_eq!(conversation.missing.len(), MAX_MISSING);
}

#[test]
fn a_parent_is_asked_for_three_times_and_then_given_up() {
    let mut world = World::friends();
    let (key, _) = sent(&mut world);
    let at = key.conversation.as_bytes();
    let missed = |alice: &Node| {
        let row: ConversationRow = load(&alice.rows, &CONVERSATIONS, at).unwrap().unwrap();
        row.missing.first().map(|missing| missing.asked)
    };
    let alice = &mut world.nodes[0];
    let mut row: ConversationRow = load(&alice.rows, &CONVERSATIONS, at).unwrap().unwrap();
    let (id, named_by, since) = (message(1), key.sender, time(world.at).wall);
    row.missing.push(MissingRow { id, named_by, since, asked: 0, follower: 0 });
    save(&mut alice.rows, &CONVERSATIONS, at, &row).unwrap();
    alice.machine.gaps.insert(key.conversation);

    let mut asked = Vec::new();
    while let Some(times) = missed(&world.nodes[0]) {
        asked.push(times);
        world.at += DAY.0;
        world.step(0, None);
        assert!(asked.len() < 10);
    }

    assert_eq!(asked, (0..=MAX_ASKED).collect::<Vec<_>>());
}

#[test]
fn no_more_messages_are_raised_than_may_be() {
    let mut world = World::friends();
    let (key, row) = sent(&mut world);
    let conversation = ConversationId([9; 32]);
    let key = |number| MessageKey { id: message(number), conversation, ..key };
    let alice = &mut world.nodes[0];
    for number in 1..=MAX_RAISED + 5 {
        let (order, parents) = (u64::try_from(number).unwrap(), vec![message(number - 1)]);
        put(&mut alice.rows, &key(number), &MessageRow { order, parents, ..row.clone() });
    }

    let late = (key(0), 1_000_000);
    let greatest = alice.with(world.at, |machine, cx| machine.raise_followers(cx, late, 0));

    assert_eq!(greatest.unwrap(), 1_000_000 + u64::try_from(MAX_RAISED).unwrap());
}

#[test]
fn no_more_goes_to_an_older_home_than_may() {
    let mut world = World::friends();
    let (key, row) = sent(&mut world);
    world.cut();
    world.run();
    let bob = world.nodes[1].account();
    let device = world.nodes[0].machine.devices_of(bob)[0];
    let alice = &mut world.nodes[0];
    assert!(row.steps.iter().any(|step| step.kind == StepKind::Delivered));
    for number in 1..=MAX_REFILL + 5 {
        let order = row.order + u64::try_from(number).unwrap();
        let key = MessageKey { id: message(number), ..key };
        put(&mut alice.rows, &key, &MessageRow { order, ..row.clone() });
    }

    let hello = Hello::Last(None);
    alice.with(world.at, |machine, cx| machine.refill(cx, (bob, device), hello)).unwrap();

    let lines = alice.machine.lanes[&device].lines.values();
    assert_eq!(lines.filter(|line| line.kind == Kind::TEXT.0).count(), MAX_REFILL);
}

#[test]
fn no_more_seal_keys_live_at_once_than_may() {
    let mut world = World::friends();
    let alice = &mut world.nodes[0];
    while alice.machine.prekeys.len() < MAX_SEAL_KEYS {
        let prekeys = Prekeys::random(time(world.at).wall, &mut alice.rng);
        alice.machine.prekeys.push(prekeys);
    }

    world.at += Millis::from_days(8).0;
    world.step(0, None);

    assert_eq!(world.nodes[0].machine.prekeys.len(), MAX_SEAL_KEYS);
}

#[test]
fn changes_are_kept_for_a_week() {
    let mut world = World::friends();
    let changes = |world: &World| world.nodes[0].rows.count(&CHANGES);
    assert!(changes(&world) > 1);

    world.at += CHANGES_KEPT.0;
    world.rest();

    assert_eq!(changes(&world), 1, "the newest says where the numbers are");
}
