//! Everything both sides must agree on, hashed; and what is derived from it.
//!
//! Source: PROTOCOL §4, "Handshake"; `spec/session.md#transcript`.

use super::pqxdh::Pqxdh;
use super::queue_root::QueueRoot;
use crate::crypto::{DhPublic, PqPublic, Secret, expand, hash, hkdf, lp_into};
use crate::id::SessionId;

/// The version byte of session and message.
pub(super) const VERSION: u8 = 1;
const SUITE: &[u8] = b"X25519 ML-KEM-1024 ML-KEM-768 XChaCha20-Poly1305 SHA-256";

/// The keys of the side that answers.
pub(super) struct RecipientKeys<'a> {
    pub(super) ik: DhPublic,
    pub(super) signed: DhPublic,
    pub(super) quantum: &'a PqPublic,
}

/// `th`: the hash of the transcript.
pub(super) fn transcript_hash(
    net: &str,
    handshake: &Pqxdh,
    recipient: &RecipientKeys<'_>,
) -> [u8; 32] {
    let mut bytes = vec![VERSION];
    lp_into(&mut bytes, SUITE);
    lp_into(&mut bytes, net.as_bytes());
    bytes.extend_from_slice(&handshake.purpose.generation.to_le_bytes());
    bytes.push(handshake.purpose.cause.byte());
    bytes.push(handshake.purpose.via.byte());
    lp_into(&mut bytes, handshake.accounts.0.as_bytes());
    lp_into(&mut bytes, handshake.accounts.1.as_bytes());
    lp_into(&mut bytes, handshake.devices.0.as_bytes());
    lp_into(&mut bytes, handshake.devices.1.as_bytes());
    lp_into(&mut bytes, &handshake.ik.0);
    lp_into(&mut bytes, &recipient.ik.0);
    lp_into(&mut bytes, &handshake.ek.0);
    lp_into(&mut bytes, &with_id(&recipient.signed.0, handshake.signed_id));
    lp_into(&mut bytes, b"");
    lp_into(&mut bytes, &with_id(recipient.quantum.as_bytes(), handshake.quantum_id));
    lp_into(&mut bytes, &handshake.ciphertext);
    hash(&[b"godwit/gw1/th", &bytes])
}

fn with_id(key: &[u8], id: u32) -> Vec<u8> {
    let mut bytes = key.to_vec();
    bytes.extend_from_slice(&id.to_le_bytes());
    bytes
}

/// `session_id = H("godwit/gw1/session-id" ‖ th)[..16]`.
pub(super) fn session_id(th: &[u8; 32]) -> SessionId {
    let full = hash(&[b"godwit/gw1/session-id", th]);
    full.first_chunk().map_or(SessionId::ZERO, |start| SessionId(*start))
}

/// What the handshake gives: `RK0 ‖ HK_A ‖ NHK_B ‖ PQ0 ‖ QR`.
pub(super) struct Derived {
    pub(super) root: Secret<32>,
    pub(super) header_a: Secret<32>,
    pub(super) next_header_b: Secret<32>,
    pub(super) quantum: Secret<32>,
    pub(super) queue_i2r: QueueRoot,
    pub(super) queue_r2i: QueueRoot,
}

/// The key schedule of the handshake.
pub(super) fn derive(th: &[u8; 32], dh: &[Secret<32>; 3], kem: &Secret<32>) -> Derived {
    let mut ikm = Vec::with_capacity(160);
    ikm.extend_from_slice(&[0xff; 32]);
    for secret in dh.iter().chain([kem]) {
        ikm.extend_from_slice(secret.expose());
    }
    let okm: Secret<160> = hkdf(th, &ikm, &[b"godwit/gw1/pqxdh/1"]);
    zeroize::Zeroize::zeroize(&mut ikm);
    let [root, header_a, next_header_b, quantum, queues] = split(&okm);
    Derived {
        root,
        header_a,
        next_header_b,
        quantum,
        queue_i2r: QueueRoot::new(expand(queues.expose(), &[b"godwit/gw1/queue/i2r"])),
        queue_r2i: QueueRoot::new(expand(queues.expose(), &[b"godwit/gw1/queue/r2i"])),
    }
}

/// Cuts key material into keys of 32 bytes.
pub(super) fn split<const N: usize, const K: usize>(okm: &Secret<N>) -> [Secret<32>; K] {
    const { assert!(N == 32 * K, "the parts make the whole") };
    let (chunks, _) = okm.expose().as_chunks::<32>();
    let mut chunks = chunks.iter();
    core::array::from_fn(|_| Secret::new(chunks.next().copied().unwrap_or([0; 32])))
}
