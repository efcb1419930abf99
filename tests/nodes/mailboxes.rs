//! Three real nodes: a host keeps sealed mail, and neither its death nor its disk loses any.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

#[path = "../cli_support/mod.rs"]
mod cli_support;

use std::time::{Duration, Instant};

use cli_support::node::Node;
use cli_support::tell;
use rustix::process::Signal;
use serde_json::{Value, json};

/// Hana hosts; Alice and Bob keep their mail there.
fn community() -> (Node, Node, Node) {
    let hana = Node::new(&["init", "--host"]);
    let (alice, bob) = (Node::person("Alice"), Node::person("Bob"));
    let invite = hana.link(&["host", "invite", "--uses", "2"]);
    for node in [&alice, &bob] {
        node.ok(&["mailbox", "use", &invite]);
    }
    (hana, alice, bob)
}

/// The same, and both have each other in the book by an invite.
fn friends() -> (Node, Node, Node) {
    let (hana, alice, bob) = community();
    let link = bob.link(&["contact", "invite"]);
    alice.ok(&["contact", "add", &link, "--as", "bob"]);
    alice.until("acceptance", |node| node.contact_state() == "accepted");
    bob.until("acceptance", |node| node.contact_state() == "accepted");
    (hana, alice, bob)
}

#[test]
fn a_first_contact_needs_nobody_to_be_up_at_the_same_time() {
    let (hana, mut alice, mut bob) = community();
    let link = bob.link(&["id"]);
    bob.stop();

    let added = alice.ok(&["contact", "add", &link, "--as", "bob", "--json"]).json();
    assert_eq!(added["state"], "requested");
    alice.ok(&["send", "bob", "while you were away"]);
    hana.until("the deposit of the request", |hana| {
        let owners = hana.ok(&["host", "list", "--json"]);
        owners
            .stdout
            .lines()
            .any(|line| serde_json::from_str::<Value>(line).unwrap()["envelopes"] == 1)
    });
    let reason =
        |alice: &Node| alice.ok(&["contact", "show", "bob", "--json"]).json()["reason"].clone();
    alice.until("its wait for an answer", |alice| reason(alice) == "awaiting_acceptance");
    alice.stop();
    bob.start();
    bob.until("the request", |bob| bob.contact_state() == "pending");
    bob.ok(&["contact", "accept", "Alice"]);
    alice.start();

    bob.receives(&["while you were away"]);
    assert_eq!(alice.contact_state(), "accepted");
    assert!(reason(&alice).is_null());
}

#[test]
fn an_invite_is_accepted_at_once_on_both_sides_and_good_for_one() {
    let (_hana, alice, bob) = friends();

    alice.ok(&["send", "bob", "hello", "--wait", "delivered"]);
    bob.receives(&["hello"]);
}

#[test]
fn what_a_host_signed_for_survives_its_kill_and_the_sender_may_be_gone() {
    let (mut hana, mut alice, mut bob) = friends();
    bob.stop();

    let texts = ["one", "two", "three"];
    for text in texts {
        let sent = alice.ok(&["send", "bob", text, "--wait", "deposited", "--json"]).json();
        assert_eq!(sent["state"], "deposited");
        hana.kill();
        hana.start();
    }
    let status = alice.ok(&["status", "--json"]).json();
    assert_eq!(
        (&status["outbox"]["queued"], &status["outbox"]["deposited"]),
        (&0.into(), &3.into())
    );
    alice.stop();
    bob.start();

    bob.receives(&texts);
    bob.kill();
    bob.start();
    bob.receives(&texts);
}

/// Envelopes that a host holds for its owners.
fn held(hana: &Node) -> u64 {
    let owners = hana.ok(&["host", "list", "--json"]).stdout;
    let owners = owners.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    owners.map(|owner| owner["envelopes"].as_u64().unwrap()).sum()
}

#[test]
fn why_tells_what_the_host_saw_and_the_same_after_a_kill() {
    let (hana, mut alice, mut bob) = friends();
    alice.ok(&["send", "bob", "first", "--wait", "delivered"]);
    hana.until("an empty mailbox", |hana| held(hana) == 0);
    bob.stop();
    let peer = hana.ok(&["status", "--json"]).json()["peer_id"].clone();
    let mut told = Vec::new();
    for number in 1..=3 {
        let text = format!("text {number}");
        // A receipt that was owed may come to lie there too.
        let before = held(&hana);
        let sent = alice.ok(&["send", "bob", &text, "--wait", "deposited", "--json"]).json();
        assert!(held(&hana) > before, "the host's own count");
        let id = sent["id"].as_str().unwrap().to_owned();
        let why = alice.ok(&["why", &id, "--json"]).json();
        let steps = why["steps"].as_array().unwrap();
        let at_hana = steps.iter().filter(|step| step["host"] == peer);
        let at_hana: Vec<&Value> = at_hana.map(|step| &step["step"]).collect();
        assert_eq!(
            (why["state"].as_str(), at_hana),
            (Some("deposited"), vec![&"deposited".into()])
        );
        told.push((id, why));
    }

    alice.kill();
    alice.start();

    for (id, why) in &told {
        assert_eq!(&alice.ok(&["why", id, "--json"]).json(), why);
    }
    bob.start();
    bob.receives(&["first", "text 1", "text 2", "text 3"]);
    hana.until("an empty mailbox", |hana| held(hana) == 0);
}

#[test]
fn a_host_with_an_empty_disk_is_registered_at_again_and_gets_what_it_lost() {
    let (mut hana, mut alice, mut bob) = friends();
    bob.stop();
    alice.ok(&["send", "bob", "signed for", "--wait", "deposited"]);

    hana.stop();
    std::fs::remove_dir_all(hana.place.home().join("store")).unwrap();
    hana.start();
    alice.until("the loss", |alice| alice.host_state() == "lost_state");
    // Bob's queues are unknown there until he is back; what waits for them waits at Alice's.
    bob.start();
    bob.until("the loss", |bob| bob.host_state() == "lost_state");
    bob.receives(&["signed for"]);
    alice.ok(&["send", "bob", "afterwards", "--wait", "delivered"]);
    alice.stop();
}

#[test]
fn a_host_with_the_disk_of_an_earlier_hour_gets_what_it_lost_since() {
    let (mut hana, mut alice, mut bob) = friends();
    bob.stop();
    hana.stop();
    let (store, copy) = (hana.place.home().join("store"), hana.place.home().join("earlier"));
    copy_folder(&store, &copy);
    hana.start();
    let ids = ["one", "two"].map(|text| {
        let send = ["send", "bob", text, "--wait", "deposited", "--timeout", "60s", "--json"];
        alice.ok(&send).json()["id"].as_str().unwrap().to_owned()
    });

    hana.stop();
    std::fs::remove_dir_all(&store).unwrap();
    std::fs::rename(&copy, &store).unwrap();
    hana.start();
    let again = |alice: &Node, id: &String| {
        let why = alice.ok(&["why", id, "--json"]).json();
        let steps = why["steps"].as_array().unwrap();
        steps.iter().any(|it| it["step"] == "deposited" && it["count"].as_u64() >= Some(2))
    };
    alice.until("what was lost", |alice| ids.iter().all(|id| again(alice, id)));
    alice.stop();
    bob.start();

    bob.receives(&["one", "two"]);
}

fn copy_folder(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let place = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &place);
        } else {
            std::fs::copy(entry.path(), &place).unwrap();
        }
    }
}

/// A host that hangs, for longer than a dead connection is kept.
#[test]
fn a_host_that_is_stopped_for_a_while_costs_no_message_and_no_answer() {
    let (hana, alice, mut bob) = friends();
    alice.ok(&["send", "bob", "first", "--wait", "delivered"]);
    bob.stop();
    hana.tell(Signal::STOP);
    let sent = alice.ok(&["send", "bob", "while it hangs", "--json"]).json();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(40) {
        let status = alice.ok(&["status", "--json"]).json();
        assert_eq!((&status["state"], &status["outbox"]["queued"]), (&json!("running"), &json!(1)));
        // Time itself is under test: connections that say nothing end within 36 s.
        std::thread::sleep(Duration::from_millis(500));
    }
    hana.tell(Signal::CONT);

    let id = sent["id"].as_str().unwrap();
    alice.until("the deposit", |alice| {
        alice.ok(&["why", id, "--json"]).json()["state"] == "deposited"
    });
    bob.start();
    bob.receives(&["first", "while it hangs"]);
}

#[test]
fn what_a_lost_stream_took_goes_on_the_next_one_though_the_host_is_down() {
    let (mut hana, alice, mut bob) = friends();
    alice.ok(&["send", "bob", "direct", "--wait", "delivered"]);
    tell(bob.child.as_ref().unwrap(), Signal::STOP);
    alice.ok(&["send", "bob", "taken and lost"]);
    hana.kill();
    bob.kill();
    bob.start();

    bob.receives(&["direct", "taken and lost"]);
}

#[test]
fn of_a_host_that_keeps_its_word_no_proof_is_exported() {
    let (_hana, alice, _bob) = community();
    let hosts = alice.ok(&["mailbox", "status", "--json"]).json();
    assert!(hosts["hosts"][0]["broken_word_at"].is_null());
    let peer = hosts["hosts"][0]["peer_id"].as_str().unwrap().to_owned();
    let file = alice.place.home().with_file_name("proofs");
    let path = file.to_str().unwrap();

    assert_eq!(alice.ok(&["mailbox", "proof", &peer, "--out", path, "--json"]).stdout, "");
    assert_eq!(alice.ok(&["mailbox", "proof", "--check", path, "--json"]).stdout, "");
    let nowhere = file.join("below").display().to_string();
    let said = alice.place.run(["mailbox", "proof", &peer, "--out", &nowhere]);
    said.is_refused("E_IO", 1);
}

#[test]
fn operators_and_strangers_get_clear_refusals() {
    let (hana, alice, _bob) = community();
    let invite = hana.link(&["host", "invite", "--uses", "1"]);
    let refused = |arguments: &[&str], code: &str| {
        hana.place.run(arguments).is_refused(code, 1);
    };
    refused(&["send", "bob", "hi"], "E_NO_ACCOUNT");
    refused(&["contact", "list"], "E_NO_ACCOUNT");
    refused(&["mailbox", "list"], "E_NO_ACCOUNT");
    refused(&["host", "remove", &"0".repeat(64)], "E_NO_MAILBOX");

    let (first, second) = (Node::person("Carol"), Node::person("Dave"));
    first.ok(&["mailbox", "use", &invite]);
    let said = second.place.run(["mailbox", "use", &invite]);
    assert!(said.stderr.contains("E_HOST_REFUSED"), "{said:?}");
    assert_eq!(said.exit, Some(1));
    let other = invite.replace("n=main", "n=alps");
    alice.place.run(["mailbox", "use", &other]).is_refused("E_OTHER_NETWORK", 1);
    let peer = alice.ok(&["mailbox", "list", "--json"]).json();
    let peer = peer["hosts"][0]["peer_id"].as_str().unwrap().to_owned();
    alice.ok(&["mailbox", "drop", &peer]);
    hana.until("the end of Alice's mailbox", |hana| {
        hana.ok(&["host", "list", "--json"]).stdout.lines().count() == 4
    });
}

#[test]
fn whoever_is_killed_every_text_arrives_once_and_in_order() {
    let (hana, alice, bob) = friends();
    let mut nodes = [hana, alice, bob];
    let texts: Vec<String> = (0..10).map(|number| format!("text {number}")).collect();

    for (round, text) in texts.iter().enumerate() {
        nodes[1].ok(&["send", "bob", text]);
        let victim = round % 3;
        nodes[victim].kill();
        nodes[victim].start();
    }

    let expected: Vec<&str> = texts.iter().map(String::as_str).collect();
    nodes[2].receives(&expected);
    nodes[1].ok(&["send", "bob", "last", "--wait", "delivered", "--timeout", "90s"]);
    let status = nodes[2].ok(&["status", "--json"]).json();
    for fault in ["no_header", "keys_gone", "body_failed", "pq_unknown", "too_far_ahead", "noise"] {
        assert_eq!(status["faults"][fault], 0, "{status}");
    }
}

#[test]
fn a_home_put_back_from_an_earlier_day_says_so_and_has_everything_again() {
    let (_hana, alice, mut bob) = friends();
    let folder = tempfile::tempdir().unwrap();
    let (home, copy) = (bob.place.home(), folder.path().join("copy"));
    alice.ok(&["send", "bob", "before", "--wait", "delivered"]);
    bob.stop();
    copy_folder(&home, &copy);
    bob.start();
    for text in ["after one", "after two"] {
        alice.ok(&["send", "bob", text]);
    }
    bob.receives(&["before", "after one", "after two"]);
    bob.ok(&["send", "alice", "from the lost days"]);
    alice.receives(&["from the lost days"]);
    bob.kill();
    std::fs::remove_dir_all(&home).unwrap();
    copy_folder(&copy, &home);

    bob.start();

    bob.receives(&["before", "after one", "after two"]);
    let status = bob.ok(&["status", "--json"]).json();
    assert_eq!(status["warnings"], serde_json::json!(["rolled_back"]), "{status}");
    bob.ok(&["send", "alice", "back"]);
    alice.receives(&["from the lost days", "back"]);
    bob.receives(&["before", "after one", "after two"]);
}

#[test]
fn with_two_hosts_a_message_is_deposited_at_both_and_outlives_either() {
    let (mut hana, mut alice, mut bob) = friends();
    let hugo = Node::new(&["init", "--host"]);
    let invite = hugo.link(&["host", "invite"]);
    let used = bob.ok(&["mailbox", "use", &invite, "--json"]).json();
    assert_eq!((used["hosts"].as_array().map(Vec::len), &used["k"]), (Some(2), &2.into()));
    bob.ok(&["send", "alice", "two hosts now"]);
    alice.receives(&["two hosts now"]);
    bob.until("both hosts", |bob| {
        let status = bob.ok(&["mailbox", "status", "--json"]).json();
        status["hosts"].as_array().unwrap().iter().all(|host| host["state"] == "ok")
    });
    bob.stop();

    let send = ["send", "bob", "twice safe", "--wait", "deposited", "--timeout", "60s", "--json"];
    let sent = alice.ok(&send).json();
    let why = alice.ok(&["why", sent["id"].as_str().unwrap(), "--json"]).json();
    let steps = why["steps"].as_array().unwrap();
    let hosts: std::collections::BTreeSet<String> = steps
        .iter()
        .filter(|step| step["step"] == "deposited")
        .map(|step| step["host"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(hosts.len(), 2, "{why}");

    hana.kill();
    alice.stop();
    bob.start();
    bob.receives(&["twice safe"]);
}

#[test]
fn mail_moves_to_other_hosts_while_it_flows_and_a_host_is_left_at_once() {
    let hosts: [Node; 3] = std::array::from_fn(|_| Node::new(&["init", "--host"]));
    let (alice, mut bob) = (Node::person("Alice"), Node::person("Bob"));
    let link = |host: &Node| host.link(&["host", "invite"]);
    for node in [&alice, &bob] {
        node.ok(&["mailbox", "use", &link(&hosts[0])]);
    }
    alice.ok(&["contact", "add", &bob.link(&["contact", "invite"]), "--as", "bob"]);
    alice.until("acceptance", |node| node.contact_state() == "accepted");
    let known = |node: &Node| {
        let listed = node.ok(&["mailbox", "list", "--json"]).json();
        let peers = listed["hosts"].as_array().unwrap().iter();
        peers.map(|host| host["peer_id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let peer =
        |host: &Node| host.ok(&["status", "--json"]).json()["peer_id"].as_str().unwrap().to_owned();

    // Nobody is left as long as the new one does not answer.
    let gone = link(&hosts[2]);
    let nobody = &hosts[2];
    nobody.tell(rustix::process::Signal::STOP);
    let said = bob.place.run(["mailbox", "move", &gone, "--timeout", "1s"]);
    assert_eq!(said.exit, Some(75), "{said:?}");
    nobody.tell(rustix::process::Signal::CONT);
    assert!(known(&bob).contains(&peer(&hosts[0])));

    let count = 20;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..count {
                alice.ok(&["send", "bob", &format!("text {number}")]);
            }
        });
        bob.ok(&["mailbox", "move", &link(&hosts[1]), "--timeout", "20s"]);
    });
    bob.until("the end of the old ones", |bob| known(bob) == [peer(&hosts[1])]);
    bob.stop();
    alice.ok(&["send", "bob", "to the new one", "--wait", "deposited"]);
    bob.start();
    let mut texts: Vec<String> = (0..count).map(|number| format!("text {number}")).collect();
    texts.push("to the new one".to_owned());
    bob.receives(&texts);
    // It keeps Alice's mail too: a receipt may be on its way through it.
    hosts[0].until("an empty mailbox", |host| held(host) == 0);

    // At once: what lies there is fetched before it is erased.
    let shown = bob.ok(&["mailbox", "drop", &peer(&hosts[1]), "--now", "--json"]).json();
    assert_eq!(shown["hosts"], serde_json::json!([]));
    let left = shown["left"].as_array().unwrap();
    let of = |host: &Node| left.iter().find(|it| it["peer_id"] == peer(host)).unwrap();
    for host in &hosts[..2] {
        assert!(of(host)["erased_at"].is_string(), "{shown}");
        assert_eq!(of(host)["receipts"].as_array().unwrap().len(), 2, "{shown}");
    }
    let owners = hosts[1].ok(&["host", "list", "--json"]);
    assert_eq!(owners.stdout, "", "{owners:?}");
    alice.ok(&["send", "bob", "by no host", "--wait", "delivered", "--timeout", "60s"]);
}
