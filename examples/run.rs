//! The examples do what they say: each fails here if no message crosses.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use godwit_examples::{Peer, field, next_text};
use serde_json::json;

fn said(program: &str) -> String {
    let output = Command::new(program).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn two_peers_talk() {
    let said = said(env!("CARGO_BIN_EXE_two_peers"));

    assert_eq!(said, "Bob reads: are you there?\nAlice reads: always\n");
}

#[test]
fn a_mailbox_keeps_what_is_written_to_somebody_who_is_away() {
    let said = said(env!("CARGO_BIN_EXE_offline_mailbox"));

    assert!(said.starts_with("deposited: "), "{said}");
    assert!(said.ends_with("Bob reads: read this when you are back\n"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_echo_comes_back() {
    let (mut alice, mut bob) =
        (Peer::person("Alice").await.unwrap(), Peer::person("Bob").await.unwrap());
    let mut bot = Command::new(env!("CARGO_BIN_EXE_echo_bot"))
        .arg(bob.home.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(bot.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let mut events = alice.events().await.unwrap();
    let link = field(&bob.client.get("/v1/link").await.unwrap(), "link");
    alice.client.post("/v1/contacts", &json!({"link": link, "name": "bob"})).await.unwrap();
    let link = field(&alice.client.get("/v1/link").await.unwrap(), "link");
    bob.client.post("/v1/contacts", &json!({"link": link})).await.unwrap();

    alice.client.post("/v1/messages", &json!({"to": "bob", "text": "polly"})).await.unwrap();
    let echo = tokio::time::timeout(Duration::from_secs(60), next_text(&mut events));

    assert_eq!(echo.await.unwrap().unwrap().1, "polly");
    bot.kill().unwrap();
    bot.wait().unwrap();
}

#[test]
fn each_example_fits_one_screen_and_a_half() {
    for name in ["two_peers", "offline_mailbox", "echo_bot"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("{name}.rs"));
        let lines = fs::read_to_string(path).unwrap().lines().count();
        assert!(lines <= 80, "{name} has {lines} lines");
    }
}
