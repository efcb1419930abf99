//! Real nodes on this machine, each a process of its own, spoken to only as a user would.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use godwit_protocol::endpoint::{Code, Refusal};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::exit::Failure;
use crate::output::text;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A folder of ours, gone with this value.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn make() -> Result<Self, Failure> {
        let started = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let name = format!("godwit-demo-{}-{}", std::process::id(), started.subsec_nanos());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path)?;
        Ok(Self(path))
    }

    /// Searches every file.
    pub(crate) fn holds_nowhere(&self, words: &str) -> Result<(), Failure> {
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
pub(crate) struct Actor {
    pub(crate) home: PathBuf,
    child: Option<Child>,
    listens: String,
}

impl Actor {
    pub(crate) fn new(folder: &Path, name: &str, init: &[&str]) -> Result<Self, Failure> {
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
    pub(crate) fn start(&mut self) -> Result<(), Failure> {
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
    pub(crate) fn ask(&self, arguments: &[&str]) -> Result<Vec<Value>, Failure> {
        let said = self.command()?.args(arguments).output()?;
        if !said.status.success() {
            let error = String::from_utf8_lossy(&said.stderr);
            return Err(failed(&format!("`godwit {}`: {}", arguments.join(" "), error.trim())));
        }
        let lines = String::from_utf8_lossy(&said.stdout);
        Ok(lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }

    /// One field of the first object that a verb prints.
    pub(crate) fn field(&self, arguments: &[&str], key: &str) -> Result<String, Failure> {
        let said = self.ask(arguments)?;
        Ok(said.first().map(|object| text::field(object, key)).unwrap_or_default())
    }

    /// Envelopes that this host holds.
    pub(crate) fn held(&self) -> Result<usize, Failure> {
        let owners = self.ask(&["host", "list"])?;
        let held = owners.iter().filter_map(|owner| owner.get("envelopes")?.as_u64()).sum::<u64>();
        Ok(usize::try_from(held).unwrap_or(usize::MAX))
    }

    pub(crate) fn until(
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

    pub(crate) fn until_inbox_is(&self, expected: &[&str]) -> Result<(), Failure> {
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

    /// Leaves the node running after this program.
    pub(crate) fn leave(mut self) {
        self.child = None;
    }

    /// Adds to its configuration, for the next start.
    pub(crate) fn configure(&self, section: &str) -> Result<(), Failure> {
        let path = self.home.join("config.toml");
        let text = fs::read_to_string(&path).unwrap_or_default();
        Ok(fs::write(path, format!("{text}\n{section}"))?)
    }

    /// Where it listens first.
    pub(crate) fn listens(&self) -> &str {
        &self.listens
    }

    /// Its process, while it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    pub(crate) fn stop(&mut self) -> Result<(), Failure> {
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

/// What went otherwise than it should.
pub(crate) fn failed(what: &str) -> Failure {
    Refusal::new(Code::Inner, what, "godwit demo --keep").into()
}
