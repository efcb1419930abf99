//! The events of the node without an end: when it restarts, the feed goes on where it was.

use std::path::{Path, PathBuf};
use std::time::Duration;

use godwit_node::control::EventStream;
use godwit_protocol::endpoint::Refusal;
use serde_json::Value;

use crate::node::Node;

/// The first wait before the node is tried again.
const RETRY_FIRST: Duration = Duration::from_millis(100);
/// The longest wait: a person who watches sees a restart within it.
const RETRY_LAST: Duration = Duration::from_secs(5);

/// A cursor over the node's changes.
pub(crate) struct Feed {
    home: PathBuf,
    cursor: Option<String>,
    events: Option<EventStream>,
    wait: Duration,
}

impl Feed {
    /// Begins with what happens from now on.
    pub(crate) async fn open(home: &Path) -> Result<Self, Refusal> {
        let events = Node::connect(home).await?.events(None).await?;
        Ok(Self { home: home.to_owned(), cursor: None, events: Some(events), wait: RETRY_FIRST })
    }

    /// The next event; waits as long as it takes.
    ///
    /// Cancel safety: an event that was not returned is read again from its cursor or still queued.
    pub(crate) async fn next(&mut self) -> Value {
        loop {
            if let Some(events) = &mut self.events {
                if let Some((cursor, event)) = events.next().await {
                    self.wait = RETRY_FIRST;
                    self.cursor = cursor.or(self.cursor.take());
                    return event;
                }
                self.events = None;
            }
            tokio::time::sleep(self.wait).await;
            self.wait = self.wait.saturating_mul(2).min(RETRY_LAST);
            self.events = self.resume().await.ok();
        }
    }

    async fn resume(&self) -> Result<EventStream, Refusal> {
        Node::connect(&self.home).await?.events(self.cursor.as_deref()).await
    }
}
