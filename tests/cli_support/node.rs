//! A running node: its process, its place, what it has received.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use super::{Place, Said, tell};

/// A home with its process, if it runs; killed with this value.
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) child: Option<Child>,
    /// Where it listens, at every start.
    pub(crate) listens: String,
    /// In which network namespace it lives.
    space: Option<String>,
    /// Another binary than the one that was built, at every start.
    pub(crate) program: Option<std::path::PathBuf>,
}

impl Node {
    /// A home made by `init`, started.
    pub(crate) fn new(init: &[&str]) -> Self {
        Self::in_place(Place::empty(), init)
    }

    /// The same in a place that is there.
    pub(crate) fn in_place(place: Place, init: &[&str]) -> Self {
        assert_eq!(place.run(init).exit, Some(0));
        Self::listening(place, "/ip4/127.0.0.1/tcp/0")
    }

    /// A home that is there, started; it listens there at every start.
    pub(crate) fn listening(place: Place, at: &str) -> Self {
        let mut node =
            Self { place, child: None, listens: at.to_owned(), space: None, program: None };
        node.start();
        node
    }

    /// A home with a configuration of its own, started.
    pub(crate) fn configured(init: &[&str], config: &str) -> Self {
        let place = Place::empty();
        assert_eq!(place.run(init).exit, Some(0));
        place.configure(config);
        Self::listening(place, "/ip4/127.0.0.1/tcp/0")
    }

    /// The same in a network namespace, listening wherever a node does by default.
    pub(crate) fn within(namespace: &str, init: &[&str], config: &str) -> Self {
        let place = Place::empty();
        assert_eq!(place.run(init).exit, Some(0));
        place.configure(config);
        let space = Some(namespace.to_owned());
        let mut node = Self { place, child: None, listens: String::new(), space, program: None };
        node.start_again();
        node
    }

    /// Starts it in its network namespace, where it listens by default.
    pub(crate) fn start_again(&mut self) {
        let godwit = self.place.command();
        let mut command = Command::new("ip");
        let space = self.space.as_deref().unwrap();
        command.args(["netns", "exec", space]).arg(godwit.get_program());
        command.env("GODWIT_HOME", self.place.home()).args(["run", "--json"]);
        self.spawn(command);
    }

    /// A person's node.
    pub(crate) fn person(name: &str) -> Self {
        Self::new(&["init", "--no-passphrase", "--name", name])
    }

    /// Starts it where it was.
    pub(crate) fn start(&mut self) {
        let mut command = match &self.program {
            Some(program) => Command::new(program),
            None => super::bare(),
        };
        command.env("GODWIT_HOME", self.place.home()).stdin(Stdio::null());
        command.args(["run", "--json", "--listen", &self.listens]);
        self.spawn(command);
    }

    /// Starts it where it was, with so many descriptors and no more.
    pub(crate) fn start_with_descriptors(&mut self, count: u32) {
        let godwit = self.place.command();
        let run = format!("ulimit -n {count}; exec \"$0\" run --json --listen \"$1\"");
        let mut command = Command::new("sh");
        command.args(["-c", &run]).arg(godwit.get_program()).arg(&self.listens);
        command.env("GODWIT_HOME", self.place.home());
        self.spawn(command);
    }

    /// Waits until it is ready.
    fn spawn(&mut self, mut command: Command) {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        ready["listen"][0].as_str().unwrap_or_default().clone_into(&mut self.listens);
        self.child = Some(child);
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Ends it as a service manager does.
    pub(crate) fn stop(&mut self) {
        let mut child = self.child.take().unwrap();
        tell(&child, Signal::TERM);
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }

    pub(crate) fn tell(&self, signal: Signal) {
        tell(self.child.as_ref().unwrap(), signal);
    }

    /// Bytes of memory that its process holds.
    pub(crate) fn memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.as_ref().unwrap().id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1_024
    }

    #[track_caller]
    pub(crate) fn ok(&self, arguments: &[&str]) -> Said {
        let said = self.place.run(arguments);
        assert_eq!(said.exit, Some(0), "{arguments:?} {said:?}");
        said
    }

    /// The link that a verb prints.
    pub(crate) fn link(&self, arguments: &[&str]) -> String {
        let said = self.ok(&[arguments, &["--json"]].concat()).json();
        said["link"].as_str().unwrap().to_owned()
    }

    /// Adds another by its link with present addresses.
    pub(crate) fn add(&self, other: &Self, name: &str) {
        let link = other.link(&["id", "--here"]);
        self.ok(&["contact", "add", &link, "--as", name]);
    }

    /// Waits for something, 60 s at most.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, there: impl Fn(&Self) -> bool) {
        self.until_within(Duration::from_secs(60), what, there);
    }

    /// The same for something that may take that long.
    #[track_caller]
    pub(crate) fn until_within(
        &self,
        longest: Duration,
        what: &str,
        there: impl Fn(&Self) -> bool,
    ) {
        let start = Instant::now();
        while !there(self) {
            assert!(start.elapsed() < longest, "{what} has not come");
            std::thread::yield_now();
        }
    }

    /// The texts that came, oldest first, at most 1,000.
    pub(crate) fn received(&self) -> Vec<String> {
        let said = self.ok(&["inbox", "--json", "--limit", "1000"]);
        let lines = said.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let came = lines.filter(|line| line["direction"] == "in");
        came.map(|line| line["body"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits until these have come, and fails on anything else. What comes late by another way is put
    /// in its place; meanwhile those that are here stand in their order.
    #[track_caller]
    pub(crate) fn receives<S: AsRef<str>>(&self, expected: &[S]) {
        let expected: Vec<&str> = expected.iter().map(AsRef::as_ref).collect();
        self.until("the mail", |node| {
            let received = node.received();
            let here = expected.iter().filter(|text| received.iter().any(|it| it == *text));
            assert!(here.eq(received.iter()), "{received:?}");
            received.len() == expected.len()
        });
    }

    pub(crate) fn contact_state(&self) -> String {
        let said = self.ok(&["contact", "list", "--json"]);
        let first = said.stdout.lines().next().map(serde_json::from_str::<Value>);
        first.map_or_else(String::new, |it| it.unwrap()["state"].as_str().unwrap().to_owned())
    }

    pub(crate) fn host_state(&self) -> String {
        let status = self.ok(&["mailbox", "status", "--json"]).json();
        status["hosts"][0]["state"].as_str().unwrap_or_default().to_owned()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Two who have each other in the book, over a direct stream.
pub(crate) fn friends() -> (Node, Node) {
    befriended(Node::person("Alice"), Node::person("Bob"))
}

/// The same of two that are there.
pub(crate) fn befriended(alice: Node, bob: Node) -> (Node, Node) {
    alice.add(&bob, "bob");
    bob.add(&alice, "alice");
    alice.ok(&["send", "bob", "first", "--wait", "delivered"]);
    (alice, bob)
}

/// Both keep their mail at a host, and the first has the second in its book, by an invite, as "bob".
pub(crate) fn meet_at(host: &Node, [alice, bob]: [&Node; 2]) {
    let invite = host.link(&["host", "invite"]);
    for node in [alice, bob] {
        node.ok(&["mailbox", "use", &invite]);
    }
    let link = bob.link(&["contact", "invite"]);
    alice.ok(&["contact", "add", &link, "--as", "bob"]);
    alice.ok(&["send", "bob", "first", "--wait", "delivered"]);
}

/// One `POST` of a text to Bob, as bytes of HTTP.
pub(crate) fn post_to_bob(text: &str) -> Vec<u8> {
    let body = serde_json::json!({"to": "bob", "text": text}).to_string();
    let head = "POST /v1/messages HTTP/1.1\r\nhost: godwit\r\ncontent-type: application/json";
    format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}
