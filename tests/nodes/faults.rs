//! Kills at random moments, syncs counted from outside, crowds.
//!
//! `GODWIT_KILLS=200 cargo test -p godwit --test faults` kills more often.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../cli_support/mod.rs"]
mod cli_support;

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cli_support::node::{Node, friends, post_to_bob};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;

/// A small source of odd numbers: the moments of the kills need not be good ones.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

const ENGINES: [&str; 2] = ["sled", "redb"];

/// The configuration of a home whose store an engine keeps.
fn on(engine: &str) -> String {
    format!("[store]\nengine = \"{engine}\"\n")
}

#[test]
fn kills_at_random_moments_lose_and_repeat_nothing() {
    let rounds = std::env::var("GODWIT_KILLS").ok().and_then(|text| text.parse().ok());
    let rounds: usize = rounds.unwrap_or(20);
    // Either engine is killed, at a host and at a person.
    let bob = ["init", "--no-passphrase", "--name", "Bob"];
    let hana = Node::configured(&["init", "--host"], &on(ENGINES[1]));
    let (alice, bob) = (Node::person("Alice"), Node::configured(&bob, &on(ENGINES[1])));
    let invite = hana.link(&["host", "invite", "--uses", "2"]);
    for node in [&alice, &bob] {
        node.ok(&["mailbox", "use", &invite]);
    }
    let link = bob.link(&["contact", "invite"]);
    alice.ok(&["contact", "add", &link, "--as", "bob"]);
    alice.until("acceptance", |node| node.contact_state() == "accepted");
    let mut nodes = [hana, alice, bob];
    let mut dice = Dice(u64::from(std::process::id()) | 1);
    let (mut accepted, mut between) = (Vec::new(), 0);

    for round in 0..rounds {
        let text = format!("text {round}");
        let mut command = nodes[1].place.command();
        command.args(["send", "bob", &text, "--wait", "delivered", "--timeout", "2s"]);
        let mut sending = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // The moment is what is random here; nothing waits for it.
        std::thread::sleep(Duration::from_micros(dice.below(8_000)));
        let open = sending.try_wait().unwrap().is_none();
        // One of the three, and then all of them at once.
        let victims = if round % 4 == 3 { 0..3 } else { round % 4..round % 4 + 1 };
        nodes[victims.clone()].iter_mut().for_each(Node::kill);
        between += usize::from(open);
        nodes[victims].iter_mut().for_each(Node::start);
        // Exit 0: delivered; 75: it is on disk and will be; else nothing was promised.
        if matches!(sending.wait().unwrap().code(), Some(0 | 75)) {
            accepted.push(text);
        }
    }

    println!("{between} of {rounds} kills fell between a request and its answer");
    assert!(between * 3 >= rounds, "{between} of {rounds} kills hit anything");
    nodes[1].ok(&["send", "bob", "last", "--wait", "delivered", "--timeout", "90s"]);
    let start = std::time::Instant::now();
    let came = loop {
        let came = nodes[2].received();
        let here: BTreeSet<&String> = came.iter().collect();
        if accepted.iter().all(|text| here.contains(text)) {
            assert_eq!(here.len(), came.len(), "something came twice: {came:?}");
            break came;
        }
        if start.elapsed() > Duration::from_secs(120) {
            panic!("{accepted:?} of which came {came:?}: {}", missing(&nodes, &came));
        }
        std::thread::yield_now();
    };
    let order: Vec<usize> = came
        .iter()
        .filter_map(|text| text.strip_prefix("text ").map(|number| number.parse().unwrap()))
        .collect();
    assert!(order.is_sorted(), "{came:?}");
    for node in &nodes[1..] {
        let status = node.ok(&["status", "--json"]).json();
        for fault in ["no_header", "keys_gone", "body_failed", "pq_unknown", "too_far_ahead"] {
            assert_eq!(status["faults"][fault], 0, "{status}");
        }
        assert_eq!(status["warnings"], json!([]), "{status}");
    }
}

/// What the sender knows of each text that did not come, and what everybody does meanwhile.
fn missing(nodes: &[Node; 3], came: &[String]) -> String {
    let [_, alice, _] = nodes;
    let sent = alice.ok(&["inbox", "--json", "--limit", "1000"]).stdout;
    let sent = sent.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let missing = sent.filter(|row| {
        !came.iter().any(|text| row.get("body").and_then(Value::as_str) == Some(text))
    });
    let known = missing.map(|row| {
        let id = row.get("id").and_then(Value::as_str).unwrap();
        let why = alice.ok(&["why", id]).stdout;
        format!("{row}\n{why}")
    });
    let does = nodes.iter().map(|node| node.ok(&["status", "--json"]).stdout);
    known.chain(does).collect::<Vec<_>>().join("\n")
}

/// Counts the syncs of a process's journal while something is done; `None` where they cannot be.
fn syncs(node: &Node, work: impl FnOnce()) -> Option<usize> {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let pid = node.child.as_ref().unwrap().id().to_string();
    let mut tracer = Command::new("strace")
        .args(["-f", "-y", "-e", "trace=fdatasync", "-p", &pid, "-o"])
        .arg(&log)
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    let mut said = std::io::BufReader::new(tracer.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("attached") {
        line.clear();
        if std::io::BufRead::read_line(&mut said, &mut line).unwrap() == 0 {
            return None;
        }
    }
    work();
    cli_support::tell(&tracer, Signal::INT);
    tracer.wait().unwrap();
    let journal = node.place.home().join("store/journal");
    let log = std::fs::read_to_string(log).unwrap();
    let synced = format!("<{}>", journal.display());
    Some(log.lines().filter(|line| line.contains(&synced)).count())
}

#[test]
fn an_exit_0_lies_after_a_sync_and_many_sends_share_one() {
    let (alice, mut bob) = friends();
    bob.kill();
    let Some(single) = syncs(&alice, || drop(alice.ok(&["send", "bob", "one"]))) else {
        println!("skipped: no strace here that may attach");
        return;
    };
    assert!(single >= 1, "exit 0 without a sync of the journal");

    // All of them lie in its sockets before it goes on: how fast this machine is decides nothing.
    let mut sockets: Vec<UnixStream> = (0..64)
        .map(|_| UnixStream::connect(alice.place.home().join("control.sock")).unwrap())
        .collect();
    let many = syncs(&alice, || {
        alice.tell(Signal::STOP);
        for (number, socket) in sockets.iter_mut().enumerate() {
            socket.write_all(&post_to_bob(&format!("text {number}"))).unwrap();
        }
        alice.tell(Signal::CONT);
        for socket in &mut sockets {
            let mut start = [0; 12];
            socket.read_exact(&mut start).unwrap();
            assert_eq!(start, *b"HTTP/1.1 200");
        }
    });
    let many = many.unwrap();
    // How many come together is the scheduler's: on a busy machine fewer, never one by one.
    assert!((1..=32).contains(&many), "64 sends at once cost {many} syncs");
}

#[test]
fn a_recipient_that_is_killed_before_it_receipts_has_it_once() {
    let (alice, mut bob) = friends();
    let mut dice = Dice(7);
    for number in 0..6 {
        alice.ok(&["send", "bob", &format!("text {number}")]);
        // The moment is what is random here; nothing waits for it.
        std::thread::sleep(Duration::from_micros(dice.below(6_000)));
        bob.kill();
        bob.start();
    }
    let expected: Vec<String> = core::iter::once("first".to_owned())
        .chain((0..6).map(|number| format!("text {number}")))
        .collect();
    bob.receives(&expected);
    alice.ok(&["send", "bob", "end", "--wait", "delivered", "--timeout", "90s"]);
}

#[test]
fn strangers_take_no_descriptor_that_the_node_and_its_friends_need() {
    let (alice, mut bob) = friends();
    bob.stop();
    bob.start_with_descriptors(200);
    let port: u16 = bob.listens.rsplit('/').next().unwrap().parse().unwrap();
    let knock = || TcpStream::connect(("127.0.0.1", port)).ok();
    let strangers: Vec<Option<TcpStream>> = (0..600).map(|_| knock()).collect();
    assert!(strangers.iter().flatten().count() > 200, "more than it has descriptors");

    alice.ok(&["send", "bob", "through the crowd", "--wait", "delivered"]);

    bob.receives(&["first", "through the crowd"]);
    let of = format!("/proc/{}/fd", bob.child.as_ref().unwrap().id());
    assert!(std::fs::read_dir(of).unwrap().count() < 200);
}

/// How every negotiation begins.
const HELLO: &[u8; 20] = b"\x13/multistream/1.0.0\n";

/// A connection on which that comes byte by byte; whether it is open still.
fn dribbles(stranger: &mut TcpStream, round: usize) -> bool {
    let mut answer = [0; 64];
    // The node's own greeting may come first.
    let closed = match stranger.read(&mut answer) {
        Ok(count) => count == 0,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    };
    !closed && HELLO.get(round).is_none_or(|byte| stranger.write_all(&[*byte]).is_ok())
}

/// Whether a connection from an address is answered: with the first line of the negotiation.
fn is_let_in(from: [u8; 4], at: SocketAddr) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from((from, 0))).unwrap();
        let mut stream = socket.connect(at).await.unwrap();
        let mut answer = [0; 20];
        let asked = async {
            stream.write_all(HELLO).await?;
            stream.read_exact(&mut answer).await
        };
        let answered = tokio::time::timeout(Duration::from_secs(30), asked).await;
        answered.is_ok_and(|it| it.is_ok()) && answer == *HELLO
    })
}

#[test]
fn five_thousand_connections_from_one_address_and_bytes_that_dribble_harm_nobody() {
    let hard = getrlimit(Resource::Nofile).maximum;
    let count = hard.map_or(5_000, |hard| hard.saturating_sub(1_000).min(5_000));
    setrlimit(Resource::Nofile, Rlimit { current: hard, maximum: hard }).unwrap();
    let (alice, bob) = friends();
    let port: u16 = bob.listens.rsplit('/').next().unwrap().parse().unwrap();
    let (before, at) = (bob.memory(), SocketAddr::from(([127, 0, 0, 1], port)));
    let mut strangers: Vec<TcpStream> = Vec::new();
    for _ in 0..count {
        if let Ok(stranger) = TcpStream::connect_timeout(&at, Duration::from_secs(1)) {
            stranger.set_nonblocking(true).unwrap();
            strangers.push(stranger);
        }
    }
    println!("{} of {count} connections", strangers.len());
    assert!(u64::try_from(strangers.len()).unwrap() > count / 2);

    alice.ok(&["send", "bob", "through the crowd", "--wait", "delivered"]);
    // Whoever comes from elsewhere finds a place.
    assert!(is_let_in([127, 0, 0, 2], at), "the crowd has taken every place");
    let start = Instant::now();
    let (mut open, mut round) = (strangers.len(), 0);
    let mut most = bob.memory();
    while open > 0 {
        assert!(start.elapsed() < Duration::from_secs(90), "{open} are waited for still");
        // One byte each in about a second: the pace is theirs, and nothing waits for it.
        std::thread::sleep(Duration::from_secs(1));
        strangers.retain_mut(|stranger| dribbles(stranger, round));
        round += 1;
        open = strangers.len();
        most = most.max(bob.memory());
    }
    println!(
        "all were given up after {} s; {before} bytes before, {most} then",
        start.elapsed().as_secs()
    );
    assert!(most < before + (64 << 20), "{most} bytes, and {before} before");
    alice.ok(&["send", "bob", "and after it", "--wait", "delivered"]);
    bob.receives(&["first", "through the crowd", "and after it"]);
}
