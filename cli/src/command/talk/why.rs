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

fn render(why: &Value) -> String {
    let reason = text::field(why, "reason");
    let waits = if reason.is_empty() { String::new() } else { format!(", waits: {reason}") };
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
                format!("{}{times}", text::field(step, "step")),
                text::field(step, "result"),
                text::field(step, "host"),
            ]
        })
        .collect();
    format!(
        "{}  {}{waits}\n{}",
        text::field(why, "id"),
        text::field(why, "state"),
        text::table(&["TIME", "STEP", "RESULT", "HOST"], &rows)
    )
}
