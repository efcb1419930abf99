//! Disks that lose their power, are full, refuse, or are slow.
//!
//! `GODWIT_KILLS=100 cargo test -p godwit --test disks` cuts the power more often.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]
#![expect(clippy::print_stdout, reason = "a test that is skipped says so")]

#[path = "../cli_support/mod.rs"]
mod cli_support;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cli_support::disk::{Disk, SlowDisk};
use cli_support::node::{Node, befriended, meet_at};
use cli_support::{Place, Said};
use godwit_node::control::Client;
use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};
use serde_json::{Value, json};

const ENGINES: [&str; 2] = ["sled", "redb"];

/// The configuration of a home whose store an engine keeps.
fn on(engine: &str) -> String {
    format!("[store]\nengine = \"{engine}\"\n")
}

/// Two friends; the home of the first is on that disk, with a configuration.
fn friends_on(disk: &Disk, config: &str) -> (Node, Node) {
    let place = Place::at(&disk.mounted());
    assert_eq!(place.run(["init", "--no-passphrase", "--name", "Alice"]).exit, Some(0));
    place.configure(config);
    befriended(Node::listening(place, "/ip4/127.0.0.1/tcp/0"), Node::person("Bob"))
}

#[test]
fn what_was_on_disk_is_there_after_a_power_cut() {
    ENGINES.into_iter().for_each(power_cuts);
}

fn power_cuts(engine: &str) {
    let Some(disk) = Disk::make() else { return };
    let (mut alice, bob) = friends_on(&disk, &on(engine));
    let mut promised = vec!["first".to_owned()];

    for cut in 0..cuts() {
        for number in 0..4 {
            let text = format!("text {cut}.{number}");
            alice.ok(&["send", "bob", &text]);
            promised.push(text);
        }
        if !disk.cut() {
            println!("skipped: this kernel cannot cut the power of a file system");
            return;
        }
        alice.kill();
        disk.unmount();
        assert!(disk.mount(), "the file system does not come back");
        alice.start();
    }

    bob.receives(&promised);
    let own = alice.ok(&["inbox", "--json", "--limit", "1000"]);
    let bodies: Vec<String> = own
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["body"].as_str().unwrap().into())
        .collect();
    assert_eq!(bodies, promised);
    alice.kill();
}

/// How often the power is cut.
fn cuts() -> usize {
    let asked = std::env::var("GODWIT_KILLS").ok().and_then(|text| text.parse().ok());
    asked.unwrap_or(5)
}

/// Envelopes of the smallest and of the largest size, at a host whose disk loses its power.
#[test]
fn what_a_host_signed_for_is_there_after_a_power_cut() {
    for engine in ENGINES {
        let Some(disk) = Disk::make() else { return };
        let place = Place::at(&disk.mounted());
        assert_eq!(place.run(["init", "--host"]).exit, Some(0));
        place.configure(&format!("{}floor = \"16MiB\"\n", on(engine)));
        let mut hana = Node::listening(place, "/ip4/127.0.0.1/tcp/0");
        let (alice, mut bob) = (Node::person("Alice"), Node::person("Bob"));
        meet_at(&hana, [&alice, &bob]);
        bob.stop();
        let (mut promised, long) = (vec!["first".to_owned()], "x".repeat(32_000));
        // A queue holds 4 MiB.
        for cut in 0..cuts().min(100) {
            for text in [format!("short {cut}"), format!("long {cut} {long}")] {
                alice.ok(&["send", "bob", &text, "--wait", "deposited", "--timeout", "60s"]);
                promised.push(text);
            }
            if !disk.cut() {
                println!("skipped: this kernel cannot cut the power of a file system");
                return;
            }
            hana.kill();
            disk.unmount();
            assert!(disk.mount(), "the file system does not come back");
            hana.start();
        }
        bob.start();
        bob.receives(&promised);
        hana.kill();
    }
}

#[test]
fn a_full_disk_refuses_and_loses_nothing() {
    // What was refused is offered again after ten seconds: the two wait together.
    let engines = ENGINES.map(|engine| std::thread::spawn(move || full_disk(engine)));
    engines.into_iter().for_each(|engine| engine.join().unwrap());
}

fn full_disk(engine: &str) {
    let Some(disk) = Disk::make() else { return };
    let (mut alice, bob) = friends_on(&disk, &on(engine));
    fill(&disk.mounted().join("filler"));

    alice.place.run(["send", "bob", "no room"]).is_refused("E_FULL", 1);
    bob.ok(&["send", "alice", "wait a little"]);
    let status = alice.ok(&["status", "--json"]).json();
    assert_eq!(status["warnings"], json!(["disk"]), "{status}");

    std::fs::remove_file(disk.mounted().join("filler")).unwrap();
    alice.ok(&["send", "bob", "room again", "--wait", "delivered"]);
    bob.receives(&["first", "room again"]);
    alice.receives(&["wait a little"]);
    alice.kill();
}

/// Without any floor the engine itself meets the end of the disk.
#[test]
fn a_disk_that_is_full_to_the_last_byte_stops_a_node_no_longer_than_that() {
    for engine in ENGINES {
        let Some(disk) = Disk::make() else { return };
        let (mut alice, bob) = friends_on(&disk, &format!("{}floor = \"0B\"\n", on(engine)));
        let (mut promised, mut refused) = (vec!["first".to_owned()], 0);
        fill(&disk.mounted().join("filler"));
        let long = "0123456789".repeat(3_000);
        for number in 0..400 {
            let text = format!("{number} {long}");
            match alice.place.run(["send", "bob", &text]).exit {
                Some(0) => promised.push(text),
                _ => refused = number,
            }
            if refused > 0 {
                break;
            }
        }
        assert!(refused > 0, "{engine}: the disk was not full");

        std::fs::remove_file(disk.mounted().join("filler")).unwrap();
        alice.until("the node", is_running);
        alice.ok(&["send", "bob", "room again", "--wait", "delivered", "--timeout", "60s"]);
        promised.push("room again".to_owned());
        bob.until("all of it", |bob| bob.received().len() >= promised.len());
        let came = bob.received();
        assert!(promised.iter().all(|text| came.contains(text)), "{engine}");
        alice.kill();
    }
}

/// The whole disk, home and all: an I/O error of everything, then nothing there, then all of it again.
#[test]
fn a_disk_that_goes_and_comes_back_stops_a_node_no_longer_than_that() {
    let Some(disk) = Disk::make() else { return };
    let (mut alice, bob) = friends_on(&disk, &on("sled"));
    alice.ok(&["send", "bob", "before", "--wait", "delivered"]);
    if !disk.cut() {
        println!("skipped: this kernel cannot cut the power of a file system");
        return;
    }
    bob.ok(&["send", "alice", "are you there?"]);
    alice.until("the end of its disk", |alice| !is_running(alice));
    disk.unmount();
    alice.until("a home that is not there", |alice| {
        alice.place.run(["status"]).stderr.contains("E_NO_HOME")
    });
    // Time itself is under test: it begins anew after one second and after two more, and finds no home.
    std::thread::sleep(Duration::from_secs(4));
    assert!(disk.mount(), "the file system does not come back");

    alice.until("the node", is_running);
    alice.ok(&["send", "bob", "again", "--wait", "delivered", "--timeout", "60s"]);
    bob.receives(&["first", "before", "again"]);
    alice.until("the message of meanwhile", |alice| {
        alice.received().contains(&"are you there?".to_owned())
    });
    alice.kill();
}

fn is_running(node: &Node) -> bool {
    let said = node.place.run(["status", "--json"]).stdout;
    serde_json::from_str::<Value>(&said).is_ok_and(|it| it["state"] == "running")
}

/// Sends long texts until one is refused; those that were taken.
fn send_until_refused(alice: &Node) -> Vec<String> {
    let long = "0123456789".repeat(3_000);
    let mut taken = Vec::new();
    for number in 0..400 {
        let text = format!("{number} {long}");
        if alice.place.run(["send", "bob", &text]).exit != Some(0) {
            return taken;
        }
        taken.push(text);
    }
    taken
}

/// A file that may not grow any more: the system would end whoever writes to it.
#[test]
fn a_limit_on_the_size_of_files_ends_no_node_and_it_works_on_when_it_is_lifted() {
    for engine in ENGINES {
        let alice = ["init", "--no-passphrase", "--name", "Alice"];
        let alice = Node::configured(&alice, &on(engine));
        let (alice, bob) = befriended(alice, Node::person("Bob"));
        let process = Pid::from_child(alice.child.as_ref().unwrap());
        let largest = |bytes| {
            let limit = Rlimit { current: bytes, maximum: None };
            prlimit(Some(process), Resource::Fsize, limit).unwrap();
        };
        largest(Some(4 << 20));
        let taken = send_until_refused(&alice);
        assert!(taken.len() < 400, "{engine}: nothing was refused");
        largest(None);
        alice.until("the node", is_running);
        alice.ok(&["send", "bob", "room again", "--wait", "delivered", "--timeout", "60s"]);
        let all = [&["first".to_owned()], &taken[..], &["room again".to_owned()]].concat();
        // What was refused may have been written: never less than what was taken, and none twice.
        bob.until("all of it", |bob| bob.received().len() >= all.len());
        let came = bob.received();
        assert!(all.iter().all(|text| came.contains(text)), "{engine}");
        assert_eq!(came.iter().collect::<BTreeSet<_>>().len(), came.len(), "{engine}");
    }
}

/// A command whose files may have so many blocks: of 512 bytes, or of 1,024 in some shells.
fn limited(place: &Place, blocks: u32, arguments: &str) -> Said {
    let godwit = place.command().get_program().to_owned();
    let run = format!("ulimit -f {blocks}; exec \"$0\" {arguments}");
    let mut limited = Command::new("sh");
    limited.env_clear().env("GODWIT_HOME", place.home()).args(["-c", &run]).arg(godwit);
    cli_support::said(limited.stdin(Stdio::null()).output().unwrap())
}

/// Whatever is written anew, beside the old one: that is whole, and nothing is left beside it.
#[test]
fn a_store_that_cannot_be_written_anew_stays_as_it_was() {
    let long = "0123456789".repeat(3_000);
    for (engine, other) in [("sled", "redb"), ("redb", "sled")] {
        let alice = ["init", "--no-passphrase", "--name", "Alice"];
        let alice = Node::configured(&alice, &on(engine));
        let (mut alice, mut bob) = befriended(alice, Node::person("Bob"));
        bob.kill();
        for number in 0..200 {
            alice.ok(&["send", "bob", &format!("{number} {long}")]);
        }
        alice.stop();
        let names = || {
            let mut names = names(&alice.place.home().join("store"));
            // sled's note of where to begin reading, which it makes of its own accord.
            names.retain(|name| !name.starts_with("snap."));
            names
        };
        let before = names();
        for command in [format!("convert --to {other}"), "compact".to_owned()] {
            limited(&alice.place, 4_096, &format!("store {command}")).is_refused("E_IO", 1);
            assert_eq!(names(), before, "{engine}, {command}");
            let checked = alice.ok(&["store", "check"]).stdout;
            assert!(checked.contains(" 0 damaged"), "{checked}");
        }
        alice.ok(&["store", "convert", "--to", other]);
        alice.start();
        let out = alice.ok(&["inbox", "--json", "--limit", "1000"]).stdout;
        assert_eq!(out.lines().count(), 201, "{engine}");
    }
}

/// The names in a folder.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect()
}

/// Whatever the commands write beside the engine: the old one is whole, and nothing is left beside it.
#[test]
fn a_file_that_cannot_be_written_leaves_the_old_one_whole() {
    let limited = |place: &Place, arguments: &str| limited(place, 0, arguments);
    let folder = |place: &Place| names(&place.home());
    // A home that cannot be made is none.
    let place = Place::empty();
    let said = limited(&place, "init --no-passphrase --name Alice");
    said.is_refused("E_IO", 1);
    assert_eq!(place.run(["init", "--no-passphrase", "--name", "Alice"]).exit, Some(0));

    let (config, before) = (place.home().join("config.toml"), folder(&place));
    place.configure("# a remark of the person\n");
    let was = std::fs::read(&config).unwrap();
    let host = Node::new(&["init", "--host"]);
    let invite = host.link(&["host", "invite"]);
    limited(&place, &format!("join '{invite}'")).is_refused("E_IO", 1);
    assert_eq!(std::fs::read(&config).unwrap(), was);
    assert_eq!(folder(&place), before.into_iter().chain(["config.toml".to_owned()]).collect());
}

/// The file system says that nothing may be written, and later that it may.
#[test]
fn a_disk_that_becomes_read_only_stops_a_node_no_longer_than_that() {
    for engine in ENGINES {
        let Some(disk) = Disk::make() else { return };
        let (mut alice, bob) = friends_on(&disk, &on(engine));
        if !disk.becomes_read_only() {
            println!("skipped: a file system in use does not become read-only here");
            return;
        }
        bob.ok(&["send", "alice", "are you there?"]);
        assert_ne!(alice.place.run(["send", "bob", "not now"]).exit, Some(0));
        disk.unmount();
        assert!(disk.mount(), "the file system does not come back");
        alice.until("the node", is_running);
        alice.ok(&["send", "bob", "again", "--wait", "delivered", "--timeout", "60s"]);
        alice.until("the message of meanwhile", |alice| {
            alice.received().contains(&"are you there?".to_owned())
        });
        alice.kill();
    }
}

/// Fifty milliseconds a sync: what comes together shares them, and nobody who only asks waits for them.
#[test]
fn a_slow_disk_takes_hundreds_of_messages_in_a_few_dozen_syncs() {
    // A queue holds a thousand envelopes; some are not texts.
    const MESSAGES: usize = 750;
    for engine in ENGINES {
        let hana = Node::new(&["init", "--host"]);
        let bob = ["init", "--no-passphrase", "--name", "Bob"];
        let (alice, mut bob) = (Node::person("Alice"), Node::configured(&bob, &on(engine)));
        meet_at(&hana, [&alice, &bob]);
        bob.stop();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut client =
                Client::connect(&alice.place.home().join("control.sock")).await.unwrap();
            for part in 0..MESSAGES / 250 {
                let text = |number| json!({"to": "bob", "text": format!("text {part}.{number}")});
                let texts: Vec<Value> = (0..250).map(text).collect();
                client.post("/v1/messages", &Value::from(texts)).await.unwrap();
            }
        });
        alice.until("deposits", |alice| {
            alice.ok(&["status", "--json"]).json()["outbox"]["queued"] == 0
        });

        hana.tell(Signal::STOP);
        bob.start();
        let Some(slow) = SlowDisk::of(&bob) else {
            println!("skipped: no strace here that may attach");
            hana.tell(Signal::CONT);
            return;
        };
        let start = Instant::now();
        hana.tell(Signal::CONT);
        let slowest = Cell::new(Duration::ZERO);
        bob.until_within(Duration::from_secs(120), "the mail", |bob| {
            let asked = Instant::now();
            bob.ok(&["status", "--json"]);
            slowest.set(slowest.get().max(asked.elapsed()));
            let inbox = bob.ok(&["inbox", "--json", "--peek", "--limit", "2000"]);
            inbox.stdout.lines().filter(|line| line.contains("\"text ")).count() >= MESSAGES
        });
        let took = start.elapsed();
        let syncs = slow.end();
        println!("{engine}: {took:?}, {syncs} syncs, `status` within {:?}", slowest.get());
        assert!((1..=200).contains(&syncs), "{engine}: {syncs} syncs for {MESSAGES} messages");
    }
}

fn fill(path: &Path) {
    let mut file = std::fs::File::create(path).unwrap();
    let block = vec![7; 64 << 10];
    while file.write_all(&block).is_ok() {}
    while file.write_all(&[7]).is_ok() {}
    let _ = file.sync_all();
}
