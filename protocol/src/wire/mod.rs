//! How values become bytes: the codec, frames, requests and answers of each stream.

pub mod codec;
