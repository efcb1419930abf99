//! Messages as rows: their order, their parents, the steps of their life.
//!
//! Source: CLI "inbox"; PROTOCOL §10.

use serde_bytes::ByteBuf;

use crate::content::Content;
use crate::endpoint::hosts::Arrival;
use crate::endpoint::machine::{Cx, Endpoint};
use crate::endpoint::repair::note_missing;
use crate::endpoint::{Change, MessageState, Step, StepKind};
use crate::id::{HostId, MessageId};
use crate::limits::{MAX_PARENTS, MAX_RECORD_AHEAD};
use crate::rows::RowsError;
use crate::rows::message::{
    CONVERSATIONS, ConversationRow, MESSAGES, MessageKey, MessageRow, TIMELINE,
};
use crate::rows::typed::{load, save};
use crate::time::UnixMillis;

/// Steps that a message keeps.
const MAX_STEPS: usize = 24;

/// Notes a step; a repeat of the last one is counted.
pub(in crate::endpoint) fn note(row: &mut MessageRow, kind: StepKind, at: UnixMillis) {
    note_step(row, (kind, None, "ok"), at);
}

/// Notes a step at a host, and how it went.
pub(in crate::endpoint) fn note_step(
    row: &mut MessageRow,
    (kind, host, result): (StepKind, Option<HostId>, &str),
    at: UnixMillis,
) {
    let full = row.steps.len() >= MAX_STEPS;
    let step = || Step { at, kind, host, result: result.to_owned(), count: 1 };
    match row.steps.last_mut() {
        Some(last) if last.kind == kind && last.host == host && last.result == result => {
            last.at = at;
            last.count = last.count.saturating_add(1);
        }
        // The first and the newest stay: what was done last decides what may be done again.
        _ if full => {
            row.steps.remove(1);
            row.steps.push(step());
        }
        _ => row.steps.push(step()),
    }
}

impl Endpoint {
    /// Records what a contact wrote.
    pub(in crate::endpoint) fn record_incoming(
        &mut self,
        cx: &mut Cx<'_>,
        key: MessageKey,
        content: Content,
    ) -> Result<(), RowsError> {
        let wall = cx.now.wall;
        let mut row = MessageRow {
            kind: content.kind.0,
            body: ByteBuf::from(content.body),
            sent_at: content.sent_at,
            received_at: Some(wall),
            // A clock far ahead must not move what is written after it.
            order: content.sent_at.min(wall.saturating_add(MAX_RECORD_AHEAD)).0,
            parents: content.parents,
            state: MessageState::Received,
            reason: None,
            expires: wall,
            steps: Vec::new(),
        };
        let came = match self.arrival {
            Arrival::Direct(_) => StepKind::ReceivedDirect,
            Arrival::Pushed | Arrival::Fetched => StepKind::Fetched,
        };
        note(&mut row, came, wall);
        self.place(cx, key, row)
    }

    /// Gives a message its place after its parents, and makes it one that others may follow.
    pub(in crate::endpoint) fn place(
        &mut self,
        cx: &mut Cx<'_>,
        key: MessageKey,
        mut row: MessageRow,
    ) -> Result<(), RowsError> {
        let mut missing = Vec::new();
        for id in &row.parents {
            match self.parent_order(cx, key, *id)? {
                Some(order) => row.order = row.order.max(order.saturating_add(1)),
                None => missing.push(*id),
            }
        }
        let at = key.conversation.as_bytes();
        let mut conversation: ConversationRow =
            load(cx.rows, &CONVERSATIONS, at)?.unwrap_or_default();
        conversation.heads.retain(|head| !row.parents.contains(head));
        let wall = cx.now.wall;
        let follower = note_missing(&mut conversation, (&key, &row), &missing, wall);
        if let Some(from) = follower {
            let raised = self.raise_followers(cx, (key, row.order), from)?;
            conversation.last_order = conversation.last_order.max(raised);
        } else {
            conversation.heads.push(key.id);
        }
        if !conversation.missing.is_empty() {
            self.gaps.insert(key.conversation);
        }
        let old = conversation.heads.len().saturating_sub(MAX_PARENTS);
        conversation.heads.drain(..old);
        conversation.last_order = conversation.last_order.max(row.order);
        save(cx.rows, &CONVERSATIONS, at, &conversation)?;
        cx.rows.put(&TIMELINE, &key.timeline(row.order), Vec::new());
        save(cx.rows, &MESSAGES, &key.bytes(), &row)?;
        self.changed(Change::Message(key.sender, key.conversation, key.id));
        Ok(())
    }

    /// Where a parent stands, by either side: mostly by whoever writes on.
    fn parent_order(
        &self,
        cx: &Cx<'_>,
        key: MessageKey,
        id: MessageId,
    ) -> Result<Option<u64>, RowsError> {
        let ours = key.sender == self.me.account;
        let other =
            if ours { self.partners.get(&key.conversation) } else { Some(&self.me.account) };
        for sender in core::iter::once(key.sender).chain(other.copied()) {
            let parent = MessageKey { id, sender, ..key };
            if let Some(parent) = load::<MessageRow>(cx.rows, &MESSAGES, &parent.bytes())? {
                return Ok(Some(parent.order));
            }
        }
        Ok(None)
    }
}
