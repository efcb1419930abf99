//! The node in the background, what a service manager is told, and the store while nobody works.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

#[path = "../cli_support/mod.rs"]
mod cli_support;

use std::io::{BufRead as _, BufReader};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

use cli_support::node::Node;
use cli_support::{Place, said, tell};
use rustix::process::Signal;

const LISTEN: [&str; 2] = ["--listen", "/ip4/127.0.0.1/tcp/0"];

/// Ends the node of a place, whatever the test did.
struct Ended<'a>(&'a Place);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.run(["down"]);
    }
}

#[test]
fn up_returns_when_the_node_is_ready_and_down_when_the_home_is_free() {
    let place = Place::with_account();
    let _ended = Ended(&place);

    let ready = place.run([&["up", "--json"], &LISTEN[..]].concat()).json();
    assert_eq!(ready["event"], "ready");
    let status = place.run(["status", "--json"]).json();
    assert_eq!((&status["peer_id"], &status["listen"]), (&ready["peer_id"], &ready["listen"]));
    let again = place.run(["up", "--json"]).json();
    assert_eq!(again, ready, "it runs already");
    assert_eq!(place.run(["down", "--json"]).json()["state"], "stopped");
    place.run(["status"]).is_refused("E_NOT_RUNNING", 69);
    place.run(["down"]).is_refused("E_NOT_RUNNING", 69);

    // The flags were kept: the next start listens on loopback alone.
    let listen = place.run(["up", "--json"]).json()["listen"].clone();
    let all = listen.as_array().unwrap();
    assert!(all.iter().all(|it| it.as_str().unwrap().starts_with("/ip4/127.0.0.1/")), "{listen}");
    assert_eq!(place.run(["config", "print", "--json"]).json()["node"]["listen"][0], LISTEN[1]);
}

#[test]
fn up_says_why_a_node_does_not_start_and_opens_one_with_a_passphrase() {
    let place = Place::empty();
    let file = place.home().with_file_name("passphrase");
    std::fs::write(&file, "correct horse\n").unwrap();
    let file = file.to_str().unwrap();
    let said = place.run(["init", "--passphrase-file", file]);
    assert_eq!(said.exit, Some(0), "{said:?}");
    let _ended = Ended(&place);

    place.run(["up"]).is_refused("E_PASSPHRASE_NEEDED", 77);
    let wrong = place.home().with_file_name("wrong");
    std::fs::write(&wrong, "incorrect\n").unwrap();
    let wrong = ["up", "--passphrase-file", wrong.to_str().unwrap()];
    place.run(wrong).is_refused("E_PASSPHRASE_WRONG", 77);
    let said = place.run([&["up", "--passphrase-file", file], &LISTEN[..]].concat());
    assert_eq!(said.exit, Some(0), "{said:?}");
    assert_eq!(place.run(["status", "--json"]).json()["keystore"]["protection"], "passphrase");
}

#[test]
fn a_service_manager_is_told_when_the_node_is_ready_and_when_it_stops() {
    let place = Place::with_account();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let heard = UnixDatagram::bind(&path).unwrap();
    heard.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut command = place.command();
    command.arg("run").args(LISTEN).env("NOTIFY_SOCKET", &path);
    let mut child = command.stdout(std::process::Stdio::null()).spawn().unwrap();
    let told = || {
        let mut bytes = [0; 256];
        let length = heard.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).trim().to_owned()
    };

    assert_eq!(told(), "READY=1");
    let of = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", child.id())).unwrap();
    let core =
        of("limits").lines().find(|line| line.starts_with("Max core file")).unwrap().to_owned();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    assert!(of("status").contains("Umask:\t0077"), "its files are not private");
    tell(&child, Signal::TERM);
    assert_eq!(told(), "STOPPING=1");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_watchdog_hears_from_a_node_that_answers_and_nothing_from_one_that_does_not() {
    let place = Place::with_account();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let heard = UnixDatagram::bind(&path).unwrap();
    let mut command = std::process::Command::new("sh");
    let run = "WATCHDOG_PID=$$ exec \"$0\" run --listen /ip4/127.0.0.1/tcp/0";
    command.args(["-c", run]).arg(place.command().get_program());
    command.env("GODWIT_HOME", place.home()).env("NOTIFY_SOCKET", &path);
    command.env("WATCHDOG_USEC", "400000").stdout(std::process::Stdio::null());
    let mut child = command.spawn().unwrap();
    let told = |patience: Duration| {
        heard.set_read_timeout(Some(patience)).unwrap();
        let mut bytes = [0; 256];
        let length = heard.recv(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes[..length]).trim().to_owned())
    };

    let long = Duration::from_secs(60);
    let said: Vec<Option<String>> = (0..4).map(|_| told(long)).collect();
    let said: Vec<&str> = said.iter().map(|it| it.as_deref().unwrap()).collect();
    assert_eq!(said, ["READY=1", "WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"]);
    tell(&child, Signal::STOP);
    // What was said before it stood still.
    while told(Duration::from_secs(1)).is_some() {}
    tell(&child, Signal::CONT);
    assert_eq!(told(long).as_deref(), Some("WATCHDOG=1"));
    tell(&child, Signal::TERM);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_store_is_checked_while_nobody_works_in_it_and_a_flipped_bit_is_found() {
    let mut node = Node::person("Alice");
    node.place.run(["store", "check"]).is_refused("E_HOME_IN_USE", 1);
    node.stop();
    let sound = node.place.run(["store", "check", "--json"]).json();
    assert!(sound["rows"].as_u64().unwrap() > 0 && sound["damaged"] == 0, "{sound}");

    let path: PathBuf = node.place.home().join("store/db");
    let mut bytes = std::fs::read(&path).unwrap();
    // A bit in the middle of what is written.
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[end / 2] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let said = node.place.run(["store", "check"]);
    assert!(
        said.exit == Some(0) || said.stderr.contains("error[E_STORE_DAMAGED]"),
        "neither overwritten already nor found: {said:?}"
    );
    assert!(!said.stderr.contains("panicked"), "{said:?}");
}

/// What `doctor` says of one check.
fn finding(place: &Place, check: &str) -> (String, String) {
    let said = place.run(["doctor", "--json"]);
    let lines =
        said.stdout.lines().map(|it| serde_json::from_str::<serde_json::Value>(it).unwrap());
    let found = lines.into_iter().find(|it| it["check"] == check);
    let found = found.unwrap();
    let broken = found["state"] == "broken";
    assert_eq!(said.exit, Some(i32::from(broken)), "{said:?}");
    assert!(!broken || !found["help"].as_str().unwrap().is_empty(), "{found}");
    (found["state"].as_str().unwrap().to_owned(), found["detail"].as_str().unwrap().to_owned())
}

#[test]
fn doctor_names_what_is_wrong_with_a_home_and_changes_nothing() {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    assert_eq!(finding(&Place::empty(), "home").0, "broken");
    let place = Place::with_account();
    let home = place.home();
    assert_eq!(finding(&place, "keys"), ("ok".to_owned(), "they open".to_owned()));
    assert_eq!(finding(&place, "store").0, "ok");

    fs::set_permissions(home.join("keystore"), fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(finding(&place, "files").0, "warning");
    place.run(["store", "check"]);
    fs::write(home.join("config.toml"), "[node]\nlisten_on = 1\n").unwrap();
    assert!(finding(&place, "configuration").1.contains("listen_on"));
    fs::write(home.join("config.toml"), "[store]\nfloor = \"8000000TiB\"\n").unwrap();
    assert_eq!(finding(&place, "disk").0, "broken");
    fs::write(home.join("config.toml"), "").unwrap();
    let keystore = fs::read(home.join("keystore")).unwrap();
    fs::write(home.join("keystore"), &keystore[..keystore.len() - 1]).unwrap();
    assert_eq!(finding(&place, "keys").0, "broken");
    fs::write(home.join("keystore"), keystore).unwrap();
    fs::create_dir(home.join("store")).unwrap();
    fs::write(home.join("store/db"), [7; 4_096]).unwrap();
    fs::write(home.join("store/conf"), "nothing of ours").unwrap();
    assert_eq!(finding(&place, "store").0, "broken");
}

#[test]
fn a_log_at_trace_names_nobody_and_nothing_that_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let logged = |name: &str| {
        let mut node = Node::person(name);
        node.stop();
        let log = std::fs::File::create(folder.path().join(name)).unwrap();
        let mut command = node.place.command();
        command.args(["run", "--json", "--listen", &node.listens]).env("GODWIT_LOG", "trace");
        let mut child = command.stdout(std::process::Stdio::piped()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        node.child = Some(child);
        node
    };
    let (mut alice, mut bob) = (logged("Alicia"), logged("Roberto"));
    alice.add(&bob, "bobby");
    bob.until("she asks", |bob| bob.place.run(["contact", "accept", "Alicia"]).exit == Some(0));
    alice.ok(&["send", "bobby", "a secret text", "--wait", "delivered"]);
    let mut secrets: Vec<String> =
        ["Alicia", "Roberto", "bobby", "secret", "127.0.0.1"].map(str::to_owned).to_vec();
    for node in [&alice, &bob] {
        let status = node.ok(&["status", "--json"]).json();
        let of = |key: &str| status[key].as_str().unwrap().to_owned();
        secrets.extend(["account", "device", "peer_id"].map(of));
    }
    alice.stop();
    bob.stop();

    for name in ["Alicia", "Roberto"] {
        let log = std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert!(log.contains("the node is ready") && log.contains("the node stops"), "{log}");
        for secret in &secrets {
            assert!(!log.contains(secret.as_str()), "{secret} in {log}");
        }
    }
    let wrong = alice.place.command().arg("run").env("GODWIT_LOG", "loud").output().unwrap();
    said(wrong).is_refused("E_USAGE", 2);
}
