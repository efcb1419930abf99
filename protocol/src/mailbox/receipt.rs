//! Deposit receipts: one signature for all deposits of a commit.
//!
//! ```text
//! leaf    = H("godwit/deposit-leaf/1" ‖ queue 32 ‖ H(envelope) ‖ until LE32 (hours) ‖ seq LE64)
//! node    = H("godwit/deposit-node/1" ‖ left ‖ right); the odd last one of a level is promoted
//! receipt = host 32 ‖ hour LE32 ‖ birth 16 ‖ root 32, signed by the node key (kind deposit-receipt)
//! ```
//! Source: PROTOCOL §7, "Deposit"; `spec/mailbox.md#receipts`.

use crate::crypto::{SignatureBytes, SignatureKind, Signer, VerifyKey, hash};
use crate::id::{Birth, HostId, QueueId};
use crate::limits::MAX_RECEIPT_PATH;
use crate::time::UnixHours;
use crate::wire::frame::{DepositReceipt, ReceiptPath};

/// A receipt that is no host's word for that deposit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// The path does not lead from the leaf to the root.
    #[error("the path does not lead to the receipt's root")]
    Path,
    /// The signature does not hold.
    #[error("the receipt's signature does not hold")]
    Signature,
}

type Hash = [u8; 32];

/// What a host signs for: an envelope in a queue, until when, and the queue's count.
#[must_use]
pub fn leaf(queue: &QueueId, envelope: &Hash, until: UnixHours, seq: u64) -> Hash {
    let (until, seq) = (until.0.to_le_bytes(), seq.to_le_bytes());
    hash(&[b"godwit/deposit-leaf/1", queue.as_bytes(), envelope, &until, &seq])
}

fn node(left: &Hash, right: &Hash) -> Hash {
    hash(&[b"godwit/deposit-node/1", left, right])
}

/// The tree over one commit's deposits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// Leaves first, the root last.
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    /// Builds it; `None` without leaves.
    #[must_use]
    pub fn new(leaves: Vec<Hash>) -> Option<Self> {
        if leaves.is_empty() {
            return None;
        }
        let mut levels = vec![leaves];
        while let Some(last) = levels.last().filter(|level| level.len() > 1) {
            let next = last.chunks(2).map(|pair| match pair {
                [left, right] => node(left, right),
                [odd, ..] => *odd,
                [] => [0; 32],
            });
            let next = next.collect();
            levels.push(next);
        }
        Some(Self { levels })
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.levels.last().and_then(|level| level.first()).copied().unwrap_or_default()
    }

    /// The path of a leaf.
    #[must_use]
    pub fn path(&self, index: usize) -> ReceiptPath {
        let mut siblings = Vec::new();
        let mut at = index;
        for level in &self.levels {
            siblings.extend(level.get(at ^ 1).filter(|_| level.len() > 1));
            at /= 2;
        }
        let leaves = self.levels.first().map_or(0, Vec::len);
        ReceiptPath {
            index: u32::try_from(index).unwrap_or(u32::MAX),
            leaves: u32::try_from(leaves).unwrap_or(u32::MAX),
            siblings,
        }
    }
}

/// Where a path leads; `None` if it has the wrong length.
fn climb(leaf: Hash, path: &ReceiptPath) -> Option<Hash> {
    if path.index >= path.leaves || path.siblings.len() > MAX_RECEIPT_PATH {
        return None;
    }
    let (mut at, mut width, mut hash) = (path.index, path.leaves, leaf);
    let mut siblings = path.siblings.iter();
    while width > 1 {
        let promoted = at ^ 1 >= width;
        if !promoted {
            let sibling = siblings.next()?;
            hash = if at & 1 == 0 { node(&hash, sibling) } else { node(sibling, &hash) };
        }
        at /= 2;
        width = width.div_ceil(2);
    }
    siblings.next().is_none().then_some(hash)
}

fn receipt_bytes(host: &HostId, hour: UnixHours, birth: &Birth, root: &Hash) -> Vec<u8> {
    [&host.0[..], &hour.0.to_le_bytes(), &birth.0, root].concat()
}

/// Signs for a commit with the host's node key.
#[must_use]
pub fn sign_receipt(
    signer: &Signer,
    net: &str,
    (host, hour, birth): (HostId, UnixHours, Birth),
    root: Hash,
) -> DepositReceipt {
    let bytes = receipt_bytes(&host, hour, &birth, &root);
    let signature = signer.sign(SignatureKind::DepositReceipt, net, &bytes);
    DepositReceipt { host, hour, birth, root, signature }
}

/// Checks that a receipt is its host's word for a leaf.
///
/// # Errors
/// [`ReceiptError`]: every case.
pub fn check_receipt(
    net: &str,
    receipt: &DepositReceipt,
    leaf: Hash,
    path: &ReceiptPath,
) -> Result<(), ReceiptError> {
    if climb(leaf, path) != Some(receipt.root) {
        return Err(ReceiptError::Path);
    }
    let bytes = receipt_bytes(&receipt.host, receipt.hour, &receipt.birth, &receipt.root);
    let signature: &SignatureBytes = &receipt.signature;
    VerifyKey(receipt.host.0)
        .verify(SignatureKind::DepositReceipt, net, &bytes, signature)
        .map_err(|_| ReceiptError::Signature)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(count: u64) -> Vec<Hash> {
        (0..count).map(|seq| leaf(&QueueId([1; 32]), &[2; 32], UnixHours(3), seq)).collect()
    }

    #[test]
    fn every_leaf_of_every_tree_leads_to_its_root_and_to_no_other_place() {
        for count in [1, 2, 3, 4, 5, 7, 8, 9, 31, 64, 1_024] {
            let leaves = leaves(count);
            let tree = Tree::new(leaves.clone()).unwrap();
            for (index, leaf) in leaves.iter().enumerate() {
                let path = tree.path(index);
                assert!(path.siblings.len() <= MAX_RECEIPT_PATH);
                assert_eq!(climb(*leaf, &path), Some(tree.root()), "{index} of {count}");
                assert_ne!(climb([9; 32], &path), Some(tree.root()));
                let moved = ReceiptPath { index: path.index ^ 1, ..path.clone() };
                assert!(count == 1 || climb(*leaf, &moved) != Some(tree.root()));
            }
        }
        assert_eq!(Tree::new(Vec::new()), None);
    }

    #[test]
    fn a_path_of_the_wrong_length_leads_nowhere() {
        let leaves = leaves(5);
        let tree = Tree::new(leaves.clone()).unwrap();
        let mut long = tree.path(0);
        long.siblings.push([0; 32]);
        let mut short = tree.path(0);
        short.siblings.pop();

        assert_eq!(climb(leaves[0], &long), None);
        assert_eq!(climb(leaves[0], &short), None);
        assert_eq!(climb(leaves[0], &ReceiptPath { index: 5, ..tree.path(0) }), None);
    }

    #[test]
    fn a_receipt_is_the_word_of_its_host_for_its_deposits() {
        let signer = Signer::from_seed([4; 32]);
        let host = HostId(signer.verify_key().0);
        let leaves = leaves(3);
        let tree = Tree::new(leaves.clone()).unwrap();
        let at = (host, UnixHours(9), Birth([5; 16]));
        let receipt = sign_receipt(&signer, "main", at, tree.root());
        let other = DepositReceipt { birth: Birth([6; 16]), ..receipt.clone() };

        assert_eq!(check_receipt("main", &receipt, leaves[1], &tree.path(1)), Ok(()));
        assert_eq!(
            check_receipt("main", &receipt, leaves[1], &tree.path(2)),
            Err(ReceiptError::Path)
        );
        for (net, receipt) in [("alps", &receipt), ("main", &other)] {
            assert_eq!(
                check_receipt(net, receipt, leaves[1], &tree.path(1)),
                Err(ReceiptError::Signature)
            );
        }
    }
}
