//! Verbs: the home, the account, the node that runs.

pub(super) mod id;
pub(super) mod init;
pub(super) mod run;
pub(super) mod status;
pub(super) mod up;
