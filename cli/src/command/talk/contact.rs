//! `contact`: the address book.

use serde_json::Value;

use crate::exit::Failure;
use crate::node::Node;
use crate::output::{self, Format, text};

/// The address book: add, accept, list, show, rename, remove, block, verify, invite
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = false)]
pub(crate) struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, clap::Subcommand)]
enum Act {
    /// Ask the owner of a contact link, or accept them where they asked
    Add {
        /// Their link (`godwit:…`)
        link: String,
        /// Keep them under this name
        #[arg(long = "as", value_name = "NAME")]
        name: Option<String>,
    },
    /// Accept a request
    Accept {
        /// Who: a name, an account, or 8 characters of one
        who: String,
        /// Keep them under this name
        #[arg(long = "as", value_name = "NAME")]
        name: Option<String>,
    },
    /// List contacts
    List {
        /// Only those who ask
        #[arg(long)]
        requests: bool,
    },
    /// Show one contact
    Show {
        /// Who
        who: String,
    },
    /// Give a contact another name
    Rename {
        /// Who
        who: String,
        /// The new name
        name: String,
    },
    /// Remove a contact, or decline a request
    Remove {
        /// Who
        who: String,
    },
    /// Hear a contact no more; it is not told
    Block {
        /// Who
        who: String,
    },
    /// Hear a blocked contact again
    Unblock {
        /// Who
        who: String,
    },
    /// Show the safety number, to compare it with the one that they see
    Verify {
        /// Who
        who: String,
        /// They see the same number
        #[arg(long)]
        matches: bool,
    },
    /// Make a link that is good for one stranger, accepted at once
    Invite,
}

/// Carries it out.
pub(crate) async fn run(args: Args, node: &mut Node, format: Format) -> Result<(), Failure> {
    let contact = match args.act {
        Act::List { requests } => return list(node, requests, format).await,
        Act::Invite => return invite(node, format).await,
        Act::Add { link, name } => node.add_contact(&link, name.as_deref()).await?,
        Act::Accept { who, name } => node.accept_contact(&who, name.as_deref()).await?,
        Act::Show { who } => node.contact(&who).await?,
        Act::Rename { who, name } => node.rename_contact(&who, &name).await?,
        Act::Remove { who } => node.remove_contact(&who).await?,
        Act::Block { who } => node.block_contact(&who).await?,
        Act::Unblock { who } => node.unblock_contact(&who).await?,
        Act::Verify { who, matches } => node.verify_contact(&who, matches).await?,
    };
    match format {
        Format::Json => output::object(&contact)?,
        Format::Text => output::line(&render(&contact))?,
    }
    Ok(())
}

async fn list(node: &mut Node, requests: bool, format: Format) -> Result<(), Failure> {
    let mut contacts = node.contacts().await?;
    if requests {
        contacts.retain(|contact| text::field(contact, "state") == "pending");
    }
    match format {
        Format::Json => {
            for contact in &contacts {
                output::object(contact)?;
            }
        }
        Format::Text => {
            let rows: Vec<Vec<String>> = contacts
                .iter()
                .map(|contact| {
                    ["name", "state", "account"].map(|key| text::field(contact, key)).to_vec()
                })
                .collect();
            output::line(&text::table(&["NAME", "STATE", "ACCOUNT"], &rows))?;
        }
    }
    Ok(())
}

async fn invite(node: &mut Node, format: Format) -> Result<(), Failure> {
    let invite = node.invite().await?;
    match format {
        Format::Json => output::object(&invite)?,
        Format::Text => {
            let until = text::local(&text::field(&invite, "expires"));
            output::line(&text::field(&invite, "link"))?;
            output::talk(&format!("good for one person until {until}"));
        }
    }
    Ok(())
}

fn render(contact: &Value) -> String {
    let mut pairs = Vec::new();
    for key in ["name", "account", "state", "verified", "safety_number", "reason", "text"] {
        let value = text::field(contact, key);
        if !value.is_empty() {
            pairs.push((key, value));
        }
    }
    text::pairs(&pairs)
}
