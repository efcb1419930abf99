//! A session: both ratchets of one handshake, as a value.
//!
//! ```text
//! encrypt(content)           → (Session, message)
//! locate(message)            → Position        header only; names the skipped keys it needs
//! open(position, keys, …)    → Opened          the next Session, and what is to be stored
//! ```
//! Rule: nothing enters the state until the body has opened; on `Err` there is no new state.
//! Source: PROTOCOL §4; `spec/session.md`.

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use super::ec::{EcRatchet, Passed, Place};
use super::kem::{KemAccept, KemRatchet};
use super::message::{self, Header, MessageKeys, Parts};
use super::opaque_debug;
use super::skipped::{OldHeaderKey, SkippedAt, SkippedKeys, SkippedRun};
use super::{EncryptError, OpenError};
use crate::crypto::NONCE;
use crate::id::SessionId;
use crate::limits::{MAX_SKIP, MAX_UNANSWERED};
use crate::time::UnixMillis;

/// The most bytes of a session as it is stored (PROTOCOL §4, "State").
pub const MAX_SESSION: usize = 4_096;

/// Which side of the handshake this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// It began.
    Initiator,
    /// It answers.
    Responder,
}

impl Role {
    /// Whether this side offers that KEM epoch: odd ones are the initiator's.
    pub(super) const fn offers(self, epoch: u32) -> bool {
        match self {
            Self::Initiator => epoch % 2 == 1,
            Self::Responder => epoch.is_multiple_of(2),
        }
    }
}

/// Both ratchets of one handshake.
#[derive(Clone, Serialize, Deserialize)]
pub struct Session {
    id: SessionId,
    th: [u8; 32],
    generation: u32,
    role: Role,
    heard: bool,
    ec: EcRatchet,
    kem: KemRatchet,
    /// Where the present sending chain began, in messages of the present KEM epoch.
    chain_began: u32,
    /// Up to where the peer must have received in the present KEM epoch: it answered a chain that
    /// began there.
    answered: u32,
}

/// Where a message belongs in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    header: Header,
    place: Place,
    ec_key: Option<SkippedAt>,
    pq_key: Option<SkippedAt>,
    ahead: u32,
}

/// What opening a message gives.
#[derive(Clone)]
pub struct Opened {
    /// The session after it.
    pub session: Session,
    /// What the peer wrote.
    pub content: Vec<u8>,
    /// Keys that were passed over, to be stored.
    pub new_skipped: Vec<SkippedRun>,
    /// The header key of a chain that ended with messages missing, to be stored.
    pub retired_header: Option<OldHeaderKey>,
    /// Skipped keys that were used, to be deleted.
    pub used: Vec<SkippedAt>,
}

opaque_debug!(Session, Opened);

impl Position {
    /// The EC message key that is needed from the rows.
    #[must_use]
    pub const fn ec_key(&self) -> Option<SkippedAt> {
        self.ec_key
    }

    /// The KEM message key that is needed from the rows.
    #[must_use]
    pub const fn pq_key(&self) -> Option<SkippedAt> {
        self.pq_key
    }

    /// How many keys opening it would skip, in both ratchets.
    #[must_use]
    pub const fn skips(&self) -> u32 {
        self.ahead
    }
}

impl Session {
    pub(super) const fn new(
        id: SessionId,
        th: [u8; 32],
        generation: u32,
        role: Role,
        ec: EcRatchet,
        kem: KemRatchet,
    ) -> Self {
        Self { id, th, generation, role, heard: false, ec, kem, chain_began: 0, answered: 0 }
    }

    /// Its id: the same on both sides.
    #[must_use]
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// Its number within the device pair.
    #[must_use]
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// Whether this side began it.
    #[must_use]
    pub const fn is_initiator(&self) -> bool {
        matches!(self.role, Role::Initiator)
    }

    /// Whether a body of the peer has opened in it.
    #[must_use]
    pub const fn heard(&self) -> bool {
        self.heard
    }

    /// Messages of the present sending chain, none of which the peer has answered.
    #[must_use]
    pub fn unanswered(&self) -> u32 {
        self.ec.unanswered()
    }

    /// How far the present KEM chain may lie ahead of the peer: a KEM chain outlives DH steps, so
    /// it has a bound of its own, or a peer that lost much could not follow.
    fn kem_ahead(&self) -> u32 {
        let answered = if self.ec.step_due() { self.chain_began } else { self.answered };
        self.kem.sending_n().saturating_sub(answered)
    }

    /// Computes what the next message needs ahead of it, in an idle moment; whether there was
    /// anything to compute. Nothing that is stored changes.
    pub fn prepare(&mut self, rng: &mut dyn CryptoRng) -> bool {
        self.ec.prepare(rng)
    }

    /// Encrypts `content` into a message of exactly `length` bytes.
    ///
    /// # Errors
    /// [`EncryptError::TooLong`] if it does not fit; [`EncryptError::NothingReceived`] at the
    /// answering side before its first message; [`EncryptError::WaitingForPeer`] after
    /// [`MAX_UNANSWERED`] messages without an answer.
    pub fn encrypt(
        &self,
        content: &[u8],
        length: usize,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Self, Vec<u8>), EncryptError> {
        if self.unanswered() >= MAX_UNANSWERED || self.kem_ahead() >= MAX_SKIP {
            return Err(EncryptError::WaitingForPeer);
        }
        let mut next = self.clone();
        if next.ec.step_due() {
            next.answered = next.chain_began;
            next.chain_began = next.kem.sending_n();
        }
        let (ec_key, header_key, ec) = next.ec.send(rng)?;
        let (pq_key, kem) = next.kem.send()?;
        let mut nonce = [0; NONCE];
        rng.fill_bytes(&mut nonce);
        let keys = MessageKeys::derive(&ec_key, &pq_key, &self.th, &nonce);
        let message = keys.and_then(|keys| {
            let header = Header { ec, kem };
            message::write(header, &header_key, &nonce, &keys, &self.th, content, length)
        });
        Ok((next, message.ok_or(EncryptError::TooLong { length, got: content.len() })?))
    }

    /// Finds where a message belongs: in the present chain, the next, or an earlier one whose
    /// header key is among `old` (tried as given: newest first).
    #[must_use]
    pub fn locate(&self, old: &[OldHeaderKey], bytes: &[u8]) -> Option<Position> {
        let parts = Parts::read(bytes)?;
        let old = old.iter().map(|old| (Place::Old(old.chain), &old.key));
        let (place, header) = self
            .ec
            .header_keys()
            .chain(old)
            .find_map(|(place, key)| Some((place, parts.open_header(key)?)))?;
        Some(Position {
            header,
            place,
            ec_key: self.ec.needs(place, &header.ec),
            pq_key: self.kem.needs(&header.kem),
            ahead: self.ec.ahead(place, &header.ec).saturating_add(self.kem.ahead(&header.kem)),
        })
    }

    /// Opens a located message with the skipped keys that its position asked for.
    ///
    /// # Errors
    /// [`OpenError`]: every case; there is no new state then.
    pub fn open(
        &self,
        position: &Position,
        keys: SkippedKeys,
        bytes: &[u8],
        now: UnixMillis,
    ) -> Result<Opened, OpenError> {
        let parts = Parts::read(bytes).ok_or(OpenError::NoHeader)?;
        let header = &position.header;
        let (mut next, mut passed) = (self.clone(), Passed::default());
        let epoch = next.kem.sending_epoch();
        let pq_key = next.kem.receive(&header.kem, keys.pq, now, &mut passed)?;
        let ec_key = next.ec.receive(position.place, &header.ec, keys.ec, &mut passed)?;
        let content = MessageKeys::derive(&ec_key, &pq_key, &self.th, &parts.header_nonce)
            .and_then(|keys| parts.open_body(&keys, &self.th))
            .ok_or(OpenError::BodyFailed)?;
        next.heard = true;
        if next.kem.sending_epoch() != epoch {
            next.restart_counts();
        }
        Ok(Opened {
            session: next,
            content,
            new_skipped: passed.runs,
            retired_header: passed.retired,
            used: passed.used,
        })
    }

    const fn restart_counts(&mut self) {
        self.chain_began = 0;
        self.answered = 0;
    }

    /// Whether this side is to offer the next KEM epoch now.
    #[must_use]
    pub fn kem_due(&self, now: UnixMillis) -> bool {
        self.kem.due(now)
    }

    /// Offers the next KEM epoch if it is due: the session with the offer in [`Self::kem_part`].
    #[must_use]
    pub fn offer_kem(&self, now: UnixMillis, rng: &mut dyn CryptoRng) -> Option<Self> {
        self.kem_due(now).then(|| {
            let mut next = self.clone();
            next.kem.offer(rng);
            next
        })
    }

    /// The part that this side sends, and repeats until its epoch closes: 1,189 or 1,093 bytes.
    #[must_use]
    pub fn kem_part(&self) -> Option<Vec<u8>> {
        self.kem.part()
    }

    /// Takes in a part that the peer sent in this session.
    #[must_use]
    pub fn accept_kem_part(&self, part: &[u8], rng: &mut dyn CryptoRng) -> (Self, KemAccept) {
        let mut next = self.clone();
        let accepted = next.kem.accept(part, &self.th, rng);
        if accepted == KemAccept::Completed {
            next.restart_counts();
        }
        (next, accepted)
    }
}
