//! What runs.
//!
//! | module | what it is |
//! |---|---|
//! | [`clock`] | the real clock and the real randomness |

pub mod clock;
pub mod config;
pub mod control;
pub mod error;
pub mod home;
pub mod network;
