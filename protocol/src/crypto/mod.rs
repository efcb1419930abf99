//! Typed thin wrappers over primitives.
