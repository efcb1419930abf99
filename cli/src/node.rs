//! The running node as the verbs see it: one method an act, each one request of the control API.

use std::path::Path;

use godwit_node::control::{Client, EventStream};
use godwit_node::home::Home;
use godwit_protocol::endpoint::Refusal;
use godwit_protocol::id::{HostId, MessageId, OwnerKey};
use godwit_protocol::identity::peer_id_text;
use godwit_protocol::time::Millis;
use serde_json::{Value, json};

/// A conversation with the running node of one home.
pub(crate) struct Node {
    client: Client,
}

/// What of the inbox is wanted.
#[derive(Debug, Clone)]
pub(crate) struct InboxQuery {
    /// Only with this contact.
    pub(crate) with: Option<String>,
    /// Only after this message.
    pub(crate) since: Option<MessageId>,
    /// How many at most.
    pub(crate) limit: u32,
    /// Only what is not read.
    pub(crate) unread: bool,
    /// Mark nothing as read.
    pub(crate) peek: bool,
}

type Answer = Result<Value, Refusal>;

impl Node {
    /// Reaches the node of a home.
    pub(crate) async fn connect(home: &Path) -> Result<Self, Refusal> {
        let socket = Home::socket_path(home)?;
        Ok(Self { client: Client::connect(&socket).await? })
    }

    pub(crate) async fn status(&mut self) -> Answer {
        self.client.get("/v1/status").await
    }

    pub(crate) async fn link_here(&mut self) -> Answer {
        self.client.get("/v1/link").await
    }

    /// Lets others say whether they reach this node.
    pub(crate) async fn reach(&mut self) -> Answer {
        self.client.post("/v1/reach", &json!({})).await
    }

    pub(crate) async fn contacts(&mut self) -> Result<Vec<Value>, Refusal> {
        self.client.get("/v1/contacts").await.map(into_list)
    }

    pub(crate) async fn contact(&mut self, who: &str) -> Answer {
        self.client.post("/v1/contacts/show", &json!({"who": who})).await
    }

    pub(crate) async fn add_contact(&mut self, link: &str, name: Option<&str>) -> Answer {
        self.client.post("/v1/contacts", &json!({"link": link, "name": name})).await
    }

    pub(crate) async fn accept_contact(&mut self, who: &str, name: Option<&str>) -> Answer {
        self.client.post("/v1/contacts/accept", &json!({"who": who, "name": name})).await
    }

    pub(crate) async fn rename_contact(&mut self, who: &str, name: &str) -> Answer {
        self.client.post("/v1/contacts/rename", &json!({"who": who, "name": name})).await
    }

    pub(crate) async fn remove_contact(&mut self, who: &str) -> Answer {
        self.client.post("/v1/contacts/remove", &json!({"who": who})).await
    }

    pub(crate) async fn block_contact(&mut self, who: &str) -> Answer {
        self.client.post("/v1/contacts/block", &json!({"who": who})).await
    }

    pub(crate) async fn unblock_contact(&mut self, who: &str) -> Answer {
        self.client.post("/v1/contacts/unblock", &json!({"who": who})).await
    }

    pub(crate) async fn verify_contact(&mut self, who: &str, matches: bool) -> Answer {
        self.client.post("/v1/contacts/verify", &json!({"who": who, "matches": matches})).await
    }

    pub(crate) async fn invite(&mut self) -> Answer {
        self.client.post("/v1/contacts/invite", &json!({})).await
    }

    pub(crate) async fn send(&mut self, to: &str, text: &str, id: Option<MessageId>) -> Answer {
        let id = id.map(|id| id.to_string());
        self.client.post("/v1/messages", &json!({"to": to, "text": text, "id": id})).await
    }

    pub(crate) async fn why(&mut self, id: MessageId) -> Answer {
        self.client.get(&format!("/v1/messages/{id}/why")).await
    }

    /// The first messages that fit the query, oldest first: as many as the API gives at once.
    pub(crate) async fn inbox(&mut self, query: &InboxQuery) -> Result<Vec<Value>, Refusal> {
        let body = json!({
            "with": query.with, "since": query.since.map(|id| id.to_string()),
            "limit": query.limit, "unread": query.unread, "peek": query.peek,
        });
        self.client.post("/v1/inbox", &body).await.map(into_list)
    }

    pub(crate) async fn hosts(&mut self) -> Answer {
        self.client.get("/v1/hosts").await
    }

    pub(crate) async fn use_hosts(&mut self, hosts: &[String], k: Option<u8>) -> Answer {
        self.client.post("/v1/hosts", &json!({"hosts": hosts, "k": k})).await
    }

    pub(crate) async fn drop_host(&mut self, host: &HostId, now: bool) -> Answer {
        let request = json!({"peer": peer_id_text(host), "now": now});
        self.client.post("/v1/hosts/drop", &request).await
    }

    /// What a host signed for and did not serve.
    pub(crate) async fn proofs(&mut self, host: &HostId) -> Result<Vec<Value>, Refusal> {
        self.client.get(&format!("/v1/hosts/{}/proofs", peer_id_text(host))).await.map(into_list)
    }

    pub(crate) async fn host_invite(&mut self, uses: u32, expires: Millis) -> Answer {
        self.client
            .post("/v1/hosting/invites", &json!({"uses": uses, "expires_ms": expires.0}))
            .await
    }

    pub(crate) async fn host_owners(&mut self) -> Result<Vec<Value>, Refusal> {
        self.client.get("/v1/hosting/owners").await.map(into_list)
    }

    pub(crate) async fn host_remove(&mut self, owner: &OwnerKey) -> Answer {
        self.client.post("/v1/hosting/remove", &json!({"owner": owner.to_string()})).await
    }

    /// Everything that happens after the cursor, or from now on.
    pub(crate) async fn events(self, cursor: Option<&str>) -> Result<EventStream, Refusal> {
        self.client.events(cursor).await
    }
}

fn into_list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(values) => values,
        other => vec![other],
    }
}
