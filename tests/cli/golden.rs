//! What the commands print, for people and for programs: every word and field of it is a contract.
//!
//! `INSTA_UPDATE=always cargo test -p godwit --test cli_golden` writes the golden files anew.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../cli_support/mod.rs"]
mod cli_support;

use std::fmt::Write as _;

use cli_support::node::Node;

/// Puts names in the place of what differs from run to run.
fn steady(text: &str, home: &str) -> String {
    let text = text.replace(home, "<home>");
    let mut steady = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(first) = rest.chars().next() {
        let word =
            rest.len() - rest.trim_start_matches(|it: char| it.is_ascii_alphanumeric()).len();
        let (token, after) = rest.split_at(word.max(first.len_utf8()));
        let is_hex = token.bytes().all(|byte| byte.is_ascii_hexdigit());
        let put = match token {
            _ if token.len() >= 16 && is_hex => "<hex>",
            _ if token.starts_with("gw1") || token.starts_with("gwh1") => "<key>",
            _ if token.starts_with("12D3Koo") => "<peer>",
            _ if token.len() == 5 && token.bytes().all(|byte| byte.is_ascii_digit()) => "<5>",
            _ => token,
        };
        steady.push_str(put);
        rest = after;
    }
    times(&steady)
}

/// The same for times of this year or later, and for numbers that grow.
fn times(text: &str) -> String {
    let mut lines = Vec::new();
    for line in text.lines() {
        let mut line = format!(" {line}");
        for (start, end) in [("\"20", "Z\""), (" 20", "+00:00")] {
            while let Some(at) = line.find(start) {
                let Some(length) = line[at..].find(end) else { break };
                line.replace_range(at..at + length + end.len(), " <time>");
            }
        }
        for name in ["\"bytes\":", "\"pid\":", "\"uptime_s\":"] {
            if let Some(at) = line.find(name) {
                let at = at + name.len();
                let end = line[at..].find([',', '}']).unwrap();
                line.replace_range(at..at + end, "<n>");
            }
        }
        // A disk whose room is a whole number of GiB says so in GiB.
        for unit in ["MiB free", "GiB free"] {
            if let Some(at) = line.find(unit) {
                let start = line[..at].rfind(|it: char| !it.is_ascii_digit()).unwrap();
                line.replace_range(start + 1..at + 3, "<n>MiB");
            }
        }
        lines.push(line.trim_start_matches(' ').to_owned());
    }
    lines.join("\n")
}

/// What each command says, in text and as JSON.
fn said(node: &Node, commands: &[&[&str]]) -> String {
    let home = node.place.home().display().to_string();
    let mut out = String::new();
    for command in commands {
        for json in [false, true] {
            let mut arguments = command.to_vec();
            if json {
                arguments.insert(0, "--json");
            }
            let said = node.place.run(&arguments);
            let shown = format!("{}{}", said.stdout, said.stderr);
            writeln!(out, "$ godwit {}", steady(&arguments.join(" "), &home)).unwrap();
            writeln!(out, "{}", steady(&shown, &home).trim_end()).unwrap();
            writeln!(out, "= {}\n", said.exit.unwrap()).unwrap();
        }
    }
    out
}

#[test]
fn a_person_sees_what_the_golden_file_says() {
    let hana = Node::new(&["init", "--host"]);
    let (alice, bob) = (Node::person("Alice"), Node::person("Bob"));
    let invite = hana.link(&["host", "invite"]);
    for node in [&alice, &bob] {
        node.ok(&["mailbox", "use", &invite]);
    }
    let link = bob.link(&["contact", "invite"]);
    alice.ok(&["contact", "add", &link, "--as", "bob"]);
    alice.until("acceptance", |node| node.contact_state() == "accepted");
    bob.until("acceptance", |node| node.contact_state() == "accepted");
    let id = "00112233445566778899aabbccddeeff";
    alice.ok(&["send", "bob", "hello", "--id", id, "--wait", "delivered"]);
    alice.until("an idle host", |node| node.host_state() == "ok");
    hana.until("fetched mail", |hana| {
        let status = hana.ok(&["status", "--json"]).json();
        status["hosting"]["envelopes"] == 0 && status["hosting"]["queues"] == 4
    });

    insta::assert_snapshot!(
        "person",
        said(
            &alice,
            &[
                &["id"],
                &["contact", "list"],
                &["contact", "verify", "bob"],
                &["inbox", "bob"],
                &["mailbox", "list"],
                &["send", "bob", "hello", "--id", id],
                &["send", "nobody", "hello"],
                &["send", "bob", ""],
                &["contact", "rename", "bob", "bob"],
                &["contact", "add", "godwit:nonsense"],
                &["mailbox", "drop", "12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X"],
                &["host", "list"],
                &["why", "ffffffffffffffffffffffffffffffff"],
                &["store", "check"],
                &["config", "print"],
            ]
        )
    );
    insta::assert_snapshot!(
        "host",
        said(
            &hana,
            &[
                &["id"],
                &["host", "list"],
                &["contact", "list"],
                &["host", "invite", "--uses", "0"],
                &["host", "remove", "00"],
            ]
        )
    );
}

#[test]
fn a_home_without_a_node_says_what_to_type() {
    let mut node = Node::person("Alice");
    node.stop();

    insta::assert_snapshot!(
        "stopped",
        said(
            &node,
            &[
                &["status"],
                &["id"],
                &["init", "--no-passphrase"],
                &["down"],
                &["store", "check"],
                &["doctor"],
                &["run", "--listen", "nowhere"],
                &["nonsense"],
            ]
        )
    );
}
