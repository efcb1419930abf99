//! What bad input gets, as far as it needs no node: the number, the code, what to type next.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../cli_support/mod.rs"]
mod cli_support;

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::PermissionsExt as _;

use cli_support::{Place, bare, said};

#[test]
fn a_wrong_command_line_is_a_usage_error_without_a_home() {
    let place = Place::empty();
    for line in [
        "",
        "frobnicate",
        "send",
        "send bob",
        "send bob hi there",
        "send bob hi --wait soon",
        "send bob hi --timeout 30",
        "send bob hi --id 12",
        "why",
        "why nothex",
        "inbox --limit 0",
        "run --listen /x",
        "run --listen /ip4/127.0.0.1/udp/1",
        "run --listen /ip4/127.0.0.1/tcp/70000",
        "inbox --limit 1000001",
        "inbox --since 12",
        "run --listen nowhere",
        "run --listen /ip4/127.0.0.1/tcp/1/p2p/x",
        "run --bootstrap /ip4/127.0.0.1/tcp/1",
        "run --host-mailboxes=nobody",
        "run --network No_Net",
        "contact",
        "contact frob",
        "mailbox use",
        "mailbox use /ip4/127.0.0.1/tcp/1",
        "mailbox drop x",
        "mailbox proof",
        "mailbox proof x",
        "mailbox proof --check a --out b",
        "host invite --expires soon",
        "host invite --uses 0",
        "host remove x",
        "init --announce /dns/a/tcp/1",
        "init --host --name Alice",
        "limits --frob",
    ] {
        let said = place.run(line.split_whitespace());
        said.is_refused("E_USAGE", 2);
    }
    assert!(!place.home().exists());
}

#[test]
fn what_is_not_built_does_not_exist() {
    let place = Place::empty();
    for line in [
        "group list",
        "device list",
        "backup create x",
        "init --restore",
        "run --api 127.0.0.1:1",
        "run --reachability friends",
        "run --announce /ip4/1.2.3.4",
        "run --host-mailboxes=members",
        "send bob hi --file x",
    ] {
        place.run(line.split_whitespace()).is_refused("E_USAGE", 2);
    }
}

/// One of the vectors of the specification.
fn vector(name: &str) -> String {
    let file: serde_json::Value =
        serde_json::from_str(include_str!("../../protocol/spec/vectors/wire.json")).unwrap();
    let mut parts = file.as_object().unwrap().values();
    parts.find_map(|part| part[name].as_str()).unwrap().to_owned()
}

#[test]
fn a_file_of_proofs_is_checked_without_a_node() {
    let place = Place::empty();
    let file = place.home().with_file_name("proofs");
    let path = file.to_str().unwrap();
    let check = |text: &str| {
        fs::write(&file, text).unwrap();
        place.run(["mailbox", "proof", "--check", path, "--json"])
    };
    let shown = |network: &str, proof: &str| {
        serde_json::json!([{"network": network, "proof": proof}]).to_string()
    };

    let said = check(&shown("main", &vector("proof.1")));
    assert_eq!((said.exit, said.json()["holds"].as_bool()), (Some(0), Some(true)), "{said:?}");
    assert_eq!(said.json()["envelope_hash"], "01".repeat(32));
    let said = check(&shown("alps", &vector("proof.1")));
    assert_eq!(said.exit, Some(1), "{said:?}");
    assert!(said.stdout.contains("\"holds\":false"), "{said:?}");
    for wrong in ["", "{}", "[1]", "[{\"network\": \"main\", \"proof\": \"00\"}]"] {
        check(wrong).is_refused("E_BAD_PROOF", 1);
    }
    fs::remove_file(&file).unwrap();
    place.run(["mailbox", "proof", "--check", path]).is_refused("E_IO", 1);
}

#[test]
fn where_text_was_expected_the_help_says_how_to_begin_with_a_dash() {
    let said = Place::empty().run(["send", "bob", "-x"]);

    assert!(said.is_refused("E_USAGE", 2).stderr.contains("godwit send TO -- TEXT"), "{said:?}");
}

#[test]
fn without_a_home_every_verb_says_so_and_creates_nothing() {
    let place = Place::empty();
    let id = "0".repeat(32);
    for line in [
        "id".to_owned(),
        "status".to_owned(),
        "run".to_owned(),
        "send bob hi".to_owned(),
        "inbox".to_owned(),
        "watch".to_owned(),
        format!("why {id}"),
        "contact list".to_owned(),
        "mailbox list".to_owned(),
        "host list".to_owned(),
        "up".to_owned(),
        "down".to_owned(),
        "store check".to_owned(),
        "config print".to_owned(),
        "chat".to_owned(),
    ] {
        let said = place.run(line.split(' '));
        assert!(said.is_refused("E_NO_HOME", 78).stderr.contains("godwit init"), "{said:?}");
    }
    assert!(!place.home().exists());
}

#[test]
fn without_a_node_what_needs_one_says_so() {
    let place = Place::with_account();
    let id = "0".repeat(32);
    for line in [
        "status".to_owned(),
        "id --here".to_owned(),
        "send bob hi".to_owned(),
        "inbox".to_owned(),
        "watch".to_owned(),
        format!("why {id}"),
        "contact list".to_owned(),
        "contact invite".to_owned(),
        "contact block bob".to_owned(),
        "contact verify bob".to_owned(),
        "down".to_owned(),
        "mailbox status".to_owned(),
        "host invite".to_owned(),
    ] {
        let said = place.run(line.split(' '));
        assert!(said.is_refused("E_NOT_RUNNING", 69).stderr.contains("godwit run"), "{said:?}");
    }
}

#[test]
fn a_text_that_cannot_be_sent_is_refused_before_the_node_is_asked() {
    let place = Place::with_account();

    place.run(["send", "bob", ""]).is_refused("E_EMPTY", 1);
    place.run(["send", "bob", &"x".repeat(32 * 1_024 + 1)]).is_refused("E_TOO_LARGE", 1);
    place.run(["send", "bob", &"x".repeat(32 * 1_024)]).is_refused("E_NOT_RUNNING", 69);
}

#[test]
fn stdin_is_bounded_and_must_be_text() {
    let place = Place::with_account();
    let send = |bytes: &[u8]| {
        let path = place.home().join("in");
        fs::write(&path, bytes).unwrap();
        let input = File::open(path).unwrap();
        said(place.command().args(["send", "bob", "-"]).stdin(input).output().unwrap())
    };

    send(b"").is_refused("E_EMPTY", 1);
    send(b"\n").is_refused("E_EMPTY", 1);
    send(b"\xff\xfe").is_refused("E_NOT_TEXT", 1);
    send(&[b'x'; 40_000]).is_refused("E_TOO_LARGE", 1);
    send(b"hi\n").is_refused("E_NOT_RUNNING", 69);
}

#[test]
fn bytes_that_are_not_text_are_refused_in_any_argument_and_paths_are_any_bytes() {
    let place = Place::with_account();
    let bytes = || OsString::from_vec(vec![b'a', 0xff]);

    place.run([OsString::from("send"), bytes(), "hi".into()]).is_refused("E_NOT_TEXT", 1);
    place.run([OsString::from("send"), "bob".into(), bytes()]).is_refused("E_NOT_TEXT", 1);
    let elsewhere = place.home().join(bytes());
    let options =
        [OsString::from("--home"), elsewhere.into(), "init".into(), "--no-passphrase".into()];
    assert_eq!(place.run(options).exit, Some(0));
}

#[test]
fn names_links_and_passphrase_files_are_judged() {
    let place = Place::empty();
    let long = "x".repeat(65);
    for name in ["", "   ", "a\u{1b}b", &long] {
        place.run(["init", "--no-passphrase", "--name", name]).is_refused("E_BAD_NAME", 1);
    }
    place.run(["join", "godwit-host:nonsense"]).is_refused("E_BAD_LINK", 1);
    let empty = tempfile::NamedTempFile::new().unwrap();
    let path = empty.path().to_str().unwrap();
    place.run(["init", "--passphrase-file", path]).is_refused("E_USAGE", 2);
    place
        .run(["init", "--passphrase-file", "/nowhere/at/all"])
        .is_refused("E_PASSPHRASE_NEEDED", 77);
    assert!(!place.home().exists());
}

#[test]
fn a_configuration_with_an_unknown_key_is_refused_with_its_line() {
    let place = Place::with_account();
    fs::write(place.home().join("config.toml"), "[node]\n\nlisten_on = []\n").unwrap();

    let said = place.run(["run"]);

    said.is_refused("E_CONFIG", 78);
    assert!(said.stderr.contains("line 3") && said.stderr.contains("listen_on"), "{said:?}");
}

#[test]
fn a_home_of_another_version_is_refused() {
    let place = Place::with_account();
    let path = place.home().join("keystore");
    let mut bytes = fs::read(&path).unwrap();
    bytes[11] = 99;
    fs::write(&path, bytes).unwrap();

    place.run(["run"]).is_refused("E_HOME_VERSION", 78);
}

#[test]
fn a_damaged_keystore_is_told_and_not_mended() {
    let place = Place::with_account();
    let path = place.home().join("keystore");
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, &bytes).unwrap();

    place.run(["run"]).is_refused("E_STORE_DAMAGED", 1);

    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn a_locked_keystore_asks_for_its_passphrase_and_refuses_another() {
    let place = Place::empty();
    fs::create_dir(place.home()).unwrap();
    fs::write(place.home().join("config.toml"), "[keystore]\nmemory = \"64KiB\"\n").unwrap();
    let file = |name: &str, text: &str| {
        let path = place.home().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let right = file("right", "correct horse\r\n");
    let wrong = file("wrong", "battery staple\n");
    place.run(["init", "--passphrase-file", &right, "--json"]).json();

    place.run(["run"]).is_refused("E_PASSPHRASE_NEEDED", 77);
    place.run(["run", "--passphrase-file", &wrong]).is_refused("E_PASSPHRASE_WRONG", 77);
    place.run(["id", "--json"]).json();
}

#[test]
fn a_home_that_another_process_works_in_is_in_use() {
    let place = Place::with_account();
    let lock = File::open(place.home().join("lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();

    place.run(["run"]).is_refused("E_HOME_IN_USE", 1);
    place.run(["id", "--json"]).json();
}

#[test]
fn a_home_that_is_not_ours_is_refused_with_its_path() {
    let place = Place::with_account();
    let file = place.home().join("keystore");
    // Whoever may give a file away is root; everybody else can shut the folder.
    let foreign = std::os::unix::fs::chown(&file, Some(1), None).is_ok();
    if !foreign {
        fs::set_permissions(place.home(), fs::Permissions::from_mode(0o000)).unwrap();
    }

    let said = place.run(["run"]);

    if !foreign {
        fs::set_permissions(place.home(), fs::Permissions::from_mode(0o700)).unwrap();
    }
    said.is_refused("E_PERMISSION", 77);
    assert!(said.stderr.contains(place.home().to_str().unwrap()), "{said:?}");
}

#[test]
fn what_others_could_read_is_mended_by_the_next_start() {
    let place = Place::with_account();
    let file = place.home().join("keystore");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(place.home().join("config.toml"), "nonsense").unwrap();

    place.run(["run"]).is_refused("E_CONFIG", 78);

    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn an_error_for_programs_is_one_object_on_stderr() {
    for line in ["--json id", "id --json"] {
        let said = Place::empty().run(line.split(' '));

        said.is_refused("E_NO_HOME", 78);
        assert!(said.stderr.starts_with("{\"error\":{\"code\":"), "{said:?}");
        assert_eq!(said.stderr.lines().count(), 1);
    }
}

#[test]
fn hostile_characters_in_an_argument_are_shown_and_not_obeyed() {
    let said = said(bare().args(["\u{1b}[2J\u{202e}"]).output().unwrap());

    said.is_refused("E_USAGE", 2);
    assert!(!said.stderr.contains('\u{1b}') && !said.stderr.contains('\u{202e}'), "{said:?}");
}
