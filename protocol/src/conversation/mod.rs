//! Conversation ids: what a conversation is, hashed.
//!
//! Source: PROTOCOL §10; `spec/content.md#conversations`.

mod id;

pub use id::{Mode, direct};
