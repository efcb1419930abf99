//! The loops around the machines: inputs in, one batch of rows to disk, outputs out when it is there.

mod gate;
mod messenger;

pub use messenger::{Busy, Messenger, MessengerParts};
