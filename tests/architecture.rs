//! The walls of the house: who may import whom, and how long a file may be.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::{Path, PathBuf};

/// Lines of code after which a file is too long.
const MAX_LINES: usize = 700;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every Rust file under a folder, with its path from the root.
fn sources(folder: &str) -> Vec<(String, String)> {
    let mut folders = vec![root().join(folder)];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).unwrap().display().to_string();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(!found.is_empty(), "{folder} has no sources");
    found
}

/// The code without comments, blank lines and what comes after the unit tests begin.
fn code(text: &str) -> Vec<&str> {
    let tests = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    let text = text.get(..tests).unwrap_or(text);
    let lines = text.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with("//")).collect()
}

#[track_caller]
fn names_nowhere(folder: &str, words: &[&str], except: &[&str]) {
    for (name, text) in sources(folder) {
        if except.iter().any(|allowed| name.starts_with(allowed)) {
            continue;
        }
        for line in code(&text) {
            for word in words {
                assert!(!line.contains(word), "{name} names {word}: {line}");
            }
        }
    }
}

#[test]
fn the_protocol_does_no_io_and_knows_no_clock() {
    let words = [
        "tokio::",
        "futures::",
        "libp2p",
        "sled::",
        "std::net",
        "std::fs",
        "SystemTime",
        "Instant",
        "thread_rng",
        "SysRng",
        "godwit_store",
        "godwit_node",
    ];
    names_nowhere("protocol/src", &words, &[]);
}

#[test]
fn the_store_knows_no_network_and_engines_are_named_in_their_files() {
    names_nowhere("store/src", &["tokio::", "libp2p", "godwit_node"], &[]);
    names_nowhere("store/src", &["sled::", "redb::"], &["store/src/engine/"]);
    for folder in ["protocol/src", "node/src", "cli/src"] {
        names_nowhere(folder, &["sled::", "redb::"], &[]);
    }
}

#[test]
fn libp2p_stays_in_the_network_and_bincode_in_the_codec() {
    for folder in ["protocol/src", "store/src", "cli/src"] {
        names_nowhere(folder, &["libp2p::"], &[]);
    }
    names_nowhere("node/src", &["libp2p::"], &["node/src/network/"]);
    for folder in ["protocol/src", "store/src", "node/src", "cli/src"] {
        names_nowhere(folder, &["bincode::"], &["protocol/src/wire/codec.rs"]);
    }
}

#[test]
fn the_command_line_reaches_the_node_by_its_api_its_home_and_its_front_door() {
    let words = ["godwit_store", "godwit_node::service", "godwit_node::network", "Endpoint"];
    names_nowhere("cli/src", &words, &[]);
}

#[test]
fn the_machine_is_imported_by_nobody_below_it() {
    let below = ["crypto", "wire", "identity", "session", "envelope", "content", "conversation"];
    for folder in below.into_iter().chain(["record"]) {
        names_nowhere(&format!("protocol/src/{folder}"), &["crate::endpoint", "crate::rows"], &[]);
    }
}

#[test]
fn no_file_is_too_long_and_the_root_holds_what_it_should() {
    for folder in ["protocol/src", "store/src", "node/src", "cli/src", "tests", "examples"] {
        for (name, text) in sources(folder) {
            let lines = code(&text).len();
            assert!(lines <= MAX_LINES, "{name} has {lines} lines of code");
        }
    }
    let allowed = [
        "Cargo.toml",
        "Cargo.lock",
        "README.md",
        "CHANGELOG.md",
        "LICENSE-MIT",
        "LICENSE-APACHE",
        "node",
        "protocol",
        "store",
        "cli",
        "examples",
        "tests",
        "docs",
        "target",
    ];
    for entry in fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name.starts_with('.') || allowed.contains(&name.as_str()), "{name} at the root");
    }
}

#[test]
fn what_nobody_can_do_is_held_by_tests_that_exist() {
    let folders = ["protocol/src", "store/src", "node/src", "cli/src", "tests"];
    let sources: Vec<String> =
        folders.into_iter().flat_map(sources).map(|(_, text)| text).collect();
    let text = fs::read_to_string(root().join("docs/threat-model.md")).unwrap();
    let is_name = |word: &&str| {
        let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        word.len() >= 16 && word.bytes().all(letters)
    };
    let named: Vec<&str> = text.split('`').filter(is_name).collect();
    assert!(named.len() > 40, "{} tests are named", named.len());
    for name in named {
        let test = format!("fn {name}(");
        assert!(sources.iter().any(|text| text.contains(&test)), "there is no test `{name}`");
    }
}
