//! `send`: a text into the outbox, and if asked until it is deposited or delivered.

use std::io::{self, Read as _};
use std::path::Path;
use std::time::{Duration, Instant};

use godwit_node::config::{format_duration, parse_duration};
use godwit_node::home::Home;
use godwit_protocol::endpoint::{Code, Refusal};
use godwit_protocol::id::MessageId;
use godwit_protocol::limits::MAX_TEXT;
use godwit_protocol::time::Millis;
use serde_json::Value;

use crate::exit::Failure;
use crate::feed::Feed;
use crate::node::Node;
use crate::output::{self, Format, text};

/// How often a node that starts is asked whether it runs.
const AGAIN: Duration = Duration::from_millis(50);

/// Send a text; exit 0 means that it is on disk here and will be sent
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// To whom: a contact's name, its account, or 8 characters of one
    to: String,
    /// The text; `-` reads it from stdin; after `--` it may begin with a dash
    text: String,
    /// The message's id, so that a send whose answer was not seen can be repeated
    #[arg(long, value_name = "HEX32")]
    id: Option<MessageId>,
    /// Return when the message is this far, or further
    #[arg(long, value_enum, default_value_t = Wanted::Queued)]
    wait: Wanted,
    /// Wait no longer than this
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_duration)]
    timeout: Millis,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
enum Wanted {
    /// It is on disk here
    Queued,
    /// It is on the disks of enough hosts
    Deposited,
    /// It is on the recipient's disk
    Delivered,
}

/// Sends it.
pub(crate) async fn run(args: Args, home: &Path, format: Format) -> Result<(), Failure> {
    Home::resolve(home)?;
    let body = checked(if args.text == "-" { read_stdin()? } else { args.text.clone() })?;
    let length = Duration::from_millis(args.timeout.0);
    let (mut sent, mut feed) = once_it_runs(&args, home, &body, length).await?;
    if let Some(feed) = &mut feed {
        // On time-out `sent` bears the state that was reached.
        let _ = tokio::time::timeout(length, reach(&mut sent, args.wait, feed)).await;
    }
    match format {
        Format::Json => output::object(&sent)?,
        Format::Text => {
            output::line(&format!("{}  {}", text::field(&sent, "id"), text::field(&sent, "state")))?
        }
    }
    verdict(&text::field(&sent, "id"), &text::field(&sent, "state"), args.wait, args.timeout)
}

/// Sends it, once the node runs; the feed if something is waited for. A node that does not take it is
/// none that runs: `E_BUSY` has the exit number of what is on disk and on its way. It is not asked twice:
/// a node that ended meanwhile may have taken it.
async fn once_it_runs(
    args: &Args,
    home: &Path,
    body: &str,
    length: Duration,
) -> Result<(Value, Option<Feed>), Refusal> {
    let start = Instant::now();
    let mut node = Node::connect(home).await?;
    while text::field(&node.status().await?, "state") == "starting" {
        if start.elapsed() >= length {
            let message = "nothing was sent: the node is starting";
            return Err(Refusal::new(Code::NotRunning, message, "godwit status"));
        }
        tokio::time::sleep(AGAIN).await;
    }
    match begin(&mut node, args, home, body).await {
        Err(Refusal { code: Code::Busy, message, .. }) => {
            Err(Refusal::new(Code::NotRunning, message, "godwit status"))
        }
        done => done,
    }
}

async fn begin(
    node: &mut Node,
    args: &Args,
    home: &Path,
    body: &str,
) -> Result<(Value, Option<Feed>), Refusal> {
    // Opened first, so that no change of state is missed.
    let feed = match args.wait {
        Wanted::Queued => None,
        _ => Some(Feed::open(home).await?),
    };
    Ok((node.send(&args.to, body, args.id).await?, feed))
}

/// Reads changes until the message is as far as wanted, or has ended.
async fn reach(sent: &mut Value, wanted: Wanted, feed: &mut Feed) {
    while !ended(&text::field(sent, "state")) && rank(&text::field(sent, "state")) < Some(wanted) {
        let event = feed.next().await;
        if text::field(&event, "event") == "state"
            && text::field(&event, "id") == text::field(sent, "id")
            && let (Some(object), Some(state)) = (sent.as_object_mut(), event.get("state"))
        {
            object.insert("state".to_owned(), state.clone());
        }
    }
}

fn verdict(id: &str, state: &str, wanted: Wanted, timeout: Millis) -> Result<(), Failure> {
    let why = format!("godwit why {id}");
    if ended(state) {
        output::talk(&format!("the message is {state}: {why}"));
        return Err(Failure::Exit(1));
    }
    if rank(state) < Some(wanted) {
        let message = format!(
            "the message is {state} after {}; it goes on by itself",
            format_duration(timeout)
        );
        return Err(Refusal::new(Code::NotYet, message, why).into());
    }
    Ok(())
}

fn rank(state: &str) -> Option<Wanted> {
    match state {
        "queued" => Some(Wanted::Queued),
        "deposited" => Some(Wanted::Deposited),
        "delivered" => Some(Wanted::Delivered),
        _ => None,
    }
}

fn ended(state: &str) -> bool {
    matches!(state, "expired" | "failed")
}

fn checked(text: String) -> Result<String, Refusal> {
    if text.is_empty() {
        return Err(Refusal::new(Code::Empty, "the text is empty", "godwit send TO TEXT"));
    }
    if text.len() > MAX_TEXT {
        return Err(too_large());
    }
    Ok(text)
}

fn too_large() -> Refusal {
    let message = format!("the text has more than {MAX_TEXT} bytes");
    Refusal::new(Code::TooLarge, message, "send it in parts")
}

/// Everything on stdin without one newline at its end.
fn read_stdin() -> Result<String, Refusal> {
    let limit = u64::try_from(MAX_TEXT).unwrap_or(u64::MAX).saturating_add(2);
    let mut bytes = Vec::new();
    io::stdin().lock().take(limit).read_to_end(&mut bytes).map_err(|error| {
        Refusal::new(Code::Io, format!("stdin: {error}"), "godwit send TO TEXT")
    })?;
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    if bytes.len() > MAX_TEXT {
        return Err(too_large());
    }
    String::from_utf8(bytes)
        .map_err(|_| Refusal::new(Code::NotText, "stdin is not UTF-8", "godwit send TO TEXT"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_state_than_the_wanted_one_is_done_and_an_earlier_one_is_not_yet() {
        let number = |state, wanted| match verdict("ab", state, wanted, Millis(1)) {
            Ok(()) => 0,
            Err(Failure::Refused(refusal)) => crate::exit::number(refusal.code),
            Err(Failure::Exit(number)) => number,
            Err(Failure::Output(_)) => 255,
        };

        assert_eq!(number("delivered", Wanted::Deposited), 0);
        assert_eq!(number("queued", Wanted::Queued), 0);
        assert_eq!(number("queued", Wanted::Delivered), 75);
        assert_eq!(number("deposited", Wanted::Delivered), 75);
        assert_eq!(number("expired", Wanted::Queued), 1);
    }
}
