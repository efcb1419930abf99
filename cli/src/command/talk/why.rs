//! `why`: the life of one message.

use godwit_protocol::id::MessageId;
use serde_json::Value;

use crate::exit::Failure;
use crate::node::Node;
use crate::output::{self, Format, text};

/// Show the life of one message, and what it waits for
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The message's id: 32 hex digits
    id: MessageId,
}

/// Prints it.
pub(crate) async fn run(args: &Args, node: &mut Node, format: Format) -> Result<(), Failure> {
    let why = node.why(args.id).await?;
    match format {
        Format::Json => output::object(&why)?,
        Format::Text => output::line(&render(&why))?,
    }
    Ok(())
}

/// What a message waits for, as one would say it.
fn waits_for(reason: &str) -> &str {
    match reason {
        "resolving" => "the recipient's keys are looked for",
        "dialling" => "a way to the recipient or its mailbox is looked for",
        "awaiting_acceptance" => "the recipient has not accepted you yet, or accepts you no more",
        "no_mailbox" => "the recipient is not online and keeps no mailbox",
        "no_queue" => "the recipient's mailbox host does not know where to put it yet",
        "full" => "the recipient's mailbox is full",
        "busy" => "the mailbox host asks to wait",
        "waiting_for_peer" => "so much is unanswered that the recipient has to answer first",
        "host_unreachable" => "the recipient's mailbox host cannot be reached",
        "two_homes" => "a copy of this home is alive elsewhere, and this one sends nothing",
        other => other,
    }
}

/// A step, as one would say it.
fn what_happened(step: &str) -> &str {
    match step {
        "queued" => "written on this disk",
        "resolved" => "the recipient's keys found",
        "dialled" => "tried to reach it",
        "deposited" => "left at a mailbox",
        "sent_direct" => "sent directly",
        "fetched" => "fetched from a mailbox",
        "delivered" => "on the recipient's disk",
        "retried" => "sent once more",
        "refused" => "refused",
        "received_direct" => "came directly",
        "expired" => "its time was over",
        "broken_word" => "signed for and not served",
        other => other,
    }
}

fn render(why: &Value) -> String {
    let reason = text::field(why, "reason");
    let waits = if reason.is_empty() {
        String::new()
    } else {
        format!("\nwaits: {} ({reason}); it is tried again by itself", waits_for(&reason))
    };
    let rows: Vec<Vec<String>> = why
        .get("steps")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|step| {
            let times = step.get("count").and_then(Value::as_u64).filter(|count| *count > 1);
            let times = times.map(|count| format!(" ×{count}")).unwrap_or_default();
            vec![
                text::local(&text::field(step, "at")),
                format!("{}{times}", what_happened(&text::field(step, "step"))),
                text::field(step, "result"),
                text::field(step, "host"),
            ]
        })
        .collect();
    format!(
        "{}  {}{waits}\n{}",
        text::field(why, "id"),
        text::field(why, "state"),
        text::table(&["TIME", "WHAT", "RESULT", "HOST"], &rows)
    )
}
