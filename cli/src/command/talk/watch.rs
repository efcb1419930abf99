//! `watch`: the inbox, live; survives a restart of the node.

use std::path::Path;

use serde_json::Value;

use crate::exit::Failure;
use crate::feed::Feed;
use crate::node::Node;
use crate::output::{self, Format, message, text};

/// Show messages as they come, until stopped
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only with this contact
    with: Option<String>,
}

/// Prints what happens.
pub(crate) async fn run(args: Args, home: &Path, format: Format) -> Result<(), Failure> {
    let mut feed = Feed::open(home).await?;
    let conversation = match &args.with {
        Some(who) => {
            Some(text::field(&Node::connect(home).await?.contact(who).await?, "conversation"))
        }
        None => None,
    };
    loop {
        let event = feed.next().await;
        if let Some(conversation) = &conversation
            && (text::field(&event, "event") != "message"
                || text::field(&event, "conversation") != *conversation)
        {
            continue;
        }
        match format {
            Format::Json => output::object(&event)?,
            Format::Text => {
                if let Some(line) = render(&event) {
                    output::line(&line)?;
                }
            }
        }
    }
}

/// What a person wants to see of an event; `None` for nothing.
pub(crate) fn render(event: &Value) -> Option<String> {
    match text::field(event, "event").as_str() {
        "message" => Some(message::render(event, output::width())),
        "contact" => Some(text::pairs(&[(
            "contact",
            format!("{} {}", text::field(event, "account"), text::field(event, "state")),
        )])),
        "warning" => Some(text::pairs(&[("warning", text::field(event, "code"))])),
        _ => None,
    }
}
