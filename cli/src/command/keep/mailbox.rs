//! `mailbox`: the hosts that keep this device's mail.

use std::path::Path;
use std::time::Duration;

use godwit_node::config::{PeerAddress, format_duration, parse_duration};
use godwit_node::home;
use godwit_protocol::endpoint::{Code, Refusal};
use godwit_protocol::id::HostId;
use godwit_protocol::identity::{HostLink, peer_id_from_text};
use godwit_protocol::time::Millis;
use serde_json::Value;

use super::proof;
use crate::exit::Failure;
use crate::node::Node;
use crate::output::{self, Format, text};

/// The hosts that keep your mail while you are away: use, list, drop, move, status, proof
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, clap::Subcommand)]
enum Act {
    /// Use these hosts as well; returns when each has accepted
    Use(Chosen),
    /// List the hosts
    List,
    /// Stop using a host: it drains until every contact knows
    Drop {
        /// Its peer id
        #[arg(value_parser = parse_peer)]
        peer: HostId,
        /// Before every contact knows: fetch and erase what is there, refuse what still comes
        #[arg(long)]
        now: bool,
    },
    /// Use these hosts and, once each has accepted, none of the others
    Move(Chosen),
    /// Show how the hosts do
    Status,
    /// Show what a host signed for and did not serve, or check what others show
    Proof(proof::Args),
}

/// Hosts that are to keep the mail.
#[derive(Debug, clap::Args)]
struct Chosen {
    /// A host: a multiaddr that ends in /p2p/ID, or its link
    #[arg(required = true, value_parser = parse_host)]
    hosts: Vec<String>,
    /// How many hosts must have a message before it counts as deposited [default: 1 of one, else 2]
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=4))]
    k: Option<u8>,
    /// Wait no longer than this
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_duration)]
    timeout: Millis,
}

/// Carries it out.
pub(crate) async fn run(args: Args, home: &Path, format: Format) -> Result<(), Failure> {
    if let Act::Proof(args) = &args.act {
        return proof::run(args, home, format).await;
    }
    let mut node = Node::connect(home).await?;
    match args.act {
        Act::Proof(_) => Ok(()),
        Act::List | Act::Status => print(&node.hosts().await?, format),
        Act::Drop { peer, now } => {
            let mut hosts = node.drop_host(&peer, now).await?;
            // Only now: what was refused stays in the configuration as well.
            home::forget_host(home, &peer)?;
            let end = tokio::time::Instant::now() + ERASING;
            while now && is_known(&hosts, &peer) {
                if tokio::time::Instant::now() >= end {
                    let message = "the host has not erased it yet; it is asked again by itself";
                    return Err(Refusal::new(Code::NotYet, message, "godwit mailbox list").into());
                }
                tokio::time::sleep(POLL).await;
                hosts = node.hosts().await?;
            }
            print(&hosts, format)
        }
        Act::Use(chosen) => {
            let (now, asked) = accepted(&mut node, &chosen).await?;
            print(&now, format)?;
            verdict(&now, &asked, chosen.timeout)
        }
        Act::Move(chosen) => {
            let (mut now, asked) = accepted(&mut node, &chosen).await?;
            // Nobody is left before somebody else keeps the mail.
            verdict(&now, &asked, chosen.timeout)?;
            for peer in known(&now).into_iter().filter(|peer| !asked.contains(peer)) {
                now = node.drop_host(&peer, false).await?;
                home::forget_host(home, &peer)?;
            }
            print(&now, format)
        }
    }
}

/// Uses hosts, and waits until each has accepted or refused, or the time is over; what is known then,
/// and which were meant.
async fn accepted(
    node: &mut Node,
    Chosen { hosts, k, timeout }: &Chosen,
) -> Result<(Value, Vec<HostId>), Failure> {
    let asked = hosts.iter().filter_map(|host| key_of(host)).collect::<Vec<_>>();
    let mut now = node.use_hosts(hosts, *k).await?;
    let end = tokio::time::Instant::now() + Duration::from_millis(timeout.0.min(MAX_WAIT));
    while waits(&now, &asked) && tokio::time::Instant::now() < end {
        tokio::time::sleep(POLL).await;
        now = node.hosts().await?;
    }
    Ok((now, asked))
}

/// The hosts of an answer.
fn known(hosts: &Value) -> Vec<HostId> {
    let list = hosts.get("hosts").and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|entry| peer_id_from_text(&text::field(entry, "peer_id"))).collect()
}

fn is_known(hosts: &Value, peer: &HostId) -> bool {
    known(hosts).contains(peer)
}

/// How often a registration under way is looked at.
const POLL: Duration = Duration::from_millis(50);
/// How long a host may take to erase what it has.
const ERASING: Duration = Duration::from_secs(30);
/// The longest wait: a day, in milliseconds.
const MAX_WAIT: u64 = 86_400_000;

/// Whether something may still come of it: a refusal is final until the person has another link.
fn waits(hosts: &Value, asked: &[HostId]) -> bool {
    missing(hosts, asked).iter().any(|(_, state)| state != "refused")
}

fn verdict(hosts: &Value, asked: &[HostId], timeout: Millis) -> Result<(), Failure> {
    let missing = missing(hosts, asked);
    let Some((first, state)) = missing.first() else { return Ok(()) };
    let refusal = if missing.iter().any(|(_, state)| state == "refused") {
        Refusal::new(
            Code::HostRefused,
            format!("refused by {first}"),
            "ask the host's operator for a link",
        )
    } else {
        let message = format!(
            "{first} is {state} after {}; it is tried again by itself",
            format_duration(timeout)
        );
        Refusal::new(Code::NotYet, message, "godwit mailbox status")
    };
    Err(refusal.into())
}

/// The asked hosts that have not accepted, with their state.
fn missing(hosts: &Value, asked: &[HostId]) -> Vec<(String, String)> {
    let known = |host: &HostId| {
        let peer = godwit_protocol::identity::peer_id_text(host);
        let list = hosts.get("hosts").and_then(Value::as_array).into_iter().flatten();
        let state = list
            .filter(|entry| text::field(entry, "peer_id") == peer)
            .map(|entry| text::field(entry, "state"))
            .next()
            .unwrap_or_default();
        (peer, state)
    };
    let takes = |state: &str| matches!(state, "ok" | "lost_state" | "unsteady" | "broken_word");
    asked.iter().map(known).filter(|(_, state)| !takes(state)).collect()
}

fn print(hosts: &Value, format: Format) -> Result<(), Failure> {
    match format {
        Format::Json => output::object(hosts)?,
        Format::Text => {
            let list = hosts.get("hosts").and_then(Value::as_array).into_iter().flatten();
            let rows: Vec<Vec<String>> = list
                .map(|host| {
                    let seen = text::field(host, "last_seen");
                    let seen =
                        if seen.is_empty() { "never".to_owned() } else { text::local(&seen) };
                    vec![
                        text::field(host, "peer_id"),
                        text::field(host, "state"),
                        seen,
                        text::field(host, "addresses"),
                    ]
                })
                .collect();
            let table = text::table(&["HOST", "STATE", "LAST SEEN", "ADDRESSES"], &rows);
            output::line(&format!("{table}\nk = {}", text::field(hosts, "k")))?;
            print_full(hosts)?;
            let left = hosts.get("left").and_then(Value::as_array).into_iter().flatten();
            for host in left {
                let (peer, at) = (text::field(host, "peer_id"), text::field(host, "left_at"));
                let erased = text::field(host, "erased_at");
                let word = if erased.is_empty() {
                    "it has not said that it erased what it had".to_owned()
                } else {
                    format!("it has signed that nothing is left there ({})", text::local(&erased))
                };
                output::line(&format!("left {peer} at {}: {word}", text::local(&at)))?;
            }
        }
    }
    Ok(())
}

/// Whose mail hosts had no room for: who wrote it tries again by itself.
fn print_full(hosts: &Value) -> Result<(), Failure> {
    for host in hosts.get("hosts").and_then(Value::as_array).into_iter().flatten() {
        for full in host.get("full").and_then(Value::as_array).into_iter().flatten() {
            let whose = match full.get("account").and_then(Value::as_str) {
                Some(account) => format!("mail of {account}"),
                None => "requests of strangers".to_owned(),
            };
            let (peer, at) = (text::field(host, "peer_id"), text::field(full, "at"));
            let at = text::local(&at);
            output::line(&format!(
                "{peer} had no room for {whose} ({at}): who wrote tries again by itself"
            ))?;
        }
    }
    Ok(())
}

/// Judged here, so that a wrong address is a usage error without a node.
fn parse_host(text: &str) -> Result<String, String> {
    match key_of(text) {
        Some(_) => Ok(text.to_owned()),
        None => {
            Err(format!("\"{text}\" is neither a multiaddr that ends in /p2p/ID nor a host link"))
        }
    }
}

fn key_of(text: &str) -> Option<HostId> {
    let link = text.parse::<HostLink>().ok().map(|link| link.host);
    link.or_else(|| text.parse::<PeerAddress>().ok().map(|peer| peer.host))
}

pub(super) fn parse_peer(text: &str) -> Result<HostId, String> {
    peer_id_from_text(text).ok_or_else(|| format!("\"{text}\" is no peer id"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_host_that_has_not_accepted_is_missing() {
        let host = HostId([7; 32]);
        let peer = godwit_protocol::identity::peer_id_text(&host);
        let with = |state: &str| json!({"hosts": [{"peer_id": peer, "state": state}], "k": 1});

        assert!(missing(&with("ok"), &[host]).is_empty());
        assert_eq!(missing(&with("registering"), &[host]).len(), 1);
        assert_eq!(missing(&json!({"hosts": []}), &[host]).len(), 1);
    }
}
