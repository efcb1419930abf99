//! The Double Ratchet with header encryption.
//!
//! Source: Signal, "The Double Ratchet Algorithm", §4 (header encryption); PROTOCOL §4. One thing
//! differs: the sending half of a DH step is computed when the next message is encrypted, or ahead
//! of it in an idle moment ([`EcRatchet::prepare`]), so that receiving needs no randomness and stays
//! cheap.

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use super::chain::{Chain, KeyKind};
use super::opaque_debug;
use super::skipped::{OldHeaderKey, SkippedAt, SkippedRun};
use super::transcript::split;
use super::{EncryptError, OpenError};
use crate::crypto::{DhPublic, DhSecret, Secret, hkdf};

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct HeaderChain {
    header: Secret<32>,
    chain: Chain,
}

/// The state of the EC half.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct EcRatchet {
    root: Secret<32>,
    own: DhSecret,
    own_public: DhPublic,
    theirs: Option<DhPublic>,
    sending: Option<HeaderChain>,
    receiving: Option<HeaderChain>,
    next_sending_header: Secret<32>,
    next_receiving_header: Secret<32>,
    /// Messages in the sending chain before the present one.
    previous: u32,
    /// Receiving chains so far.
    chains: u32,
    /// Skipped keys of the present receiving chain whose messages have not come.
    missing: u32,
    /// The peer has answered; the next message begins a new sending chain.
    step_due: bool,
    /// That chain, where there was time to compute it; never stored.
    #[serde(skip)]
    prepared: Option<Prepared>,
}

/// The sending half of a DH step, computed ahead.
#[derive(Clone)]
struct Prepared {
    own: DhSecret,
    own_public: DhPublic,
    root: Secret<32>,
    chain: Secret<32>,
    next: Secret<32>,
}

opaque_debug!(HeaderChain, EcRatchet, Prepared);

/// Where a header opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In the present receiving chain.
    Current,
    /// In one that begins with this message.
    Next,
    /// In an earlier one, of this number.
    Old(u32),
}

/// The EC part of a message's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EcHeader {
    pub(super) dh: DhPublic,
    pub(super) pn: u32,
    pub(super) n: u32,
}

/// What receiving one message changes besides the ratchet.
#[derive(Default)]
pub(super) struct Passed {
    pub(super) runs: Vec<SkippedRun>,
    pub(super) used: Vec<SkippedAt>,
    pub(super) retired: Option<OldHeaderKey>,
}

impl Passed {
    pub(super) fn keep(&mut self, first: SkippedAt, keys: Vec<Secret<32>>) {
        if !keys.is_empty() {
            self.runs.push(SkippedRun { first, keys });
        }
    }
}

impl EcRatchet {
    /// The side that began: its first chain is made against the recipient's signed prekey.
    pub(super) fn initiator(
        root: Secret<32>,
        header: Secret<32>,
        next_receiving_header: Secret<32>,
        prekey: DhPublic,
        own: DhSecret,
    ) -> Result<Self, crate::crypto::DhError> {
        let shared = own.agree(&prekey)?;
        let [root, chain, next] = root_step(&root, &shared);
        Ok(Self {
            root,
            own_public: own.public(),
            own,
            theirs: Some(prekey),
            sending: Some(HeaderChain { header, chain: Chain::new(chain) }),
            receiving: None,
            next_sending_header: next,
            next_receiving_header,
            previous: 0,
            chains: 0,
            missing: 0,
            step_due: false,
            prepared: None,
        })
    }

    /// The side that answers: it sends only after it has received.
    pub(super) fn responder(
        root: Secret<32>,
        next_receiving_header: Secret<32>,
        next_sending_header: Secret<32>,
        prekey: DhSecret,
    ) -> Self {
        Self {
            root,
            own_public: prekey.public(),
            own: prekey,
            theirs: None,
            sending: None,
            receiving: None,
            next_sending_header,
            next_receiving_header,
            previous: 0,
            chains: 0,
            missing: 0,
            step_due: false,
            prepared: None,
        }
    }

    /// Messages of the present sending chain that the peer has not answered.
    pub(super) fn unanswered(&self) -> u32 {
        if self.step_due { 0 } else { self.sending.as_ref().map_or(0, |sending| sending.chain.n()) }
    }

    /// Whether the next message begins a new sending chain.
    pub(super) const fn step_due(&self) -> bool {
        self.step_due
    }

    /// Message key, header key and header of the next message.
    pub(super) fn send(
        &mut self,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Secret<32>, Secret<32>, EcHeader), EncryptError> {
        if self.step_due {
            self.sending_step(rng)?;
        }
        let (dh, pn) = (self.own_public, self.previous);
        let sending = self.sending.as_mut().ok_or(EncryptError::NothingReceived)?;
        let n = sending.chain.n();
        let key = sending.chain.step(KeyKind::Ec).map_err(|_| EncryptError::WaitingForPeer)?;
        Ok((key, sending.header.clone(), EcHeader { dh, pn, n }))
    }

    /// Computes the sending half of a step that is due, if it is not yet; whether it was.
    pub(super) fn prepare(&mut self, rng: &mut dyn CryptoRng) -> bool {
        if !self.step_due || self.prepared.is_some() {
            return false;
        }
        self.prepared = self.computed_step(rng).ok();
        self.prepared.is_some()
    }

    fn computed_step(&self, rng: &mut dyn CryptoRng) -> Result<Prepared, EncryptError> {
        let theirs = self.theirs.ok_or(EncryptError::NothingReceived)?;
        let own = DhSecret::random(rng);
        let shared = own.agree(&theirs).map_err(|_| EncryptError::PeerKey)?;
        let [root, chain, next] = root_step(&self.root, &shared);
        Ok(Prepared { own_public: own.public(), own, root, chain, next })
    }

    fn sending_step(&mut self, rng: &mut dyn CryptoRng) -> Result<(), EncryptError> {
        let step = match self.prepared.take() {
            Some(step) => step,
            None => self.computed_step(rng)?,
        };
        self.previous = self.sending.as_ref().map_or(0, |sending| sending.chain.n());
        let header = core::mem::replace(&mut self.next_sending_header, step.next);
        self.sending = Some(HeaderChain { header, chain: Chain::new(step.chain) });
        self.root = step.root;
        self.own = step.own;
        self.own_public = step.own_public;
        self.step_due = false;
        Ok(())
    }

    /// Header keys by which a message may be recognised, in the order of trial.
    pub(super) fn header_keys(&self) -> impl Iterator<Item = (Place, &Secret<32>)> {
        let current = self.receiving.iter().map(|chain| (Place::Current, &chain.header));
        current.chain([(Place::Next, &self.next_receiving_header)])
    }

    /// The skipped key that a message needs.
    pub(super) fn needs(&self, place: Place, header: &EcHeader) -> Option<SkippedAt> {
        let chain = match place {
            Place::Next => return None,
            Place::Old(chain) => chain,
            Place::Current if header.n >= self.receiving_n() => return None,
            Place::Current => self.chains,
        };
        Some(SkippedAt { kind: KeyKind::Ec, chain, n: header.n })
    }

    /// How many keys a message passes over.
    pub(super) fn ahead(&self, place: Place, header: &EcHeader) -> u32 {
        match place {
            Place::Old(_) => 0,
            Place::Current => header.n.saturating_sub(self.receiving_n()),
            Place::Next if self.receiving.is_none() => header.n,
            Place::Next => header.n.saturating_add(header.pn.saturating_sub(self.receiving_n())),
        }
    }

    fn receiving_n(&self) -> u32 {
        self.receiving.as_ref().map_or(0, |receiving| receiving.chain.n())
    }

    /// The message key of a received header.
    pub(super) fn receive(
        &mut self,
        place: Place,
        header: &EcHeader,
        skipped: Option<Secret<32>>,
        passed: &mut Passed,
    ) -> Result<Secret<32>, OpenError> {
        if let Some(at) = self.needs(place, header) {
            passed.used.push(at);
            if place == Place::Current {
                self.missing = self.missing.saturating_sub(1);
            }
            return skipped.ok_or(OpenError::KeysGone);
        }
        if place == Place::Next {
            self.receiving_step(header, passed)?;
        }
        let (chain_number, missing) = (self.chains, &mut self.missing);
        let receiving = self.receiving.as_mut().ok_or(OpenError::KeysGone)?;
        let first = SkippedAt { kind: KeyKind::Ec, chain: chain_number, n: receiving.chain.n() };
        *missing = missing.saturating_add(header.n.saturating_sub(first.n));
        passed.keep(first, receiving.chain.skip_to(header.n, KeyKind::Ec)?);
        Ok(receiving.chain.step(KeyKind::Ec)?)
    }

    fn receiving_step(&mut self, header: &EcHeader, passed: &mut Passed) -> Result<(), OpenError> {
        // An honest peer steps only after it was answered, and an answer would have been ours.
        if self.step_due {
            return Err(OpenError::BodyFailed);
        }
        if let Some(mut ended) = self.receiving.take() {
            let first = SkippedAt { kind: KeyKind::Ec, chain: self.chains, n: ended.chain.n() };
            let keys = ended.chain.skip_to(header.pn, KeyKind::Ec)?;
            if self.missing > 0 || !keys.is_empty() {
                passed.retired = Some(OldHeaderKey { chain: self.chains, key: ended.header });
            }
            passed.keep(first, keys);
        }
        let shared = self.own.agree(&header.dh).map_err(|_| OpenError::BodyFailed)?;
        let [root, chain, next] = root_step(&self.root, &shared);
        let opened = core::mem::replace(&mut self.next_receiving_header, next);
        self.receiving = Some(HeaderChain { header: opened, chain: Chain::new(chain) });
        self.root = root;
        self.theirs = Some(header.dh);
        self.chains = self.chains.checked_add(1).ok_or(OpenError::TooFarAhead)?;
        self.missing = 0;
        self.step_due = true;
        self.prepared = None;
        Ok(())
    }
}

/// `RK ‖ CK ‖ NHK`.
fn root_step(root: &Secret<32>, shared: &Secret<32>) -> [Secret<32>; 3] {
    let okm: Secret<96> = hkdf(root.expose(), shared.expose(), &[b"godwit/gw1/root"]);
    split(&okm)
}
