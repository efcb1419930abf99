//! The local API of a node: HTTP + JSON on a Unix socket in the home.

mod client;

pub use client::{Client, EventStream};
