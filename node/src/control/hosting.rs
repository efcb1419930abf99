//! The routes of hosts: those that a person uses, and what an operator does at one.

use std::sync::Arc;

use axum::Json;
use serde::Deserialize;
use serde_json::{Value, json};

use godwit_protocol::endpoint::{Code, Command, HostChoice, HostView, Refusal, Reply, query};
use godwit_protocol::id::{HostId, OwnerKey};
use godwit_protocol::identity::{HostLink, peer_id_from_text};
use godwit_protocol::mailbox::host::{Admission, HostCommand, HostReply};
use godwit_protocol::time::Millis;

use super::door::Running;
use super::server::{Answer, Failure, ask, body, other};
use super::{Api, shapes};
use crate::config::PeerAddress;

/// The longest life of a host's invite.
const MAX_INVITE: Millis = Millis::from_days(365);

pub(super) async fn hosts(Running(api): Running) -> Answer {
    match ask(&api, Command::Status).await? {
        Reply::Status(status) => listed(&api, &status.hosts, status.k),
        _ => other(),
    }
}

#[derive(Deserialize)]
pub(super) struct Use {
    hosts: Vec<String>,
    k: Option<u8>,
}

pub(super) async fn use_hosts(Running(api): Running, Json(value): Json<Value>) -> Answer {
    let Use { hosts, k } = body(value)?;
    let mut choices: Vec<HostChoice> = Vec::new();
    for text in &hosts {
        let choice = choice(&api, text)?;
        match choices.iter_mut().find(|known| known.host == choice.host) {
            Some(known) => known.addresses.extend(choice.addresses),
            None => choices.push(choice),
        }
    }
    changed(&api, ask(&api, Command::UseHosts { hosts: choices, k }).await?)
}

fn choice(api: &Api, text: &str) -> Result<HostChoice, Failure> {
    if let Ok(link) = text.parse::<HostLink>() {
        if link.network != api.facts.network_name {
            let message = format!(
                "the host is of the network \"{}\", and this node lives in \"{}\"",
                link.network, api.facts.network_name
            );
            return Err(Refusal::new(Code::OtherNetwork, message, "godwit join LINK").into());
        }
        let HostLink { host, addresses, token, .. } = link;
        return Ok(HostChoice { host, addresses, token });
    }
    let peer: PeerAddress = text.parse().map_err(|error| {
        Refusal::new(Code::Usage, format!("{error}"), "godwit mailbox use MULTIADDR/p2p/ID")
    })?;
    Ok(HostChoice { host: peer.host, addresses: vec![peer.address], token: None })
}

#[derive(Deserialize)]
pub(super) struct Peer {
    peer: String,
    #[serde(default)]
    now: bool,
}

pub(super) fn peer_id(text: &str) -> Result<HostId, Failure> {
    let refusal = || Refusal::new(Code::Usage, "no peer id", "godwit mailbox list");
    peer_id_from_text(text).ok_or_else(|| refusal().into())
}

pub(super) async fn drop_host(Running(api): Running, Json(value): Json<Value>) -> Answer {
    let Peer { peer, now } = body(value)?;
    let host = peer_id(&peer)?;
    changed(&api, ask(&api, Command::DropHost { host, now }).await?)
}

fn changed(api: &Api, reply: Reply) -> Answer {
    match reply {
        Reply::Hosts(hosts, k) => listed(api, &hosts, k),
        _ => other(),
    }
}

fn listed(api: &Api, hosts: &[HostView], k: u8) -> Answer {
    let left = query::left_hosts(&api.reader)?;
    Ok(Json(shapes::hosts(hosts, &left, k)))
}

pub(super) async fn invite_contact(Running(api): Running) -> Answer {
    match ask(&api, Command::Invite).await? {
        Reply::Invite(link, expires) => {
            Ok(Json(json!({"link": link, "expires": shapes::instant(expires)})))
        }
        _ => other(),
    }
}

async fn ask_host(api: &Api, command: HostCommand) -> Result<HostReply, Failure> {
    let Some(mailbox) = &api.mailbox else {
        let message = "this node hosts no mailboxes";
        return Err(Refusal::new(Code::NoMailbox, message, "godwit run --host-mailboxes").into());
    };
    mailbox
        .ask(command)
        .await
        .map_err(|_| Refusal::new(Code::Busy, "the node is busy or ending", "try again").into())
}

/// What `status` says of hosting; null where nothing is hosted.
pub(super) async fn status(api: &Arc<Api>) -> Result<Value, Failure> {
    if api.mailbox.is_none() {
        return Ok(Value::Null);
    }
    let HostReply::Status(status) = ask_host(api, HostCommand::Status).await? else {
        return Ok(Value::Null);
    };
    Ok(json!({
        "admit": match status.admit { Admission::Open => "open", Admission::Invited => "invited" },
        "owners": status.owners,
        "queues": status.queues,
        "envelopes": status.envelopes,
        "bytes": status.bytes,
    }))
}

#[derive(Deserialize)]
pub(super) struct Invite {
    uses: u32,
    expires_ms: u64,
}

pub(super) async fn invite(Running(api): Running, Json(value): Json<Value>) -> Answer {
    let Invite { uses, expires_ms } = body(value)?;
    let uses = u16::try_from(uses).ok().filter(|uses| *uses > 0).ok_or_else(|| {
        Refusal::new(Code::Usage, "a link is good for 1 to 65535 persons", "--uses N")
    })?;
    let life = Millis(expires_ms).min(MAX_INVITE);
    match ask_host(&api, HostCommand::Invite { uses, life }).await? {
        HostReply::Invite(token, expires) => {
            let link = HostLink {
                token: Some(token),
                ..super::host_link(&api.network, &api.facts.network_name)
            };
            Ok(Json(json!({"link": link.to_string(), "expires": shapes::instant(expires)})))
        }
        _ => other(),
    }
}

pub(super) async fn owners(Running(api): Running) -> Answer {
    match ask_host(&api, HostCommand::Owners).await? {
        HostReply::Owners(owners) => Ok(Json(owners.iter().map(shapes::owner).collect())),
        _ => other(),
    }
}

#[derive(Deserialize)]
pub(super) struct Remove {
    owner: String,
}

pub(super) async fn remove(Running(api): Running, Json(value): Json<Value>) -> Answer {
    let Remove { owner } = body(value)?;
    let owner: OwnerKey = owner
        .parse()
        .map_err(|_| Refusal::new(Code::Usage, "an owner is 64 hex digits", "godwit host list"))?;
    match ask_host(&api, HostCommand::Remove { owner }).await? {
        HostReply::Removed(true) => {
            Ok(Json(json!({"owner": owner.to_string(), "state": "removed"})))
        }
        HostReply::Removed(false) => {
            let message = "no such owner keeps a mailbox here";
            Err(Refusal::new(Code::NoMailbox, message, "godwit host list").into())
        }
        _ => other(),
    }
}
