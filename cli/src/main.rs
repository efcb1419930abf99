//! godwit.
fn main() {}
