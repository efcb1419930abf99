//! `demo`: two real nodes on loopback, spoken to only as a user would.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use godwit_protocol::endpoint::{Code, Refusal};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::exit::Failure;
use crate::output::{self, text};

/// See two nodes talk on this machine: both ways, and past a kill -9
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Leave both running, and show what to type next
    #[arg(long)]
    keep: bool,
}

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs it; fails unless every message arrived exactly once and in order.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let mut steps = Steps { since: Instant::now() };
    let folder = Folder::make()?;
    let mut alice = Actor::new(&folder.0, "alice")?;
    let mut bob = Actor::new(&folder.0, "bob")?;
    steps.done("two homes, each with its own keys")?;
    alice.start("/ip4/127.0.0.1/tcp/0")?;
    bob.start("/ip4/127.0.0.1/tcp/0")?;
    steps.done("two nodes run, each a process of its own")?;

    let (to_bob, to_alice) = (bob.link()?, alice.link()?);
    alice.ask(&["contact", "add", &to_bob, "--as", "bob"])?;
    bob.ask(&["contact", "add", &to_alice, "--as", "alice"])?;
    alice.ask(&["send", "bob", "Are you there?", "--wait", "delivered"])?;
    steps.done("Alice added Bob by his link; \"Are you there?\" is on Bob's disk")?;
    bob.ask(&["send", "alice", "Yes.", "--wait", "delivered"])?;
    steps.done("Bob's \"Yes.\" is on Alice's disk")?;

    let address = bob.listens.clone();
    bob.kill();
    let away = ["One while you sleep.", "Two while you sleep.", "Three while you sleep."];
    for words in away {
        alice.ask(&["send", "bob", words])?;
    }
    steps.done("Bob's node was killed (-9); Alice sent three more, on her disk")?;
    bob.start(&address)?;
    let expected = ["Are you there?", "Yes.", away[0], away[1], away[2]];
    bob.until_inbox_is(&expected)?;
    alice.until_inbox_is(&expected)?;
    steps.done("Bob is back and has all of them, once, in order")?;

    for words in expected {
        folder.holds_nowhere(words)?;
    }
    steps.done("neither disk shows a word of it: everything is encrypted at rest")?;
    if args.keep {
        let home = |actor: &Actor| actor.home.display().to_string();
        output::line("Both go on. Try:")?;
        output::line(&format!("  godwit --home {} send bob hello", home(&alice)))?;
        output::line(&format!("  godwit --home {} watch", home(&bob)))?;
        alice.child = None;
        bob.child = None;
        core::mem::forget(folder);
        return Ok(());
    }
    alice.stop()?;
    bob.stop()?;
    steps.done("both ended cleanly")?;
    Ok(())
}

/// Prints what happened and how long it took.
struct Steps {
    since: Instant,
}

impl Steps {
    fn done(&mut self, what: &str) -> Result<(), Failure> {
        let took = self.since.elapsed();
        self.since = Instant::now();
        output::line(&format!("{:>6} ms  {what}", took.as_millis())).map_err(Failure::from)
    }
}

/// A folder of ours, gone with this value.
struct Folder(PathBuf);

impl Folder {
    fn make() -> Result<Self, Failure> {
        let started = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let name = format!("godwit-demo-{}-{}", std::process::id(), started.subsec_nanos());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path)?;
        Ok(Self(path))
    }

    /// Searches every file.
    fn holds_nowhere(&self, words: &str) -> Result<(), Failure> {
        let mut folders = vec![self.0.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                // A socket has nothing to read, and a file may have gone.
                let bytes = fs::read(&path).unwrap_or_default();
                if bytes.windows(words.len()).any(|window| window == words.as_bytes()) {
                    return Err(failed(&format!("{} holds \"{words}\"", path.display())));
                }
            }
        }
        Ok(())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A home and its node.
struct Actor {
    home: PathBuf,
    child: Option<Child>,
    listens: String,
}

impl Actor {
    fn new(folder: &Path, name: &str) -> Result<Self, Failure> {
        let actor = Self { home: folder.join(name), child: None, listens: String::new() };
        actor.ask(&["init", "--no-passphrase", "--name", name])?;
        Ok(actor)
    }

    fn command(&self) -> Result<Command, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--home").arg(&self.home).arg("--json").stdin(Stdio::null());
        command.stderr(Stdio::piped());
        Ok(command)
    }

    fn start(&mut self, listen: &str) -> Result<(), Failure> {
        let mut command = self.command()?;
        command.args(["run", "--listen", listen]).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let output = child.stdout.take();
        self.child = Some(child);
        let mut line = String::new();
        if let Some(output) = output {
            BufReader::new(output).read_line(&mut line)?;
        }
        let ready: Value =
            serde_json::from_str(&line).map_err(|_| failed("a node did not start"))?;
        self.listens = ready.pointer("/listen/0").map(text::plain).unwrap_or_default();
        Ok(())
    }

    /// Runs a verb and returns the objects that it printed.
    fn ask(&self, arguments: &[&str]) -> Result<Vec<Value>, Failure> {
        let said = self.command()?.args(arguments).output()?;
        if !said.status.success() {
            let error = String::from_utf8_lossy(&said.stderr);
            return Err(failed(&format!("`godwit {}`: {}", arguments.join(" "), error.trim())));
        }
        let lines = String::from_utf8_lossy(&said.stdout);
        Ok(lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }

    fn link(&self) -> Result<String, Failure> {
        let card = self.ask(&["id", "--here"])?;
        Ok(card.first().map(|card| text::field(card, "link")).unwrap_or_default())
    }

    fn until_inbox_is(&self, expected: &[&str]) -> Result<(), Failure> {
        let start = Instant::now();
        loop {
            let inbox = self.ask(&["inbox", "--limit", "100"])?;
            let bodies: Vec<String> =
                inbox.iter().map(|message| text::field(message, "body")).collect();
            if bodies == expected {
                return Ok(());
            }
            if start.elapsed() > PATIENCE || bodies.len() > expected.len() {
                return Err(failed(&format!("an inbox is {bodies:?}")));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn stop(&mut self) -> Result<(), Failure> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
            kill_process(pid, Signal::TERM).map_err(std::io::Error::from)?;
        }
        if child.wait()?.success() { Ok(()) } else { Err(failed("a node did not end cleanly")) }
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        self.kill();
    }
}

fn failed(what: &str) -> Failure {
    Refusal::new(Code::Inner, format!("the demo failed: {what}"), "godwit demo --keep").into()
}
