//! What an operator does to a store while no node runs: another engine, less space, a repair.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

#[path = "../cli_support/mod.rs"]
mod cli_support;

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use cli_support::node::{Node, friends};
use serde_json::Value;

fn store(node: &Node, arguments: &[&str]) -> Value {
    node.ok(&[&["store"], arguments, &["--json"]].concat()).json()
}

fn engine(node: &Node) -> Value {
    node.ok(&["status", "--json"]).json()["store"]["engine"].clone()
}

#[test]
fn a_store_goes_to_the_other_engine_and_back_with_everything_in_it() {
    let (mut alice, bob) = friends();
    let mut texts = vec!["first".to_owned()];
    alice.place.run(["store", "compact"]).is_refused("E_HOME_IN_USE", 1);
    alice.place.run(["store", "convert", "--to", "paper"]).is_refused("E_USAGE", 2);

    for (act, keeps) in [
        (&["convert", "--to", "redb"][..], "redb"),
        (&["compact"], "redb"),
        (&["convert", "--to", "sled"], "sled"),
        (&["compact"], "sled"),
    ] {
        alice.stop();
        let rows = store(&alice, &["check"])["rows"].as_u64().unwrap();
        let done = store(&alice, act);
        assert!(done["rows"].as_u64().unwrap() >= rows && done["engine"] == keeps, "{done}");
        alice.start();
        assert_eq!(engine(&alice), keeps);
        let text = format!("after {act:?}");
        alice.ok(&["send", "bob", &text, "--wait", "delivered"]);
        texts.push(text);
    }

    bob.receives(&texts);
    let own = alice.ok(&["inbox", "--json", "--limit", "100"]).stdout;
    assert_eq!(own.lines().count(), texts.len());
    let folders = fs::read_dir(alice.place.home().join("store")).unwrap().count();
    assert_eq!(folders, 1, "what was left behind is gone");
}

#[test]
fn a_rewrite_that_is_killed_leaves_a_whole_store() {
    let (mut alice, bob) = friends();
    for number in 0..40 {
        alice.ok(&["send", "bob", &format!("text {number}")]);
    }
    alice.stop();
    let whole = store(&alice, &["check"]);

    let mut done = 0;
    for round in 0..16_u64 {
        let to = if round % 2 == 0 { "redb" } else { "sled" };
        let mut command = alice.place.command();
        command.args(["store", "convert", "--to", to]).stdout(Stdio::null());
        let mut rewriting = command.spawn().unwrap();
        // The moment is what is random here; nothing waits for it.
        std::thread::sleep(Duration::from_millis(7 * round));
        rewriting.kill().unwrap();
        done += i32::from(rewriting.wait().unwrap().success());
        assert_eq!(store(&alice, &["check"]), whole);
    }
    println!("{done} of 16 were done before the kill");

    alice.start();
    alice.ok(&["send", "bob", "last", "--wait", "delivered"]);
    assert_eq!(bob.received().len(), 42);
}

/// Writes over some bytes of a file, here and there.
fn damage(path: &PathBuf, places: usize) {
    let mut bytes = fs::read(path).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    for place in 1..places {
        bytes[end * place / places..][..4].copy_from_slice(b"oops");
    }
    fs::write(path, bytes).unwrap();
}

#[test]
fn what_opens_of_a_damaged_store_is_saved_and_people_talk_on() {
    let (alice, mut bob) = friends();
    for number in 0..60 {
        alice.ok(&["send", "bob", &format!("text {number}")]);
    }
    bob.until("all of them", |bob| bob.received().len() == 61);
    bob.stop();
    store(&bob, &["convert", "--to", "redb"]);
    damage(&bob.place.home().join("store/redb-1/rows.redb"), 12);
    let said = bob.place.run(["store", "check"]);
    assert!(said.exit == Some(1) && said.stderr.contains("error[E_STORE_DAMAGED]"), "{said:?}");

    let saved = store(&bob, &["check", "--repair"]);
    assert!(saved["rows"].as_u64().unwrap() > 200, "{saved}");
    let aside = PathBuf::from(saved["aside"].as_str().unwrap());
    assert!(aside.join("rows.redb").exists(), "{saved}");
    assert_eq!(store(&bob, &["check"])["damaged"], 0);
    assert_eq!(store(&bob, &["check", "--repair"]).get("aside"), None, "there is nothing to mend");

    bob.start();
    alice.ok(&["send", "bob", "and now?", "--wait", "delivered", "--timeout", "60s"]);
    assert!(bob.received().contains(&"and now?".to_owned()));
    bob.ok(&["send", "Alice", "as before", "--wait", "delivered", "--timeout", "60s"]);
}

#[test]
fn a_store_that_lost_its_file_is_not_taken_for_a_new_one() {
    let (mut alice, bob) = friends();
    alice.stop();
    let file = alice.place.home().join("store/db");
    let whole = fs::read(&file).unwrap();
    for lost in [true, false] {
        if lost {
            fs::remove_file(&file).unwrap();
        } else {
            fs::write(&file, b"").unwrap();
        }
        for act in [&["run"][..], &["store", "check"], &["store", "compact"]] {
            let said = alice.place.run(act);
            said.is_refused("E_STORE_DAMAGED", 1);
            assert!(said.stderr.contains("godwit store check --repair"), "{said:?}");
        }
        if lost {
            fs::write(&file, &whole).unwrap();
            assert_eq!(store(&alice, &["check"])["damaged"], 0);
        }
    }

    // The account is in the keystore: whoever is asked again is a friend again. The journal has the
    // last rows of all; without it there are none.
    fs::remove_file(alice.place.home().join("store/journal")).unwrap();
    let saved = store(&alice, &["check", "--repair"]);
    assert_eq!(saved["tables"].as_array().unwrap().len(), 1, "all of it: {saved}");
    alice.start();
    assert_eq!(alice.ok(&["contact", "list", "--json"]).stdout, "");
    alice.add(&bob, "bob");
    alice.ok(&["send", "bob", "it is me", "--wait", "delivered", "--timeout", "60s"]);
    bob.receives(&["first", "it is me"]);
    bob.ok(&["send", "alice", "I know", "--wait", "delivered", "--timeout", "60s"]);
}

#[test]
fn the_copy_that_is_kept_goes_on_from_its_next_start() {
    let (mut alice, bob) = friends();
    let keep = ["doctor", "--keep-this-home"];
    alice.place.run(keep).is_refused("E_HOME_IN_USE", 1);
    alice.stop();
    assert_eq!(alice.ok(&[&keep[..], &["--json"]].concat()).json()["kept"], true);

    alice.start();
    alice.ok(&["send", "bob", "it is me", "--wait", "delivered", "--timeout", "60s"]);
    bob.ok(&["send", "alice", "I know", "--wait", "delivered", "--timeout", "60s"]);
    let host = cli_support::Place::empty();
    host.run(["init", "--host"]);
    host.run(keep).is_refused("E_NO_ACCOUNT", 1);
}

#[test]
fn a_journal_that_lost_a_record_is_named_and_the_others_are_saved() {
    let (mut alice, bob) = friends();
    // What it wrote since it started lies in its journal.
    alice.kill();
    let file = alice.place.home().join("store/journal");
    let mut bytes = fs::read(&file).unwrap();
    bytes[100] ^= 1;
    fs::write(&file, bytes).unwrap();
    for act in [&["run"][..], &["store", "check"], &["store", "compact"]] {
        let said = alice.place.run(act);
        said.is_refused("E_STORE_DAMAGED", 1);
        assert!(said.stderr.contains("`journal`"), "{said:?}");
        assert!(said.stderr.contains("godwit store check --repair"), "{said:?}");
    }

    let saved = store(&alice, &["check", "--repair"]);
    assert!(saved["rows"].as_u64().unwrap() > 10, "{saved}");
    assert!(PathBuf::from(saved["aside"].as_str().unwrap()).join("journal").exists(), "{saved}");
    assert_eq!(store(&alice, &["check"])["damaged"], 0);
    alice.start();
    alice.ok(&["send", "bob", "and now?", "--wait", "delivered", "--timeout", "60s"]);
    bob.receives(&["first", "and now?"]);
    bob.ok(&["send", "alice", "as before", "--wait", "delivered", "--timeout", "60s"]);

    // And where everything else is gone, the journal's own rows.
    alice.kill();
    fs::remove_file(alice.place.home().join("store/sled-1/db")).unwrap();
    alice.place.run(["run"]).is_refused("E_STORE_DAMAGED", 1);
    let saved = store(&alice, &["check", "--repair"]);
    assert!(saved["rows"].as_u64().unwrap() > 10, "{saved}");
    alice.start();
    alice.ok(&["send", "bob", "still?", "--wait", "delivered", "--timeout", "60s"]);
}
