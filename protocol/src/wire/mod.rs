//! How values become bytes: the codec, and the frames of each stream.

pub mod codec;
pub mod dial_back;
pub mod frame;
mod reader;

pub(crate) use reader::Reader;
