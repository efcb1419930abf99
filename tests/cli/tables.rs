//! What needs no home: help, version, `errors`, `limits`; and outputs that nobody reads.

#[path = "../cli_support/mod.rs"]
mod cli_support;

use std::fs::File;
use std::io;

use cli_support::{bare, said};

const ERRORS: &str = "\
CODE                 EXIT
E_USAGE              2
E_NOT_RUNNING        69
E_INNER              70
E_NOT_YET            75
E_BUSY               75
E_PASSPHRASE_NEEDED  77
E_PASSPHRASE_WRONG   77
E_PERMISSION         77
E_NO_HOME            78
E_HOME_VERSION       78
E_CONFIG             78
E_HOME_EXISTS        1
E_HOME_IN_USE        1
E_PORT_IN_USE        1
E_NO_ACCOUNT         1
E_OTHER_NETWORK      1
E_NO_CONTACT         1
E_AMBIGUOUS          1
E_BAD_LINK           1
E_OWN_LINK           1
E_LINK_USED          1
E_BAD_NAME           1
E_NAME_TAKEN         1
E_TOO_LARGE          1
E_EMPTY              1
E_NOT_TEXT           1
E_ID_USED            1
E_NO_MESSAGE         1
E_NO_MAILBOX         1
E_HOST_REFUSED       1
E_FULL               1
E_UNSUPPORTED        1
E_TWO_HOMES          1
E_STORE_DAMAGED      1
E_IO                 1
E_BAD_PROOF          1
";

#[test]
fn errors_lists_every_code_with_its_number() {
    let said = said(bare().arg("errors").output().unwrap());

    assert_eq!(said.stdout, ERRORS);
    assert_eq!(said.exit, Some(0));
}

#[test]
fn errors_for_programs_is_one_object_a_line() {
    let said = said(bare().args(["errors", "--json"]).output().unwrap());

    let first: serde_json::Value =
        serde_json::from_str(said.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(first, serde_json::json!({"code": "E_USAGE", "exit": 2}));
    assert_eq!(said.stdout.lines().count(), ERRORS.lines().count() - 1);
}

#[test]
fn limits_lists_every_bound_with_its_reason() {
    let text = said(bare().arg("limits").output().unwrap());
    let json = said(bare().args(["limits", "--json"]).output().unwrap());

    assert!(text.stdout.lines().any(|line| line.starts_with("max_text ")), "{text:?}");
    for line in json.stdout.lines() {
        let limit: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(
            limit["name"].is_string() && limit["value"].is_u64() && limit["reason"].is_string()
        );
    }
    assert_eq!(text.stdout.lines().count(), json.stdout.lines().count() + 1);
}

#[test]
fn help_fits_one_screen_and_the_version_is_one_line() {
    for arguments in [vec!["-h"], vec!["run", "-h"], vec!["contact", "-h"], vec!["send", "-h"]] {
        let said = said(bare().args(&arguments).output().unwrap());

        assert_eq!(said.exit, Some(0), "{arguments:?}");
        assert!((3..=40).contains(&said.stdout.lines().count()), "{arguments:?}");
    }
    let version = said(bare().arg("--version").output().unwrap());
    assert_eq!(version.stdout.lines().count(), 1);
}

#[test]
fn a_reader_that_has_gone_is_success() {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);

    let said = said(bare().arg("limits").stdout(writer).output().unwrap());

    assert_eq!((said.exit, said.stderr.as_str()), (Some(0), ""));
}

#[test]
fn an_output_that_is_full_is_an_error_and_no_panic() {
    let full = File::options().write(true).open("/dev/full").unwrap();

    let said = said(bare().arg("limits").stdout(full).output().unwrap());

    said.is_refused("E_IO", 1);
}

#[test]
fn an_error_that_cannot_be_written_keeps_its_number() {
    let full = File::options().write(true).open("/dev/full").unwrap();

    let status = bare().arg("frobnicate").stderr(full).status().unwrap();

    assert_eq!(status.code(), Some(2));
}

#[test]
fn the_default_configuration_documents_every_key_and_needs_no_home() {
    let text = said(bare().args(["config", "print", "--default"]).output().unwrap());
    let json = said(bare().args(["config", "print", "--default", "--json"]).output().unwrap());

    assert!(
        text.stdout.contains("# how long a message lives: 1h to 30d\nlife = \"14d\"\n"),
        "{text:?}"
    );
    assert_eq!(json.json()["node"]["network"], "main");
}

#[test]
fn completions_the_manual_and_the_unit_come_from_the_same_source() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let said = said(bare().args(["completions", shell]).output().unwrap());
        assert!(said.stdout.contains("godwit") && said.stdout.contains("mailbox"), "{shell}");
    }
    let manual = said(bare().args(["completions", "man"]).output().unwrap());
    assert!(manual.stdout.contains(".TH godwit"), "{manual:?}");
    let unit = said(bare().args(["service", "print"]).output().unwrap());
    assert!(unit.stdout.contains("Type=notify\n"), "{unit:?}");
}
