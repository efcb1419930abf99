//! What is to be sent: its lines, in which order they leave, what they wait for, and what is written
//! about their messages.

mod busy;
mod lane;
mod lines;
mod messages;
mod waiting;

pub(super) use lane::Lane;
pub(super) use lines::NewLine;
pub(super) use messages::{note, note_step};
