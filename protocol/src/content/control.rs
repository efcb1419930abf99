//! `control`: what two devices settle between them about the hosts that carry their mail.
//!
//! ```text
//! type u8 (1 not_served, 2 broken_word) ‖ message id 16 ‖ envelope id 16 ‖ its end LE32 (hours) ‖ proof
//! ```
//! The proof is that of `spec/mailbox.md#receipts`. A type that is not known is receipted and has no
//! effect. Source: PROTOCOL §7, "Sent again".

use serde::{Deserialize, Serialize};

use super::ContentError;
use crate::id::{EnvelopeId, MessageId};
use crate::mailbox::DepositProof;
use crate::time::UnixHours;
use crate::wire::Reader;

const NOT_SERVED: u8 = 1;
const BROKEN_WORD: u8 = 2;

/// What is said of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// The sender of a message asks: a host signed for it, and no receipt came.
    NotServed(Evidence),
    /// Its recipient answers: the host never served it.
    BrokenWord(Evidence),
}

/// An envelope that a host signed for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The message in it.
    pub message: MessageId,
    /// The envelope's id.
    pub id: EnvelopeId,
    /// The envelope's own end.
    pub expires: UnixHours,
    /// The host's word.
    pub proof: DepositProof,
}

impl Control {
    /// The body.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let (kind, evidence) = match self {
            Self::NotServed(evidence) => (NOT_SERVED, evidence),
            Self::BrokenWord(evidence) => (BROKEN_WORD, evidence),
        };
        let Evidence { message, id, expires, proof } = evidence;
        let head = [&[kind][..], message.as_bytes(), id.as_bytes(), &expires.0.to_le_bytes()];
        [head.concat(), proof.to_bytes()].concat()
    }

    /// Reads a body; `None` is of a type that this version does not know.
    ///
    /// # Errors
    /// [`ContentError::Malformed`] if it is none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Option<Self>, ContentError> {
        let mut reader = Reader::new(bytes);
        let wrap = match reader.byte() {
            Some(NOT_SERVED) => Self::NotServed,
            Some(BROKEN_WORD) => Self::BrokenWord,
            Some(_) => return Ok(None),
            None => return Err(ContentError::Malformed),
        };
        let evidence = read(&mut reader).filter(|_| reader.finished());
        evidence.map(|it| Some(wrap(it))).ok_or(ContentError::Malformed)
    }
}

fn read(reader: &mut Reader<'_>) -> Option<Evidence> {
    Some(Evidence {
        message: MessageId(reader.array()?),
        id: EnvelopeId(reader.array()?),
        expires: UnixHours(reader.le32()?),
        proof: DepositProof::read(reader)?,
    })
}
