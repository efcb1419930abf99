//! What a host's process holds in memory, on its command line and in its environment: nothing that
//! people wrote, and no name. Taken from outside, as an operator with a debugger would.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

#[path = "../cli_support/mod.rs"]
mod cli_support;

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;

use cli_support::node::Node;

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
    let invite = hana.link(&["host", "invite", "--uses", "2"]);
    for node in [&alice, &bob] {
        node.ok(&["mailbox", "use", &invite]);
    }
    let link = bob.link(&["contact", "invite"]);
    alice.ok(&["contact", "add", &link, "--as", "bob"]);
    alice.ok(&["send", "bob", "hello", "--wait", "delivered"]);
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
