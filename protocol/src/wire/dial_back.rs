//! Asking a peer to dial back: which of the addresses that a node tells does it answer at?
//!
//! One question and one answer on a stream of its own, each `LE32(length) ‖ bytes`.
//! Source: `spec/streams.md#reach`.

use serde::{Deserialize, Serialize};

use super::codec::{CodecError, decode, encode};
use crate::limits::MAX_DIAL_BACKS;
use crate::machine::Address;

/// The longest question or answer, in bytes.
pub const MAX_DIAL_BACK: usize = 1_024;

/// The question: dial these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DialBack {
    addresses: Vec<Address>,
}

/// What came of one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DialBackResult {
    /// The asking node answered there.
    Reached,
    /// Nobody answered there, or somebody else.
    Unreached,
    /// It was not dialled: it is not where the question came from.
    Refused,
}

/// The answer, in the order of the question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DialBackAnswer {
    results: Vec<DialBackResult>,
}

impl DialBack {
    /// A question for the first [`MAX_DIAL_BACKS`] of these.
    #[must_use]
    pub fn new(addresses: &[Address]) -> Self {
        Self { addresses: addresses.iter().take(MAX_DIAL_BACKS).cloned().collect() }
    }

    /// What is asked.
    #[must_use]
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// The bytes.
    ///
    /// # Errors
    /// [`CodecError::TooLarge`] never for what [`Self::new`] made.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CodecError> {
        encode(self, MAX_DIAL_BACK)
    }

    /// Reads a question.
    ///
    /// # Errors
    /// [`CodecError`] for what is none, or asks for more than [`MAX_DIAL_BACKS`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        let question: Self = decode(bytes, MAX_DIAL_BACK)?;
        let fits = question.addresses.len() <= MAX_DIAL_BACKS;
        fits.then_some(question).ok_or(CodecError::Malformed)
    }
}

impl DialBackAnswer {
    /// An answer.
    #[must_use]
    pub const fn new(results: Vec<DialBackResult>) -> Self {
        Self { results }
    }

    /// What came of each address, in the order of the question.
    #[must_use]
    pub fn results(&self) -> &[DialBackResult] {
        &self.results
    }

    /// The bytes.
    ///
    /// # Errors
    /// [`CodecError::TooLarge`] if it answers for more than a question may ask.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CodecError> {
        encode(self, MAX_DIAL_BACK)
    }

    /// Reads an answer.
    ///
    /// # Errors
    /// [`CodecError`] for what is none, or answers more than [`MAX_DIAL_BACKS`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        let answer: Self = decode(bytes, MAX_DIAL_BACK)?;
        let fits = answer.results.len() <= MAX_DIAL_BACKS;
        fits.then_some(answer).ok_or(CodecError::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_those_of_the_specification() {
        let question = DialBack::new(&[Address::new("/ip4/203.0.113.1/tcp/7447").unwrap()]);
        let answer = DialBackAnswer::new(vec![DialBackResult::Reached, DialBackResult::Refused]);

        let text = b"/ip4/203.0.113.1/tcp/7447";
        let right = [&[1, 0, 0, 0, 0, 0, 0, 0][..], &[25, 0, 0, 0, 0, 0, 0, 0], text].concat();
        assert_eq!(question.to_bytes().unwrap(), right);
        assert_eq!(DialBack::from_bytes(&right).unwrap(), question);
        let right = [2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0];
        assert_eq!(answer.to_bytes().unwrap(), right);
        assert_eq!(DialBackAnswer::from_bytes(&right).unwrap(), answer);
    }

    #[test]
    fn one_more_than_may_be_asked_is_no_question() {
        let address = Address::new("/ip4/203.0.113.1/tcp/7447").unwrap();
        let many = DialBack { addresses: vec![address; MAX_DIAL_BACKS + 1] };
        let bytes = many.to_bytes().unwrap();
        assert_eq!(DialBack::from_bytes(&bytes), Err(CodecError::Malformed));
        let many = DialBackAnswer::new(vec![DialBackResult::Reached; MAX_DIAL_BACKS + 1]);
        let bytes = many.to_bytes().unwrap();
        assert_eq!(DialBackAnswer::from_bytes(&bytes), Err(CodecError::Malformed));
        assert!(DialBack::from_bytes(&[0; MAX_DIAL_BACK + 1]).is_err());
    }
}
