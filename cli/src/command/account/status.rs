//! `status`: what the node is doing.

use serde_json::Value;

use crate::exit::{Failure, REFUSED};
use crate::node::Node;
use crate::output::{self, Format, text};

/// Show what the node is doing
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Exit 1 if there is any warning
    #[arg(long)]
    check: bool,
}

/// Prints it.
pub(crate) async fn run(args: &Args, node: &mut Node, format: Format) -> Result<(), Failure> {
    let status = node.status().await?;
    match format {
        Format::Json => output::object(&status)?,
        Format::Text => output::line(&render(&status))?,
    }
    let warnings = status.get("warnings").and_then(Value::as_array);
    if args.check && warnings.is_some_and(|warnings| !warnings.is_empty()) {
        return Err(Failure::Exit(REFUSED));
    }
    Ok(())
}

fn render(status: &Value) -> String {
    let at = |path: &str| status.pointer(path).map(text::plain).unwrap_or_default();
    let mut pairs = vec![
        ("version", at("/version")),
        ("state", state(status)),
        ("account", at("/account")),
        ("device", at("/device")),
        ("peer", at("/peer_id")),
        ("network", at("/network")),
        ("listens", at("/listen")),
        ("peers", at("/peers")),
        (
            "dht",
            format!("{}, {} peers, {} held", at("/dht/mode"), at("/dht/peers"), at("/dht/held")),
        ),
        (
            "outbox",
            format!("{} queued, {} deposited", at("/outbox/queued"), at("/outbox/deposited")),
        ),
        ("keystore", at("/keystore/protection")),
        ("store", format!("{}, {} bytes", at("/store/engine"), at("/store/bytes"))),
        ("uptime", format!("{}s", at("/uptime_s"))),
    ];
    for host in status.get("hosts").and_then(Value::as_array).into_iter().flatten() {
        pairs.push((
            "host",
            format!("{} {}", text::field(host, "peer_id"), text::field(host, "state")),
        ));
    }
    if status.get("hosting").is_some_and(Value::is_object) {
        pairs.push((
            "hosting",
            format!(
                "{}, {} owners, {} envelopes",
                at("/hosting/admit"),
                at("/hosting/owners"),
                at("/hosting/envelopes")
            ),
        ));
    }
    for warning in status.get("warnings").and_then(Value::as_array).into_iter().flatten() {
        pairs.push(("warning", text::plain(warning)));
    }
    text::pairs(&pairs)
}

/// The state; of a start its phase as well, and how far it is.
fn state(status: &Value) -> String {
    let state = text::field(status, "state");
    let Some(phase) = status.get("phase").filter(|phase| phase.is_object()) else { return state };
    let part = |name| text::field(phase, name);
    format!(
        "{state}: {}, step {} of {}, for {}s",
        part("name"),
        part("step"),
        part("steps"),
        part("for_s")
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_names_its_hosts_and_warnings() {
        let shown = render(&json!({
            "state": "running", "account": null, "outbox": {"queued": 2, "deposited": 1},
            "hosts": [{"peer_id": "12D3", "state": "ok"}], "hosting": null, "warnings": ["clock"],
        }));

        assert!(shown.contains("outbox    2 queued, 1 deposited"), "{shown}");
        assert!(shown.contains("host      12D3 ok"), "{shown}");
        assert!(shown.contains("warning   clock"), "{shown}");
    }
}
