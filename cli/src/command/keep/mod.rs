//! Verbs: who keeps mail for whom.

pub(super) mod host;
pub(super) mod join;
pub(super) mod mailbox;
mod proof;
