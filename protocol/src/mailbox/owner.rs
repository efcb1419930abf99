//! Owner keys: shown once a stream, and what they sign.
//!
//! ```text
//! owner            host 32 ‖ challenge 32
//! fence            host 32 ‖ owner 32 ‖ fence LE64 ‖ mark 16 ‖ acked LE64
//! erasure-receipt  host 32 ‖ owner 32 ‖ hour LE32            (by the host's node key)
//! ```
//! Source: PROTOCOL §4 "the fence", §7, §8.

use crate::crypto::{SignatureBytes, SignatureKind, Signer, VerifyKey};
use crate::id::{HostId, OwnerKey};
use crate::time::UnixHours;
use crate::wire::frame::FenceRecord;

/// Shows that this side holds an owner key, on the stream with that challenge.
#[must_use]
pub fn prove_owner(
    signer: &Signer,
    net: &str,
    host: &HostId,
    challenge: &[u8; 32],
) -> SignatureBytes {
    signer.sign(SignatureKind::Owner, net, &[&host.0[..], challenge].concat())
}

/// Whether the peer holds an owner key.
#[must_use]
pub fn check_owner(
    owner: &OwnerKey,
    net: &str,
    host: &HostId,
    challenge: &[u8; 32],
    signature: &SignatureBytes,
) -> bool {
    let bytes = [&host.0[..], challenge].concat();
    VerifyKey(owner.0).verify(SignatureKind::Owner, net, &bytes, signature).is_ok()
}

fn fence_bytes(record: &FenceRecord) -> Vec<u8> {
    [
        &record.host.0[..],
        &record.owner.0,
        &record.fence.to_le_bytes(),
        &record.mark,
        &record.acked.to_le_bytes(),
    ]
    .concat()
}

/// Signs a fence with the private owner key of that host; the record's signature is replaced.
#[must_use]
pub fn sign_fence(signer: &Signer, net: &str, record: FenceRecord) -> FenceRecord {
    let signature = signer.sign(SignatureKind::Fence, net, &fence_bytes(&record));
    FenceRecord { signature, ..record }
}

/// Whether a fence was signed by the owner that it names.
#[must_use]
pub fn check_fence(net: &str, record: &FenceRecord) -> bool {
    let key = VerifyKey(record.owner.0);
    key.verify(SignatureKind::Fence, net, &fence_bytes(record), &record.signature).is_ok()
}

fn erasure_bytes(host: &HostId, owner: &OwnerKey, hour: UnixHours) -> Vec<u8> {
    [&host.0[..], &owner.0, &hour.0.to_le_bytes()].concat()
}

/// A host's word that an owner is gone.
#[must_use]
pub fn sign_erasure(
    signer: &Signer,
    net: &str,
    (host, owner, hour): (&HostId, &OwnerKey, UnixHours),
) -> SignatureBytes {
    signer.sign(SignatureKind::ErasureReceipt, net, &erasure_bytes(host, owner, hour))
}

/// Whether it is that host's word.
#[must_use]
pub fn check_erasure(
    net: &str,
    (host, owner, hour): (&HostId, &OwnerKey, UnixHours),
    signature: &SignatureBytes,
) -> bool {
    let bytes = erasure_bytes(host, owner, hour);
    VerifyKey(host.0).verify(SignatureKind::ErasureReceipt, net, &bytes, signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_holds_for_its_stream_its_host_and_its_network_alone() {
        let signer = Signer::from_seed([1; 32]);
        let owner = OwnerKey(signer.verify_key().0);
        let (host, challenge) = (HostId([2; 32]), [3; 32]);
        let proof = prove_owner(&signer, "main", &host, &challenge);

        assert!(check_owner(&owner, "main", &host, &challenge, &proof));
        assert!(!check_owner(&owner, "alps", &host, &challenge, &proof));
        assert!(!check_owner(&owner, "main", &HostId([4; 32]), &challenge, &proof));
        assert!(!check_owner(&owner, "main", &host, &[5; 32], &proof));
    }

    #[test]
    fn a_fence_holds_as_a_whole_only() {
        let signer = Signer::from_seed([1; 32]);
        let record = FenceRecord {
            host: HostId([2; 32]),
            owner: OwnerKey(signer.verify_key().0),
            fence: 7,
            mark: [8; 16],
            acked: 9,
            signature: SignatureBytes([0; 64]),
        };
        let signed = sign_fence(&signer, "main", record);

        assert!(check_fence("main", &signed));
        assert!(!check_fence("main", &FenceRecord { acked: 10, ..signed.clone() }));
        assert!(!check_fence("main", &FenceRecord { fence: 8, ..signed }));
    }

    #[test]
    fn an_erasure_receipt_names_host_owner_and_hour() {
        let signer = Signer::from_seed([1; 32]);
        let (host, owner) = (HostId(signer.verify_key().0), OwnerKey([2; 32]));
        let word = sign_erasure(&signer, "main", (&host, &owner, UnixHours(5)));

        assert!(check_erasure("main", (&host, &owner, UnixHours(5)), &word));
        assert!(!check_erasure("main", (&host, &owner, UnixHours(6)), &word));
    }
}
