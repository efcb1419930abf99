//! `join`: a community's host, its network and its addresses.

use std::path::Path;

use godwit_node::home;
use godwit_protocol::endpoint::{Code, Refusal};
use godwit_protocol::id::HostId;
use godwit_protocol::identity::{HostLink, peer_id_text};
use serde_json::{Value, json};

use crate::exit::Failure;
use crate::node::Node;
use crate::output::{self, Format, text};

/// Use a community's host: its network, its addresses, a mailbox there
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The link from the host's operator (`godwit-host:…`)
    pub(crate) link: String,
}

/// Writes it down, and registers at once where a node runs.
pub(crate) async fn run(args: &Args, home: &Path, format: Format) -> Result<(), Failure> {
    let link: HostLink = args.link.parse().map_err(|error| {
        let message = format!("not a host link: {error}");
        Refusal::new(Code::BadLink, message, "ask the host's operator for a new link")
    })?;
    let joined = home::join(home, &link)?;
    let state = match Node::connect(home).await {
        Ok(mut node) => node
            .use_hosts(std::slice::from_ref(&args.link), None)
            .await
            .map(|hosts| state_of(&hosts, &link.host))?,
        Err(_) => "registering".to_owned(),
    };
    match format {
        Format::Json => output::object(&json!({
            "network": joined.network.as_str(), "host": peer_id_text(&joined.host), "state": state,
        }))?,
        Format::Text => output::line(&format!(
            "network  {}\nhost     {}  {state}",
            joined.network,
            peer_id_text(&joined.host),
        ))?,
    }
    Ok(())
}

/// How far the registration at a host is.
fn state_of(hosts: &Value, host: &HostId) -> String {
    let peer = peer_id_text(host);
    let list = hosts.get("hosts").and_then(Value::as_array).into_iter().flatten();
    let known = list.filter(|entry| text::field(entry, "peer_id") == peer);
    known
        .map(|entry| text::field(entry, "state"))
        .next()
        .unwrap_or_else(|| "registering".to_owned())
}
