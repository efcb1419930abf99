//! `host`: what an operator of mailboxes does.

use godwit_node::config::{format_duration, parse_duration};
use godwit_protocol::id::OwnerKey;
use godwit_protocol::time::Millis;
use serde_json::Value;

use crate::exit::Failure;
use crate::node::Node;
use crate::output::{self, Format, text};

/// At a host of mailboxes: invite, list, remove
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, clap::Subcommand)]
enum Act {
    /// Make a link that lets people keep their mailbox here
    Invite {
        /// Good for this many persons
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=65_535))]
        uses: u32,
        /// Until then
        #[arg(long, value_name = "DURATION", default_value = "30d", value_parser = parse_duration)]
        expires: Millis,
        /// Draw the link as a QR code as well
        #[arg(long)]
        qr: bool,
    },
    /// Show who keeps a mailbox here and how full it is
    List,
    /// End a mailbox with all that is in it
    Remove {
        /// The owner's key, as `list` shows it
        owner: OwnerKey,
    },
}

/// Carries it out.
pub(crate) async fn run(args: Args, node: &mut Node, format: Format) -> Result<(), Failure> {
    match args.act {
        Act::Invite { uses, expires, qr } => {
            let invite = node.host_invite(uses, expires).await?;
            match format {
                Format::Json => output::object(&invite)?,
                Format::Text => {
                    let link = text::field(&invite, "link");
                    output::line(&link)?;
                    if let Some(drawn) = qr.then(|| output::qr::code(&link)).flatten() {
                        output::line(&drawn)?;
                    }
                    output::talk(&format!("good for {uses} persons, {}", format_duration(expires)));
                }
            }
        }
        Act::List => list(&node.host_owners().await?, format)?,
        Act::Remove { owner } => {
            let done = node.host_remove(&owner).await?;
            match format {
                Format::Json => output::object(&done)?,
                Format::Text => output::line(&format!("{owner}  removed"))?,
            }
        }
    }
    Ok(())
}

fn list(owners: &[Value], format: Format) -> Result<(), Failure> {
    match format {
        Format::Json => {
            for owner in owners {
                output::object(owner)?;
            }
        }
        Format::Text => {
            let rows: Vec<Vec<String>> = owners
                .iter()
                .map(|owner| {
                    let mut row = ["owner", "queues", "envelopes", "bytes"]
                        .map(|key| text::field(owner, key))
                        .to_vec();
                    row.push(text::local(&text::field(owner, "last_seen")));
                    row
                })
                .collect();
            output::line(&text::table(
                &["OWNER", "QUEUES", "ENVELOPES", "BYTES", "LAST SEEN"],
                &rows,
            ))?;
        }
    }
    Ok(())
}
