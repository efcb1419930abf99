//! Two real nodes: texts arrive once and in order, whatever is killed when.

#[path = "../cli_support/mod.rs"]
mod cli_support;

use std::time::{Duration, Instant};

use cli_support::node::{Node, friends};
use cli_support::tell;
use rustix::process::Signal;

fn numbered(first: &str, count: usize) -> Vec<String> {
    let texts = (0..count).map(|number| format!("text {number}"));
    core::iter::once(first.to_owned()).chain(texts).collect()
}

#[test]
fn texts_go_both_ways_and_each_side_sees_who_wrote_them() {
    let (alice, bob) = friends();

    bob.ok(&["send", "alice", "back", "--wait", "delivered"]);

    assert_eq!((bob.received(), alice.received()), (vec!["first".into()], vec!["back".into()]));
    let list = bob.ok(&["contact", "list", "--json"]).json();
    assert_eq!((list["name"].as_str(), list["state"].as_str()), (Some("alice"), Some("accepted")));
}

#[test]
fn a_sender_killed_after_every_send_loses_and_repeats_nothing() {
    let (mut alice, bob) = friends();

    for number in 0..6 {
        alice.ok(&["send", "bob", &format!("text {number}")]);
        alice.kill();
        alice.start();
    }

    bob.receives(&numbered("first", 6));
}

#[test]
fn a_recipient_killed_at_odd_moments_has_everything_once_and_in_order() {
    let (alice, mut bob) = friends();

    for number in 0..8 {
        alice.ok(&["send", "bob", &format!("text {number}")]);
        if number % 2 == 1 {
            bob.kill();
            bob.start();
        }
    }

    bob.receives(&numbered("first", 8));
    alice.ok(&["send", "bob", "last", "--wait", "delivered", "--timeout", "90s"]);
}

#[test]
fn what_waits_says_so_and_a_wait_that_runs_out_is_75() {
    let (alice, mut bob) = friends();
    bob.kill();

    alice
        .place
        .run(["send", "bob", "late", "--wait", "delivered", "--timeout", "1s"])
        .stderr
        .contains("E_NOT_YET")
        .then_some(())
        .unwrap();
    let status = alice.ok(&["status", "--json"]).json();
    assert_eq!(status["outbox"]["queued"], 1);
    let late = || {
        let said = alice.ok(&["inbox", "bob", "--json", "--limit", "1"]).json();
        let id = said["id"].as_str().unwrap().to_owned();
        alice.ok(&["why", &id, "--json"]).json()
    };
    alice.until("nobody answers", |_| late()["reason"] == "no_mailbox");

    bob.start();
    bob.receives(&["first".to_owned(), "late".to_owned()]);
    alice.until("its receipt", |_| late()["state"] == "delivered");
    let why = late();
    let steps: Vec<&str> =
        why["steps"].as_array().unwrap().iter().map(|it| it["step"].as_str().unwrap()).collect();
    assert_eq!(steps, ["queued", "dialled", "sent_direct", "delivered"], "{why}");
    assert!(why["reason"].is_null(), "{why}");
}

#[test]
fn a_stranger_waits_to_be_accepted() {
    let (alice, bob) = (Node::person("Alice"), Node::person("Bob"));
    alice.add(&bob, "bob");
    alice.ok(&["send", "bob", "hello stranger"]);
    let start = Instant::now();
    let asked = loop {
        let said = bob.ok(&["contact", "list", "--requests", "--json"]);
        if !said.stdout.is_empty() {
            break said.json();
        }
        assert!(start.elapsed() < Duration::from_secs(30));
    };
    assert_eq!((asked["name"].as_str(), asked["state"].as_str()), (Some("Alice"), Some("pending")));
    assert!(bob.received().is_empty());

    bob.ok(&["contact", "accept", "Alice"]);

    bob.receives(&["hello stranger".to_owned()]);
}

#[test]
fn wrong_commands_to_a_running_node_have_their_codes() {
    let (alice, _bob) = friends();
    let own = alice.ok(&["id", "--json"]).json();
    let own = own["link"].as_str().unwrap();
    let id = "0".repeat(32);

    alice.place.run(["send", "nobody", "hi"]).is_refused("E_NO_CONTACT", 1);
    alice.place.run(["contact", "add", own]).is_refused("E_OWN_LINK", 1);
    alice.place.run(["contact", "add", "godwit:x"]).is_refused("E_BAD_LINK", 1);
    alice.place.run(["contact", "rename", "bob", "a\u{7}b"]).is_refused("E_BAD_NAME", 1);
    alice.place.run(["why", &id]).is_refused("E_NO_MESSAGE", 1);
    alice.place.run(["host", "list"]).is_refused("E_NO_MAILBOX", 1);
    alice.place.run(["host", "invite"]).is_refused("E_NO_MAILBOX", 1);
    alice.ok(&["send", "bob", "one", "--id", &id]);
    alice.ok(&["send", "bob", "one", "--id", &id]);
    alice.place.run(["send", "bob", "two", "--id", &id]).is_refused("E_ID_USED", 1);
}

#[test]
fn a_node_that_comes_back_elsewhere_is_found_again() {
    let (alice, mut bob) = friends();
    bob.kill();
    alice.ok(&["send", "bob", "where are you?"]);

    // Another port than the one that Alice knows.
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let elsewhere = holder.local_addr().unwrap().port();
    drop(holder);
    bob.listens = format!("/ip4/127.0.0.1/tcp/{elsewhere}");
    bob.start();

    bob.receives(&["first".to_owned(), "where are you?".to_owned()]);
    bob.ok(&["send", "alice", "here", "--wait", "delivered"]);
}

#[test]
fn a_node_that_may_listen_anywhere_keeps_its_port() {
    let (alice, mut bob) = friends();
    let before = bob.listens.clone();
    bob.kill();
    alice.ok(&["send", "bob", "same place?"]);

    "/ip4/127.0.0.1/tcp/0".clone_into(&mut bob.listens);
    bob.start();

    assert_eq!(bob.listens, before);
    bob.receives(&["first".to_owned(), "same place?".to_owned()]);
}

#[test]
fn both_end_with_0_while_they_talk() {
    let (mut alice, mut bob) = friends();

    for node in [&mut alice, &mut bob] {
        tell(node.child.as_ref().unwrap(), Signal::TERM);
        assert_eq!(node.child.take().unwrap().wait().unwrap().code(), Some(0));
    }
}

#[test]
fn both_see_one_safety_number_and_a_blocked_friend_is_not_heard() {
    let (alice, bob) = friends();
    let number = |node: &Node, who: &str| {
        let shown = node.ok(&["contact", "verify", who, "--json"]).json();
        (shown["safety_number"].as_str().unwrap().to_owned(), shown["verified"].clone())
    };
    assert_eq!(number(&alice, "bob"), number(&bob, "alice"));
    assert_eq!(number(&alice, "bob").1, false);
    alice.ok(&["contact", "verify", "bob", "--matches"]);
    assert_eq!(number(&alice, "bob").1, true);
    assert_eq!(alice.ok(&["contact", "show", "bob", "--json"]).json()["devices"][0]["peer_id"], {
        bob.ok(&["status", "--json"]).json()["peer_id"].clone()
    });

    bob.ok(&["contact", "block", "alice"]);
    bob.place.run(["send", "alice", "hi"]).is_refused("E_NO_CONTACT", 1);
    alice.ok(&["send", "bob", "do you hear me?"]);
    alice.place.run(["status", "--check"]);
    bob.ok(&["contact", "unblock", "alice"]);
    alice.until("they are friends", |alice| {
        alice.ok(&["send", "bob", "now?"]);
        bob.received().iter().any(|text| text == "now?")
    });
    bob.ok(&["send", "alice", "yes", "--wait", "delivered", "--timeout", "60s"]);
    assert!(!bob.received().iter().any(|text| text == "do you hear me?"));
}
