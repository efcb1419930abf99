//! Mailbox hosts: the own ones, which keep this device's mail, and those of contacts.
//!
//! | file | what it decides |
//! |---|---|
//! | `queues` | the own queues, and where they are registered |
//! | `rotation` | queues that move to another number each month |
//! | `own` | using, leaving, showing; what contacts and links are told |
//! | `register` | keys, queues and records at an own host; a host that lost state |
//! | `fetch` | what an own host brings, and what it may delete |
//! | `full` | what own hosts had no room for |
//! | `losses` | how often a host that lost something is given it again |
//! | `ways` | which hosts of a contact take which line now |
//! | `deposit` | envelopes at hosts, and their word for them |
//! | `evidence` | a host that signed for an envelope and does not serve it |
//!
//! Source: PROTOCOL §7.

mod deposit;
mod evidence;
mod fetch;
mod full;
mod losses;
mod own;
mod queues;
mod register;
mod rotation;
mod ways;

pub(super) use deposit::{Deposited, StampFor};
pub(super) use evidence::Words;
pub(super) use fetch::Arrival;
pub(super) use full::FullQueues;
pub(super) use losses::Losses;
pub(super) use queues::Queues;
pub(super) use rotation::Numbers;
pub(super) use ways::{Gate, Way};
