//! Beginning to talk: cards, sealed requests, acceptance.
//!
//! Rules: a card counts only if its chain is the account's and holds the link's head, and its
//! bundle is of a device of that chain; a request counts only if its chain shows the device whose
//! identity key made the handshake; a stranger gets no receipt before it is accepted.
//! Source: PROTOCOL §2 "Contact link", §4, §6 "A first contact", §7 "Strangers", "Direct".

use serde_bytes::ByteBuf;

use subtle::ConstantTimeEq;

use super::hosts::Arrival;
use super::machine::{Cx, Endpoint};
use super::outbox::NewLine;
use super::receive::{Taken, saw, seen_key};
use super::sessions::OpenFailure;
use super::{Change, ContactState, Effect, Reason};
use crate::content::{ContactRequest, Content, Kind, Profile, Reachability};
use crate::envelope::{Bucket, Envelope, peek_key_id, seal, sealed_message_length, unseal};
use crate::id::{AccountId, DeviceId, MessageId, SessionId};
use crate::identity::Chain;
use crate::machine::{Address, LinkId, Output, StreamKind};
use crate::mailbox::accept_proof;
use crate::record::AccountRecord;
use crate::rows::contact::{ContactRow, DeviceRow};
use crate::rows::home::{ADDRESSES, HOME, INVITES, InviteRow};
use crate::rows::outbox::Carried;
use crate::rows::typed::{load, load_all, save};
use crate::rows::{ReadRows, RowsError};
use crate::session::{Bundle, Cause, Pqxdh, Purpose, Started, Via, initiate, respond};

impl Endpoint {
    /// The device under which lines wait while no device of an account is known.
    pub(super) const fn waiting_room(account: AccountId) -> DeviceId {
        DeviceId(account.0)
    }

    /// A contact's chain and bundle, from a node that its link named.
    pub(super) fn card_came(
        &mut self,
        cx: &mut Cx<'_>,
        link: LinkId,
        account: AccountId,
        records: &[ByteBuf],
    ) -> Result<(), RowsError> {
        let Some(contact) = self.contacts.get(&account) else { return Ok(()) };
        let [record, bundle, ..] = records else { return Ok(()) };
        let record = self.checked_record(cx, account, contact, record);
        let bundle = record.as_ref().and_then(|it| self.checked_bundle(cx, it, bundle));
        match (record, bundle) {
            (Some(record), Some(bundle)) => {
                self.card_read(cx, Some(link), account, &record, &bundle)
            }
            _ => Ok(()),
        }
    }

    /// A contact's record and bundle, checked; from a link, or from the DHT.
    pub(super) fn card_read(
        &mut self,
        cx: &mut Cx<'_>,
        link: Option<LinkId>,
        account: AccountId,
        record: &AccountRecord,
        bundle: &Bundle,
    ) -> Result<(), RowsError> {
        self.record_came(cx, account, record)?;
        let device = bundle.device_id();
        if link.and_then(|link| self.links.get(&link)).is_some_and(|it| it.device == Some(device)) {
            // Its own word for which home is the one of today.
            self.lost_eras.remove(&device);
        }
        if self.contacts.get(&account).is_none_or(|contact| !contact.devices.is_empty()) {
            return self.bundle_came(cx, account, bundle);
        }
        let device = bundle.device_id();
        let direct = link.and_then(|link| Some((link, self.links.get(&link)?)));
        let direct = direct.filter(|(_, link)| link.kind == StreamKind::Direct);
        let peer = direct.map(|(_, link)| link.peer);
        if let Some((link, _)) = direct {
            self.arrival = Arrival::Direct(link);
        }
        if let Some(contact) = self.contacts.get_mut(&account) {
            contact.chain = ByteBuf::from(record.chain().to_bytes());
            let addresses = contact
                .link_direct
                .iter()
                .filter(|(host, _)| Some(*host) == peer)
                .flat_map(|(_, addresses)| addresses.clone())
                .collect();
            let bundle = ByteBuf::from(bundle.to_bytes());
            let card_at = Some(cx.now.wall);
            let row = DeviceRow { peer, addresses, bundle, card_at, ..new_device(device) };
            contact.devices.push(row);
        }
        self.owners.insert(device, account);
        self.save_contact(cx, account)?;
        if let Some(generation) = self.sessions.pair(cx.rows, device)?.next_generation() {
            let purpose = Purpose { generation, cause: Cause::FirstContact, via: Via::Contact };
            self.request(cx, account, bundle, purpose)?;
        }
        self.move_lane(cx, Self::waiting_room(account), device)?;
        if peer.is_some() {
            self.recognise(device);
        }
        Ok(())
    }

    /// An account record that may count for a contact: signed, of this time, with the chain that is
    /// known, or else with the head that its link named.
    pub(super) fn checked_record(
        &self,
        cx: &Cx<'_>,
        account: AccountId,
        contact: &ContactRow,
        bytes: &[u8],
    ) -> Option<AccountRecord> {
        let record = AccountRecord::from_bytes(bytes, self.net()).ok()?;
        record.check_time(cx.now.wall).ok().filter(|()| record.account() == account)?;
        let (chain, head) = (record.chain(), record.chain().head());
        let known = contact.chain.is_empty() || contact.chain == chain.to_bytes();
        let named = contact.link_head.is_none_or(|named| named == (head.seq, head.short()));
        (known && named).then_some(record)
    }

    /// A bundle of a device that an account record proves.
    pub(super) fn checked_bundle(
        &self,
        cx: &Cx<'_>,
        record: &AccountRecord,
        bytes: &[u8],
    ) -> Option<Bundle> {
        let bundle = Bundle::from_bytes(bytes, self.net()).ok()?;
        bundle.check_time(cx.now.wall).ok()?;
        let mut devices = record.chain().devices().iter();
        devices.find(|device| {
            device.signer == bundle.device_key() && device.identity == bundle.ik()
        })?;
        Some(bundle)
    }

    /// Begins a session and queues the sealed request.
    pub(super) fn request(
        &mut self,
        cx: &mut Cx<'_>,
        account: AccountId,
        bundle: &Bundle,
        purpose: Purpose,
    ) -> Result<(), RowsError> {
        let device = bundle.device_id();
        let started = initiate(&self.local(), account, bundle, self.net(), purpose, cx.rng);
        let Ok(started) = started else { return Ok(()) };
        self.sessions.insert(cx.rows, cx.now.wall, device, &started)?;
        self.learn_queues(cx.rows, device)?;
        let invite = self.contacts.get(&account).and_then(|contact| contact.invite);
        let request = ContactRequest {
            name: self.me.name.clone().unwrap_or_default(),
            invite: invite.map(|invite| accept_proof(&invite, &started.session.id())),
            chain: self.me.chain.to_bytes(),
            manifest: self.manifest(cx).to_bytes(),
            text: String::new(),
        };
        let content = self.content(cx, account, Kind::CONTACT_REQUEST, request.to_bytes());
        let Some(sealed) = self.seal_first(cx, bundle, &started, &content)? else {
            return Ok(());
        };
        if let Some(contact) = self.contacts.get_mut(&account) {
            contact.our_request = Some(content.message.0);
            contact.requested_at = Some(cx.now.wall);
        }
        self.save_contact(cx, account)?;
        let carried = Carried::FirstContact { sealed: ByteBuf::from(sealed) };
        self.queue(cx, device, NewLine::of(&content, carried))
    }

    /// What a contact's request waits for, once it is on its way; written only when it is another
    /// thing than before.
    pub(super) fn request_waits(
        &mut self,
        cx: &mut Cx<'_>,
        device: DeviceId,
        reason: Reason,
    ) -> Result<(), RowsError> {
        let Some(account) = self.owners.get(&device).copied() else { return Ok(()) };
        let requested = |contact: &&mut ContactRow| contact.state == ContactState::Requested;
        let contact = self.contacts.get_mut(&account).filter(requested);
        let Some(contact) = contact.filter(|it| it.reason != Some(reason)) else { return Ok(()) };
        contact.reason = Some(reason);
        self.save_contact(cx, account)?;
        self.changed(Change::Contact(account, Some(ContactState::Requested)));
        Ok(())
    }

    pub(super) fn seal_first(
        &mut self,
        cx: &mut Cx<'_>,
        bundle: &Bundle,
        started: &Started,
        content: &Content,
    ) -> Result<Option<Vec<u8>>, RowsError> {
        let Ok(bytes) = content.to_bytes() else { return Ok(None) };
        let length = Bucket::for_first_contact(bytes.len())
            .and_then(|bucket| sealed_message_length(bucket.bytes()));
        let Some(length) = length else { return Ok(None) };
        let at = (bundle.device_id(), started.session.id());
        let Ok(inner) = self.sessions.encrypt(cx.rows, at, &bytes, length, cx.rng) else {
            return Ok(None);
        };
        self.count_encryption(cx)?;
        Ok(seal(bundle.into(), &started.handshake, &inner, cx.rng).ok())
    }

    /// A sealed envelope: a stranger's request, or that of someone we know.
    pub(super) fn sealed(
        &mut self,
        cx: &mut Cx<'_>,
        envelope: &Envelope,
    ) -> Result<Taken, RowsError> {
        let bytes = envelope.bytes();
        let key = peek_key_id(bytes)
            .and_then(|id| self.prekeys.iter().find(|prekeys| prekeys.seal_id() == id));
        let Some(key) = key else { return Ok(Taken::Foreign) };
        let Ok((handshake, inner)) = unseal(key.seal(), self.device, bytes) else {
            return Ok(Taken::Foreign);
        };
        let (account, device) = (handshake.initiator_account(), handshake.initiator_device());
        let claimed = self.owners.get(&device).is_some_and(|owner| *owner != account);
        if claimed || account == self.me.account || handshake.purpose().via != Via::Contact {
            return Ok(Taken::Done);
        }
        if !self.key_is_the_known_one(account, &handshake) {
            return Ok(Taken::Done);
        }
        let seen = seen_key(envelope);
        if self.is_repeat(cx, device, &seen)? {
            return Ok(Taken::Done);
        }
        let started = respond(&self.local(), &handshake, &self.prekeys, self.net());
        let Ok(started) = started else { return Ok(Taken::Done) };
        let pair = self.sessions.pair(cx.rows, device)?;
        let strangers = pair.highest().is_none() || !self.owners.contains_key(&device);
        let answer = pair.answer_to(handshake.purpose(), cx.now.wall);
        let forgot = pair.has_forgotten(handshake.purpose().generation, cx.now.wall);
        let opened = match self.sessions.open_sealed(cx.rows, cx.now.wall, device, &started, &inner)
        {
            Ok(opened) => opened,
            Err(OpenFailure::Wait) => return Ok(Taken::Later),
            Err(OpenFailure::Rows(error)) => return Err(error),
            Err(OpenFailure::Unopened(error)) => {
                self.fault(Some(error));
                return Ok(Taken::Done);
            }
            Err(OpenFailure::NotAdmitted(_)) => return Ok(Taken::Done),
        };
        let content = Content::from_bytes(&opened.content).ok();
        saw(cx, &seen, content.as_ref())?;
        let request = content
            .filter(|content| {
                content.kind == Kind::CONTACT_REQUEST
                    && content.conversation == self.conversation(account)
            })
            .and_then(|content| {
                let request = ContactRequest::from_bytes(&content.body).ok()?;
                let chain = checked_chain(&request, &handshake)?;
                Some((content.message, request, chain))
            });
        match request {
            Some((message, request, chain)) => {
                let invited = self.use_invite(cx, &request, &opened.session)?;
                if !self.contacts.contains_key(&account) && self.is_full(invited) {
                    self.sessions.forget(cx.rows, device)?;
                    return Ok(Taken::Done);
                }
                let from = (account, device);
                self.requested(cx, from, (message, invited), &request, &chain)?;
                if forgot && opened.new_session {
                    self.forgotten_by(cx, from)?;
                }
            }
            // Whoever claims a device that is not its own leaves nothing behind.
            None if strangers => self.sessions.forget(cx.rows, device)?,
            None => {
                self.learn_queues(cx.rows, device)?;
                self.follow_root(cx, (account, device))?;
                if opened.new_session {
                    self.carry_out(cx, device, answer)?;
                }
                self.opened(cx, device, &opened)?;
            }
        }
        Ok(Taken::Done)
    }

    /// Whether a request shows an invite of ours that nobody came by; it is used up by that.
    fn use_invite(
        &mut self,
        cx: &mut Cx<'_>,
        request: &ContactRequest,
        session: &SessionId,
    ) -> Result<bool, RowsError> {
        let Some(proof) = request.invite else { return Ok(false) };
        for (key, row) in load_all::<InviteRow>(cx.rows, &INVITES, &[])? {
            let Ok(invite) = <[u8; 16]>::try_from(key.as_slice()) else { continue };
            let good = !row.used && row.expires > cx.now.wall;
            if good && bool::from(accept_proof(&invite, session).ct_eq(&proof)) {
                save(cx.rows, &INVITES, &key, &InviteRow { used: true, ..row })?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) fn key_is_the_known_one(&self, account: AccountId, handshake: &Pqxdh) -> bool {
        let known = self.contacts.get(&account).map(|contact| &contact.chain);
        match known.filter(|chain| !chain.is_empty()).map(|chain| Chain::from_bytes(chain)) {
            Some(Ok(chain)) => shows(&chain, handshake),
            _ => true,
        }
    }

    fn requested(
        &mut self,
        cx: &mut Cx<'_>,
        (account, device): (AccountId, DeviceId),
        (message, invited): (MessageId, bool),
        request: &ContactRequest,
        chain: &Chain,
    ) -> Result<(), RowsError> {
        let peer = match self.arrival {
            Arrival::Direct(link) => self.links.get(&link).map(|link| link.peer),
            Arrival::Pushed | Arrival::Fetched => None,
        };
        let known = self.contacts.contains_key(&account);
        if !known {
            self.contacts.insert(account, super::contacts::stranger(account, cx.now.wall));
        }
        let Some(contact) = self.contacts.get_mut(&account) else { return Ok(()) };
        if contact.state == ContactState::Blocked {
            return Ok(());
        }
        contact.chain = ByteBuf::from(chain.to_bytes());
        contact.their_request = Some(message.0);
        contact.request_text = Some(request.text.clone()).filter(|text| !text.is_empty());
        if contact.devices.iter().all(|row| row.device != device) {
            contact.devices.push(new_device(device));
        }
        for row in contact.devices.iter_mut().filter(|row| row.device == device) {
            row.peer = peer.or(row.peer);
            row.heard_at = Some(cx.now.wall);
        }
        let state = contact.state;
        self.owners.insert(device, account);
        self.new_manifest((account, device), request.manifest.clone());
        self.learn_queues(cx.rows, device)?;
        self.follow_root(cx, (account, device))?;
        self.recognise(device);
        self.move_lane(cx, Self::waiting_room(account), device)?;
        self.suggest_name(cx, account, &request.name)?;
        if state == ContactState::Pending && !invited {
            self.save_contact(cx, account)?;
            self.changed(Change::Contact(account, Some(state)));
            Ok(())
        } else {
            self.accept(cx, account)
        }
    }

    /// Both want it: answers with who and where we are, and lets go what waited.
    pub(super) fn accept(&mut self, cx: &mut Cx<'_>, account: AccountId) -> Result<(), RowsError> {
        let Some(contact) = self.contacts.get_mut(&account) else { return Ok(()) };
        contact.state = ContactState::Accepted;
        contact.reason = None;
        contact.request_text = None;
        let request = contact.their_request.take();
        self.save_contact(cx, account)?;
        self.changed(Change::Contact(account, Some(ContactState::Accepted)));
        for device in self.devices_of(account) {
            if let Some(id) = request {
                self.receipt(device, MessageId(id));
            }
            self.tell_who_and_where(cx, (account, device))?;
            self.to_pump.insert(device);
        }
        Ok(())
    }

    /// Tells a device who we are and where.
    pub(super) fn tell_who_and_where(
        &mut self,
        cx: &mut Cx<'_>,
        to: (AccountId, DeviceId),
    ) -> Result<(), RowsError> {
        let name = self.me.name.clone().unwrap_or_default();
        self.drop_lines(cx, to.1, Kind::PROFILE)?;
        self.queue_content(cx, to, Kind::PROFILE, Profile { name }.to_bytes())?;
        self.tell_where(cx, to)
    }

    pub(super) fn tell_where(
        &mut self,
        cx: &mut Cx<'_>,
        (account, device): (AccountId, DeviceId),
    ) -> Result<(), RowsError> {
        let reachability = Reachability {
            manifest: self.manifest(cx).to_bytes(),
            peer: self.me.host,
            addresses: self.addresses.clone(),
            queues: self.own_numbers(cx, device)?,
        };
        self.drop_lines(cx, device, Kind::REACHABILITY)?;
        let contact = self.contacts.get_mut(&account);
        let row = contact.and_then(|it| it.devices.iter_mut().find(|it| it.device == device));
        if let Some(row) = row
            && core::mem::take(&mut row.knows_us)
        {
            self.save_contact(cx, account)?;
        }
        self.queue_content(cx, (account, device), Kind::REACHABILITY, reachability.to_bytes())
    }

    /// This node is reached elsewhere than before: everybody who may know is told, which opens a
    /// link to each of them.
    pub(super) fn moved(
        &mut self,
        cx: &mut Cx<'_>,
        addresses: Vec<Address>,
    ) -> Result<(), RowsError> {
        let known: Option<Vec<Address>> = load(cx.rows, &HOME, ADDRESSES)?;
        self.addresses = addresses;
        // Another network, or the same one again: whoever did not answer may answer now.
        self.dials.retain(|_, dial| dial.is_under_way());
        // A public node's link names them.
        cx.out.push(Output::After(Effect::Link(self.contact_link().to_string())));
        if known.as_ref() == Some(&self.addresses) {
            return Ok(());
        }
        save(cx.rows, &HOME, ADDRESSES, &self.addresses)?;
        self.tell_everybody(cx)
    }

    /// Every contact learns where this device is reached and where its mail is kept.
    pub(super) fn tell_everybody(&mut self, cx: &mut Cx<'_>) -> Result<(), RowsError> {
        let accepted = |contact: &&ContactRow| contact.state == ContactState::Accepted;
        let devices: Vec<DeviceId> = self
            .contacts
            .values()
            .filter(accepted)
            .flat_map(|contact| contact.devices.iter().map(|row| row.device))
            .collect();
        for device in devices {
            if let Some(account) = self.owners.get(&device).copied() {
                self.tell_where(cx, (account, device))?;
            }
        }
        Ok(())
    }

    /// The contact has answered in a session: it wants it as well.
    pub(super) fn heard_yes(
        &mut self,
        cx: &mut Cx<'_>,
        account: AccountId,
    ) -> Result<(), RowsError> {
        let asked = self
            .contacts
            .get(&account)
            .is_some_and(|contact| contact.state == ContactState::Requested);
        if asked { self.accept(cx, account) } else { Ok(()) }
    }

    /// The queues in which a device's envelopes are recognised.
    pub(super) fn learn_queues(
        &mut self,
        rows: &dyn ReadRows,
        device: DeviceId,
    ) -> Result<(), RowsError> {
        self.queues_changed = true;
        let pair = self.sessions.pair(rows, device)?;
        let numbers = &self.numbers;
        let roots = pair.receiving_roots().iter();
        let queues = roots.flat_map(|root| numbers.receiving(device, root)).map(|(_, queue)| queue);
        self.queues.learn(device, queues.collect());
        Ok(())
    }
}

fn checked_chain(request: &ContactRequest, handshake: &Pqxdh) -> Option<Chain> {
    let chain = Chain::from_bytes(&request.chain).ok()?;
    (chain.account() == handshake.initiator_account() && shows(&chain, handshake)).then_some(chain)
}

/// Whether a chain shows the device that made a handshake, with that identity key.
fn shows(chain: &Chain, handshake: &Pqxdh) -> bool {
    chain.devices().iter().any(|device| {
        device.id == handshake.initiator_device() && device.identity == handshake.initiator_ik()
    })
}

fn new_device(device: DeviceId) -> DeviceRow {
    DeviceRow {
        device,
        bundle: ByteBuf::new(),
        manifest: ByteBuf::new(),
        peer: None,
        addresses: Vec::new(),
        queue_n: 0,
        heard_at: None,
        knows_us: false,
        dropped_us: false,
        renewal: None,
        card_at: None,
        new_era_at: None,
        forgotten_at: None,
        refilled_at: None,
    }
}
