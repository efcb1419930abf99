//! `why`: the life of one message.

use godwit_protocol::endpoint::{Reason, StepKind};
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

/// What a message waits for, as one would say it; the word itself, if a later node says it.
fn waits_for(reason: &str) -> &str {
    let known = Reason::ALL.into_iter().find(|known| known.as_str() == reason);
    known.map_or(reason, |known| match known {
        Reason::Resolving => "the recipient's keys are looked for",
        Reason::Dialling => "a way to the recipient or its mailbox is looked for",
        Reason::AwaitingAcceptance => {
            "the recipient has not accepted you yet, or accepts you no more"
        }
        Reason::NoMailbox => "the recipient is not online and keeps no mailbox",
        Reason::NoQueue => "the recipient's mailbox host does not know where to put it yet",
        Reason::Full => "the recipient's mailbox is full",
        Reason::Busy => "the other side asks to wait",
        Reason::WaitingForPeer => "so much is unanswered that the recipient has to answer first",
        Reason::HostUnreachable => "the recipient's mailbox host cannot be reached",
        Reason::TwoHomes => "a copy of this home is alive elsewhere, and this one sends nothing",
    })
}

/// A step, as one would say it; the word itself, if a later node says it.
fn what_happened(step: &str) -> &str {
    let known = StepKind::ALL.into_iter().find(|known| known.as_str() == step);
    known.map_or(step, |known| match known {
        StepKind::Queued => "written on this disk",
        StepKind::Resolved => "the recipient's keys found",
        StepKind::Dialled => "tried to reach it",
        StepKind::Deposited => "left at a mailbox",
        StepKind::SentDirect => "sent directly",
        StepKind::Fetched => "fetched from a mailbox",
        StepKind::Delivered => "on the recipient's disk",
        StepKind::Retried => "sent once more",
        StepKind::Refused => "refused",
        StepKind::ReceivedDirect => "came directly",
        StepKind::Expired => "its time was over",
        StepKind::BrokenWord => "signed for and not served",
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_and_every_reason_is_said_in_words_of_its_own() {
        let steps: Vec<&str> = StepKind::ALL.iter().map(|it| it.as_str()).collect();
        let reasons: Vec<&str> = Reason::ALL.iter().map(|it| it.as_str()).collect();
        let mut said: Vec<&str> = steps.iter().map(|it| what_happened(it)).collect();
        said.extend(reasons.iter().map(|it| waits_for(it)));
        for (words, word) in said.iter().zip(steps.iter().chain(&reasons)) {
            // Of one word there is nothing plainer to say.
            assert!(words != word || *word == "refused", "{word}");
            assert!(!words.contains('_'), "{words}");
        }
        let distinct: std::collections::BTreeSet<&&str> = said.iter().collect();
        assert_eq!(distinct.len(), said.len());
        assert_eq!(waits_for("of_a_later_node"), "of_a_later_node");
    }

    #[test]
    fn a_life_is_a_table_and_says_what_it_waits_for() {
        let why = serde_json::json!({
            "id": "00112233445566778899aabbccddeeff",
            "state": "queued",
            "reason": "full",
            "steps": [
                {"at": "2026-11-27T08:00:00Z", "step": "queued", "result": "ok", "count": 1},
                {"at": "2026-11-27T08:00:05Z", "step": "refused", "result": "full", "count": 3},
            ],
        });
        let said = render(&why);
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines[0], "00112233445566778899aabbccddeeff  queued");
        assert!(lines[1].starts_with("waits: the recipient's mailbox is full (full)"), "{said}");
        assert!(lines[2].starts_with("TIME"), "{said}");
        assert!(lines[3].contains("written on this disk") && !lines[3].contains('×'), "{said}");
        assert!(lines[4].contains("refused ×3"), "{said}");
    }
}
