//! Sixteen real nodes, twelve of them strangers: people are found without hints.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

#[path = "../cli_support/mod.rs"]
mod cli_support;

use std::process::Command;
use std::time::Duration;

use cli_support::Place;
use cli_support::node::Node;
use serde_json::Value;

const STRANGERS: usize = 12;

fn address(node: &Node) -> String {
    let status = node.ok(&["status", "--json"]).json();
    format!(
        "{}/p2p/{}",
        status["announced"][0].as_str().unwrap(),
        status["peer_id"].as_str().unwrap()
    )
}

fn dht(node: &Node, field: &str) -> u64 {
    node.ok(&["status", "--json"]).json()["dht"][field].as_u64().unwrap()
}

fn entering(by: &Node) -> String {
    format!("[node]\nbootstrap = [\"{}\"]\n", address(by))
}

/// A link that says who, and nothing of where.
fn bare(link: &str) -> String {
    let hints = ["h=", "b=", "d="];
    let parts = link.split('&').filter(|part| !hints.iter().any(|hint| part.starts_with(hint)));
    parts.collect::<Vec<_>>().join("&")
}

fn use_host(node: &Node, host: &Node) {
    let invite = host.link(&["host", "invite"]);
    node.ok(&["mailbox", "use", &invite]);
}

fn hosts(node: &Node) -> Vec<Value> {
    let list = node.ok(&["mailbox", "list", "--json"]).json();
    list["hosts"].as_array().unwrap().clone()
}

#[test]
fn a_link_without_hints_finds_a_person_whose_host_has_changed() {
    let first = Node::new(&["init", "--host"]);
    let enter = entering(&first);
    let host = |_| Node::configured(&["init", "--host"], &enter);
    let mut strangers: Vec<Node> = (1..STRANGERS).map(host).collect();
    strangers.push(first);
    let (mut old, new) = (host(0), host(0));
    let person =
        |name: &str| Node::configured(&["init", "--no-passphrase", "--name", name], &enter);
    let (alice, bob) = (person("Alice"), person("Bob"));
    use_host(&alice, &strangers[0]);
    use_host(&bob, &old);
    let link = bare(&bob.link(&["id"]));
    assert!(!link.contains("h="), "{link}");
    use_host(&bob, &new);
    let peer = old.ok(&["status", "--json"]).json()["peer_id"].as_str().unwrap().to_owned();
    bob.ok(&["mailbox", "drop", &peer]);
    bob.until("the old host is left", |bob| hosts(bob).len() == 1);
    old.kill();
    for stranger in &strangers {
        stranger.until("its part of the DHT", |it| dht(it, "held") >= 4 && dht(it, "peers") > 2);
    }

    alice.ok(&["contact", "add", &link, "--as", "bob"]);
    alice.ok(&["send", "bob", "found you"]);
    bob.until("the request", |bob| bob.contact_state() == "pending");
    bob.ok(&["contact", "accept", "Alice"]);

    bob.receives(&["found you"]);
    assert!(dht(&alice, "found_at_strangers") >= 1);
    assert_eq!(alice.ok(&["status", "--json"]).json()["dht"]["mode"], "client");
    assert_eq!(strangers[0].ok(&["status", "--json"]).json()["dht"]["mode"], "server");
    // Every holder is gone, his host too: what is known of him is enough.
    drop((strangers, new));
    alice.ok(&["send", "bob", "still here", "--wait", "delivered"]);
    bob.receives(&["found you", "still here"]);
}

#[test]
fn the_only_host_of_two_people_is_enough_for_a_link_without_hints() {
    let host = Node::new(&["init", "--host"]);
    let (alice, bob) = (Node::person("Alice"), Node::person("Bob"));
    use_host(&alice, &host);
    use_host(&bob, &host);

    let link = bare(&bob.link(&["id"]));
    alice.ok(&["contact", "add", &link, "--as", "bob"]);

    bob.until("the request", |bob| bob.contact_state() == "pending");
    host.until("the records of both", |host| dht(host, "held") == 4);
}

#[test]
fn quic_over_ipv6_is_enough() {
    let node = |name: &str| {
        let place = Place::empty();
        assert_eq!(place.run(["init", "--no-passphrase", "--name", name]).exit, Some(0));
        Node::listening(place, "/ip6/::1/udp/0/quic-v1")
    };
    let (alice, bob) = cli_support::node::befriended(node("Alice"), node("Bob"));

    assert!(alice.listens.ends_with("/quic-v1"), "{}", alice.listens);
    bob.ok(&["send", "alice", "back", "--wait", "delivered"]);
    alice.receives(&["back"]);
}

#[test]
fn a_public_node_tells_everybody_where_it_is() {
    let public = Node::configured(
        &["init", "--no-passphrase", "--name", "Pia"],
        "[node]\nreachability = \"public\"\n",
    );
    let alice = Node::person("Alice");

    public.until("its link", |node| node.link(&["id"]).contains("&d="));
    assert_eq!(public.ok(&["status", "--json"]).json()["dht"]["mode"], "server");
    alice.ok(&["contact", "add", &public.link(&["id"]), "--as", "pia"]);
    public.until("the request", |pia| pia.contact_state() == "pending");
    assert!(!alice.link(&["id"]).contains("&d="));
}

/// Two network namespaces with a cable between them; gone with this value.
struct Cable {
    names: [String; 2],
}

fn ip(arguments: &str) -> bool {
    let said = Command::new("ip").args(arguments.split_whitespace()).output();
    said.is_ok_and(|said| said.status.success())
}

impl Cable {
    fn new() -> Option<Self> {
        let names = ["a", "b"].map(|end| format!("gw-{}-{end}", std::process::id()));
        let [a, b] = &names;
        let made = ip(&format!("netns add {a}"));
        let cable = Self { names: names.clone() };
        let made = made
            && ip(&format!("netns add {b}"))
            && ip(&format!("-n {a} link add v0 type veth peer name v1 netns {b}"))
            && ip(&format!("-n {b} addr add 10.77.0.2/24 dev v1"))
            && ip(&format!("-n {b} link set v1 up"))
            && ip(&format!("-n {b} link set lo up"));
        made.then_some(cable)
    }

    /// The end `a` gets its address.
    fn plug_in(&self) {
        let a = &self.names[0];
        assert!(ip(&format!("-n {a} link set lo up")));
        assert!(ip(&format!("-n {a} addr add 10.77.0.1/24 dev v0")));
        assert!(ip(&format!("-n {a} link set v0 up")));
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        for name in &self.names {
            ip(&format!("netns del {name}"));
        }
    }
}

#[test]
fn a_node_that_was_there_before_its_network_finds_its_peers_when_it_comes() {
    let Some(cable) = Cable::new() else {
        eprintln!("skipped: this needs root and network namespaces");
        return;
    };
    let [a, b] = &cable.names;
    let host = Node::within(b, &["init", "--host"], "");
    let alice = Node::within(a, &["init", "--no-passphrase", "--name", "Alice"], &entering(&host));
    let status = alice.ok(&["status", "--json"]).json();
    assert_eq!((&status["state"], &status["peers"]), (&"running".into(), &0.into()));

    cable.plug_in();

    let start = std::time::Instant::now();
    alice.until("its peers", |alice| dht(alice, "peers") > 0);
    assert!(start.elapsed() < Duration::from_secs(60));
    alice.until("its addresses", |alice| address(alice).starts_with("/ip4/10.77.0.1/tcp/"));
    use_host(&alice, &host);
}

#[test]
fn a_host_that_has_another_address_is_found_where_it_is() {
    let entrance = Node::new(&["init", "--host"]);
    let enter = entering(&entrance);
    let mut host = Node::configured(&["init", "--host"], &enter);
    let person =
        |name: &str| Node::configured(&["init", "--no-passphrase", "--name", name], &enter);
    let (alice, bob) = (person("Alice"), person("Bob"));
    for node in [&alice, &bob] {
        use_host(node, &host);
    }
    alice.ok(&["contact", "add", &bob.link(&["contact", "invite"]), "--as", "bob"]);
    alice.ok(&["send", "bob", "before", "--wait", "delivered"]);

    let before = host.listens.clone();
    host.stop();
    "/ip4/127.0.0.1/tcp/0".clone_into(&mut host.listens);
    host.start();
    assert_ne!(host.listens, before);
    for node in [&alice, &bob] {
        node.until("its host", |node| node.host_state() == "ok");
    }

    alice.ok(&["send", "bob", "after", "--wait", "deposited"]);
    bob.receives(&["before", "after"]);
}
