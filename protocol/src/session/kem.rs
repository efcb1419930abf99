//! The KEM ratchet beside the Double Ratchet: epochs of ML-KEM-768, offered in turn.
//!
//! ```text
//! offerer  ── 1 ‖ e ‖ ek ──►  answerer        under epoch e−1
//!          ◄── 2 ‖ e ‖ ct ──                  under e−1; both now hold the chains of e
//!          ── first body under e ──►          the answerer moves to e both ways
//!          ◄── first body under e ──          the offerer receives under e: e is closed
//! ```
//! Odd epochs are offered by the initiator, even ones by the responder, so two offers never cross.
//! Rule: an older epoch opens by stored keys only; a part that is not due changes nothing.
//! Source: PROTOCOL §4, "KEM epochs"; `spec/session.md#kem-epochs`.

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::chain::{Chain, KeyKind};
use super::ec::Passed;
use super::opaque_debug;
use super::skipped::SkippedAt;
use super::state::Role;
use super::transcript::split;
use super::{EncryptError, OpenError};
use crate::crypto::{
    KEM_CIPHERTEXT, KEM_PUBLIC, RatchetPublic, RatchetSeed, Secret, expand, hash, hkdf,
};
use crate::limits::{KEM_EPOCH_MESSAGES, KEM_EPOCH_TIME};
use crate::time::UnixMillis;
use crate::wire::Reader;

const OFFER: u8 = 1;
const ANSWER: u8 = 2;

/// This side's part of the epoch under way.
#[derive(Clone, Serialize, Deserialize)]
enum Part {
    None,
    Offered(RatchetSeed),
    Answered(ByteBuf),
}

/// An epoch whose chains are derived, and under which no body has come yet.
#[derive(Clone, Serialize, Deserialize)]
struct NextEpoch {
    epoch: u32,
    /// Still to come for the side that answered; the offerer sends under it already.
    sending: Option<Chain>,
    receiving: Chain,
}

/// The state of the KEM half.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct KemRatchet {
    role: Role,
    root: Secret<32>,
    sending_epoch: u32,
    sending: Chain,
    /// Messages sent in the epoch before the present one.
    previous: u32,
    receiving_epoch: u32,
    receiving: Chain,
    next: Option<NextEpoch>,
    part: Part,
    /// When the first body under the present epoch opened.
    since: Option<UnixMillis>,
    /// Messages both ways since then.
    messages: u32,
}

opaque_debug!(Part, NextEpoch, KemRatchet);

/// The KEM part of a message's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KemHeader {
    pub(super) epoch: u32,
    pub(super) pn: u32,
    pub(super) n: u32,
}

impl KemRatchet {
    pub(super) fn new(quantum: &Secret<32>, role: Role) -> Self {
        let okm: Secret<96> = expand(quantum.expose(), &[b"godwit/gw1/pq/root"]);
        let (root, sending, receiving) = chains(&okm, role);
        Self {
            role,
            root,
            sending_epoch: 0,
            sending,
            previous: 0,
            receiving_epoch: 0,
            receiving,
            next: None,
            part: Part::None,
            since: None,
            messages: 0,
        }
    }

    pub(super) const fn sending_epoch(&self) -> u32 {
        self.sending_epoch
    }

    pub(super) const fn sending_n(&self) -> u32 {
        self.sending.n()
    }

    pub(super) fn send(&mut self) -> Result<(Secret<32>, KemHeader), EncryptError> {
        let (epoch, pn, n) = (self.sending_epoch, self.previous, self.sending.n());
        let key = self.sending.step(KeyKind::Pq).map_err(|_| EncryptError::WaitingForPeer)?;
        self.messages = self.messages.saturating_add(1);
        Ok((key, KemHeader { epoch, pn, n }))
    }

    /// The skipped key that a message needs.
    pub(super) fn needs(&self, header: &KemHeader) -> Option<SkippedAt> {
        let old = header.epoch < self.receiving_epoch;
        let passed = header.epoch == self.receiving_epoch && header.n < self.receiving.n();
        let at = SkippedAt { kind: KeyKind::Pq, chain: header.epoch, n: header.n };
        (old || passed).then_some(at)
    }

    /// How many keys a message passes over.
    pub(super) fn ahead(&self, header: &KemHeader) -> u32 {
        if header.epoch == self.receiving_epoch {
            header.n.saturating_sub(self.receiving.n())
        } else if header.epoch > self.receiving_epoch {
            header.n.saturating_add(header.pn.saturating_sub(self.receiving.n()))
        } else {
            0
        }
    }

    /// The message key of a received header.
    pub(super) fn receive(
        &mut self,
        header: &KemHeader,
        skipped: Option<Secret<32>>,
        now: UnixMillis,
        passed: &mut Passed,
    ) -> Result<Secret<32>, OpenError> {
        self.messages = self.messages.saturating_add(1);
        self.since = self.since.or(Some(now));
        if let Some(at) = self.needs(header) {
            passed.used.push(at);
            return skipped.ok_or(OpenError::KeysGone);
        }
        if header.epoch > self.receiving_epoch {
            self.advance(header, now, passed)?;
        }
        let first = self.position();
        passed.keep(first, self.receiving.skip_to(header.n, KeyKind::Pq)?);
        Ok(self.receiving.step(KeyKind::Pq)?)
    }

    /// The first body under the next epoch: the old chain's key goes.
    fn advance(
        &mut self,
        header: &KemHeader,
        now: UnixMillis,
        passed: &mut Passed,
    ) -> Result<(), OpenError> {
        let next = self.next.take().filter(|next| next.epoch == header.epoch);
        let next = next.ok_or(OpenError::PqUnknown)?;
        let first = self.position();
        passed.keep(first, self.receiving.skip_to(header.pn, KeyKind::Pq)?);
        self.receiving = next.receiving;
        self.receiving_epoch = next.epoch;
        if let Some(sending) = next.sending {
            self.previous = self.sending.n();
            self.sending = sending;
            self.sending_epoch = next.epoch;
        }
        self.part = Part::None;
        self.since = Some(now);
        self.messages = 1;
        Ok(())
    }

    const fn position(&self) -> SkippedAt {
        SkippedAt { kind: KeyKind::Pq, chain: self.receiving_epoch, n: self.receiving.n() }
    }

    /// Whether this side offers the next epoch now.
    pub(super) fn due(&self, now: UnixMillis) -> bool {
        let idle = self.next.is_none() && matches!(self.part, Part::None);
        let closed = self.sending_epoch == self.receiving_epoch;
        let old = self.since.is_some_and(|since| {
            self.messages >= KEM_EPOCH_MESSAGES || now.since(since) >= KEM_EPOCH_TIME
        });
        idle && closed && old && self.next_number().is_some_and(|epoch| self.role.offers(epoch))
    }

    const fn next_number(&self) -> Option<u32> {
        self.receiving_epoch.checked_add(1)
    }

    /// Draws the next epoch's key pair.
    pub(super) fn offer(&mut self, rng: &mut dyn CryptoRng) {
        self.part = Part::Offered(RatchetSeed::random(rng));
    }

    /// The part that this side repeats until its epoch closes.
    pub(super) fn part(&self) -> Option<Vec<u8>> {
        let epoch = self.next_number()?.to_le_bytes();
        match &self.part {
            Part::None => None,
            Part::Offered(seed) => Some([&[OFFER], &epoch[..], seed.public().as_bytes()].concat()),
            Part::Answered(ct) => Some([&[ANSWER], &epoch[..], ct].concat()),
        }
    }

    /// Takes in the peer's part.
    pub(super) fn accept(
        &mut self,
        part: &[u8],
        th: &[u8; 32],
        rng: &mut dyn CryptoRng,
    ) -> KemAccept {
        let mut reader = Reader::new(part);
        let (Some(tag), Some(epoch)) = (reader.byte(), reader.le32()) else {
            return KemAccept::NotDue;
        };
        if self.next_number() != Some(epoch) {
            return KemAccept::NotDue;
        }
        let key = reader.take(if tag == OFFER { KEM_PUBLIC } else { KEM_CIPHERTEXT });
        let Some(key) = key.filter(|_| reader.finished()) else { return KemAccept::NotDue };
        let accepted = match (tag, &self.part) {
            (OFFER, Part::Answered(_)) => Some(KemAccept::Answer),
            (OFFER, Part::None) => self.answer(epoch, key, th, rng),
            (ANSWER, Part::Offered(_)) => self.complete(epoch, key, th),
            _ => None,
        };
        accepted.unwrap_or(KemAccept::NotDue)
    }

    fn answer(
        &mut self,
        epoch: u32,
        ek: &[u8],
        th: &[u8; 32],
        rng: &mut dyn CryptoRng,
    ) -> Option<KemAccept> {
        let closed = self.next.is_none() && self.sending_epoch == self.receiving_epoch;
        if !closed || self.role.offers(epoch) {
            return None;
        }
        let key = RatchetPublic::new(ek).ok()?;
        let (ct, shared) = key.encapsulate(rng).ok()?;
        let (root, sending, receiving) = self.epoch_chains(epoch, &shared, key.as_bytes(), &ct, th);
        self.root = root;
        self.next = Some(NextEpoch { epoch, sending: Some(sending), receiving });
        self.part = Part::Answered(ByteBuf::from(ct));
        Some(KemAccept::Answer)
    }

    fn complete(&mut self, epoch: u32, ct: &[u8], th: &[u8; 32]) -> Option<KemAccept> {
        let Part::Offered(seed) = &self.part else { return None };
        let shared = seed.decapsulate(ct).ok()?;
        let public = seed.public();
        let (root, sending, receiving) =
            self.epoch_chains(epoch, &shared, public.as_bytes(), ct, th);
        self.root = root;
        self.previous = self.sending.n();
        self.sending = sending;
        self.sending_epoch = epoch;
        self.next = Some(NextEpoch { epoch, sending: None, receiving });
        self.part = Part::None;
        Some(KemAccept::Completed)
    }

    fn epoch_chains(
        &self,
        epoch: u32,
        shared: &Secret<32>,
        ek: &[u8],
        ct: &[u8],
        th: &[u8; 32],
    ) -> (Secret<32>, Chain, Chain) {
        let info: [&[u8]; 5] =
            [b"godwit/gw1/pq/root", &epoch.to_le_bytes(), &hash(&[ek]), &hash(&[ct]), th];
        let okm: Secret<96> = hkdf(self.root.expose(), shared.expose(), &info);
        chains(&okm, self.role)
    }
}

/// What a peer's part did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KemAccept {
    /// The offer stands; our answer ([`super::Session::kem_part`]) is to be sent, again if need be.
    Answer,
    /// The answer to our offer: what is sent next is under the new epoch.
    Completed,
    /// Malformed, old, or out of turn: nothing changed.
    NotDue,
}

/// `PQR ‖ CK_i2r ‖ CK_r2i` as (root, sending, receiving).
fn chains(okm: &Secret<96>, role: Role) -> (Secret<32>, Chain, Chain) {
    let [root, i2r, r2i] = split(okm);
    match role {
        Role::Initiator => (root, Chain::new(i2r), Chain::new(r2i)),
        Role::Responder => (root, Chain::new(r2i), Chain::new(i2r)),
    }
}
