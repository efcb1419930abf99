//! What happens, as a cursor over the changes that are on disk: a slow reader reads later.

use std::collections::VecDeque;
use std::sync::Arc;

use godwit_protocol::endpoint::{Change, query};
use godwit_protocol::rows::RowsError;
use godwit_protocol::rows::message::MessageKey;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::Api;
use super::shapes;

/// A reader of the changes; it holds nothing of the node up.
pub struct Events {
    api: Arc<Api>,
    after: u64,
    /// `None` at a host without an account, where nothing of this kind happens.
    changed: Option<watch::Receiver<u64>>,
    ready: VecDeque<(u64, Value)>,
}

impl Events {
    /// Reads on after a change, or begins with what comes from now on.
    pub(crate) fn new(api: Arc<Api>, after: Option<u64>) -> Result<Self, RowsError> {
        let changed = api.messenger.as_ref().map(|messenger| messenger.changed());
        let last = query::last_change(&api.reader)?;
        let after = after.map_or(last, |after| after.min(last));
        Ok(Self { api, after, changed, ready: VecDeque::new() })
    }

    /// The next event with its number; `None` when the node ends.
    ///
    /// Cancel safety: nothing is taken before it is returned.
    pub async fn next(&mut self) -> Option<(u64, Value)> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let Some(changed) = &mut self.changed else { return std::future::pending().await };
            changed.borrow_and_update();
            self.read().ok()?;
            if self.ready.is_empty()
                && let Some(changed) = &mut self.changed
            {
                changed.changed().await.ok()?;
            }
        }
    }

    fn read(&mut self) -> Result<(), RowsError> {
        let Some(own) = self.api.own else { return Ok(()) };
        for (number, change) in query::changes(&self.api.reader, self.after)? {
            self.after = number;
            let mut event = shapes::change(&change);
            if let Change::Message(sender, conversation, id) = change {
                let key = MessageKey { id, conversation, sender };
                let Some(view) = query::message(&self.api.reader, own, key)? else {
                    continue;
                };
                event = shapes::message(&view);
                if let Some(object) = event.as_object_mut() {
                    object.insert("event".to_owned(), json!("message"));
                }
            }
            if let Some(object) = event.as_object_mut() {
                object.insert("change".to_owned(), json!(number));
            }
            self.ready.push_back((number, event));
        }
        Ok(())
    }
}
