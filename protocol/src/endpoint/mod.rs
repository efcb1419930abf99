//! The machine of a person's node: contacts, outbox, receiving, routes, receipts, own hosts.
//!
//! It knows no clock, no socket and no disk: inputs go in with the time, rows are read and written
//! through [`crate::rows::Rows`], outputs come out. Its memory is a cache of rows.

mod block;
mod commands;
mod contacts;
mod dials;
mod discovery;
mod first_contact;
mod hosts;
mod input;
mod links;
mod machine;
mod outbox;
mod output;
mod prekeys;
pub mod query;
mod receive;
mod refusal;
mod repair;
pub mod sessions;
mod view;

pub use input::{Command, HostChoice, Input, OutgoingText};
pub use machine::{Endpoint, Person};
pub use output::{Effect, Reply, SentMessage, StampJob};
pub use refusal::{Code, Refusal};
pub use view::{
    Change, ContactState, ContactView, EndpointStatus, Faults, HostState, HostView, MessageState,
    MessageView, Reason, Step, StepKind, Why,
};
