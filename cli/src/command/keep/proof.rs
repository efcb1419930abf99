//! `mailbox proof`: what a host signed for and did not serve, to show to others.

use std::fs;
use std::path::{Path, PathBuf};

use godwit_node::control::check_proofs;
use godwit_node::home;
use godwit_protocol::endpoint::{Code, Refusal};
use godwit_protocol::id::HostId;
use serde_json::Value;

use crate::exit::{Failure, REFUSED};
use crate::node::Node;
use crate::output::{self, Format, text};

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The host's peer id
    #[arg(value_parser = super::mailbox::parse_peer, required_unless_present = "check")]
    peer: Option<HostId>,
    /// Write them to a file, for others to check
    #[arg(long, value_name = "FILE", conflicts_with = "check")]
    out: Option<PathBuf>,
    /// Check such a file: whether the host has signed what it says; needs no node
    #[arg(long, value_name = "FILE", conflicts_with = "peer")]
    check: Option<PathBuf>,
}

/// Carries it out.
pub(crate) async fn run(args: &Args, home: &Path, format: Format) -> Result<(), Failure> {
    if let Some(file) = &args.check {
        return check(file, format);
    }
    let Some(peer) = &args.peer else { return Ok(()) };
    let proofs = Node::connect(home).await?.proofs(peer).await?;
    if let Some(file) = &args.out {
        let bytes = format!("{:#}\n", Value::from(proofs.clone()));
        home::write_whole(file, bytes.as_bytes())?;
    }
    print(&proofs, format)
}

fn print(proofs: &[Value], format: Format) -> Result<(), Failure> {
    if format == Format::Json {
        return Ok(proofs.iter().try_for_each(output::object)?);
    }
    if proofs.is_empty() {
        return Ok(output::line("no word of this host is known to be broken")?);
    }
    let row = |proof: &Value| {
        let at = |name: &str| text::local(&text::field(proof, name));
        let by = text::field(proof, "by");
        let contact = text::field(proof, "contact");
        vec![
            at("found_at"),
            at("signed_at"),
            at("until"),
            by,
            contact,
            text::field(proof, "message"),
        ]
    };
    let rows: Vec<Vec<String>> = proofs.iter().map(row).collect();
    let head = ["FOUND", "SIGNED", "UNTIL", "FOUND BY", "CONTACT", "MESSAGE"];
    Ok(output::line(&text::table(&head, &rows))?)
}

/// The longest file that is read.
const MAX_FILE: u64 = 1 << 20;

fn check(file: &Path, format: Format) -> Result<(), Failure> {
    let refused = |code: Code, message: String| {
        let help = "godwit mailbox proof PEER --out FILE";
        Failure::from(Refusal::new(code, format!("{}: {message}", file.display()), help))
    };
    let bytes = match fs::metadata(file) {
        Ok(it) if it.len() > MAX_FILE => {
            return Err(refused(Code::BadProof, "too long for a file of proofs".to_owned()));
        }
        Ok(_) => fs::read(file),
        Err(error) => Err(error),
    };
    let bytes = bytes.map_err(|error| refused(Code::Io, error.to_string()))?;
    let value: Value = serde_json::from_slice(&bytes)
        .map_err(|_| refused(Code::BadProof, "this is no JSON".to_owned()))?;
    let proofs = check_proofs(value)?;
    match format {
        Format::Json => proofs.iter().try_for_each(output::object)?,
        Format::Text => {
            let row = |proof: &Value| {
                let at = |name: &str| text::local(&text::field(proof, name));
                let field = |name: &str| text::field(proof, name);
                let until = at("until");
                vec![
                    field("peer_id"),
                    field("envelope_hash"),
                    at("signed_at"),
                    until,
                    field("holds"),
                ]
            };
            let rows: Vec<Vec<String>> = proofs.iter().map(row).collect();
            let head = ["HOST", "ENVELOPE", "SIGNED", "UNTIL", "HOLDS"];
            output::line(&text::table(&head, &rows))?;
        }
    }
    let holds = |proof: &Value| proof.get("holds").and_then(Value::as_bool).unwrap_or(false);
    if proofs.iter().all(holds) { Ok(()) } else { Err(Failure::Exit(REFUSED)) }
}
