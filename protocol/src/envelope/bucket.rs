//! The six sizes that an envelope's bytes can have.

use super::seal::SEAL_OVERHEAD;
use crate::session::MESSAGE_OVERHEAD;

const SIZES: [usize; 6] = [2 * 1_024, 4 * 1_024, 8 * 1_024, 16 * 1_024, 32 * 1_024, 64 * 1_024];

/// One of the sizes 2, 4, 8, 16, 32 and 64 KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bucket(usize);

impl Bucket {
    /// The bucket of exactly this many bytes.
    #[must_use]
    pub fn exact(bytes: usize) -> Option<Self> {
        SIZES.contains(&bytes).then_some(Self(bytes))
    }

    /// The smallest bucket for a message in a session.
    #[must_use]
    pub fn for_content(content: usize) -> Option<Self> {
        smallest(content, MESSAGE_OVERHEAD, &SIZES)
    }

    /// The smallest bucket for a sealed message.
    #[must_use]
    pub fn for_sealed(content: usize) -> Option<Self> {
        smallest(content, MESSAGE_OVERHEAD + SEAL_OVERHEAD, &SIZES)
    }

    /// The bucket of a first contact: 8 KiB if it fits, else 16 KiB, so that its size tells little.
    #[must_use]
    pub fn for_first_contact(content: usize) -> Option<Self> {
        smallest(content, MESSAGE_OVERHEAD + SEAL_OVERHEAD, &[8 * 1_024, 16 * 1_024])
    }

    /// How many bytes it has.
    #[must_use]
    pub const fn bytes(self) -> usize {
        self.0
    }
}

fn smallest(content: usize, overhead: usize, sizes: &[usize]) -> Option<Bucket> {
    let needed = content.checked_add(overhead)?;
    sizes.iter().copied().find(|size| *size >= needed).map(Bucket)
}
