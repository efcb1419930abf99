//! The JSON of what is shown: the field names of CLI.md.

use data_encoding::HEXLOWER;
use godwit_protocol::endpoint::query::DeviceView;
use godwit_protocol::endpoint::{
    Change, ContactView, EndpointStatus, HostView, MessageView, Refusal, SentMessage, Why,
};
use godwit_protocol::id::{AccountId, HostId};
use godwit_protocol::identity::{account_text, peer_id_text};
use godwit_protocol::mailbox::host::OwnerView;
use godwit_protocol::rows::evidence::{ErasedWord, LeftRow};
use godwit_protocol::time::UnixMillis;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::network::{Proof, View};

/// RFC 3339 in UTC with milliseconds; null outside the years that it has.
pub(super) fn instant(at: UnixMillis) -> Value {
    let format =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.0).saturating_mul(1_000_000))
        .ok()
        .and_then(|time| time.format(&format).ok())
        .map_or(Value::Null, Value::from)
}

pub(super) fn contact(view: &ContactView) -> Value {
    json!({
        "name": view.name,
        "account": account_text(&view.account),
        "state": view.state.as_str(),
        "verified": view.verified,
        "devices": view.devices,
        "added_at": instant(view.added_at),
        "reason": view.reason.map(|reason| reason.as_str()),
        "text": view.text,
        "conversation": view.conversation.to_string(),
    })
}

pub(super) fn contact_details(
    view: &ContactView,
    number: Option<String>,
    devices: &[DeviceView],
) -> Value {
    let device = |it: &DeviceView| {
        json!({
            "device": it.device.to_string(),
            "peer_id": it.peer.map(|peer| peer_id_text(&peer)),
            "heard_at": it.heard_at.map(instant),
        })
    };
    let mut value = contact(view);
    if let Some(object) = value.as_object_mut() {
        object.insert("safety_number".to_owned(), json!(number));
        object.insert("devices".to_owned(), devices.iter().map(device).collect());
    }
    value
}

pub(super) fn message(view: &MessageView) -> Value {
    json!({
        "id": view.id.to_string(),
        "conversation": view.conversation.to_string(),
        "from": view.from,
        "from_account": account_text(&view.from_account),
        "direction": if view.outgoing { "out" } else { "in" },
        "sent_at": instant(view.sent_at),
        "received_at": view.received_at.map(instant),
        "kind": view.kind,
        "body": view.body,
        "state": view.state.as_str(),
        "reason": view.reason.map(|reason| reason.as_str()),
    })
}

pub(super) fn sent(message: &SentMessage) -> Value {
    json!({
        "id": message.id.to_string(),
        "conversation": message.conversation.to_string(),
        "state": message.state.as_str(),
    })
}

pub(super) fn why(why: &Why) -> Value {
    let steps: Vec<Value> = why
        .steps
        .iter()
        .map(|step| {
            json!({
                "at": instant(step.at),
                "step": step.kind.as_str(),
                "host": step.host.map(|host| peer_id_text(&host)),
                "result": step.result,
                "count": step.count,
            })
        })
        .collect();
    json!({
        "id": why.id.to_string(),
        "state": why.state.as_str(),
        "reason": why.reason.map(|reason| reason.as_str()),
        "steps": steps,
    })
}

pub(super) fn hosts(hosts: &[HostView], left: &[(HostId, LeftRow)], k: u8) -> Value {
    let here = |id: &HostId| hosts.iter().any(|view| view.host == *id);
    let left = left.iter().filter(|(id, _)| !here(id));
    json!({
        "hosts": hosts.iter().map(host).collect::<Vec<_>>(),
        "k": k,
        "left": left.map(|(id, row)| left_host(id, row)).collect::<Vec<_>>(),
    })
}

/// A host that was left: `erased_at` if it has signed that nothing is left there, by both keys.
fn left_host(id: &HostId, row: &LeftRow) -> Value {
    let signed = row.erased.iter().map(|word| word.hour).max().filter(|_| row.erased.len() >= 2);
    let receipt = |word: &ErasedWord| {
        json!({
            "owner": word.owner.to_string(),
            "at": instant(word.hour.start()),
            "signature": HEXLOWER.encode(&word.signature.0),
        })
    };
    json!({
        "peer_id": peer_id_text(id),
        "left_at": instant(row.at),
        "erased_at": signed.map(|hour| instant(hour.start())),
        "receipts": row.erased.iter().map(receipt).collect::<Vec<_>>(),
    })
}

pub(super) fn host(view: &HostView) -> Value {
    json!({
        "peer_id": peer_id_text(&view.host),
        "addresses": view.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "state": view.state.as_str(),
        "last_seen": view.last_seen.map(instant),
        "lost_state_at": view.lost_state_at.map(instant),
        "broken_word_at": view.broken_word_at.map(instant),
        "full": view.full.iter().map(full).collect::<Vec<_>>(),
    })
}

/// Whose mail a host had no room for; null for strangers.
fn full((account, at): &(Option<AccountId>, UnixMillis)) -> Value {
    json!({"account": account.map(|it| account_text(&it)), "at": instant(*at)})
}

pub(super) fn owner(view: &OwnerView) -> Value {
    json!({
        "owner": view.owner.to_string(),
        "queues": view.queues,
        "envelopes": view.envelopes,
        "bytes": view.bytes,
        "last_seen": instant(view.last_seen.start()),
    })
}

/// Addresses at which this node was reached, or was not.
pub(super) fn proved(proofs: &[Proof], reached: bool) -> Vec<String> {
    let proved = proofs.iter().filter(|proof| proof.reached == Some(reached));
    proved.map(|proof| proof.address.to_string()).collect()
}

/// What came of one address.
pub(super) fn proof(proof: &Proof) -> Value {
    let state = match proof.reached {
        Some(true) => "reached",
        Some(false) => "unreached",
        None => "unknown",
    };
    let by = proof.by.as_ref().map(peer_id_text);
    json!({"address": proof.address.to_string(), "state": state, "by": by})
}

pub(super) fn dht(view: &View, found_at_strangers: u64) -> Value {
    json!({
        "mode": if view.server { "server" } else { "client" },
        "peers": view.dht_peers,
        "held": view.held,
        "found_at_strangers": found_at_strangers,
    })
}

pub(super) fn outbox(status: &EndpointStatus) -> Value {
    json!({"queued": status.queued, "deposited": status.deposited})
}

pub(super) fn faults(status: &EndpointStatus) -> Value {
    let faults = status.faults;
    json!({
        "no_header": faults.no_header,
        "keys_gone": faults.keys_gone,
        "body_failed": faults.body_failed,
        "pq_unknown": faults.pq_unknown,
        "too_far_ahead": faults.too_far_ahead,
        "noise": faults.noise,
    })
}

/// An event; that of a message is put together by the caller, from its row.
pub(super) fn change(change: &Change) -> Value {
    match change {
        Change::Message(..) => json!({"event": "message"}),
        Change::State(id, state, reason) => json!({
            "event": "state",
            "id": id.to_string(),
            "state": state.as_str(),
            "reason": reason.map(|reason| reason.as_str()),
        }),
        Change::Contact(account, state) => json!({
            "event": "contact",
            "account": account_text(account),
            "state": state.map_or("removed", |state| state.as_str()),
        }),
        Change::Host(host, state) => {
            json!({"event": "host", "peer_id": peer_id_text(host), "state": state.as_str()})
        }
        Change::Warning(code) => json!({"event": "warning", "code": code}),
    }
}

pub(super) fn refusal(refusal: &Refusal) -> Value {
    json!({"error": {
        "code": refusal.code.as_str(), "message": refusal.message, "help": refusal.help,
    }})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_milliseconds_and_a_foolish_one_is_null() {
        assert_eq!(instant(UnixMillis(1_700_000_000_007)), "2023-11-14T22:13:20.007Z");
        assert_eq!(instant(UnixMillis(u64::MAX)), Value::Null);
    }
}
