//! The local API of a node: HTTP + JSON on a Unix socket in the home, and its client.
//!
//! The socket is 0600 in a 0700 folder: whoever may open it is the node's user.
//! Source: CLI, "Rules".

mod client;
mod contacts;
mod door;
mod events;
mod hosting;
mod proofs;
mod server;
mod shapes;

use std::path::Path;
use std::sync::Arc;

use godwit_protocol::id::AccountId;
use godwit_protocol::identity::{Chain, HostLink, Network as NetworkName};
use godwit_protocol::limits::MAX_HOST_ADDRESSES;
use godwit_protocol::machine::Address;
use godwit_store::{Reader, Store};
use serde_json::Value;

use crate::clock::Clock;
use crate::network::Network;
use crate::room::Room;
use crate::service::{Mailbox, Messenger};

pub use client::{Client, EventStream};
pub(crate) use door::{Phase, Serving};
pub use events::Events;
pub use proofs::check_proofs;

/// What the routes stand on.
pub(crate) struct Api {
    pub(crate) own: Option<AccountId>,
    /// The account's own sigchain.
    pub(crate) chain: Option<Chain>,
    pub(crate) messenger: Option<Arc<Messenger>>,
    pub(crate) mailbox: Option<Arc<Mailbox>>,
    pub(crate) store: Arc<Store>,
    pub(crate) reader: Reader,
    pub(crate) network: Network,
    pub(crate) clock: Clock,
    pub(crate) facts: Arc<Facts>,
    pub(crate) room: Arc<Room>,
}

/// What does not change while a node runs.
pub(crate) struct Facts {
    pub(crate) account: Option<String>,
    pub(crate) device: Option<String>,
    pub(crate) peer_id: String,
    pub(crate) network_name: NetworkName,
    pub(crate) protection: &'static str,
}

/// The first event of a node.
pub(crate) fn ready(api: &Api, socket: &Path) -> Value {
    serde_json::json!({
        "event": "ready",
        "peer_id": api.facts.peer_id,
        "listen": texts(&api.network.listen_addresses()),
        "control": socket.display().to_string(),
    })
}

/// This node's link as a host, without a token.
pub(crate) fn host_link(network: &Network, name: &NetworkName) -> HostLink {
    let addresses = network.announced_addresses().into_iter().take(MAX_HOST_ADDRESSES).collect();
    HostLink { host: network.host_id(), network: name.clone(), addresses, token: None }
}

fn texts(addresses: &[Address]) -> Vec<String> {
    addresses.iter().map(ToString::to_string).collect()
}
