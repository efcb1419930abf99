//! `inbox`: messages in order, newest last.

use godwit_protocol::id::MessageId;

use crate::exit::Failure;
use crate::node::{InboxQuery, Node};
use crate::output::{self, Format, message, text};

/// Show messages in order, newest last
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only with this contact; what is shown is then marked as read
    with: Option<String>,
    /// Only after this message
    #[arg(long, value_name = "ID")]
    since: Option<MessageId>,
    /// How many at most
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    limit: u32,
    /// Only what is not read
    #[arg(long)]
    unread: bool,
    /// Mark nothing as read
    #[arg(long)]
    peek: bool,
}

/// Prints them.
pub(crate) async fn run(args: Args, node: &mut Node, format: Format) -> Result<(), Failure> {
    let mut query = InboxQuery {
        with: args.with,
        since: args.since,
        limit: args.limit,
        unread: args.unread,
        peek: args.peek,
    };
    while query.limit > 0 {
        let page = node.inbox(&query).await?;
        let Some(last) = page.last() else { break };
        for line in &page {
            match format {
                Format::Json => output::object(line)?,
                Format::Text => output::line(&message::render(line, output::width()))?,
            }
        }
        query.since = text::field(last, "id").parse().ok();
        query.limit = query.limit.saturating_sub(u32::try_from(page.len()).unwrap_or(u32::MAX));
    }
    Ok(())
}
