//! Verbs: what looks, prints and measures.

pub(super) mod bench;
pub(super) mod completions;
pub(super) mod config;
pub(super) mod demo;
pub(super) mod doctor;
pub(super) mod errors;
pub(super) mod limits;
pub(super) mod service;
pub(super) mod store;
