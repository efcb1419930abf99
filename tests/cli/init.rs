//! `init` through the binary: one step, killed at any moment, without an output that takes the words.

#[path = "../cli_support/mod.rs"]
mod cli_support;

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::Duration;

use cli_support::{Place, said, until};

const INIT: [&str; 3] = ["init", "--no-passphrase", "--json"];

#[test]
fn init_shows_account_device_link_and_24_words_once() {
    let place = Place::empty();

    let made = place.run(INIT).json();

    let keys: Vec<&String> = made.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["account", "device", "link", "recovery_phrase"]);
    assert_eq!(made["recovery_phrase"].as_str().unwrap().split(' ').count(), 24);
    assert!(made["account"].as_str().unwrap().starts_with("gw1"));
    let id = place.run(["id", "--json"]).json();
    assert_eq!(id["account"], made["account"]);
    assert_eq!(id["device"], made["device"]);
    assert_eq!(id["link"], made["link"]);
}

#[test]
fn the_words_are_nowhere_on_disk() {
    let place = Place::empty();

    let made = place.run(INIT).json();

    let words = made["recovery_phrase"].as_str().unwrap();
    for entry in fs::read_dir(place.home()).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains(words));
    }
}

#[test]
fn the_home_is_for_its_owner_only() {
    let place = Place::with_account();

    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&place.home()), 0o700);
    for entry in fs::read_dir(place.home()).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn a_second_init_is_refused_and_touches_nothing() {
    let place = Place::with_account();
    let before = fs::read(place.home().join("keystore")).unwrap();

    place.run(INIT).is_refused("E_HOME_EXISTS", 1);

    assert_eq!(fs::read(place.home().join("keystore")).unwrap(), before);
}

#[test]
fn without_a_flag_and_a_terminal_init_is_a_usage_error_and_makes_nothing() {
    let place = Place::empty();

    place.run(["init"]).is_refused("E_USAGE", 2);

    assert!(!place.home().exists());
}

#[test]
fn a_folder_with_a_configuration_only_becomes_a_home_and_keeps_it() {
    let place = Place::empty();
    fs::create_dir(place.home()).unwrap();
    fs::write(place.home().join("config.toml"), "# mine\n[node]\nnetwork = \"alps\"\n").unwrap();
    place.run(["id"]).is_refused("E_NO_HOME", 78);

    let made = place.run(INIT).json();

    assert!(made["link"].as_str().unwrap().contains("n=alps"), "{made}");
    let config = fs::read_to_string(place.home().join("config.toml")).unwrap();
    assert!(config.starts_with("# mine\n"));
}

#[test]
fn a_full_disk_under_stdout_leaves_no_account() {
    let place = Place::empty();
    let full = File::options().write(true).open("/dev/full").unwrap();

    let result = place.command().args(INIT).stdout(full).output().unwrap();

    said(result).is_refused("E_IO", 1);
    assert!(!place.home().exists());
}

#[test]
fn a_reader_that_has_gone_leaves_no_account() {
    let place = Place::empty();
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);

    let result = place.command().args(INIT).stdout(writer).output().unwrap();

    said(result).is_refused("E_IO", 1);
    place.run(["id"]).is_refused("E_NO_HOME", 78);
}

#[test]
fn killed_while_it_shows_the_words_there_is_no_account_and_init_goes_on() {
    let place = Place::empty();
    let (mut reader, mut writer) = io::pipe().unwrap();
    let capacity = 65_536;
    writer.write_all(&vec![b'.'; capacity]).unwrap();
    let mut child = place.command().args(INIT).stdout(writer).spawn().unwrap();
    // Everything but the last rename is on disk once this file is there; the words do not fit.
    until(&mut child, || place.home().join("keystore.new").exists());

    child.kill().unwrap();
    child.wait().unwrap();

    let mut written = Vec::new();
    reader.read_to_end(&mut written).unwrap();
    assert_eq!(written.len(), capacity);
    place.run(["id"]).is_refused("E_NO_HOME", 78);
    place.run(INIT).json();
}

#[test]
fn killed_at_any_moment_there_is_no_account_or_one_whose_words_were_written() {
    let mut whole = 0;
    for round in 0..24_u64 {
        let place = Place::empty();
        let mut child = place.command().args(INIT).stdout(Stdio::piped()).spawn().unwrap();

        // Not a synchronisation: the moment of the fault.
        std::thread::sleep(Duration::from_micros(round * 500));
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();

        let id = place.run(["id", "--json"]);
        if id.exit == Some(0) {
            whole += 1;
            let text = String::from_utf8(output.stdout).unwrap();
            let made: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(made["account"], id.json()["account"], "round {round}");
        } else {
            id.is_refused("E_NO_HOME", 78);
            place.run(INIT).json();
        }
    }
    assert!(whole < 24, "no round was killed early enough");
}

#[test]
fn a_folder_that_another_process_works_in_is_in_use() {
    let place = Place::empty();
    fs::create_dir(place.home()).unwrap();
    let lock = File::create(place.home().join("lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();

    place.run(INIT).is_refused("E_HOME_IN_USE", 1);
}

#[test]
fn a_hosts_home_has_no_account() {
    let place = Place::empty();

    let made =
        place.run(["init", "--host", "--announce", "/dns/host.example/tcp/7447", "--json"]).json();

    assert!(made["account"].is_null());
    assert!(made["link"].as_str().unwrap().starts_with("godwit-host:"));
    assert_eq!(place.run(["id", "--json"]).json(), made);
    let config = fs::read_to_string(place.home().join("config.toml")).unwrap();
    assert!(config.contains("admit = \"invited\"") && config.contains("host.example"), "{config}");
}

#[test]
fn the_home_may_be_a_link_to_a_folder() {
    let place = Place::empty();
    let real = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(real.path(), place.home()).unwrap();

    place.run(INIT).json();

    assert!(real.path().join("keystore").exists());
    place.run(["id", "--json"]).json();
}
