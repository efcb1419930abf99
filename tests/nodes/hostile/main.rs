//! Hosts and holders of records that lie, as real nodes: whoever has an honest one beside them loses
//! nothing, is shown nothing twice, and finds whom it looks for.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]
#![expect(clippy::arithmetic_side_effects, reason = "counts of a test")]

#[path = "../../cli_support/mod.rs"]
mod cli_support;
mod dht;
mod host;
mod stream;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use cli_support::node::{Node, meet_at};
use dht::HostileHolder;
use godwit_protocol::identity::ContactLink;
use godwit_protocol::record::account_key;
use host::{HostileHost, LIES, Lie};
use stream::RawPeer;

/// Texts for each lie.
const TEXTS: usize = 12;

fn address(node: &Node) -> String {
    let status = node.ok(&["status", "--json"]).json();
    let (at, peer) = (&status["announced"][0], &status["peer_id"]);
    format!("{}/p2p/{}", at.as_str().unwrap(), peer.as_str().unwrap())
}

/// Alice and Bob, who keep their mail at an honest host and at one that is not.
fn community(hostile: &HostileHost) -> (Node, Node, Node) {
    let hana = Node::new(&["init", "--host"]);
    let (alice, bob) = (Node::person("Alice"), Node::person("Bob"));
    let honest = hana.link(&["host", "invite"]);
    for node in [&alice, &bob] {
        node.ok(&["mailbox", "use", &honest, &hostile.link, "--k", "1"]);
    }
    let link = bob.link(&["contact", "invite"]);
    alice.ok(&["contact", "add", &link, "--as", "bob"]);
    alice.ok(&["send", "bob", "first", "--wait", "delivered"]);
    (hana, alice, bob)
}

#[test]
fn whatever_a_host_lies_the_honest_one_is_enough() {
    let hostile = HostileHost::start();
    let (hana, alice, mut bob) = community(&hostile);
    let mut expected = vec!["first".to_owned()];
    for lie in LIES {
        bob.stop();
        hostile.lies(Some(lie));
        for number in 0..TEXTS {
            let text = format!("{lie:?} {number}");
            alice.ok(&["send", "bob", &text, "--wait", "deposited", "--timeout", "30s"]);
            expected.push(text);
        }
        bob.start();
        bob.receives(&expected);
    }
    // Both homes are whole, and the honest host has nothing left to give.
    bob.ok(&["send", "Alice", "all here", "--wait", "delivered"]);
    alice.receives(&["all here"]);
    hana.until("an empty host", |hana| {
        let status = hana.ok(&["status", "--json"]).json();
        status["hosting"]["envelopes"] == 0
    });
}

#[test]
fn a_receipt_that_does_not_hold_is_none_and_mail_that_is_kept_back_comes_when_it_is_served() {
    let hostile = HostileHost::start();
    let (alice, mut bob) = (Node::person("Alice"), Node::person("Bob"));
    for node in [&alice, &bob] {
        node.ok(&["mailbox", "use", &hostile.link]);
    }
    let link = bob.link(&["contact", "invite"]);
    alice.ok(&["contact", "add", &link, "--as", "bob"]);
    alice.ok(&["send", "bob", "first", "--wait", "delivered"]);
    bob.stop();
    hostile.lies(Some(Lie::LiesInReceipts));
    let sent = ["send", "bob", "signed for?", "--wait", "deposited", "--timeout", "3s"];
    let said = alice.place.run(sent);
    assert_eq!(said.exit, Some(75), "{said:?}");
    assert!(said.stderr.starts_with("error[E_NOT_YET]"), "{said:?}");

    // It says that it keeps the next one, and does not serve it for as long as it likes.
    hostile.lies(Some(Lie::DropsAll));
    alice.ok(&["send", "bob", "kept back", "--wait", "deposited", "--timeout", "30s"]);
    bob.start();
    bob.until("its host", |bob| bob.host_state() == "ok");
    bob.stop();
    hostile.lies(None);
    bob.start();
    bob.receives(&["first", "signed for?", "kept back"]);
}

#[test]
fn people_are_found_though_most_holders_lie() {
    let hana = Node::new(&["init", "--host"]);
    let enter = format!("[node]\nbootstrap = [\"{}\"]\n", address(&hana));
    let person = |name: &str, enter: &str| {
        Node::configured(&["init", "--no-passphrase", "--name", name], enter)
    };
    let (bob, dave) = (person("Bob", &enter), person("Dave", &enter));
    for node in [&bob, &dave] {
        let invite = hana.link(&["host", "invite"]);
        node.ok(&["mailbox", "use", &invite]);
    }
    let held = |hana: &Node| hana.ok(&["status", "--json"]).json()["dht"]["held"].as_u64();
    hana.until("the records of both", |hana| held(hana) == Some(4));
    let key = |node: &Node| {
        let link: ContactLink = node.link(&["id"]).parse().unwrap();
        account_key(&link.account).as_bytes().to_vec()
    };
    let (bobs, daves) = (key(&bob), key(&dave));

    let holders: Vec<HostileHolder> = (0..6).map(|_| HostileHolder::start()).collect();
    holders[0].dials(&address(&hana));
    let real = learned(&holders[0], &bobs);
    let foreign = learned(&holders[0], &daves);
    let mut altered = real.clone();
    altered[40] ^= 1;
    let half = real[..real.len() / 2].to_vec();
    let values = [vec![7; 900], altered, foreign, vec![0; 200_000], half];
    for (holder, value) in holders.iter().zip(values) {
        holder.answers(&bobs, value);
    }

    let all: Vec<String> = holders.iter().map(|it| format!("\"{}\"", it.address)).collect();
    let enter = format!("[node]\nbootstrap = [{}, \"{}\"]\n", all.join(", "), address(&hana));
    let carol = person("Carol", &enter);
    carol.ok(&["mailbox", "use", &hana.link(&["host", "invite"])]);
    carol.until("the DHT", |it| {
        it.ok(&["status", "--json"]).json()["dht"]["peers"].as_u64().unwrap() >= 7
    });
    let hints = ["h=", "b=", "d="];
    let link = bob.link(&["id"]);
    let parts = link.split('&').filter(|part| !hints.iter().any(|hint| part.starts_with(hint)));
    let bare = parts.collect::<Vec<_>>().join("&");
    carol.ok(&["contact", "add", &bare, "--as", "bob"]);
    bob.until("the request", |bob| bob.contact_state() == "pending");
    bob.ok(&["contact", "accept", "Carol"]);
    carol.ok(&["send", "bob", "found you", "--wait", "delivered", "--timeout", "60s"]);
    bob.receives(&["found you"]);
    let asked = holders.iter().filter(|it| it.asked.load(Ordering::Relaxed) > 0).count();
    assert!(asked >= 3, "{asked} of those who lie were asked");
}

/// What an honest node holds: asked for until it comes.
fn learned(holder: &HostileHolder, key: &[u8]) -> Vec<u8> {
    let start = Instant::now();
    loop {
        if let Some(value) = holder.learns(key) {
            return value;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "nobody has it");
    }
}

/// Whatever length a frame claims, nothing is kept for it that could hurt; one that dribbles in is not
/// waited for.
#[test]
fn lengths_at_their_extremes_and_bytes_that_dribble_cost_their_stream_and_nothing_else() {
    let hana = Node::new(&["init", "--host"]);
    let (alice, bob) = (Node::person("Alice"), Node::person("Bob"));
    meet_at(&hana, [&alice, &bob]);
    let (before, at) = (hana.memory(), address(&hana));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut peer = RawPeer::connect(&at);
        let soon = Duration::from_secs(10);
        for length in [0, 66_561, 1 << 20, i32::MAX.unsigned_abs(), u32::MAX - 1, u32::MAX] {
            let mut stream = peer.open().await;
            // It may have closed it before everything is written.
            let _ = RawPeer::begins(&mut stream, length, &[7; 64]).await;
            assert!(RawPeer::is_closed(&mut stream, soon).await, "{length}");
        }
        // A whole frame of the right length that is nonsense, and two that are cut short.
        let mut stream = peer.open().await;
        RawPeer::begins(&mut stream, 66_560, &vec![255; 66_560]).await.unwrap();
        assert!(RawPeer::is_closed(&mut stream, soon).await);
        let mut slow = Vec::new();
        for _ in 0..12 {
            let mut stream = peer.open().await;
            RawPeer::begins(&mut stream, 66_560, &[]).await.unwrap();
            slow.push(stream);
        }
        let start = Instant::now();
        let mut open = slow.len();
        while open > 0 {
            assert!(start.elapsed() < Duration::from_secs(60), "{open} are waited for still");
            open = 0;
            for stream in &mut slow {
                // A byte each second: so it takes most of a day, if it is let.
                let second = Duration::from_secs(1);
                if RawPeer::dribbles(stream).await && !RawPeer::is_closed(stream, second / 12).await
                {
                    open += 1;
                }
            }
        }
        println!("what dribbles was given up after {} s", start.elapsed().as_secs());
    });
    let now = hana.memory();
    assert!(now < before + (8 << 20), "{now} bytes, and {before} before");
    alice.ok(&["send", "bob", "past all of it", "--wait", "delivered"]);
    bob.receives(&["first", "past all of it"]);
}
