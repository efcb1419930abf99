//! Direct streams: who is at the other end, what was asked on them, and when to dial again.
//!
//! Source: PROTOCOL §7 "Direct", "Addresses"; §8.

use std::collections::BTreeMap;

use super::machine::{Cx, Endpoint};
use super::{ContactState, Effect};
use crate::id::{AccountId, Birth, DeviceId, HostId, MessageId};
use crate::limits::{MAX_CARDS_A_MINUTE, RETRY_FIRST, RETRY_LAST, SWEEP_EVERY};
use crate::machine::{Address, LinkId, NetworkOutput, Opener, Output, StreamKind};
use crate::rows::RowsError;
use crate::time::{Millis, Time};
use crate::wire::frame::{Answer, Frame, Hello, Refused, Request};

/// What waits for an answer on a link.
#[derive(Debug)]
pub(super) enum Asked {
    Card(AccountId),
    Deposit(DeviceId, u64),
}

/// An open direct stream.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) peer: HostId,
    pub(super) ready: bool,
    pub(super) device: Option<DeviceId>,
    pub(super) asked: BTreeMap<u32, Asked>,
    next: u32,
    cards: (Millis, u32),
}

/// When a peer is dialled again.
#[derive(Debug)]
pub(super) struct Dial {
    under_way: bool,
    not_before: Millis,
    wait: Millis,
}

impl Endpoint {
    pub(super) fn link_up(
        &mut self,
        cx: &mut Cx<'_>,
        link: LinkId,
        peer: HostId,
        opener: Opener,
    ) -> Result<(), RowsError> {
        if opener == Opener::Us {
            // Only an answer proves a link useful: one that is closed at once is not dialled at once.
            self.dial_failed(cx.now, peer);
        }
        let ready = opener == Opener::Them;
        let state = Link {
            peer,
            ready,
            device: self.device_at(peer),
            asked: BTreeMap::new(),
            next: 1,
            cards: (cx.now.since_start, 0),
        };
        self.links.insert(link, state);
        if ready {
            let hello = Hello {
                challenge: cx.random(),
                time: cx.now.wall,
                birth: Birth(self.birth),
                difficulty: 0,
            };
            send_now(cx, link, &Frame::Hello(hello));
            self.link_ready(cx, link);
        }
        Ok(())
    }

    pub(super) fn link_down(&mut self, link: LinkId) {
        self.links.remove(&link);
        for (device, lane) in &mut self.lanes {
            if lane.land(link) {
                self.to_pump.insert(*device);
            }
        }
    }

    pub(super) fn dial_failed(&mut self, now: Time, peer: HostId) {
        if let Some(dial) = self.dials.get_mut(&peer) {
            dial.under_way = false;
            dial.not_before = now.since_start.saturating_add(dial.wait);
            dial.wait = Millis(dial.wait.saturating_mul(2).0.min(RETRY_LAST.0));
        }
    }

    /// One frame of a peer; whatever breaks a rule closes the stream.
    pub(super) fn frame(
        &mut self,
        cx: &mut Cx<'_>,
        link: LinkId,
        bytes: &[u8],
    ) -> Result<(), RowsError> {
        let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
        match Frame::decode(bytes) {
            Ok(Frame::Hello(_)) if !state.ready => {
                state.ready = true;
                self.link_ready(cx, link);
                Ok(())
            }
            Ok(Frame::Request(id, Request::GetCard { account })) => {
                let answer = self.card(cx.now, link, account);
                send_now(cx, link, &Frame::Answer(id, answer));
                Ok(())
            }
            Ok(Frame::Request(id, Request::Deposit { envelope, .. })) => {
                self.deposit(cx, link, id, &envelope)
            }
            Ok(Frame::Request(id, _)) => {
                send_now(cx, link, &Frame::Answer(id, Answer::Refused(Refused::Rejected)));
                Ok(())
            }
            Ok(Frame::Answer(id, answer)) => match state.asked.remove(&id) {
                Some(asked) => self.answered(cx, link, asked, answer),
                None => {
                    self.close(cx, link);
                    Ok(())
                }
            },
            Ok(Frame::Hello(_) | Frame::Item(_) | Frame::End(_)) | Err(_) => {
                self.close(cx, link);
                Ok(())
            }
        }
    }

    pub(super) fn close(&mut self, cx: &mut Cx<'_>, link: LinkId) {
        self.link_down(link);
        cx.now(NetworkOutput::Close { link });
    }

    fn answered(
        &mut self,
        cx: &mut Cx<'_>,
        link: LinkId,
        asked: Asked,
        answer: Answer,
    ) -> Result<(), RowsError> {
        match (asked, answer) {
            (Asked::Card(account), Answer::Card { records }) => {
                self.useful(link);
                self.card_came(cx, link, account, &records)
            }
            (Asked::Deposit(device, number), Answer::Done) => {
                self.useful(link);
                self.arrived(cx, device, number)
            }
            // The line stays with this link: it is tried again on the next one.
            _ => Ok(()),
        }
    }

    fn useful(&mut self, link: LinkId) {
        if let Some(state) = self.links.get(&link) {
            self.dials.remove(&state.peer);
        }
    }

    /// Account chain and bundle, for whoever knows the account; at most ten a minute a link.
    fn card(&mut self, now: Time, link: LinkId, account: AccountId) -> Answer {
        let Some(state) = self.links.get_mut(&link) else {
            return Answer::Refused(Refused::NotFound);
        };
        let (since, count) = state.cards;
        if now.since_start.saturating_sub(since) >= Millis::from_minutes(1) {
            state.cards = (now.since_start, 1);
        } else if count >= MAX_CARDS_A_MINUTE {
            return Answer::Refused(Refused::Busy { retry_after: 60_000 });
        } else {
            state.cards = (since, count.saturating_add(1));
        }
        if account != self.me.account {
            return Answer::Refused(Refused::NotFound);
        }
        let chain = serde_bytes::ByteBuf::from(self.me.chain.to_bytes());
        Answer::Card { records: vec![chain, serde_bytes::ByteBuf::from(self.bundle.clone())] }
    }

    /// The peer may be asked from now on.
    fn link_ready(&mut self, cx: &mut Cx<'_>, link: LinkId) {
        let Some(state) = self.links.get(&link) else { return };
        let (peer, device) = (state.peer, state.device);
        let unknown: Vec<AccountId> = self
            .contacts
            .iter()
            .filter(|(_, contact)| contact.devices.is_empty())
            .filter(|(_, contact)| contact.link_direct.iter().any(|(host, _)| *host == peer))
            .map(|(account, _)| *account)
            .collect();
        for account in unknown {
            self.ask(cx, link, Asked::Card(account), Request::GetCard { account }, false);
        }
        self.to_pump.extend(device);
    }

    /// Asks for the card of whoever was just added, where a link leads there already.
    pub(super) fn ask_for_card(&mut self, cx: &mut Cx<'_>, account: AccountId) {
        let Some(contact) = self.contacts.get(&account) else { return };
        let named = |link: &Link| contact.link_direct.iter().any(|(host, _)| *host == link.peer);
        let link = self.links.iter().find(|(_, link)| link.ready && named(link));
        if let Some(link) = link.map(|(id, _)| *id).filter(|_| contact.devices.is_empty()) {
            self.ask(cx, link, Asked::Card(account), Request::GetCard { account }, false);
        }
    }

    /// Sends a request; a frame of a ratchet leaves only when its batch is on disk.
    pub(super) fn ask(
        &mut self,
        cx: &mut Cx<'_>,
        link: LinkId,
        asked: Asked,
        request: Request,
        is_ratchet: bool,
    ) {
        let Some(state) = self.links.get_mut(&link) else { return };
        let id = state.next;
        state.next = state.next.wrapping_add(1).max(1);
        state.asked.insert(id, asked);
        let frame = Frame::Request(id, request);
        if is_ratchet { send_after(cx, link, &frame) } else { send_now(cx, link, &frame) }
    }

    /// The ready link to a device.
    pub(super) fn link_to(&self, device: DeviceId) -> Option<LinkId> {
        let mut links = self.links.iter();
        links.find(|(_, link)| link.ready && link.device == Some(device)).map(|(id, _)| *id)
    }

    /// What is now known to be at the other end of a link.
    pub(super) fn recognise(&mut self, link: LinkId, device: DeviceId) {
        if let Some(state) = self.links.get_mut(&link)
            && state.device != Some(device)
        {
            state.device = Some(device);
            self.to_pump.insert(device);
        }
    }

    /// Dials whoever is waited for and has no link, where it is time; asks to be woken for the rest.
    pub(super) fn dial(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.since_start;
        let mut next = now.saturating_add(SWEEP_EVERY);
        for (peer, addresses) in self.wanted() {
            let dial = self.dials.entry(peer).or_insert(Dial {
                under_way: false,
                not_before: now,
                wait: RETRY_FIRST,
            });
            if dial.under_way {
                continue;
            }
            if dial.not_before <= now {
                dial.under_way = true;
                let kind = StreamKind::Direct;
                cx.out.push(Output::Now(Effect::Network(NetworkOutput::Dial {
                    peer,
                    kind,
                    addresses,
                })));
            } else {
                next = next.min(dial.not_before);
            }
        }
        cx.out.push(Output::Now(Effect::WakeAt(next)));
    }

    /// Peers that something waits for and that no link leads to.
    fn wanted(&self) -> BTreeMap<HostId, Vec<Address>> {
        let mut wanted: BTreeMap<HostId, Vec<Address>> = BTreeMap::new();
        for contact in self.contacts.values() {
            if contact.devices.is_empty() && contact.state == ContactState::Requested {
                wanted.extend(contact.link_direct.iter().cloned());
            }
            for device in &contact.devices {
                let waits = self.lanes.get(&device.device).is_some_and(|lane| !lane.is_idle());
                if let Some(peer) = device.peer.filter(|_| waits) {
                    let mut addresses = device.addresses.clone();
                    let link = contact.link_direct.iter().filter(|(host, _)| *host == peer);
                    addresses.extend(link.flat_map(|(_, addresses)| addresses.clone()));
                    wanted.insert(peer, addresses);
                }
            }
        }
        wanted.retain(|peer, addresses| {
            !addresses.is_empty() && !self.links.values().any(|link| link.peer == *peer)
        });
        wanted
    }

    fn device_at(&self, peer: HostId) -> Option<DeviceId> {
        let mut devices = self.contacts.values().flat_map(|contact| &contact.devices);
        devices.find(|device| device.peer == Some(peer)).map(|device| device.device)
    }
}

pub(super) fn send_now(cx: &mut Cx<'_>, link: LinkId, frame: &Frame) {
    if let Ok(bytes) = frame.encode() {
        cx.now(NetworkOutput::Send { link, bytes });
    }
}

pub(super) fn send_after(cx: &mut Cx<'_>, link: LinkId, frame: &Frame) {
    if let Ok(bytes) = frame.encode() {
        cx.after(NetworkOutput::Send { link, bytes });
    }
}

/// Ids that fit one receipt.
pub(super) fn pages(ids: &[MessageId]) -> impl Iterator<Item = &[MessageId]> {
    ids.chunks(crate::limits::MAX_RECEIPT_IDS)
}
