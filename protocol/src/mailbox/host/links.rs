//! Streams to this host: what was shown on each, and which request goes where.
//!
//! Whatever is no request closes the stream; what one stream may hold is bounded.

use std::collections::{BTreeMap, BTreeSet};

use super::exchange::HostEffect;
use super::fetches::Fetching;
use super::machine::{HostMachine, Hx};
use crate::id::{HostId, OwnerKey, QueueId};
use crate::limits::{MAX_CARDS_A_MINUTE, MAX_STAMP_BITS, MAX_STREAM_OWNERS, MAX_STREAM_QUEUES};
use crate::machine::{LinkId, NetworkOutput, Output};
use crate::rows::RowsError;
use crate::time::Millis;
use crate::wire::frame::{Answer, Frame, Hello, OwnerRole, Refused, Request};

/// By what a queue was opened on a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OpenedBy {
    Token,
    Stamp,
    Invite([u8; 32]),
}

/// A queue that was opened on a stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opened {
    pub(super) role: OwnerRole,
    pub(super) owner: OwnerKey,
    pub(super) by: OpenedBy,
}

/// An open stream.
#[derive(Debug)]
pub(super) struct HostLink {
    pub(super) peer: HostId,
    pub(super) challenge: [u8; 32],
    pub(super) difficulty: u8,
    pub(super) proved: BTreeSet<OwnerKey>,
    pub(super) opened: BTreeMap<QueueId, Opened>,
    pub(super) fetching: BTreeMap<OwnerKey, Fetching>,
    cards: (Millis, u32),
}

impl HostLink {
    /// Whether another queue may be opened.
    pub(super) fn has_room(&self) -> bool {
        self.opened.len() < MAX_STREAM_QUEUES
    }

    /// Whether another owner key may be shown.
    pub(super) fn takes(&self, owner: &OwnerKey) -> bool {
        self.proved.len() < MAX_STREAM_OWNERS || self.proved.contains(owner)
    }

    pub(super) fn may_ask_card(&mut self, now: Millis) -> bool {
        let (since, count) = self.cards;
        if now.saturating_sub(since) >= Millis::from_minutes(1) {
            self.cards = (now, 1);
            return true;
        }
        self.cards = (since, count.saturating_add(1));
        count < MAX_CARDS_A_MINUTE
    }
}

impl HostMachine {
    pub(super) fn link_up(&mut self, hx: &mut Hx<'_>, link: LinkId, peer: HostId) {
        let mut challenge = [0; 32];
        hx.rng.fill_bytes(&mut challenge);
        let difficulty = self.difficulty();
        let state = HostLink {
            peer,
            challenge,
            difficulty,
            proved: BTreeSet::new(),
            opened: BTreeMap::new(),
            fetching: BTreeMap::new(),
            cards: (hx.now.since_start, 0),
        };
        self.links.insert(link, state);
        let hello = Hello { challenge, time: hx.now.wall, birth: self.birth, difficulty };
        hx.send_now(link, &Frame::Hello(hello));
    }

    /// Rises by a bit with every doubling of what strangers have left here.
    fn difficulty(&self) -> u8 {
        let doublings = (self.counters.strangers / 64).checked_ilog2().map_or(0, |log| log + 1);
        let bits = u32::from(self.setup.stamp_bits).saturating_add(doublings);
        u8::try_from(bits).unwrap_or(MAX_STAMP_BITS).min(MAX_STAMP_BITS)
    }

    pub(super) fn close(&mut self, hx: &mut Hx<'_>, link: LinkId) {
        self.links.remove(&link);
        let close = NetworkOutput::Close { link };
        hx.out.push(Output::Now(HostEffect::Network(close)));
    }

    /// One frame of a peer.
    pub(super) fn frame(
        &mut self,
        hx: &mut Hx<'_>,
        link: LinkId,
        bytes: &[u8],
    ) -> Result<(), RowsError> {
        if !self.links.contains_key(&link) {
            return Ok(());
        }
        let Ok(Frame::Request(id, request)) = Frame::decode(bytes) else {
            self.close(hx, link);
            return Ok(());
        };
        let at = (link, id);
        match request {
            Request::Prove { owner, signature } => self.prove(hx, at, owner, &signature),
            Request::GetCard { account } => self.get_card(hx, at, account),
            Request::Open { queue, key } => self.open_queue(hx, at, queue, &key),
            Request::Deposit { envelope, stamp } => self.deposit(hx, at, &envelope, &stamp),
            Request::Revoke { queue, id, secret } => self.revoke(hx, at, (queue, id), &secret),
            Request::Admit { owner, .. }
            | Request::Register { owner, .. }
            | Request::Drop { owner, .. }
            | Request::Publish { owner, .. }
            | Request::Invite { owner, .. }
            | Request::Fetch { owner, .. }
            | Request::Ack { owner, .. }
            | Request::Erase { owner }
                if !self.has_proved(link, &owner) =>
            {
                hx.refuse(at, Refused::Rejected);
                Ok(())
            }
            Request::Admit { owner, role, token } => self.admit(hx, at, (owner, role), token),
            Request::Register { owner, queues } => self.register(hx, at, owner, queues),
            Request::Drop { owner, queues } => self.drop_queues(hx, at, owner, &queues),
            Request::Publish { owner, account, records } => {
                self.publish(hx, at, (owner, account), records)
            }
            Request::Invite { owner, queue, hash, expires } => {
                self.invite(hx, at, owner, (queue, hash, expires))
            }
            Request::Fetch { owner, fence } => self.fetch(hx, at, owner, fence),
            Request::Ack { owner, ids, fence } => self.acknowledge(hx, at, owner, (&ids, fence)),
            Request::Erase { owner } => self.erase(hx, at, owner),
        }
    }

    fn has_proved(&self, link: LinkId, owner: &OwnerKey) -> bool {
        self.links.get(&link).is_some_and(|state| state.proved.contains(owner))
    }

    /// The records of an account; at most ten a minute a stream.
    fn get_card(
        &mut self,
        hx: &mut Hx<'_>,
        at: (LinkId, u32),
        account: crate::id::AccountId,
    ) -> Result<(), RowsError> {
        let now = hx.now.since_start;
        if !self.links.get_mut(&at.0).is_some_and(|link| link.may_ask_card(now)) {
            hx.refuse(at, Refused::Busy { retry_after: 60_000 });
            return Ok(());
        }
        match self.card_of(hx, account)? {
            Some(records) => hx.send_now(at.0, &Frame::Answer(at.1, Answer::Card { records })),
            None => hx.refuse(at, Refused::NotFound),
        }
        Ok(())
    }
}
