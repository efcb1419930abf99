//! A host's word for one envelope, with everything that is needed to check it anywhere.
//!
//! ```text
//! host 32 ‖ hour LE32 ‖ birth 16 ‖ root 32 ‖ signature 64
//!   ‖ index LE32 ‖ leaves LE32 ‖ count u8 ‖ sibling 32 each
//!   ‖ queue 32 ‖ H(envelope) 32 ‖ until LE32 (hours) ‖ seq LE64
//! ```
//! It proves that the host said it had the envelope and would keep it until then; that it did not
//! serve it is the word of the two who know.
//! Source: PROTOCOL §7, "Sent again"; `spec/mailbox.md#receipts`.

use serde::{Deserialize, Serialize};

use super::receipt::{ReceiptError, check_receipt, leaf};
use crate::crypto::SignatureBytes;
use crate::id::{Birth, HostId, QueueId};
use crate::limits::MAX_RECEIPT_PATH;
use crate::time::UnixHours;
use crate::wire::Reader;
use crate::wire::frame::{DepositReceipt, ReceiptPath};

/// A receipt, its path and what the leaf is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DepositProof {
    /// What the host signed.
    pub receipt: DepositReceipt,
    /// Where the envelope lies in it.
    pub path: ReceiptPath,
    /// The queue that it was deposited in.
    pub queue: QueueId,
    /// `H` of the whole envelope.
    pub envelope: [u8; 32],
    /// Until when the host keeps it.
    pub until: UnixHours,
    /// The queue's count after that commit.
    pub seq: u64,
}

impl DepositProof {
    /// Whether it is the word of its host, for this very envelope.
    ///
    /// # Errors
    /// [`ReceiptError`]: every case.
    pub fn check(&self, net: &str) -> Result<(), ReceiptError> {
        let leaf = leaf(&self.queue, &self.envelope, self.until, self.seq);
        check_receipt(net, &self.receipt, leaf, &self.path)
    }

    /// The canonical bytes; siblings above the bound are left out.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let Self { receipt, path, .. } = self;
        let siblings = path.siblings.len().min(MAX_RECEIPT_PATH);
        let mut bytes = [
            &receipt.host.0[..],
            &receipt.hour.0.to_le_bytes(),
            &receipt.birth.0,
            &receipt.root,
            &receipt.signature.0,
            &path.index.to_le_bytes(),
            &path.leaves.to_le_bytes(),
            &[u8::try_from(siblings).unwrap_or(0)],
        ]
        .concat();
        for sibling in path.siblings.iter().take(siblings) {
            bytes.extend_from_slice(sibling);
        }
        bytes.extend_from_slice(self.queue.as_bytes());
        bytes.extend_from_slice(&self.envelope);
        bytes.extend_from_slice(&self.until.0.to_le_bytes());
        bytes.extend_from_slice(&self.seq.to_le_bytes());
        bytes
    }

    /// Reads one and nothing else; `None` if these bytes are none.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        Self::read(&mut reader).filter(|_| reader.finished())
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let receipt = DepositReceipt {
            host: HostId(reader.array()?),
            hour: UnixHours(reader.le32()?),
            birth: Birth(reader.array()?),
            root: reader.array()?,
            signature: SignatureBytes(reader.array()?),
        };
        let (index, leaves) = (reader.le32()?, reader.le32()?);
        let count = usize::from(reader.byte()?);
        if count > MAX_RECEIPT_PATH {
            return None;
        }
        let mut siblings = Vec::with_capacity(count);
        for _ in 0..count {
            siblings.push(reader.array()?);
        }
        Some(Self {
            receipt,
            path: ReceiptPath { index, leaves, siblings },
            queue: QueueId(reader.array()?),
            envelope: reader.array()?,
            until: UnixHours(reader.le32()?),
            seq: reader.le64()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Signer;
    use crate::mailbox::{Tree, sign_receipt};

    fn proof() -> DepositProof {
        let signer = Signer::from_seed([4; 32]);
        let (queue, until) = (QueueId([1; 32]), UnixHours(30));
        let leaves: Vec<_> = (0..3).map(|seq| leaf(&queue, &[2; 32], until, seq)).collect();
        let tree = Tree::new(leaves).unwrap();
        let at = (HostId(signer.verify_key().0), UnixHours(9), Birth([5; 16]));
        let receipt = sign_receipt(&signer, "main", at, tree.root());
        DepositProof { receipt, path: tree.path(1), queue, envelope: [2; 32], until, seq: 1 }
    }

    #[test]
    fn a_proof_holds_for_its_envelope_and_for_nothing_else() {
        let proof = proof();
        assert_eq!(proof.check("main"), Ok(()));
        assert_eq!(DepositProof::from_bytes(&proof.to_bytes()), Some(proof.clone()));

        assert_eq!(proof.check("alps"), Err(ReceiptError::Signature));
        for wrong in [
            DepositProof { queue: QueueId([9; 32]), ..proof.clone() },
            DepositProof { envelope: [9; 32], ..proof.clone() },
            DepositProof { until: UnixHours(31), ..proof.clone() },
            DepositProof { seq: 2, ..proof.clone() },
        ] {
            assert_eq!(wrong.check("main"), Err(ReceiptError::Path));
        }
    }

    #[test]
    fn a_proof_with_more_or_less_bytes_is_none() {
        let bytes = proof().to_bytes();
        assert_eq!(DepositProof::from_bytes(&[&bytes[..], &[0]].concat()), None);
        for length in 0..bytes.len() {
            assert_eq!(DepositProof::from_bytes(&bytes[..length]), None);
        }
    }
}
