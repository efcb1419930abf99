//! Running the binary as a person would, in a home of its own.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

pub(crate) mod disk;
pub(crate) mod lab;
pub(crate) mod node;

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// A folder that may become a home; gone with this value.
pub(crate) struct Place {
    folder: PathBuf,
    /// Gone with this value; none for a place that somebody else keeps.
    _own: Option<tempfile::TempDir>,
}

/// What a command said and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) exit: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Place {
    /// A place where nothing is yet, not even the folder.
    pub(crate) fn empty() -> Self {
        let own = tempfile::tempdir().unwrap();
        Self { folder: own.path().to_owned(), _own: Some(own) }
    }

    /// A place in a folder that is there.
    pub(crate) fn at(folder: &std::path::Path) -> Self {
        Self { folder: folder.to_owned(), _own: None }
    }

    /// A place with an account without a passphrase.
    pub(crate) fn with_account() -> Self {
        let place = Self::empty();
        let said = place.run(["init", "--no-passphrase", "--name", "Alice", "--json"]);
        assert_eq!(said.exit, Some(0), "{said:?}");
        place
    }

    /// The home.
    pub(crate) fn home(&self) -> PathBuf {
        self.folder.join("home")
    }

    /// Adds a section to its configuration.
    pub(crate) fn configure(&self, section: &str) {
        let path = self.home().join("config.toml");
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        std::fs::write(path, format!("{text}\n{section}")).unwrap();
    }

    /// The command, not started: no terminal, no settings from outside, stdin empty.
    pub(crate) fn command(&self) -> Command {
        let mut command = bare();
        command.env("GODWIT_HOME", self.home());
        command
    }

    /// Runs it to its end.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Said {
        said(self.command().args(arguments).output().unwrap())
    }
}

/// The binary without any home.
pub(crate) fn bare() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_godwit"));
    command.env_clear().stdin(Stdio::null());
    command
}

pub(crate) fn said(output: Output) -> Said {
    Said {
        exit: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Waits for what a running child brings about; fails where the child ends first, or after 30 s.
#[track_caller]
pub(crate) fn until(child: &mut Child, there: impl Fn() -> bool) {
    let start = Instant::now();
    while !there() {
        assert_eq!(child.try_wait().unwrap(), None, "it has ended");
        assert!(start.elapsed() < Duration::from_secs(30), "it has not come in 30 s");
        std::thread::yield_now();
    }
}

/// Sends a signal to a process of ours.
pub(crate) fn tell(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

impl Said {
    /// Ended with this number and this code, says what to type next, in either form, and nothing else.
    #[track_caller]
    pub(crate) fn is_refused(&self, code: &str, exit: i32) -> &Self {
        assert_eq!(self.exit, Some(exit), "{self:?}");
        assert!(self.stdout.is_empty(), "{self:?}");
        let lines: Vec<&str> = self.stderr.lines().collect();
        match lines.as_slice() {
            [what, next] => {
                assert!(what.starts_with(&format!("error[{code}]: ")), "{self:?}");
                assert!(next.starts_with("help: "), "{self:?}");
            }
            [object] => {
                let error: serde_json::Value = serde_json::from_str(object).unwrap();
                assert_eq!(error["error"]["code"], code, "{self:?}");
                assert!(error["error"]["message"].is_string(), "{self:?}");
                assert!(error["error"]["help"].is_string(), "{self:?}");
            }
            _ => panic!("neither form of an error: {self:?}"),
        }
        self
    }

    /// The one object on stdout.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        assert_eq!(self.exit, Some(0), "{self:?}");
        serde_json::from_str(&self.stdout).unwrap()
    }
}
