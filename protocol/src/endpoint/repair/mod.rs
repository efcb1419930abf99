//! What goes wrong between two devices, and how it is mended.
//!
//! | file | what it decides |
//! |---|---|
//! | `remedy` | what does not open brings a new session; beginning and answering one |
//! | `moves` | what has no receipt follows to the new session |
//! | `fence` | this home is older than it was, or lives twice |
//! | `gaps` | messages that others follow and that are not here; what an older home had lost |
//! | `again` | what was never confirmed goes once more |
//!
//! Rule: whatever a peer made that does not open has one remedy, a new session one generation up;
//! when the sending session changes, what has no receipt is encrypted again in it.
//! Source: PROTOCOL §4 "Which session", "What does not open", the fence; §7 "Sent again"; §10.

mod again;
mod fence;
mod gaps;
mod moves;
mod remedy;

pub(super) use gaps::note_missing;
pub(super) use remedy::Judged;
