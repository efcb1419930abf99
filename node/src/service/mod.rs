//! The loops around the machines: inputs in, one batch of rows to disk, outputs out when it is there.

mod answers;
mod drive;
mod gate;
mod mailbox;
mod messenger;

pub use mailbox::Mailbox;
pub use messenger::{Busy, Messenger, MessengerParts};
