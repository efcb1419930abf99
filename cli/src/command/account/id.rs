//! `id`: the own contact link.

use std::path::Path;

use godwit_node::home;
use serde_json::json;

use crate::exit::Failure;
use crate::node::Node;
use crate::output::{self, Format, qr, text};

/// Show your own contact link
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Add this device's present addresses, for someone in the room (needs the running node)
    #[arg(long)]
    here: bool,
    /// Draw the link as a QR code as well
    #[arg(long)]
    qr: bool,
}

/// Prints the card of the home.
pub(crate) async fn run(args: &Args, home: &Path, format: Format) -> Result<(), Failure> {
    let mut card = home::read_card(home)?;
    if args.here {
        card.link = text::field(&Node::connect(home).await?.link_here().await?, "link");
    }
    match (format, &card.account) {
        (Format::Json, Some(_)) => output::object(&json!({
            "account": card.account, "device": card.device, "name": card.name, "link": card.link,
        }))?,
        (Format::Json, None) => {
            output::object(&json!({"account": null, "host": card.host, "link": card.link}))?;
        }
        (Format::Text, account) => {
            let mut pairs = Vec::new();
            pairs.extend(account.clone().map(|account| ("account", account)));
            pairs.extend(card.device.map(|device| ("device", device)));
            pairs.extend(card.name.map(|name| ("name", name)));
            pairs.extend(account.is_none().then_some(("host", card.host)));
            let drawn = args.qr.then(|| qr::code(&card.link)).flatten();
            pairs.push(("link", card.link));
            output::line(&text::pairs(&pairs))?;
            if let Some(drawn) = drawn {
                output::line(&drawn)?;
            }
        }
    }
    Ok(())
}
