//! Begins a session (PQXDH shape), or answers one.
//!
//! Rule: both sides hash the same transcript or derive different keys; a key that contributes
//! nothing aborts; nothing is signed, so either could have written it all.
//! Source: PROTOCOL §4; `spec/session.md#handshake`.

use rand_core::CryptoRng;

use super::bundle::Bundle;
use super::ec::EcRatchet;
use super::kem::KemRatchet;
use super::opaque_debug;
use super::pqxdh::{Pqxdh, Purpose};
use super::prekeys::Prekeys;
use super::queue_root::QueueRoots;
use super::state::{Role, Session};
use super::transcript::{RecipientKeys, derive, session_id, transcript_hash};
use crate::crypto::{DhError, DhSecret};
use crate::id::{AccountId, DeviceId};
use crate::time::UnixMillis;

/// The device that this home is.
#[derive(Debug, Clone, Copy)]
pub struct LocalParty<'a> {
    /// Its account.
    pub account: AccountId,
    /// Itself.
    pub device: DeviceId,
    /// Its identity key.
    pub ik: &'a DhSecret,
}

/// A session that has just been begun or answered.
#[derive(Clone)]
pub struct Started {
    /// The session: the beginning side may send, the answering side must receive first.
    pub session: Session,
    /// The handshake that rides with every message until the peer was heard.
    pub handshake: Pqxdh,
    /// The pair's queue roots, if the handshake went through a contact queue and this one counts.
    pub queue_roots: QueueRoots,
    /// How long the session's id is remembered: until the newest private key that it used is gone.
    pub remember_until: UnixMillis,
}

opaque_debug!(Started);

/// Why no session comes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// Made for another account or device, or by this one.
    #[error("the handshake is not for this device")]
    NotForUs,
    /// A signed prekey that is not (or no more) here.
    #[error("unknown signed prekey {0}")]
    UnknownSigned(u32),
    /// A post-quantum prekey that is not (or no more) here.
    #[error("unknown post-quantum prekey {0}")]
    UnknownQuantum(u32),
    /// A key that contributes nothing.
    #[error("a key of the handshake contributes nothing")]
    Contribution,
    /// A ciphertext or key of another KEM.
    #[error("the handshake's KEM part is malformed")]
    Kem,
}

impl From<DhError> for HandshakeError {
    fn from(_: DhError) -> Self {
        Self::Contribution
    }
}

/// Begins a session with the device of `bundle`, which the caller found to belong to
/// `remote_account` and to be current.
///
/// # Errors
/// [`HandshakeError::Contribution`] if a key of the bundle contributes nothing.
pub fn initiate(
    local: &LocalParty<'_>,
    remote_account: AccountId,
    bundle: &Bundle,
    net: &str,
    purpose: Purpose,
    rng: &mut dyn CryptoRng,
) -> Result<Started, HandshakeError> {
    let (signed, signed_id) = bundle.signed();
    let (quantum, quantum_id) = bundle.quantum();
    let ephemeral = DhSecret::random(rng);
    let dh = [local.ik.agree(&signed)?, ephemeral.agree(&bundle.ik())?, ephemeral.agree(&signed)?];
    let (ciphertext, kem) = quantum.encapsulate(rng).map_err(|_| HandshakeError::Kem)?;
    let handshake = Pqxdh {
        purpose,
        accounts: (local.account, remote_account),
        devices: (local.device, bundle.device_id()),
        ik: local.ik.public(),
        ek: ephemeral.public(),
        signed_id,
        quantum_id,
        ciphertext,
    };
    let th = transcript_hash(net, &handshake, &RecipientKeys { ik: bundle.ik(), signed, quantum });
    let keys = derive(&th, &dh, &kem);
    let first = DhSecret::random(rng);
    let ec = EcRatchet::initiator(keys.root, keys.header_a, keys.next_header_b, signed, first)?;
    let pq = KemRatchet::new(&keys.quantum, Role::Initiator);
    let session = Session::new(session_id(&th), th, purpose.generation, Role::Initiator, ec, pq);
    let queue_roots = QueueRoots { sending: keys.queue_i2r, receiving: keys.queue_r2i };
    let remember_until = bundle.expires().saturating_add(crate::limits::PREKEY_GRACE);
    Ok(Started { session, handshake, queue_roots, remember_until })
}

/// Answers a handshake with the prekeys that it names.
///
/// # Errors
/// [`HandshakeError`]: every case.
///
/// # Security
/// The caller checks that `initiator_device` belongs to `initiator_account` with that IK, and that
/// the session's first message opens, before anything is kept.
pub fn respond(
    local: &LocalParty<'_>,
    handshake: &Pqxdh,
    prekeys: &[Prekeys],
    net: &str,
) -> Result<Started, HandshakeError> {
    let for_us = handshake.accounts.1 == local.account && handshake.devices.1 == local.device;
    if !for_us || handshake.devices.0 == local.device {
        return Err(HandshakeError::NotForUs);
    }
    let (signed_id, quantum_id) = (handshake.signed_id, handshake.quantum_id);
    let signed = prekeys
        .iter()
        .find(|prekeys| prekeys.signed_id() == signed_id)
        .ok_or(HandshakeError::UnknownSigned(signed_id))?;
    let quantum = prekeys
        .iter()
        .find(|prekeys| prekeys.quantum_id() == quantum_id)
        .ok_or(HandshakeError::UnknownQuantum(quantum_id))?;
    let spk = signed.signed();
    let dh = [spk.agree(&handshake.ik)?, local.ik.agree(&handshake.ek)?, spk.agree(&handshake.ek)?];
    let kem =
        quantum.quantum().decapsulate(&handshake.ciphertext).map_err(|_| HandshakeError::Kem)?;
    let recipient = RecipientKeys {
        ik: local.ik.public(),
        signed: spk.public(),
        quantum: &quantum.quantum().public(),
    };
    let th = transcript_hash(net, handshake, &recipient);
    let keys = derive(&th, &dh, &kem);
    let ec = EcRatchet::responder(keys.root, keys.header_a, keys.next_header_b, spk.clone());
    let pq = KemRatchet::new(&keys.quantum, Role::Responder);
    let generation = handshake.purpose.generation;
    Ok(Started {
        session: Session::new(session_id(&th), th, generation, Role::Responder, ec, pq),
        handshake: handshake.clone(),
        queue_roots: QueueRoots { sending: keys.queue_r2i, receiving: keys.queue_i2r },
        remember_until: signed.erase_at().max(quantum.erase_at()),
    })
}
