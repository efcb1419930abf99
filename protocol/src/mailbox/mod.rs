//! What a mailbox host and its users say to each other, as values; the host itself is in `host`.
//!
//! | file | what it is |
//! |---|---|
//! | `receipt` | one signature for all deposits of a commit, by a Merkle tree |
//! | `proof` | a receipt with all that it takes to check it elsewhere |
//! | `stamp` | the work that a stranger's deposit shows |
//! | `token` | what a host link admits owners by |
//! | `owner` | proof of an owner key on one stream, the fence, the erasure receipt |
//! | `invite` | what an invited stranger shows the host, and the recipient |
//! | [`host`] | the machine of a mailbox host |
//!
//! Source: PROTOCOL §7; `spec/mailbox.md`.

pub mod host;
mod invite;
mod owner;
mod proof;
mod receipt;
mod stamp;
mod token;

pub use invite::{accept_proof, host_proof, host_proof_hash};
pub use owner::{check_erasure, check_fence, check_owner, prove_owner, sign_erasure, sign_fence};
pub use proof::DepositProof;
pub use receipt::{ReceiptError, Tree, check_receipt, leaf, sign_receipt};
pub use stamp::{Stamped, check_stamp, search_stamp};
pub use token::{HostToken, TokenKey};

/// The hash by which a host knows a deposit token without holding it.
#[must_use]
pub fn token_hash(token: &[u8; 32]) -> [u8; 32] {
    crate::crypto::hash(&[b"godwit/token-hash/1", token])
}
