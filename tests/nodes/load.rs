//! Many messages: none lost, none twice, in order, in bounded memory; whoever is slow slows nobody.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

#[path = "../cli_support/mod.rs"]
mod cli_support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cli_support::node::{Node, friends, meet_at, post_to_bob};
use godwit_node::control::Client;
use godwit_protocol::limits::MAX_OWNER_BYTES;
use rustix::process::Signal;
use serde_json::{Value, json};

/// Messages each way.
const MESSAGES: usize = 5_000;
/// Messages in one request.
const ARRAY: usize = 250;
/// What the engine may cache.
const CACHE: u64 = 16 << 20;
/// One load at a time: what a node holds is measured, not what it holds while others load the machine.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

async fn client(node: &Node) -> Client {
    Client::connect(&node.place.home().join("control.sock")).await.unwrap()
}

/// Sends numbered texts in arrays.
async fn send(node: &Node, to: &str, numbers: core::ops::Range<usize>) {
    let mut client = client(node).await;
    let texts: Vec<Value> =
        numbers.map(|number| json!({"to": to, "text": format!("text {number}")})).collect();
    for array in texts.chunks(ARRAY) {
        let sent = client.post("/v1/messages", &Value::from(array)).await.unwrap();
        assert!(sent.as_array().unwrap().iter().all(|one| one.get("id").is_some()), "{sent}");
    }
}

/// What came after a message, page by page.
async fn received(node: &Node, since: &str) -> Vec<String> {
    let mut client = client(node).await;
    let (mut texts, mut since) = (Vec::new(), since.to_owned());
    loop {
        let query = json!({"since": since, "limit": 1_000, "peek": true});
        let page = client.post("/v1/inbox", &query).await.unwrap();
        let page = page.as_array().unwrap().clone();
        let Some(last) = page.last() else { return texts };
        last["id"].as_str().unwrap().clone_into(&mut since);
        let came = page.iter().filter(|line| line["direction"] == "in");
        texts.extend(came.map(|line| line["body"].as_str().unwrap().to_owned()));
    }
}

#[track_caller]
fn waits_for_nothing(node: &Node) {
    let start = Instant::now();
    loop {
        let status = node.ok(&["status", "--json"]).json();
        if status["outbox"] == json!({"queued": 0, "deposited": 0}) {
            for fault in ["no_header", "keys_gone", "body_failed", "pq_unknown", "too_far_ahead"] {
                assert_eq!(status["faults"][fault], 0, "{status}");
            }
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(120), "{status}");
        std::thread::yield_now();
    }
}

/// The only message so far.
fn only_message(node: &Node) -> String {
    node.ok(&["inbox", "--json"]).json()["id"].as_str().unwrap().to_owned()
}

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("text {number}")).collect()
}

#[test]
fn ten_thousand_both_ways_arrive_once_in_order_and_leave_nothing_in_memory() {
    let _alone = alone();
    let (alice, bob) = friends();
    let first = only_message(&alice);
    let both = |numbers: core::ops::Range<usize>| {
        runtime().block_on(async {
            tokio::join!(send(&alice, "bob", numbers.clone()), send(&bob, "alice", numbers));
        });
    };
    both(0..1_000);
    for node in [&alice, &bob] {
        waits_for_nothing(node);
    }
    let before = [alice.memory(), bob.memory()];

    both(1_000..MESSAGES);

    for (node, before) in [&alice, &bob].into_iter().zip(before) {
        waits_for_nothing(node);
        let bound = before + before / 5 + CACHE;
        let now = node.memory();
        println!("{before} bytes after 1,000 messages, {now} at the end");
        assert!(now <= bound, "{now} bytes, and {before} after 1,000 messages");
        let came = runtime().block_on(received(node, &first));
        assert_eq!(came, numbered(MESSAGES));
        let shown = node.ok(&["inbox", "--json", "--peek", "--limit", "1000000"]);
        assert_eq!(shown.stdout.lines().count(), 2 * MESSAGES + 1);
        let newest = node.ok(&["inbox", "--json", "--peek", "--limit", "2500"]);
        assert_eq!(newest.stdout.lines().count(), 2_500);
        assert!(shown.stdout.ends_with(&newest.stdout), "other messages than the newest");
    }
}

#[test]
fn a_thousand_requests_on_one_connection_outlast_a_recipient_that_is_stopped() {
    let _alone = alone();
    let (alice, bob) = friends();
    let first = only_message(&bob);
    bob.tell(Signal::STOP);
    let mut socket = UnixStream::connect(alice.place.home().join("control.sock")).unwrap();
    let mut answers = BufReader::new(socket.try_clone().unwrap());
    let reading = std::thread::spawn(move || {
        let mut accepted = 0;
        while accepted < 1_000 {
            let mut line = String::new();
            assert!(answers.read_line(&mut line).unwrap() > 0, "after {accepted}");
            if let Some(status) = line.strip_prefix("HTTP/1.1 ") {
                assert!(status.starts_with("200"), "{line}");
                accepted += 1;
            }
            let length = line.to_lowercase();
            if let Some(length) = length.strip_prefix("content-length:") {
                // The head ends with an empty line; the body has no line's end.
                let mut rest = String::new();
                while rest != "\r\n" {
                    rest.clear();
                    answers.read_line(&mut rest).unwrap();
                }
                let mut body = vec![0; length.trim().parse().unwrap()];
                answers.read_exact(&mut body).unwrap();
            }
        }
    });
    for number in 0..1_000 {
        socket.write_all(&post_to_bob(&format!("text {number}"))).unwrap();
    }
    // Time itself is under test: five seconds in which the recipient does nothing.
    std::thread::sleep(Duration::from_secs(5));
    bob.tell(Signal::CONT);
    reading.join().unwrap();

    waits_for_nothing(&alice);
    assert_eq!(runtime().block_on(received(&bob, &first)), numbered(1_000));
}

#[test]
fn one_who_is_away_delays_nobody_and_a_slow_reader_neither() {
    let _alone = alone();
    let (alice, bob) = friends();
    let mut carol = Node::person("Carol");
    alice.add(&carol, "carol");
    carol.add(&alice, "alice");
    alice.ok(&["send", "carol", "hello", "--wait", "delivered"]);
    carol.kill();
    // Somebody opens the events and never reads them.
    let mut slow = UnixStream::connect(alice.place.home().join("control.sock")).unwrap();
    slow.write_all(b"GET /v1/events HTTP/1.1\r\nhost: godwit\r\n\r\n").unwrap();
    runtime().block_on(send(&alice, "carol", 0..500));

    alice.ok(&["send", "bob", "quick", "--wait", "delivered", "--timeout", "10s"]);

    assert_eq!(bob.received(), ["first", "quick"]);
    let status = alice.ok(&["status", "--json"]).json();
    assert_eq!(status["outbox"]["queued"], 500, "{status}");
}

/// What one owner may leave at a host, and what is kept beside it.
const OWNER: u64 = MAX_OWNER_BYTES + MAX_OWNER_BYTES / 2;

fn size_of(path: &std::path::Path) -> u64 {
    if path.is_dir() {
        let parts = std::fs::read_dir(path).unwrap();
        return parts.map(|part| size_of(&part.unwrap().path())).sum();
    }
    path.metadata().map_or(0, |it| it.len())
}

#[test]
fn who_floods_a_host_harms_neither_it_nor_those_whose_mail_it_keeps() {
    let _alone = alone();
    let hana = Node::new(&["init", "--host"]);
    let (alice, mut bob) = (Node::person("Alice"), Node::person("Bob"));
    meet_at(&hana, [&alice, &bob]);
    let invite = hana.link(&["host", "invite"]);
    bob.kill();
    let (before, stored) = (hana.memory(), size_of(&hana.place.home().join("store")));

    let flood = std::thread::spawn(move || {
        runtime().block_on(godwit_node::bench::flood(&Value::from(invite), 400))
    });
    let mut sent = 0;
    while !flood.is_finished() {
        let text = format!("text {sent}");
        alice.ok(&["send", "bob", &text, "--wait", "deposited", "--timeout", "20s"]);
        assert_eq!(hana.ok(&["status", "--json"]).json()["state"], "running");
        sent += 1;
    }
    let figures = flood.join().unwrap().unwrap();
    println!("{} answers to the flooder, {sent} messages meanwhile", figures.answers);
    assert!(figures.answers > 400, "no flood");

    let now = hana.memory();
    assert!(now <= before + OWNER + CACHE, "{now} bytes, and {before} before");
    let grown = size_of(&hana.place.home().join("store")).saturating_sub(stored);
    assert!(grown <= 2 * OWNER, "{grown} bytes on disk");
    bob.start();
    bob.receives(&[vec!["first".to_owned()], numbered(sent)].concat());
}

#[test]
fn dozens_of_clients_at_once_each_get_a_true_answer() {
    let _alone = alone();
    let (alice, bob) = friends();
    let first = only_message(&bob);
    let ids: Vec<String> = std::thread::scope(|scope| {
        let alice = &alice;
        let clients: Vec<_> = (0..24)
            .map(|client| {
                scope.spawn(move || {
                    let send = |number| {
                        let text = format!("{client} says {number}");
                        let said = alice.ok(&["send", "bob", &text, "--json"]).json();
                        said["id"].as_str().unwrap().to_owned()
                    };
                    (0..5).map(send).collect::<Vec<String>>()
                })
            })
            .collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });

    let distinct: std::collections::BTreeSet<&String> = ids.iter().collect();
    assert_eq!(distinct.len(), 120);
    waits_for_nothing(&alice);
    let came = runtime().block_on(received(&bob, &first));
    assert_eq!(came.len(), 120);
    for client in 0..24 {
        let own = format!("{client} says ");
        let said: Vec<&String> = came.iter().filter(|text| text.starts_with(&own)).collect();
        let expected: Vec<String> = (0..5).map(|number| format!("{own}{number}")).collect();
        assert_eq!(said, expected.iter().collect::<Vec<_>>());
    }
}
