//! What an operator does to a node that people use: another binary, another machine, a container.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

#[path = "../cli_support/mod.rs"]
mod cli_support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use cli_support::node::Node;
use cli_support::{said, tell};
use rustix::process::Signal;

/// A host, and two friends who keep their mail there.
fn community() -> [Node; 3] {
    let hana = Node::new(&["init", "--host"]);
    let (alice, bob) = (Node::person("Alice"), Node::person("Bob"));
    let invite = hana.link(&["host", "invite", "--uses", "2"]);
    for node in [&alice, &bob] {
        node.ok(&["mailbox", "use", &invite]);
    }
    alice.ok(&["contact", "add", &bob.link(&["contact", "invite"]), "--as", "bob"]);
    alice.until("acceptance", |node| node.contact_state() == "accepted");
    [hana, alice, bob]
}

#[test]
fn a_binary_that_is_replaced_under_load_loses_and_repeats_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let binary = folder.path().join("godwit");
    let mut nodes = community();
    let done = AtomicBool::new(false);
    let home = nodes[1].place.home();

    let count = std::thread::scope(|scope| {
        // Whoever sends does not know that somebody is at work: what was refused goes again under the
        // same id.
        let sender = scope.spawn(|| {
            let mut count = 0_u32;
            while !done.load(Ordering::Relaxed) {
                let (text, id) = (format!("text {count}"), format!("{count:032x}"));
                let sent = || {
                    let mut send = cli_support::bare();
                    send.env("GODWIT_HOME", &home).args(["send", "bob", &text, "--id", &id]);
                    said(send.output().unwrap()).exit
                };
                while sent() != Some(0) {}
                count += 1;
            }
            count
        });
        for node in &mut nodes {
            let new = folder.path().join("godwit.new");
            copy_program(&new);
            fs::rename(&new, &binary).unwrap();
            node.stop();
            node.program = Some(binary.clone());
            node.start();
        }
        done.store(true, Ordering::Relaxed);
        sender.join().unwrap()
    });

    assert!(count >= 3, "{count} texts were sent meanwhile");
    let texts: Vec<String> = (0..count).map(|number| format!("text {number}")).collect();
    nodes[2].receives(&texts);
}

#[test]
fn a_host_that_moves_to_another_machine_takes_its_mail_along() {
    let [mut hana, alice, mut bob] = community();
    bob.stop();
    alice.ok(&["send", "bob", "before the move", "--wait", "deposited"]);

    // The whole home, elsewhere, under the name that it had.
    hana.stop();
    let machine = cli_support::Place::empty();
    let moved = Command::new("cp").arg("-a").args([hana.place.home(), machine.home()]).status();
    assert!(moved.unwrap().success());
    let hana = Node::listening(machine, &hana.listens);

    alice.ok(&["send", "bob", "after it", "--wait", "deposited"]);
    assert_eq!(alice.host_state(), "ok", "nothing was lost");
    bob.start();
    bob.receives(&["before the move", "after it"]);
    drop(hana);
}

/// So many people at one host, unless told otherwise.
fn owners() -> usize {
    let told = std::env::var("GODWIT_OWNERS").ok().and_then(|count| count.parse().ok());
    told.unwrap_or(12)
}

#[test]
fn a_host_that_is_killed_has_all_of_its_people_back_and_each_reaches_the_other() {
    let mut hana = Node::new(&["init", "--host"]);
    let invite = hana.link(&["host", "invite", "--uses", &owners().to_string()]);
    let mut alice = Node::person("Alice");
    alice.ok(&["mailbox", "use", &invite]);
    let friends: Vec<Node> = (1..owners())
        .map(|number| {
            let friend = Node::person(&format!("Friend {number}"));
            friend.ok(&["mailbox", "use", &invite]);
            friend.ok(&["contact", "add", &alice.link(&["contact", "invite"]), "--as", "alice"]);
            friend
        })
        .collect();
    let accepted = |node: &Node| {
        let said = node.ok(&["contact", "list", "--json"]).stdout;
        said.lines().filter(|line| line.contains("\"accepted\"")).count()
    };
    alice.until("everybody", |alice| accepted(alice) == friends.len());

    hana.kill();
    alice.until("the loss of it", |alice| alice.host_state() == "unreachable");
    hana.start();
    for node in friends.iter().chain([&alice]) {
        node.until("the host", |node| node.host_state() == "ok");
    }
    // Each has two keys there, a public one and a private one.
    assert_eq!(hana.ok(&["host", "list", "--json"]).stdout.lines().count(), 2 * owners());

    alice.stop();
    let start = Instant::now();
    alice.start();
    println!("ready with {} contacts after {:?}", friends.len(), start.elapsed());
    for (number, friend) in (1..).zip(&friends) {
        let name = format!("Friend {number}");
        alice.ok(&["send", &name, "all of you", "--wait", "delivered"]);
        friend.ok(&["send", "alice", &format!("from {number}")]);
    }
    alice.until("what they say", |alice| alice.received().len() == friends.len());
}

/// One instruction of a container file, with the lines that continue it.
fn instructions(file: &str) -> Vec<(String, String)> {
    let whole = file.replace("\\\n", " ");
    let lines = whole.lines().map(str::trim).filter(|it| !it.is_empty() && !it.starts_with('#'));
    let split = lines.map(|line| line.split_once(' ').unwrap());
    split.map(|(name, rest)| (name.to_owned(), rest.trim().to_owned())).collect()
}

/// Copies the binary in a process of its own: a file that is open for writing here is so in whatever
/// another test starts meanwhile, and cannot be run until that has begun.
fn copy_program(to: &Path) {
    let program = cli_support::bare().get_program().to_owned();
    let copied = Command::new("cp").arg(program).arg(to).status().unwrap();
    assert!(copied.success());
}

/// What a container runs, on a plain file system: a root folder of its own, and nothing of this
/// process's environment.
struct Container {
    root: tempfile::TempDir,
    environment: Vec<(String, String)>,
    entry: Vec<String>,
    command: Vec<String>,
    health: Vec<String>,
}

impl Container {
    /// Follows the last stage of a container file.
    fn build(file: &str) -> Self {
        let mut it = Self {
            root: tempfile::tempdir().unwrap(),
            environment: Vec::new(),
            entry: Vec::new(),
            command: Vec::new(),
            health: Vec::new(),
        };
        let all = instructions(file);
        let last = all.iter().rposition(|(name, _)| name == "FROM").unwrap();
        let built = &all[..last];
        assert!(built.iter().any(|(name, rest)| name == "RUN" && rest.contains("cargo build")));
        let list = |rest: &str| -> Vec<String> { serde_json::from_str(rest).unwrap() };
        for (name, rest) in &all[last + 1..] {
            match name.as_str() {
                "COPY" => {
                    let words: Vec<&str> = rest.split_whitespace().collect();
                    assert_eq!(words[..2], ["--from=build", "/src/target/release/godwit"]);
                    let to = it.inside(words[2]);
                    fs::create_dir_all(to.parent().unwrap()).unwrap();
                    copy_program(&to);
                }
                "ENV" => {
                    let (key, value) = rest.split_once('=').unwrap();
                    it.environment.push((key.to_owned(), value.to_owned()));
                }
                "VOLUME" => fs::create_dir_all(it.inside(rest)).unwrap(),
                "ENTRYPOINT" => it.entry = list(rest),
                "CMD" => it.command = list(rest),
                "HEALTHCHECK" => it.health = list(rest.split_once("CMD ").unwrap().1),
                "STOPSIGNAL" => assert_eq!(rest, "SIGTERM"),
                "EXPOSE" => assert_eq!(rest, "7447/tcp 7447/udp"),
                // Whoever runs it, on a plain file system, is whoever runs this test.
                "USER" => assert_eq!(rest, "godwit"),
                "RUN" => assert!(rest.starts_with("useradd --system"), "{rest}"),
                other => panic!("{other} is not tested"),
            }
        }
        it
    }

    fn inside(&self, path: &str) -> PathBuf {
        self.root.path().join(path.trim_start_matches('/'))
    }

    fn run(&self, words: &[String]) -> Command {
        let program = Path::new("/usr/local/bin").join(&words[0]);
        let mut command = Command::new(self.inside(program.to_str().unwrap()));
        command.args(&words[1..]).env_clear().current_dir(self.root.path());
        for (key, value) in &self.environment {
            let value = value.strip_prefix('/').map_or_else(
                || value.clone(),
                |path| self.inside(path).to_str().unwrap().to_owned(),
            );
            command.env(key, value);
        }
        command.stdin(Stdio::null());
        command
    }

    /// `podman run IMAGE ARGUMENTS`: the entry point with other arguments than its own.
    fn enter(&self, arguments: &[&str]) -> Command {
        let arguments = arguments.iter().map(|it| (*it).to_owned());
        self.run(&self.entry.iter().cloned().chain(arguments).collect::<Vec<String>>())
    }
}

#[test]
fn what_the_container_file_says_works_step_by_step() {
    let guide = include_str!("../../docs/self-hosting.md");
    let (_, rest) = guide.split_once("```dockerfile\n").unwrap();
    let (file, _) = rest.split_once("```").unwrap();
    let container = Container::build(file);
    let own = [container.entry.clone(), container.command.clone()].concat();

    // Without a home it says what to type.
    let nothing = said(container.run(&own).output().unwrap());
    nothing.is_refused("E_NO_HOME", 78);
    let init = ["init", "--host", "--announce", "/dns/chat.example.org/tcp/7447"];
    assert_eq!(said(container.enter(&init).output().unwrap()).exit, Some(0));
    let unwell = said(container.run(&container.health).output().unwrap());
    assert_ne!(unwell.exit, Some(0), "nothing runs yet");

    // The same place twice, as after an upgrade.
    for _ in 0..2 {
        let local = ["--listen".to_owned(), "/ip4/127.0.0.1/tcp/0".to_owned()];
        let words = [own.clone(), local.to_vec()].concat();
        let mut running = container.run(&words).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let output = running.stdout.as_mut().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut line).unwrap();
        let well = said(container.run(&container.health).output().unwrap());
        assert_eq!(well.exit, Some(0), "{well:?}");
        let invite = said(container.enter(&["host", "invite", "--uses", "20"]).output().unwrap());
        assert!(invite.stdout.contains("godwit-host:"), "{invite:?}");
        tell(&running, Signal::TERM);
        assert_eq!(running.wait().unwrap().code(), Some(0));
    }
}
