//! Hosts that did not serve what they signed for: shown with the proofs, which anybody can check.

use axum::Json;
use axum::extract::Path;
use data_encoding::HEXLOWER;
use serde::Deserialize;
use serde_json::{Value, json};

use godwit_protocol::endpoint::{Code, ContactView, Refusal, query};
use godwit_protocol::identity::{Network, peer_id_text};
use godwit_protocol::mailbox::DepositProof;
use godwit_protocol::rows::evidence::BrokenRow;

use super::door::Running;
use super::hosting::peer_id;
use super::server::{Answer, own};
use super::shapes;

/// What of an exported proof is looked at; the rest is for people.
#[derive(Deserialize)]
struct Exported {
    network: String,
    proof: String,
}

pub(super) async fn proofs(Running(api): Running, Path(peer): Path<String>) -> Answer {
    let host = peer_id(&peer)?;
    let rows = query::broken_words(&api.reader, Some(host))?;
    let contacts = query::contacts(&api.reader, own(&api)?)?;
    let shown = rows.iter().map(|row| {
        let with = contacts.iter().find(|contact| contact.account == row.with);
        broken_word(row, with, &api.facts.network_name)
    });
    Ok(Json(shown.collect()))
}

fn broken_word(row: &BrokenRow, with: Option<&ContactView>, network: &Network) -> Value {
    let proof = &row.evidence.proof;
    let mut value = signed(proof);
    let more = [
        ("found_at", shapes::instant(row.at)),
        ("by", json!(if row.ours { "us" } else { "contact" })),
        ("contact", json!(with.map(|view| view.name.as_str()))),
        ("message", json!(row.evidence.message.to_string())),
        ("network", json!(network.to_string())),
        ("proof", json!(HEXLOWER.encode(&proof.to_bytes()))),
    ];
    if let Some(object) = value.as_object_mut() {
        object.extend(more.map(|(key, value)| (key.to_owned(), value)));
    }
    value
}

/// What a proof says, whoever shows it.
fn signed(proof: &DepositProof) -> Value {
    json!({
        "peer_id": peer_id_text(&proof.receipt.host),
        "envelope_hash": HEXLOWER.encode(&proof.envelope),
        "signed_at": shapes::instant(proof.receipt.hour.start()),
        "until": shapes::instant(proof.until.start()),
    })
}

/// Checks exported proofs without a node: what each says, and whether it `holds`, that is, whether its
/// host has signed it.
///
/// # Errors
/// `E_BAD_PROOF` if these are no exported proofs.
pub fn check_proofs(exported: Value) -> Result<Vec<Value>, Refusal> {
    let bad = || {
        let message = "this is not what `godwit mailbox proof PEER --out FILE` writes";
        Refusal::new(Code::BadProof, message, "ask for the file again")
    };
    let list: Vec<Exported> = serde_json::from_value(exported).map_err(|_| bad())?;
    let check = |it: Exported| {
        let bytes = HEXLOWER.decode(it.proof.as_bytes()).ok()?;
        let proof = DepositProof::from_bytes(&bytes)?;
        let mut value = signed(&proof);
        if let Some(object) = value.as_object_mut() {
            object.insert("holds".to_owned(), json!(proof.check(&it.network).is_ok()));
        }
        Some(value)
    };
    list.into_iter().map(|it| check(it).ok_or_else(bad)).collect()
}
