//! Verbs: contacts and what is written to them.

pub(super) mod chat;
pub(super) mod contact;
pub(super) mod inbox;
pub(super) mod send;
pub(super) mod watch;
pub(super) mod why;
