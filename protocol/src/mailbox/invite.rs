//! An invite: 16 random bytes that cross in a contact link only.
//!
//! Neither the host (which holds a hash of the first proof) nor whoever sees the second one learns
//! the invite. Source: PROTOCOL §7, "Strangers".

use crate::crypto::{hash, hmac, lp};
use crate::id::{HostId, SessionId};

/// What a deposit by invite shows the host: `HMAC(invite, "godwit/invite/host/1" ‖ LP(host key))`.
#[must_use]
pub fn host_proof(invite: &[u8; 16], host: &HostId) -> [u8; 32] {
    hmac(invite, &[b"godwit/invite/host/1", &lp(host.as_bytes())])
}

/// What the host holds of it: `H(proof)`.
#[must_use]
pub fn host_proof_hash(proof: &[u8; 32]) -> [u8; 32] {
    hash(&[proof])
}

/// What the request shows the recipient, inside the seal:
/// `HMAC(invite, "godwit/invite/accept/1" ‖ session_id)`.
#[must_use]
pub fn accept_proof(invite: &[u8; 16], session: &SessionId) -> [u8; 32] {
    hmac(invite, &[b"godwit/invite/accept/1", session.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proofs_differ_by_host_by_session_and_by_purpose() {
        let invite = [7; 16];

        assert_ne!(host_proof(&invite, &HostId([1; 32])), host_proof(&invite, &HostId([2; 32])));
        assert_ne!(
            accept_proof(&invite, &SessionId([1; 16])),
            accept_proof(&invite, &SessionId([2; 16]))
        );
        assert_ne!(
            host_proof(&invite, &HostId([1; 32])),
            accept_proof(&invite, &SessionId([1; 16]))
        );
    }
}
