//! godwit.
