//! Reads canonical bytes front to back; every read is checked.

/// What is left of a canonical encoding.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn le32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn le64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// `LP(x)` of at most `limit` bytes.
    pub(crate) fn lp(&mut self, limit: usize) -> Option<&'a [u8]> {
        let length = usize::try_from(self.le32()?).ok()?;
        if length > limit { None } else { self.take(length) }
    }

    /// The position is the end: trailing bytes are refused by every caller.
    pub(crate) const fn finished(&self) -> bool {
        self.0.is_empty()
    }
}
