//! What a host's process holds in memory, on its command line and in its environment: nothing that
//! people wrote, and no name. Taken from outside, as an operator with a debugger would. And what crosses
//! the wire, and lies in a host's home.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

#[path = "../cli_support/mod.rs"]
mod cli_support;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

use cli_support::node::{Node, meet_at};
use godwit_protocol::identity::ContactLink;

/// What the process of a node may read of its own memory.
fn image(node: &Node) -> Vec<Vec<u8>> {
    let process = format!("/proc/{}", node.child.as_ref().unwrap().id());
    let maps = fs::read_to_string(format!("{process}/maps")).unwrap();
    let memory = File::open(format!("{process}/mem")).unwrap();
    let part = |line: &str| {
        let mut words = line.split_whitespace();
        let (from, to) = words.next()?.split_once('-')?;
        let readable = words.next()?.starts_with('r') && !line.ends_with("[vvar]");
        let number = |text: &str| u64::from_str_radix(text, 16).ok();
        let (from, to) = (number(from)?, number(to)?);
        let mut bytes = vec![0; usize::try_from(to - from).ok().filter(|_| readable)?];
        // What went away meanwhile holds nothing.
        memory.read_exact_at(&mut bytes, from).ok().map(|()| bytes)
    };
    maps.lines().filter_map(part).collect()
}

fn holds(image: &[Vec<u8>], text: &str) -> bool {
    let text = text.as_bytes();
    let starts = |part: &Vec<u8>| {
        let mut places = part.iter().enumerate().filter(|(_, byte)| **byte == text[0]);
        places.any(|(at, _)| part[at..].starts_with(text))
    };
    image.iter().any(starts)
}

#[test]
fn a_hosts_memory_holds_nothing_that_was_written_and_no_name() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root may read the memory of another process");
        return;
    }
    let (text, name) = ("a-word-that-nobody-else-says-7f3a", "Xochiquetzal");
    let hana = Node::new(&["init", "--host"]);
    let (alice, mut bob) = (Node::person(name), Node::person("Huitzilin"));
    meet_at(&hana, [&alice, &bob]);
    bob.stop();
    for number in 0..20 {
        let text = format!("{text} {number}");
        alice.ok(&["send", "bob", &text, "--wait", "deposited"]);
    }
    let waiting = image(&hana);
    bob.start();
    bob.until("the messages", |bob| bob.received().len() == 21);
    let after = image(&hana);

    for image in [&waiting, &after] {
        assert!(holds(image, "godwit/deposit-leaf/1"), "this is no image of a host");
        for word in [text, name, "Huitzilin"] {
            assert!(!holds(image, word), "the host's memory holds {word:?}");
        }
    }
    assert!(
        holds(&image(&bob), text),
        "whoever reads it holds it: the search finds nothing at all"
    );
    for node in [&hana, &alice, &bob] {
        let process = format!("/proc/{}", node.child.as_ref().unwrap().id());
        for file in ["cmdline", "environ"] {
            let shown = fs::read(format!("{process}/{file}")).unwrap();
            for word in [text, name] {
                assert!(!holds(std::slice::from_ref(&shown), word), "{file} holds {word:?}");
            }
        }
    }
}

/// Somebody between two nodes who keeps everything.
struct Wire {
    /// Where it is taken for the node behind it.
    address: String,
    behind: Arc<OnceLock<String>>,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Wire {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("/ip4/127.0.0.1/tcp/{}", listener.local_addr().unwrap().port());
        let (behind, heard) = (Arc::new(OnceLock::new()), Arc::new(Mutex::new(Vec::new())));
        let (to, all) = (Arc::clone(&behind), Arc::clone(&heard));
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let Some(Ok(far)) = to.get().map(|to: &String| TcpStream::connect(to)) else {
                    continue;
                };
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let all = Arc::clone(&all);
                    std::thread::spawn(move || carry(from, to, &all));
                }
            }
        });
        Self { address, behind, heard }
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, all: &Mutex<Vec<u8>>) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        all.lock().unwrap().extend_from_slice(&buffer[..count]);
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.append(&mut files(&path));
        } else if let Ok(bytes) = fs::read(path) {
            all.push(bytes);
        }
    }
    all
}

fn holds_bytes(parts: &[Vec<u8>], wanted: &[u8]) -> bool {
    parts.iter().any(|part| part.windows(wanted.len()).any(|window| window == wanted))
}

#[test]
fn what_crosses_the_wire_and_lies_at_a_host_holds_nothing_that_was_written_and_nobodys_name() {
    let (text, name) = ("a-word-that-nobody-else-says-91c2", "Xochiquetzal");
    let wire = Wire::start();
    let told = format!("[node]\nannounce = [\"{}\"]\n", wire.address);
    let hana = Node::configured(&["init", "--host"], &told);
    let port = hana.listens.rsplit('/').next().unwrap();
    wire.behind.set(format!("127.0.0.1:{port}")).unwrap();
    let (alice, mut bob) = (Node::person(name), Node::person("Huitzilin"));
    meet_at(&hana, [&alice, &bob]);
    bob.stop();
    for number in 0..20 {
        let text = format!("{text} {number}");
        alice.ok(&["send", "bob", &text, "--wait", "deposited"]);
    }
    let waiting = files(&hana.place.home());
    bob.start();
    bob.until("the messages", |bob| bob.received().len() == 21);

    let heard = vec![wire.heard.lock().unwrap().clone()];
    assert!(heard[0].len() > 2 * 20 * 2_048, "only {} bytes were heard", heard[0].len());
    let account = |node: &Node| {
        let link: ContactLink = node.link(&["id"]).parse().unwrap();
        link.account.as_bytes().to_vec()
    };
    let accounts = [account(&alice), account(&bob)];
    let words = [text.as_bytes(), name.as_bytes(), b"Huitzilin", &accounts[0], &accounts[1]];
    for (what, parts) in [("the wire", &heard), ("the host's home", &waiting)] {
        for word in words {
            assert!(!holds_bytes(parts, word), "{what} holds {word:?}");
        }
    }
    assert!(holds_bytes(&waiting, b"public_cards"), "these are no files of a host");
}
