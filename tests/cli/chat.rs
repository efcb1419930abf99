//! `chat` as a person has it: through a pseudo-terminal, and as a pipe.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

#[path = "../cli_support/mod.rs"]
mod cli_support;

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cli_support::node::{Node, friends};
use cli_support::{Place, bare, said};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// A command at a terminal of its own; killed with this value.
struct Terminal {
    master: File,
    child: Child,
    screen: Arc<Mutex<String>>,
}

impl Terminal {
    fn open(mut command: Command) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let size = Winsize { ws_row: 24, ws_col: 40, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&master, size).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let slave = OpenOptions::new().read(true).write(true).open(name).unwrap();
        let child = command
            .env("TERM", "xterm")
            .stdin(slave.try_clone().unwrap())
            .stdout(slave.try_clone().unwrap())
            .stderr(slave)
            .spawn()
            .unwrap();
        let master = File::from(master);
        let screen = Arc::new(Mutex::new(String::new()));
        let (mut reading, shown) = (master.try_clone().unwrap(), Arc::clone(&screen));
        std::thread::spawn(move || {
            let mut bytes = [0; 4_096];
            while let Ok(length @ 1..) = reading.read(&mut bytes) {
                shown.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..length]));
            }
        });
        Self { master, child, screen }
    }

    fn types(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).unwrap();
    }

    /// Waits until something stands on the screen.
    #[track_caller]
    fn shows(&self, text: &str) {
        let start = Instant::now();
        while !self.screen.lock().unwrap().contains(text) {
            let screen = self.screen.lock().unwrap().clone();
            assert!(start.elapsed() < Duration::from_secs(60), "no {text:?} on {screen:?}");
            std::thread::yield_now();
        }
    }
}

impl Terminal {
    /// Waits until the command ends by itself.
    #[track_caller]
    fn ends(&mut self) {
        let start = Instant::now();
        let code = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status.code();
            }
            let screen = self.screen.lock().unwrap().clone();
            assert!(start.elapsed() < Duration::from_secs(60), "it goes on: {screen:?}");
            std::thread::yield_now();
        };
        assert_eq!(code, Some(0));
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn chat(node: &Node, with: &str) -> Terminal {
    let mut command = node.place.command();
    command.args(["chat", with]);
    Terminal::open(command)
}

#[test]
fn what_comes_does_not_garble_what_is_being_typed() {
    let (alice, bob) = friends();
    let mut terminal = chat(&bob, "alice");
    terminal.shows("first");
    terminal.shows("alice> ");

    terminal.types("half a ");
    terminal.shows("half a ");
    alice.ok(&["send", "bob", "in \u{1b}[2J between"]);
    terminal.shows("between");
    assert!(!terminal.screen.lock().unwrap().contains("\u{1b}[2J between"), "it moves the cursor");
    terminal.types("line\r");
    alice.receives(&["half a line"]);

    terminal.types("not this\u{3}");
    terminal.shows("leaves");
    terminal.types("/nonsense\r");
    terminal.shows("error[E_USAGE]");
    terminal.types("/to nobody\r");
    terminal.shows("error[E_NO_CONTACT]");
    terminal.types("\u{1b}[200~two\nlines\u{1b}[201~\r");
    alice.receives(&["half a line", "two\nlines"]);
    terminal.types("/why\r/quit\r");
    terminal.ends();
}

#[test]
fn a_closed_terminal_ends_a_chat_and_not_the_node() {
    let (alice, bob) = friends();
    let mut terminal = chat(&bob, "alice");
    terminal.shows("alice> ");

    terminal.types("\u{4}");

    terminal.ends();
    alice.ok(&["send", "bob", "still there?", "--wait", "delivered"]);
}

#[test]
fn a_pipe_can_talk_too() {
    let (alice, bob) = friends();
    let mut command = bob.place.command();
    command.args(["chat"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"to nobody\n/to alice\nhello\n/who\n").unwrap();
    drop(stdin);
    let ended = said(child.wait_with_output().unwrap());

    assert_eq!(ended.exit, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("to whom?"), "{ended:?}");
    assert!(ended.stdout.contains("alice  accepted"), "{ended:?}");
    alice.receives(&["hello"]);
}

#[test]
fn two_strangers_talk_with_chat_alone() {
    let [alice, bob] = ["Alice", "Bob"].map(Node::person);
    let link = alice.link(&["id", "--here"]);
    let (mut hers, mut his) = (chat_alone(&alice), chat_alone(&bob));
    his.types(&format!("/add {link} Ally\r"));
    hers.shows("Bob asks to talk with you");
    his.types("hello Ally\r");
    hers.types("/accept Bob\r");
    hers.shows("Bob> ");
    hers.shows("hello Ally");
    hers.types("hello Bob\r");
    his.shows("hello Bob");
}

fn chat_alone(node: &Node) -> Terminal {
    let mut command = node.place.command();
    command.arg("chat");
    let terminal = Terminal::open(command);
    terminal.shows("> ");
    terminal
}

#[test]
fn godwit_alone_asks_a_name_shows_the_words_and_talks() {
    let place = Place::empty();
    // A session of its own, whose terminal is ours: passphrases are asked there.
    let mut command = Command::new("setsid");
    command.args(["--ctty", "--wait", env!("CARGO_BIN_EXE_godwit")]).env_clear();
    command.env("GODWIT_HOME", place.home()).env("PATH", "/usr/bin:/bin");
    let mut terminal = Terminal::open(command);

    terminal.shows("What name");
    terminal.types("Ada\r");
    terminal.shows("New passphrase:");
    // Nothing that may be one of the 24 words, which stand on the screen.
    terminal.types("Tr0ub4dor\r");
    terminal.shows("The same again:");
    terminal.types("Tr0ub4dor\r");
    terminal.shows("24 words");
    terminal.shows("> ");
    terminal.types("/who\r");
    terminal.shows("nobody yet");
    terminal.types("/invite\r");
    terminal.shows("godwit:gw1");
    terminal.types("/quit\r");
    terminal.ends();

    assert!(!terminal.screen.lock().unwrap().contains("Tr0ub4dor"), "the passphrase was shown");
    assert_eq!(place.run(["status", "--json"]).json()["keystore"]["protection"], "passphrase");
    assert_eq!(place.run(["down"]).exit, Some(0));
}

#[test]
fn without_a_terminal_godwit_alone_is_a_wrong_call() {
    said(bare().output().unwrap()).is_refused("E_USAGE", 2);
    let place = Place::empty();
    place.run(["chat", "--json"]).is_refused("E_USAGE", 2);
    assert!(!place.home().exists());
}
