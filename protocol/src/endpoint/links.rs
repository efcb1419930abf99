//! Direct streams: who is at the other end, and what was asked on them.
//!
//! Source: PROTOCOL §7 "Direct", "Addresses"; §8.

use std::collections::{BTreeMap, BTreeSet};

use super::dials::named_in;
use super::hosts::{Arrival, Deposited, Gate};
use super::machine::{Cx, Endpoint};
use super::{ContactState, Reason};
use crate::id::{AccountId, Birth, DeviceId, HostId, MessageId, OwnerKey, QueueId};
use crate::limits::{MAX_CARDS_A_MINUTE, PREKEY_ROTATION};
use crate::machine::{LinkId, NetworkOutput, Opener, StreamKind};
use crate::rows::RowsError;
use crate::rows::contact::{ContactRow, DeviceRow};
use crate::time::{Millis, UnixMillis};
use crate::wire::frame::{Answer, Frame, Hello, OwnerRole, Refused, Request};

/// How often a contact's card is read again (PROTOCOL §3: daily).
pub(super) const CARD_AGAIN: Millis = Millis::from_days(1);
/// Cards asked for at once on one link: fewer than are given in a minute.
const MAX_CARDS_AT_ONCE: usize = 8;

/// What waits for an answer on a link.
#[derive(Debug)]
pub(super) enum Asked {
    Card(AccountId),
    /// A line on a direct stream, and the queue that its envelope names.
    Deposit(DeviceId, u64, QueueId),
    HostDeposit(Deposited),
    /// A queue, and whose it is if it is that of a pair.
    Open(QueueId, Option<DeviceId>),
    Admit(HostId, OwnerRole),
    Register(HostId, Vec<QueueId>),
    Fetch(HostId, OwnerRole),
    /// Which of an own host's two keys, and whether it is the last.
    Erase(HostId, OwnerKey, bool),
    /// Whatever the answer is, nothing follows from it.
    Nothing,
}

/// An open stream.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) peer: HostId,
    pub(super) kind: StreamKind,
    pub(super) ready: bool,
    /// What the accepting side said first.
    pub(super) hello: Option<Hello>,
    /// Queues of contacts at this host.
    pub(super) gates: BTreeMap<QueueId, Gate>,
    /// At an own host: the keys were shown, what is being registered, what is fetched, what is
    /// pushed live, whether it is being left.
    pub(super) shown: bool,
    pub(super) registering: BTreeSet<QueueId>,
    pub(super) fetching: BTreeSet<OwnerRole>,
    pub(super) live: BTreeSet<OwnerKey>,
    pub(super) leaving: bool,
    /// It did not know us once on this stream.
    pub(super) forgot_us: bool,
    pub(super) device: Option<DeviceId>,
    pub(super) asked: BTreeMap<u32, Asked>,
    next: u32,
    cards: (Millis, u32),
}

impl Link {
    /// A link on which nothing was said yet.
    pub(super) fn new(peer: HostId, kind: StreamKind, now: Millis) -> Self {
        Self {
            peer,
            kind,
            ready: false,
            hello: None,
            gates: BTreeMap::new(),
            shown: false,
            registering: BTreeSet::new(),
            fetching: BTreeSet::new(),
            live: BTreeSet::new(),
            leaving: false,
            forgot_us: false,
            device: None,
            asked: BTreeMap::new(),
            next: 1,
            cards: (now, 0),
        }
    }
}

impl Endpoint {
    pub(super) fn link_up(
        &mut self,
        cx: &mut Cx<'_>,
        link: LinkId,
        (peer, kind): (HostId, StreamKind),
        opener: Opener,
    ) -> Result<(), RowsError> {
        if self.fence.two_homes {
            cx.now(NetworkOutput::Close { link });
            return Ok(());
        }
        if opener == Opener::Us {
            // Only an answer proves a link useful: one that is closed at once is not dialled at once.
            self.back_off(cx, (peer, kind));
        }
        let ready = opener == Opener::Them;
        let mut state = Link::new(peer, kind, cx.now.since_start);
        state.ready = ready;
        state.device = if kind == StreamKind::Direct { self.device_at(peer) } else { None };
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
        let gone = self.links.remove(&link);
        let host = gone.filter(|link| link.kind == StreamKind::Mailbox).map(|link| link.peer);
        self.acks.retain(|(on, _), _| *on != link);
        for (device, lane) in &mut self.lanes {
            if lane.land(link, host) {
                self.to_pump.insert(*device);
            }
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
            Ok(Frame::Hello(hello)) if !state.ready => {
                let (host, birth, kind) = (state.peer, hello.birth, state.kind);
                if kind == StreamKind::Mailbox && self.hosts.contains_key(&host) {
                    self.clock.hear(host, hello.time, cx.now);
                }
                state.ready = true;
                state.hello = Some(hello);
                self.link_ready(cx, link);
                if kind == StreamKind::Mailbox {
                    self.host_ready(cx, link, (host, birth))
                } else {
                    Ok(())
                }
            }
            Ok(Frame::Request(..)) if state.kind == StreamKind::Mailbox => {
                self.close(cx, link);
                Ok(())
            }
            Ok(Frame::Item(item)) if state.kind == StreamKind::Mailbox => {
                self.item(cx, link, &item)
            }
            Ok(Frame::End(owner)) if state.kind == StreamKind::Mailbox => {
                self.fetched(cx, link, owner)
            }
            Ok(Frame::Full(owner, queue)) if state.kind == StreamKind::Mailbox => {
                self.hear_full(cx, link, owner, queue);
                Ok(())
            }
            Ok(Frame::Request(id, Request::GetCard { account })) => {
                let answer = self.card(cx, link, account);
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
            // A host may have more to say than this version knows.
            Err(_) if state.kind == StreamKind::Mailbox && Frame::is_later(bytes) => Ok(()),
            Ok(Frame::Hello(_) | Frame::Item(_) | Frame::End(_) | Frame::Full(..)) | Err(_) => {
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
            (Asked::Deposit(device, number, _), Answer::Done) => {
                self.useful(link);
                self.arrived(cx, device, number)
            }
            (asked @ (Asked::Open(..) | Asked::HostDeposit(_)), answer) => {
                self.useful(link);
                self.deposit_answered(cx, link, asked, answer)
            }
            (
                asked @ (Asked::Admit(..)
                | Asked::Register(..)
                | Asked::Fetch(..)
                | Asked::Erase(..)),
                answer,
            ) => {
                self.useful(link);
                self.host_answered(cx, link, asked, &answer)
            }
            (Asked::Deposit(device, number, queue), Answer::Refused(Refused::NotFound)) => {
                if self.moved_queue(cx, link, (device, number), queue)? {
                    return Ok(());
                }
                self.knows_our_queue(cx, device, false)?;
                self.refused_line(cx, (device, number), None, Reason::AwaitingAcceptance)
            }
            (Asked::Deposit(device, number, _), Answer::Refused(Refused::Busy { retry_after })) => {
                self.put_off(cx, (device, number), Millis(u64::from(retry_after)))
            }
            // The line stays with this link: it is tried again on the next one.
            _ => Ok(()),
        }
    }

    fn useful(&mut self, link: LinkId) {
        if let Some(state) = self.links.get(&link) {
            self.dials.remove(&(state.peer, state.kind));
        }
    }

    /// A host has said who it is: what is ours there is registered, what is wanted there goes on.
    fn host_ready(
        &mut self,
        cx: &mut Cx<'_>,
        link: LinkId,
        (host, birth): (HostId, Birth),
    ) -> Result<(), RowsError> {
        if self.hosts.contains_key(&host) {
            self.register_at(cx, link, host)?;
        }
        self.birth_seen(cx, (link, host), birth)?;
        self.pump_all();
        Ok(())
    }

    /// Account record and bundle, for whoever knows the account; at most ten a minute a link.
    fn card(&mut self, cx: &Cx<'_>, link: LinkId, account: AccountId) -> Answer {
        let now = cx.now;
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
        let record = serde_bytes::ByteBuf::from(self.account_record(cx).to_bytes());
        Answer::Card { records: vec![record, serde_bytes::ByteBuf::from(self.bundle.clone())] }
    }

    /// The peer may be asked from now on.
    fn link_ready(&mut self, cx: &mut Cx<'_>, link: LinkId) {
        let Some(state) = self.links.get(&link) else { return };
        let (peer, device, kind) = (state.peer, state.device, state.kind);
        let unknown: Vec<AccountId> = self
            .contacts
            .iter()
            .filter(|(_, contact)| contact.devices.is_empty())
            .filter(|(_, contact)| named_in(contact, kind).iter().any(|(host, _)| *host == peer))
            .map(|(account, _)| *account)
            .collect();
        for account in unknown {
            self.ask(cx, link, Asked::Card(account), Request::GetCard { account }, false);
        }
        self.ask_for_newer_cards(cx, link);
        self.to_pump.extend(device);
    }

    /// Asks for the cards of contacts whose newest bundle is wanted: the device itself once a day, a
    /// host only where a session is owed, a request is old, mail finds nobody who takes it or has had no
    /// receipt for a day, since it learns who is asked for.
    fn ask_for_newer_cards(&mut self, cx: &mut Cx<'_>, link: LinkId) {
        let Some(state) = self.links.get(&link) else { return };
        let (peer, kind, now) = (state.peer, state.kind, cx.now.wall);
        let wanted = |contact: &ContactRow, device: &DeviceRow| {
            let lately = device.card_at.is_some_and(|at| now.since(at) < CARD_AGAIN);
            let needed = device.renewal.is_some()
                || self.is_stuck(device.device)
                || (!lately && self.is_silent(device.device, now))
                || (contact.state == ContactState::Requested
                    && contact.requested_at.is_some_and(|at| now.since(at) >= PREKEY_ROTATION));
            let named = || named_in(contact, kind).iter().any(|(host, _)| *host == peer);
            match kind {
                StreamKind::Direct => !lately && (device.peer == Some(peer) || named()),
                StreamKind::Mailbox => needed && (named() || self.keeps_mail_of(device, peer)),
            }
        };
        let accounts: Vec<AccountId> = self
            .contacts
            .iter()
            .filter(|(_, contact)| contact.devices.iter().any(|device| wanted(contact, device)))
            .map(|(account, _)| *account)
            .take(MAX_CARDS_AT_ONCE)
            .collect();
        for account in accounts {
            self.ask(cx, link, Asked::Card(account), Request::GetCard { account }, false);
        }
    }

    /// The same, on every link.
    pub(super) fn ask_for_wanted_cards(&mut self, cx: &mut Cx<'_>) {
        let ready = self.links.iter().filter(|(_, link)| link.ready);
        for link in ready.map(|(id, _)| *id).collect::<Vec<LinkId>>() {
            self.ask_for_newer_cards(cx, link);
        }
    }

    /// Whether what was deposited for a device a day ago has no receipt yet.
    pub(super) fn is_silent(&self, device: DeviceId, now: UnixMillis) -> bool {
        let Some(lane) = self.lanes.get(&device) else { return false };
        let mut words = lane.lines.values().flat_map(|row| &row.words);
        words.any(|word| now.since(word.at) >= CARD_AGAIN)
    }

    fn keeps_mail_of(&self, device: &DeviceRow, host: HostId) -> bool {
        let manifest = self.manifest_of(device.device);
        manifest.is_some_and(|it| it.hosts().iter().any(|known| known.host == host))
    }

    /// Asks for the card of whoever was just added, where a link leads there already.
    pub(super) fn ask_for_card(&mut self, cx: &mut Cx<'_>, account: AccountId) {
        let Some(contact) = self.contacts.get(&account) else { return };
        let named =
            |link: &Link| named_in(contact, link.kind).iter().any(|(host, _)| *host == link.peer);
        let links = self.links.iter().filter(|(_, link)| link.ready && named(link));
        let links: Vec<LinkId> = links.map(|(id, _)| *id).collect();
        if !contact.devices.is_empty() {
            return;
        }
        for link in links {
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
        let mut links = self.links.iter().filter(|(_, link)| link.kind == StreamKind::Direct);
        links.find(|(_, link)| link.ready && link.device == Some(device)).map(|(id, _)| *id)
    }

    /// Who is now known to be at the other end of the link that something came on.
    pub(super) fn recognise(&mut self, device: DeviceId) {
        let Arrival::Direct(link) = self.arrival else { return };
        if let Some(state) = self.links.get_mut(&link)
            && state.device != Some(device)
        {
            state.device = Some(device);
            self.to_pump.insert(device);
        }
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
