//! What runs.
//!
//! | module | what it is |
//! |---|---|
//! | [`clock`] | the real clock and the real randomness |

pub mod clock;
