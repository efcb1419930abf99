//! How sled is kept from large values: one over 16 KiB is cut into rows of a tree of their own.
//!
//! ```text
//! whole:  0 ‖ value
//! cut:    1 ‖ length u32 ‖ SHA-256(value)[..16]      in the table's tree
//!         piece                                      in `_pieces`: table ‖ 0 ‖ key ‖ index u32
//! ```
//!
//! The digest tells a head and pieces that belong together from those that a concurrent write put
//! there. Source: STORE-NOTES ("big values are fine": they are not).

use sha2::{Digest, Sha256};

/// The longest value that stays whole, and the longest piece, in bytes (STORE-NOTES).
pub(super) const MAX_PIECE: usize = 16 * 1_024;

const WHOLE: u8 = 0;
const CUT: u8 = 1;

/// A value as its table's tree keeps it.
pub(super) enum Head<'a> {
    /// All of it.
    Whole(&'a [u8]),
    /// Where its pieces are.
    Cut(Cut),
}

/// What a cut value must come to.
#[derive(PartialEq, Eq)]
pub(super) struct Cut {
    length: u32,
    digest: [u8; 16],
}

impl<'a> Head<'a> {
    /// Reads a head; none if it is not one.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        match bytes.split_first()? {
            (&WHOLE, value) => Some(Self::Whole(value)),
            (&CUT, rest) => {
                let (length, digest) = rest.split_first_chunk::<4>()?;
                let digest = digest.try_into().ok()?;
                Some(Self::Cut(Cut { length: u32::from_be_bytes(*length), digest }))
            }
            _ => None,
        }
    }
}

impl Cut {
    /// How many pieces there are.
    pub(super) fn count(&self) -> u32 {
        let piece = u32::try_from(MAX_PIECE).unwrap_or(u32::MAX);
        self.length.div_ceil(piece)
    }

    /// Whether these are the bytes that were cut.
    pub(super) fn matches(&self, value: &[u8]) -> bool {
        u32::try_from(value.len()) == Ok(self.length) && digest(value) == self.digest
    }
}

/// The head of a value, and its pieces if it is cut. None if it is longer than any value may be.
pub(super) fn cut(value: &[u8]) -> Option<(Vec<u8>, std::slice::Chunks<'_, u8>)> {
    if value.len() <= MAX_PIECE {
        return Some(([&[WHOLE], value].concat(), [].chunks(MAX_PIECE)));
    }
    let length = u32::try_from(value.len()).ok()?;
    let head = [&[CUT][..], &length.to_be_bytes(), &digest(value)].concat();
    Some((head, value.chunks(MAX_PIECE)))
}

/// The key of a piece.
pub(super) fn piece_key(table: &str, key: &[u8], index: u32) -> Vec<u8> {
    [table.as_bytes(), &[0], key, &index.to_be_bytes()].concat()
}

fn digest(value: &[u8]) -> [u8; 16] {
    let full: [u8; 32] = Sha256::digest(value).into();
    let (first, _) = full.as_chunks::<16>();
    first.first().copied().unwrap_or_default()
}
