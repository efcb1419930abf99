//! Real nodes behind real NATs, in one room, and on the move: a lab of network namespaces.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

#[path = "../cli_support/mod.rs"]
mod cli_support;

use std::io::Write as _;
use std::time::{Duration, Instant};

use cli_support::lab::{Lab, Nat};
use cli_support::node::Node;
use rustix::process::Signal;
use serde_json::Value;

fn person(space: &str, name: &str) -> Node {
    Node::within(space, &["init", "--no-passphrase", "--name", name], "")
}

fn reach(node: &Node, field: &str) -> u64 {
    let status = node.ok(&["status", "--json"]).json();
    status.pointer(&format!("/reach/{field}")).and_then(Value::as_u64).unwrap()
}

fn peers(node: &Node) -> u64 {
    node.ok(&["status", "--json"]).json()["peers"].as_u64().unwrap()
}

/// Both say a word that arrives.
fn they_talk(one: (&Node, &str), other: (&Node, &str)) {
    for ((from, _), (to, name)) in [(one, other), (other, one)] {
        let before = to.received().len();
        from.ok(&["send", name, "a word", "--wait", "delivered", "--timeout", "90s"]);
        to.until("a word", |to| to.received().len() > before);
    }
}

/// Two people at home, each behind its own router, and a host on the internet that both use; they know
/// each other by an invite.
struct Town {
    alice: Node,
    bob: Node,
    host: Node,
    lab: Lab,
}

fn town(nat: Nat, profile: &str) -> Option<Town> {
    let mut lab = Lab::new()?;
    let relays = u64::from(profile == "full");
    let profile = format!("[node]\nprofile = \"{profile}\"\n");
    let host = Node::within(&lab.public("host", 100), &["init", "--host"], &profile);
    let [alice, bob] = [("alice", 1), ("bob", 2)].map(|(name, number)| {
        let home = lab.home(&format!("{name}s"), number, nat);
        let node = person(&lab.inside(&home, name, (number, 10)), name);
        node.ok(&["mailbox", "use", &host.link(&["host", "invite"])]);
        node.until("its host", |node| node.host_state() == "ok");
        node.until("a way in through the host", |node| reach(node, "relays") == relays);
        node
    });
    let link = bob.link(&["contact", "invite"]);
    alice.ok(&["contact", "add", &link, "--as", "bob"]);
    for node in [&alice, &bob] {
        node.until("acceptance", |node| node.contact_state() == "accepted");
    }
    Some(Town { alice, bob, host, lab })
}

/// How long a hole may take: what fails is tried again after 20, 40 and 80 s.
const HOLE: Duration = Duration::from_secs(180);

/// Sends until a text has left on a direct stream: the first ones may be faster by the host.
fn sends_directly(from: &Node) {
    let sent = |number: u32| {
        let text = format!("text {number}");
        let sent = from.ok(&["send", "bob", &text, "--wait", "delivered", "--json"]).json();
        let why = from.ok(&["why", sent["id"].as_str().unwrap(), "--json"]).json();
        why["steps"].as_array().unwrap().iter().any(|step| step["step"] == "sent_direct")
    };
    assert!((0..50).any(sent), "nothing has left on a direct stream");
}

#[test]
fn two_behind_their_routers_talk_directly_through_a_punched_hole() {
    let Some(Town { alice, bob, host, lab: _lab }) = town(Nat::Cone, "full") else { return };

    sends_directly(&alice);
    alice.until_within(HOLE, "a hole", |alice| reach(alice, "relayed") == 0 && peers(alice) == 2);
    sends_directly(&alice);
    let before = bob.received().len();
    // The hole needs the host no more.
    drop(host);
    sends_directly(&alice);
    bob.until("a text without any host", |bob| bob.received().len() > before);
}

#[test]
fn two_behind_routers_that_no_hole_goes_through_talk_through_the_host() {
    let Some(Town { alice, bob, mut host, lab: _lab }) = town(Nat::Symmetric, "full") else {
        return;
    };

    sends_directly(&alice);
    assert_eq!(reach(&alice, "relayed"), 1);
    // More than a circuit carries: it is cut, and made anew or gone without.
    let before = bob.received().len();
    let long = "0123456789".repeat(3_200);
    for number in 0..80 {
        alice.ok(&["send", "bob", &format!("{number} {long}")]);
    }
    bob.until("all of them", |bob| bob.received().len() == before + 80);
    host.kill();
    alice.ok(&["send", "bob", "after the host was gone"]);
    host.start_again();
    bob.until("what waited", |bob| {
        bob.received().last().is_some_and(|text| text == "after the host was gone")
    });
}

#[test]
fn a_hole_that_could_not_be_punched_is_tried_again() {
    let Some(Town { mut alice, bob, host, lab }) = town(Nat::Cone, "full") else { return };
    alice.stop();
    // Their routers do not let them meet, for now.
    for (home, other) in [("alices", 2), ("bobs", 1)] {
        lab.apart(home, other, true);
    }
    alice.start_again();
    sends_directly(&alice);
    assert_eq!(reach(&alice, "relayed"), 1);

    for (home, other) in [("alices", 2), ("bobs", 1)] {
        lab.apart(home, other, false);
    }
    alice.until_within(HOLE, "a hole", |alice| reach(alice, "relayed") == 0 && peers(alice) == 2);
    they_talk((&alice, "alice"), (&bob, "bob"));
    drop(host);
}

#[test]
fn a_host_that_relays_nobody_still_carries_every_text() {
    let Some(Town { alice, bob, host, lab: _lab }) = town(Nat::Symmetric, "light") else { return };

    they_talk((&alice, "alice"), (&bob, "bob"));
    assert_eq!((peers(&alice), reach(&alice, "relayed")), (1, 0), "none but the host");
    drop(host);
}

#[test]
fn peers_that_share_only_one_family_or_none_talk() {
    let Some(mut lab) = Lab::new() else { return };
    let space = lab.public("host", 100);
    Lab::families(&space, 100, true);
    let host = Node::within(&space, &["init", "--host"], "");
    let four = person(&lab.public("four", 101), "Four");
    let [six, both] = [("six", 102), ("both", 103)].map(|(name, last)| {
        let space = lab.public(name, last);
        Lab::families(&space, last, name == "both");
        person(&space, name)
    });
    for node in [&four, &six, &both] {
        node.ok(&["mailbox", "use", &host.link(&["host", "invite"])]);
    }
    for (from, to, name) in [(&four, &six, "six"), (&both, &six, "six"), (&both, &four, "four")] {
        from.ok(&["contact", "add", &to.link(&["contact", "invite"]), "--as", name]);
    }

    they_talk((&both, "both"), (&six, "six"));
    they_talk((&both, "both"), (&four, "four"));
    they_talk((&four, "four"), (&six, "six"));
}

#[test]
fn a_host_that_tells_dead_addresses_too_is_reached_where_it_lives() {
    let Some(mut lab) = Lab::new() else { return };
    // Nobody is there, and here it is.
    let config =
        "[node]\nannounce = [\"/ip4/203.0.113.250/tcp/7447\", \"/ip4/203.0.113.100/tcp/7447\"]\n";
    let host = Node::within(&lab.public("host", 100), &["init", "--host"], config);
    let alice = person(&lab.public("alice", 101), "Alice");

    alice.ok(&["mailbox", "use", &host.link(&["host", "invite"])]);
    alice.until("its host", |alice| alice.host_state() == "ok");
}

#[test]
fn a_host_with_a_name_is_reached_without_name_servers_and_later_where_they_send() {
    let Some(mut lab) = Lab::new() else { return };
    let servers = lab.public("names", 53);
    let Some(mut names) = Lab::names(&servers) else { return };
    names.tell("host.example", "203.0.113.100");
    let spaces = [("host", 100), ("alice", 101)].map(|(name, last)| lab.public(name, last));
    for space in &spaces {
        Lab::asks(space, 53);
    }
    let [host_space, alice] = &spaces;
    let config = "[node]\nannounce = [\"/dns4/host.example/tcp/7447\"]\n";
    let mut host = Node::within(host_space, &["init", "--host"], config);
    let link = host.link(&["host", "invite"]);
    let mut alice = person(alice, "Alice");
    alice.ok(&["mailbox", "use", &link]);
    alice.until("its host", |alice| alice.host_state() == "ok");

    drop(names);
    host.kill();
    alice.until("an end of its link", |alice| alice.host_state() == "unreachable");
    host.start_again();
    alice.until("its host, by what the name meant before", |alice| alice.host_state() == "ok");

    // The host moves, and alice begins anew, when nobody says where it is.
    host.kill();
    alice.stop();
    Lab::move_to(host_space, 110);
    host.start_again();
    alice.start_again();
    alice.until("an attempt", |alice| alice.host_state() == "unreachable");
    let mut names = Lab::names(&servers).unwrap();
    names.tell("host.example", "203.0.113.110");
    alice.until("its host, by what the name means now", |alice| alice.host_state() == "ok");
}

#[test]
fn two_laptops_in_one_room_find_each_other_wherever_the_router_puts_them() {
    let Some(mut lab) = Lab::new() else { return };
    let home = lab.home("home", 1, Nat::Cone);
    let spaces =
        [("alice", 10), ("bob", 11)].map(|(name, last)| lab.inside(&home, name, (1, last)));
    let [alice, bob] = &spaces;
    let (mut alice, mut bob) = (person(alice, "Alice"), person(bob, "Bob"));
    alice.add(&bob, "bob");
    bob.add(&alice, "alice");
    alice.ok(&["send", "bob", "met", "--wait", "delivered"]);

    // A night later each has another address: what they know of each other leads nowhere.
    alice.stop();
    bob.stop();
    for (space, last) in spaces.iter().zip([20, 21]) {
        Lab::settle(space, 1, last);
    }
    alice.start_again();
    bob.start_again();
    alice.ok(&["send", "bob", "and again", "--wait", "delivered", "--timeout", "60s"]);
    bob.receives(&["met", "and again"]);
}

#[test]
fn a_cable_that_is_pulled_and_a_router_that_gives_another_address_lose_nothing() {
    let Some(mut lab) = Lab::new() else { return };
    let host = Node::within(&lab.public("host", 100), &["init", "--host"], "");
    let home = lab.home("home", 1, Nat::Cone);
    let space = lab.inside(&home, "alice", (1, 10));
    let alice = person(&space, "Alice");
    let bob = person(&lab.public("bob", 101), "Bob");
    for node in [&alice, &bob] {
        node.ok(&["mailbox", "use", &host.link(&["host", "invite"])]);
    }
    alice.ok(&["contact", "add", &bob.link(&["contact", "invite"]), "--as", "bob"]);
    alice.ok(&["send", "bob", "one", "--wait", "delivered"]);

    // From one network to another while the node runs.
    Lab::settle(&space, 1, 30);
    alice.ok(&["send", "bob", "two", "--wait", "delivered"]);
    bob.ok(&["send", "alice", "two heard", "--wait", "delivered"]);
    Lab::plug(&space, false);
    alice.ok(&["send", "bob", "three"]);
    bob.ok(&["send", "alice", "still there?"]);
    alice.until("a dead connection", |alice| peers(alice) == 0);
    Lab::plug(&space, true);
    Lab::settle(&space, 1, 30);
    alice.receives(&["two heard", "still there?"]);
    bob.receives(&["one", "two", "three"]);
}

/// How good a connection is: its name; ms, ms of jitter, per cent lost, each way.
const LADDER: [(&str, (u32, u32, u32)); 5] = [
    ("a good Wi-Fi", (2, 1, 0)),
    ("a mobile network", (40, 20, 1)),
    ("the edge of one", (150, 100, 3)),
    ("a satellite", (300, 20, 1)),
    ("a fifth lost", (50, 30, 20)),
];

#[test]
fn texts_arrive_on_every_rung_of_a_ladder_that_leads_down() {
    let Some(mut lab) = Lab::new() else { return };
    let host = Node::within(&lab.public("host", 100), &["init", "--host"], "");
    let Some((space, mut cable)) = lab.far("alice", 101) else { return };
    let mut alice = person(&space, "Alice");
    let bob = person(&lab.public("bob", 102), "Bob");
    for node in [&alice, &bob] {
        node.ok(&["mailbox", "use", &host.link(&["host", "invite"])]);
    }
    alice.ok(&["contact", "add", &bob.link(&["contact", "invite"]), "--as", "bob"]);
    alice.ok(&["send", "bob", "at first", "--wait", "delivered"]);

    let timed = |node: &Node, to: &str, text: &str| {
        let start = Instant::now();
        node.ok(&["send", to, text, "--wait", "delivered", "--timeout", "60s"]);
        start.elapsed().as_secs_f64()
    };
    let mut report = String::new();
    for (name, quality) in LADDER {
        cable.set(quality);
        let there = timed(&alice, "bob", &format!("over {name}"));
        let back = timed(&bob, "alice", &format!("back over {name}"));
        // And from nothing: every connection is made anew.
        alice.stop();
        bob.ok(&["send", "alice", &format!("waiting behind {name}")]);
        let start = Instant::now();
        alice.start_again();
        let waited = format!("waiting behind {name}");
        alice.until("what waited", |alice| alice.received().last() == Some(&waited));
        let anew = start.elapsed().as_secs_f64();
        report += &format!(
            "  {name:<18} a text {there:6.2} s, one back {back:6.2} s, from a start {anew:6.2} s\n"
        );
    }
    // Told past the harness, which keeps what a good test says.
    write!(std::io::stderr(), "delivered on every rung:\n{report}").unwrap();
    assert_eq!(bob.received().len(), 1 + LADDER.len());
    assert_eq!(alice.received().len(), 2 * LADDER.len());
}

#[test]
fn whoever_slept_makes_its_links_anew() {
    let Some(mut lab) = Lab::new() else { return };
    let host = Node::within(&lab.public("host", 100), &["init", "--host"], "");
    let space = lab.public("alice", 101);
    let alice = person(&space, "Alice");
    let bob = person(&lab.public("bob", 102), "Bob");
    for node in [&alice, &bob] {
        node.ok(&["mailbox", "use", &host.link(&["host", "invite"])]);
    }
    alice.ok(&["contact", "add", &bob.link(&["contact", "invite"]), "--as", "bob"]);
    alice.ok(&["send", "bob", "one", "--wait", "delivered"]);

    // A lid is closed; what its peers say meanwhile is lost on the way, as in a real sleep.
    alice.tell(Signal::STOP);
    Lab::plug(&space, false);
    bob.ok(&["send", "alice", "good night"]);
    bob.until("an end of their connection", |bob| peers(bob) == 1);
    Lab::plug(&space, true);
    alice.tell(Signal::CONT);

    alice.receives(&["good night"]);
    alice.ok(&["send", "bob", "good morning", "--wait", "delivered"]);
}

#[test]
fn an_announced_address_that_nobody_answers_at_is_named_and_not_told() {
    let Some(mut lab) = Lab::new() else { return };
    let first = Node::within(&lab.public("first", 100), &["init", "--host"], "");
    let status = first.ok(&["status", "--json"]).json();
    let peer = status["peer_id"].as_str().unwrap();
    let entrance = format!("{}/p2p/{peer}", status["announced"][0].as_str().unwrap());
    let (good, bad) = ("/ip4/203.0.113.101/tcp/7447", "/ip4/203.0.113.101/tcp/9");
    let config =
        format!("[node]\nbootstrap = [\"{entrance}\"]\nannounce = [\"{good}\", \"{bad}\"]\n");
    let second = Node::within(&lab.public("second", 101), &["init", "--host"], &config);
    second.until("its entrance", |second| peers(second) == 1);
    second.until("what others say", |second| {
        let said = second.place.run(["doctor", "--reach"]);
        said.stdout.contains(&format!("warning  {bad} does not answer 12D3"))
            && said.stdout.contains(&format!("ok       {good} answers 12D3"))
    });

    let status = second.ok(&["status", "--json"]).json();
    assert_eq!(status["external"], serde_json::json!([good]));
    assert_eq!(status["reach"]["unreached"], serde_json::json!([bad]));
    assert_eq!(status["warnings"], serde_json::json!(["announce"]));
    assert_eq!(second.place.run(["status", "--check"]).exit, Some(1));
    let link = second.link(&["host", "invite"]);
    assert!(link.contains("7447") && !link.contains("tcp/9"), "{link}");
    // The card that lies in the home, for `id`, names it no more either.
    second.until("its card", |second| !second.link(&["id"]).contains("tcp/9"));
    // Whoever runs no node is told so.
    let nobody = cli_support::Place::with_account();
    assert!(nobody.run(["doctor", "--reach"]).stdout.contains("reach          skipped"));
}
