//! The only place that knows the codec: bincode 2, little-endian, fixed-size integers.
//!
//! Rules: a decode limit for every type, trailing bytes refused, the limit checked on the way out
//! as well. What is signed or hashed never goes through here: it uses the hand-written canonical
//! bytes of the specification. Source: PROTOCOL §9; `spec/streams.md#codec`.

use bincode::config::{Configuration, Fixint, Limit, LittleEndian};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bytes that are not one whole value, or a value that is too large.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The bytes are no value of the type, or claim a length above the limit.
    #[error("malformed: not one value of the type")]
    Malformed,
    /// A whole value is followed by more bytes.
    #[error("malformed: {0} bytes after the value")]
    Trailing(usize),
    /// The value encodes to more bytes than its type may have.
    #[error("too large: {got} bytes, at most {limit}")]
    TooLarge {
        /// The limit.
        limit: usize,
        /// What it came to.
        got: usize,
    },
}

/// The most bytes that any value in godwit has: a frame, or a stored row before the store cuts it.
pub const MAX_VALUE: usize = 1 << 20;

const CONFIGURATION: Configuration<LittleEndian, Fixint, Limit<MAX_VALUE>> =
    bincode::config::standard()
        .with_little_endian()
        .with_fixed_int_encoding()
        .with_limit::<MAX_VALUE>();

/// Encodes a value.
///
/// # Errors
/// [`CodecError::TooLarge`] if it has more than `limit` bytes.
pub fn encode<T: Serialize>(value: &T, limit: usize) -> Result<Vec<u8>, CodecError> {
    let bytes =
        bincode::serde::encode_to_vec(value, CONFIGURATION).map_err(|_| CodecError::Malformed)?;
    if bytes.len() > limit {
        return Err(CodecError::TooLarge { limit, got: bytes.len() });
    }
    Ok(bytes)
}

/// Decodes exactly one value of at most `limit` bytes.
///
/// # Errors
/// [`CodecError`] if the bytes are longer than `limit`, no value, or more than one.
pub fn decode<T: DeserializeOwned>(bytes: &[u8], limit: usize) -> Result<T, CodecError> {
    if bytes.len() > limit {
        return Err(CodecError::TooLarge { limit, got: bytes.len() });
    }
    let (value, used) = bincode::serde::decode_from_slice(bytes, CONFIGURATION)
        .map_err(|_| CodecError::Malformed)?;
    match bytes.len().checked_sub(used) {
        Some(0) => Ok(value),
        Some(left) => Err(CodecError::Trailing(left)),
        None => Err(CodecError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailing_bytes_are_refused() {
        let mut bytes = encode(&7_u32, 4).unwrap();
        bytes.push(0);

        assert_eq!(decode::<u32>(&bytes, 5), Err(CodecError::Trailing(1)));
    }

    #[test]
    fn a_lying_length_allocates_nothing() {
        let lie = u64::MAX.to_le_bytes();

        assert_eq!(decode::<Vec<u64>>(&lie, 64), Err(CodecError::Malformed));
    }

    #[test]
    fn the_limit_holds_on_the_way_out() {
        assert_eq!(encode(&[0_u8; 5], 4), Err(CodecError::TooLarge { limit: 4, got: 5 }));
    }
}
