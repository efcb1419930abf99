//! `run` as a process: the first line, and how it ends.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../cli_support/mod.rs"]
mod cli_support;

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::process::Stdio;

use cli_support::{Place, tell, until};
use rustix::process::Signal;

const RUN: [&str; 4] = ["run", "--listen", "/ip4/127.0.0.1/tcp/0", "--json"];

#[test]
fn the_first_line_says_that_it_is_ready_and_a_signal_ends_it_with_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let place = Place::with_account();
        let mut child = place.command().args(RUN).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();

        tell(&child, signal);

        let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(ready["event"], "ready");
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn a_home_takes_one_node_and_is_free_again_after_a_kill() {
    let place = Place::with_account();
    let start = || {
        let mut child = place.command().args(RUN).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("ready"), "{line}");
        child
    };
    let mut first = start();
    place.run(RUN).is_refused("E_HOME_IN_USE", 1);

    first.kill().unwrap();
    first.wait().unwrap();

    let mut second = start();
    tell(&second, Signal::TERM);
    assert_eq!(second.wait().unwrap().code(), Some(0));
}

#[test]
fn an_output_that_takes_nothing_does_not_keep_it_from_ending() {
    let place = Place::with_account();
    let (_reader, mut writer) = io::pipe().unwrap();
    writer.write_all(&vec![b'.'; 65_536]).unwrap();
    let mut child = place.command().args(RUN).stdout(writer).spawn().unwrap();
    // The socket is there before anything is printed.
    until(&mut child, || place.home().join("control.sock").exists());

    tell(&child, Signal::TERM);

    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// Whether a process has said what it does with SIGTERM.
fn hears_term(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(mask.trim(), 16).unwrap() >> (Signal::TERM.as_raw() - 1) & 1 == 1
}

#[test]
fn a_start_that_hangs_on_its_disk_says_so_and_ends_by_a_signal() {
    let place = Place::with_account();
    let mut child = place.command().args(RUN).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    tell(&child, Signal::TERM);
    child.wait().unwrap();
    // Whoever reads this file of the store now waits for ever.
    let file = place.home().join("store/conf");
    std::fs::remove_file(&file).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&file).status().unwrap();
    assert!(made.success());

    let mut child = place.command().args(RUN).stdout(Stdio::piped()).spawn().unwrap();
    let pid = child.id();
    until(&mut child, || hears_term(pid));
    let status = || place.run(["status", "--json"]);
    until(&mut child, || status().exit == Some(0));
    let status = status().json();
    assert_eq!((&status["state"], &status["pid"]), (&"starting".into(), &pid.into()));
    assert_eq!(status["phase"]["name"], "store", "{status}");
    assert!(place.run(["status"]).stdout.contains("starting: store, step 1 of 4, for "));
    place.run(["contact", "list"]).is_refused("E_BUSY", 75);
    // 75 would say that it is on disk.
    let sends = ["send", "bob", "hi", "--timeout", "200ms"];
    place.run(sends).is_refused("E_NOT_RUNNING", 69);
    let start = std::time::Instant::now();
    tell(&child, Signal::TERM);

    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(start.elapsed() < std::time::Duration::from_secs(10));
    place.run(["status"]).is_refused("E_NOT_RUNNING", 69);
}
