//! What runs: a home becomes a node.
//!
//! | module | what it is |
//! |---|---|
//! | [`clock`] | the real clock and the real randomness |
//! | [`config`] | a `Config` that is valid because it exists |
//! | [`home`] | the folder of a node: keys, lock, card |
//! | [`network`] | the only libp2p code |
//! | [`service`] | the loop around the machine |
//! | [`control`] | the local API and its client |
//! | [`doctor`] | what is wrong with a home |
//! | [`mod@bench`] | what the node is measured beside |
//! | [`Node`], [`Handle`] | the front door |

pub mod bench;
pub mod clock;
pub mod config;
pub mod control;
pub mod doctor;
pub mod error;
pub mod home;
mod listeners;
pub mod network;
mod node;
mod room;
pub mod service;
mod upkeep;
mod watch;

pub use godwit_store::{CheckReport, Kind, Rewritten, Saved};
pub use node::{Handle, Node};
pub use upkeep::{check_store, keep_this_home, repair_store, rewrite_store};
