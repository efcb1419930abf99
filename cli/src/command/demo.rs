//! `demo`: three real nodes on loopback, spoken to only as a user would.

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

/// See three nodes on this machine: two people, and a host that keeps what it cannot read
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Leave them running, and show what to type next
    #[arg(long)]
    keep: bool,
}

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs it; fails unless every message arrived exactly once and in order.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let mut steps = Steps { since: Instant::now() };
    let folder = Folder::make()?;
    let mut hana = Actor::new(&folder.0, "hana", &["init", "--host"])?;
    let mut alice =
        Actor::new(&folder.0, "alice", &["init", "--no-passphrase", "--name", "alice"])?;
    let mut bob = Actor::new(&folder.0, "bob", &["init", "--no-passphrase", "--name", "bob"])?;
    steps.done("three homes: Alice, Bob, and Hana's, which has no account")?;
    for actor in [&mut hana, &mut alice, &mut bob] {
        actor.start()?;
    }
    steps.done("three nodes run, each a process of its own")?;
    let invite = hana.field(&["host", "invite"], "link")?;
    for actor in [&alice, &bob] {
        actor.ask(&["mailbox", "use", &invite])?;
    }
    steps.done("Hana invited both; each has a mailbox at her node")?;

    let link = bob.field(&["id"], "link")?;
    alice.ask(&["contact", "add", &link, "--as", "bob"])?;
    bob.until("Alice asks", |bob| {
        let asking = bob.ask(&["contact", "list", "--requests"])?;
        Ok(asking.iter().any(|contact| text::field(contact, "name") == "alice"))
    })?;
    bob.ask(&["contact", "accept", "alice"])?;
    steps.done("Alice added Bob by his link, which names Hana alone; he accepted")?;
    alice.ask(&["send", "bob", "Are you there?", "--wait", "delivered"])?;
    steps.done("\"Are you there?\" is on Bob's disk")?;
    bob.ask(&["send", "alice", "Yes.", "--wait", "delivered"])?;
    steps.done("Bob's \"Yes.\" is on Alice's disk")?;

    bob.stop()?;
    let away = ["One while you sleep.", "Two while you sleep.", "Three while you sleep."];
    for words in away {
        alice.ask(&["send", "bob", words, "--wait", "deposited"])?;
    }
    let held = hana.held()?;
    if held < away.len() {
        return Err(failed(&format!("Hana holds {held} envelopes")));
    }
    steps.done("Bob's node was stopped; Hana signed for three more")?;
    let expected = ["Are you there?", "Yes.", away[0], away[1], away[2]];
    for words in expected {
        folder.holds_nowhere(words)?;
    }
    steps.done("no file of anyone's shows a word of it; Hana holds sealed envelopes of 2 KiB")?;
    alice.stop()?;
    bob.start()?;
    bob.until_inbox_is(&expected)?;
    steps.done("Alice's node was stopped, Bob's is back: he has all of them, once, in order")?;
    alice.start()?;
    hana.until("Hana's disk is empty again", |hana| Ok(hana.held()? == 0))?;
    alice.until_inbox_is(&expected)?;
    steps.done("what Bob has, Hana has deleted; Alice is back")?;
    if args.keep {
        let home = |actor: &Actor| actor.home.display().to_string();
        output::line("All three go on. Try:")?;
        output::line(&format!("  godwit --home {} send bob hello", home(&alice)))?;
        output::line(&format!("  godwit --home {} watch", home(&bob)))?;
        output::line(&format!("  godwit --home {} host list", home(&hana)))?;
        for actor in [&mut hana, &mut alice, &mut bob] {
            actor.child = None;
        }
        core::mem::forget(folder);
        return Ok(());
    }
    for actor in [&mut alice, &mut bob, &mut hana] {
        actor.stop()?;
    }
    steps.done("all three ended cleanly")?;
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
    fn new(folder: &Path, name: &str, init: &[&str]) -> Result<Self, Failure> {
        let actor = Self { home: folder.join(name), child: None, listens: String::new() };
        actor.ask(init)?;
        Ok(actor)
    }

    fn command(&self) -> Result<Command, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--home").arg(&self.home).arg("--json").stdin(Stdio::null());
        command.stderr(Stdio::piped());
        Ok(command)
    }

    /// Starts the node, at the place where it was.
    fn start(&mut self) -> Result<(), Failure> {
        let listen =
            if self.listens.is_empty() { "/ip4/127.0.0.1/tcp/0" } else { self.listens.as_str() };
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

    /// One field of the first object that a verb prints.
    fn field(&self, arguments: &[&str], key: &str) -> Result<String, Failure> {
        let said = self.ask(arguments)?;
        Ok(said.first().map(|object| text::field(object, key)).unwrap_or_default())
    }

    /// Envelopes that this host holds.
    fn held(&self) -> Result<usize, Failure> {
        let owners = self.ask(&["host", "list"])?;
        let held = owners.iter().filter_map(|owner| owner.get("envelopes")?.as_u64()).sum::<u64>();
        Ok(usize::try_from(held).unwrap_or(usize::MAX))
    }

    fn until(
        &self,
        what: &str,
        there: impl Fn(&Self) -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        let start = Instant::now();
        while !there(self)? {
            if start.elapsed() > PATIENCE {
                return Err(failed(&format!("{what}: not within 30 s")));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
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
