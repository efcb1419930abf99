//! A small world of network namespaces: an internet, homes behind NAT, rooms.
//!
//! It needs root, `ip` and `nft`, a slow cable or a name server `python3`; where one is missing, that is
//! said, and there is none.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

static LABS: AtomicU32 = AtomicU32::new(0);

/// How a home's router translates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nat {
    /// A port inside is the same port outside, whoever is spoken to.
    Cone,
    /// Another port for every peer.
    Symmetric,
}

/// A cable that carries frames late, unevenly, not all of them; cut with this value.
pub(crate) struct Far(Child);

impl Far {
    /// From now on each frame takes `delay` ms and up to `jitter` more each way, and `loss` per cent
    /// are lost.
    pub(crate) fn set(&mut self, (delay, jitter, loss): (u32, u32, u32)) {
        writeln!(self.0.stdin.as_mut().unwrap(), "{delay} {jitter} {loss}").unwrap();
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A name server, gone with this value; it knows what it was told.
pub(crate) struct Names(Child);

impl Names {
    /// From now on the name means this address.
    pub(crate) fn tell(&mut self, name: &str, address: &str) {
        writeln!(self.0.stdin.as_mut().unwrap(), "{name} {address}").unwrap();
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Namespaces that are gone with this value.
pub(crate) struct Lab {
    prefix: String,
    spaces: Vec<String>,
    cables: u32,
}

fn run(program: &str, arguments: &str) -> bool {
    let said = Command::new(program).args(arguments.split_whitespace()).output();
    said.is_ok_and(|said| said.status.success())
}

/// Said where a test says it: a skipped one is not a green one.
fn skipped(needs: &str) {
    #[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
    {
        eprintln!("skipped: this needs {needs}");
    }
}

fn has_python() -> bool {
    let there = run("python3", "--version");
    if !there {
        skipped("python3");
    }
    there
}

/// A script of ours, running in a namespace.
fn script(space: &str, name: &str, arguments: &[&str]) -> Child {
    let path = format!("{}/../tests/cli_support/{name}", env!("CARGO_MANIFEST_DIR"));
    let mut child = Command::new("ip")
        .args(["netns", "exec", space, "python3", &path])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    child
}

/// Where `ip` looks for a namespace's own `/etc`.
fn settings(space: &str) -> PathBuf {
    Path::new("/etc/netns").join(space)
}

#[track_caller]
fn must(program: &str, arguments: &str) {
    assert!(run(program, arguments), "{program} {arguments}");
}

impl Lab {
    /// A lab with an internet: one link that everybody public is on.
    pub(crate) fn new() -> Option<Self> {
        let number = LABS.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("gw{}-{number}-", std::process::id());
        let mut lab = Self { prefix, spaces: Vec::new(), cables: 0 };
        let net = lab.name("net");
        lab.spaces.push(net.clone());
        let made = run("ip", &format!("netns add {net}"))
            && run("ip", &format!("netns exec {net} nft list ruleset"));
        if !made {
            skipped("root, network namespaces and nft");
            return None;
        }
        lab.bridge(&net, "sw");
        Some(lab)
    }

    fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn space(&mut self, name: &str) -> String {
        let space = self.name(name);
        must("ip", &format!("netns add {space}"));
        must("ip", &format!("-n {space} link set lo up"));
        self.spaces.push(space.clone());
        space
    }

    fn bridge(&self, space: &str, name: &str) {
        must("ip", &format!("-n {space} link add name {name} type bridge mcast_snooping 0"));
        must("ip", &format!("-n {space} link set {name} up"));
    }

    /// A cable from an end in one namespace to a bridge in another.
    fn cable(&mut self, (space, end): (&str, &str), (other, bridge): (&str, &str)) {
        self.cables += 1;
        let port = format!("p{}", self.cables);
        must("ip", &format!("-n {space} link add {end} type veth peer name {port} netns {other}"));
        must("ip", &format!("-n {other} link set {port} master {bridge}"));
        must("ip", &format!("-n {other} link set {port} up"));
        must("ip", &format!("-n {space} link set {end} up"));
    }

    /// Somebody on the internet, at 203.0.113.`last`.
    pub(crate) fn public(&mut self, name: &str, last: u8) -> String {
        let (space, net) = (self.space(name), self.name("net"));
        self.cable((&space, "e0"), (&net, "sw"));
        must("ip", &format!("-n {space} addr add 203.0.113.{last}/24 dev e0"));
        space
    }

    /// Gives somebody on the internet an address of the other family too, or takes that of IPv4 away.
    pub(crate) fn families(space: &str, last: u8, both: bool) {
        must("ip", &format!("-n {space} addr add 2001:db8::{last}/64 dev e0 nodad"));
        if !both {
            must("ip", &format!("-n {space} addr del 203.0.113.{last}/24 dev e0"));
        }
    }

    /// Somebody on the internet, at the end of a slow cable.
    pub(crate) fn far(&mut self, name: &str, last: u8) -> Option<(String, Far)> {
        if !has_python() {
            return None;
        }
        let (space, middle) = (self.space(name), self.space(&format!("{name}m")));
        let net = self.name("net");
        must("ip", &format!("-n {space} link add e0 type veth peer name near netns {middle}"));
        self.cables += 1;
        let port = format!("p{}", self.cables);
        must("ip", &format!("-n {middle} link add far type veth peer name {port} netns {net}"));
        must("ip", &format!("-n {net} link set {port} master sw"));
        for (space, end) in
            [(&space, "e0"), (&middle, "near"), (&middle, "far"), (&net, port.as_str())]
        {
            must("ip", &format!("-n {space} link set {end} up"));
        }
        must("ip", &format!("-n {space} addr add 203.0.113.{last}/24 dev e0"));
        Some((space, Far(script(&middle, "far.py", &["near", "far"]))))
    }

    /// A name server in somebody's place, whom `asks` lets others ask.
    pub(crate) fn names(space: &str) -> Option<Names> {
        has_python().then(|| Names(script(space, "names.py", &[])))
    }

    /// From now on whoever is started there asks the name server at 203.0.113.`last`.
    pub(crate) fn asks(space: &str, last: u8) {
        let folder = settings(space);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("resolv.conf"), format!("nameserver 203.0.113.{last}\n"))
            .unwrap();
    }

    /// A home 192.168.`number`.0/24 behind a router at 203.0.113.`number`, which lets nothing in that
    /// nobody inside has asked for.
    pub(crate) fn home(&mut self, name: &str, number: u8, nat: Nat) -> String {
        let (router, net) = (self.space(name), self.name("net"));
        self.cable((&router, "wan"), (&net, "sw"));
        must("ip", &format!("-n {router} addr add 203.0.113.{number}/24 dev wan"));
        self.bridge(&router, "lan");
        must("ip", &format!("-n {router} addr add 192.168.{number}.1/24 dev lan"));
        let random = if nat == Nat::Symmetric { "fully-random" } else { "" };
        let rules = format!(
            "table ip home {{\n\
             chain post {{ type nat hook postrouting priority 100;\n\
             oifname \"wan\" masquerade {random}; }}\n\
             chain forward {{ type filter hook forward priority 0;\n\
             iifname \"wan\" ct state established,related accept; iifname \"wan\" drop; }}\n\
             chain input {{ type filter hook input priority 0;\n\
             iifname \"wan\" ct state established,related accept; iifname \"wan\" drop; }}\n}}\n"
        );
        let script = format!("echo 1 > /proc/sys/net/ipv4/ip_forward && echo '{rules}' | nft -f -");
        let said =
            Command::new("ip").args(["netns", "exec", &router, "sh", "-c", &script]).output();
        let said = said.unwrap();
        assert!(said.status.success(), "{said:?}");
        router
    }

    /// Lets nothing go from a home to 203.0.113.`last`, or lets it go again.
    pub(crate) fn apart(&self, home: &str, last: u8, apart: bool) {
        let (router, act) = (self.name(home), if apart { "add" } else { "del" });
        must("ip", &format!("-n {router} route {act} blackhole 203.0.113.{last}/32"));
    }

    /// Somebody in a home, at 192.168.`number`.`last`.
    pub(crate) fn inside(&mut self, home: &str, name: &str, (number, last): (u8, u8)) -> String {
        let space = self.space(name);
        self.cable((&space, "e0"), (home, "lan"));
        Self::settle(&space, number, last);
        space
    }

    /// Gives whoever is at home another address, and takes the old ones away.
    pub(crate) fn settle(space: &str, number: u8, last: u8) {
        must("ip", &format!("-n {space} addr flush dev e0 scope global"));
        must("ip", &format!("-n {space} addr add 192.168.{number}.{last}/24 dev e0"));
        must("ip", &format!("-n {space} route replace default via 192.168.{number}.1"));
    }

    /// Gives somebody on the internet another address there.
    pub(crate) fn move_to(space: &str, last: u8) {
        must("ip", &format!("-n {space} addr flush dev e0 scope global"));
        must("ip", &format!("-n {space} addr add 203.0.113.{last}/24 dev e0"));
    }

    /// Pulls somebody's cable, or puts it back.
    pub(crate) fn plug(space: &str, is_in: bool) {
        let state = if is_in { "up" } else { "down" };
        must("ip", &format!("-n {space} link set e0 {state}"));
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for space in &self.spaces {
            run("ip", &format!("netns del {space}"));
            let _ = std::fs::remove_dir_all(settings(space));
        }
    }
}
