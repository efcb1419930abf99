//! What a peer made that does not open: a session one generation up, begun and answered.

use serde_bytes::ByteBuf;

use crate::content::{Content, Hello, Kind};
use crate::endpoint::links::CARD_AGAIN;
use crate::endpoint::machine::{Cx, Endpoint};
use crate::endpoint::outbox::NewLine;
use crate::endpoint::receive::{Taken, saw, seen_key};
use crate::endpoint::sessions::OpenFailure;
use crate::endpoint::{Change, ContactState};
use crate::envelope::{Envelope, peek_key_id, unseal};
use crate::id::{AccountId, DeviceId};
use crate::limits::{INVITE_LIFE, MOVE_AGAIN, PREKEY_GRACE, PREKEY_ROTATION};
use crate::rows::RowsError;
use crate::rows::contact::{DeviceRow, Renewal};
use crate::rows::outbox::Carried;
use crate::session::{Bundle, Cause, OpenError, Purpose, Relation, Remedy, Via, initiate, respond};
use crate::time::{Millis, UnixMillis};

/// How often a change of era is acted on (PROTOCOL §4, the fence).
const WEEK: Millis = Millis::from_days(7);

/// What the mark of an envelope said.
#[derive(Debug, Clone, Copy)]
pub(in crate::endpoint) struct Judged {
    pub(in crate::endpoint) generation: u32,
    pub(in crate::endpoint) relation: Relation,
}

impl Endpoint {
    /// An envelope of a pair's queue that fits no live session: sealed with a handshake, or the pair
    /// is out of step.
    pub(in crate::endpoint) fn sealed_in_pair(
        &mut self,
        cx: &mut Cx<'_>,
        device: DeviceId,
        envelope: &Envelope,
        judged: Judged,
    ) -> Result<Taken, RowsError> {
        let bytes = envelope.bytes();
        let key = peek_key_id(bytes)
            .and_then(|id| self.prekeys.iter().find(|prekeys| prekeys.seal_id() == id));
        let unsealed = key.and_then(|key| unseal(key.seal(), self.device, bytes).ok());
        let Some((handshake, inner)) = unsealed else {
            return self.unopened(cx, device, judged, OpenError::NoHeader);
        };
        let (account, purpose) = (handshake.initiator_account(), handshake.purpose());
        let made_here = self.owners.get(&device) == Some(&account)
            && handshake.initiator_device() == device
            && purpose.via == Via::Pair
            && purpose.generation == judged.generation;
        if !made_here || !self.key_is_the_known_one(account, &handshake) {
            // The true copy may lie elsewhere: this one is not remembered.
            return Ok(Taken::Done);
        }
        let Ok(started) = respond(&self.local(), &handshake, &self.prekeys, self.net()) else {
            return self.unopened(cx, device, judged, OpenError::NoHeader);
        };
        let wall = cx.now.wall;
        let answer = self.sessions.pair(cx.rows, device)?.answer_to(purpose, wall);
        match self.sessions.open_sealed(cx.rows, wall, device, &started, &inner) {
            Ok(opened) => {
                let content = Content::from_bytes(&opened.content).ok();
                saw(cx, &seen_key(envelope), content.as_ref())?;
                if opened.new_session {
                    self.carry_out(cx, device, answer)?;
                }
                self.opened(cx, device, &opened)?;
                Ok(Taken::Done)
            }
            Err(OpenFailure::Wait) => Ok(Taken::Later),
            Err(OpenFailure::Rows(error)) => Err(error),
            Err(OpenFailure::Unopened(error)) => self.unopened(cx, device, judged, error),
            Err(OpenFailure::NotAdmitted(_)) => Ok(Taken::Done),
        }
    }

    /// What the peer made does not open: it is dropped, and the pair mended.
    pub(in crate::endpoint) fn unopened(
        &mut self,
        cx: &mut Cx<'_>,
        device: DeviceId,
        judged: Judged,
        error: OpenError,
    ) -> Result<Taken, RowsError> {
        let Judged { generation, relation } = judged;
        if relation != Relation::Below {
            self.fault(Some(error));
        }
        let pair = self.sessions.pair(cx.rows, device)?;
        let remedy = pair.remedy(generation, relation, cx.now.wall);
        if relation == Relation::Above && remedy != Remedy::Nothing {
            self.changed(Change::Warning("rolled_back".to_owned()));
        }
        self.carry_out(cx, device, remedy)?;
        Ok(Taken::Done)
    }

    /// Does what a pair decided.
    pub(in crate::endpoint) fn carry_out(
        &mut self,
        cx: &mut Cx<'_>,
        device: DeviceId,
        remedy: Remedy,
    ) -> Result<(), RowsError> {
        let Some(account) = self.owners.get(&device).copied() else { return Ok(()) };
        let state = self.contacts.get(&account).map(|contact| contact.state);
        if !matches!(state, Some(ContactState::Accepted | ContactState::Requested)) {
            return Ok(());
        }
        self.to_pump.insert(device);
        match remedy {
            Remedy::Nothing => Ok(()),
            Remedy::Hello => {
                self.sessions.pair_mut(cx.rows, device)?.hello_sent(cx.now.wall);
                self.queue_content(cx, (account, device), Kind::HELLO, Hello::Plain.to_bytes())
            }
            Remedy::Open(purpose) => self.begin(cx, (account, device), purpose),
            Remedy::Later { above, cause } => {
                self.owe(cx, (account, device), Some(Renewal { above, cause }))
            }
        }
    }

    /// Begins a session with a device that is known, as soon as its bundle is here.
    fn begin(
        &mut self,
        cx: &mut Cx<'_>,
        (account, device): (AccountId, DeviceId),
        purpose: Purpose,
    ) -> Result<(), RowsError> {
        let to = (account, device);
        let Some(bundle) = self.usable_bundle(device, cx.now.wall) else {
            let above = purpose.generation.saturating_sub(1);
            return self.owe(cx, to, Some(Renewal { above, cause: purpose.cause }));
        };
        self.owe(cx, to, None)?;
        let asked =
            self.contacts.get(&account).is_some_and(|it| it.state == ContactState::Requested);
        let anew = matches!(purpose.cause, Cause::FirstContact | Cause::Forgotten);
        if anew || (asked && purpose.via == Via::Contact) {
            self.drop_lines(cx, device, Kind::CONTACT_REQUEST)?;
            return self.request(cx, account, &bundle, purpose);
        }
        let started = initiate(&self.local(), account, &bundle, self.net(), purpose, cx.rng);
        let Ok(started) = started else { return Ok(()) };
        self.sessions.insert(cx.rows, cx.now.wall, device, &started)?;
        let hello = match purpose.cause {
            Cause::RolledBack => Hello::Last(self.newest_of(cx, account)?),
            _ => Hello::Plain,
        };
        let content = self.content(cx, account, Kind::HELLO, hello.to_bytes());
        if purpose.via == Via::Pair {
            return self.queue_made(cx, device, &content);
        }
        self.learn_queues(cx.rows, device)?;
        let Some(sealed) = self.seal_first(cx, &bundle, &started, &content)? else {
            return Ok(());
        };
        let carried = Carried::FirstContact { sealed: ByteBuf::from(sealed) };
        self.queue(cx, device, NewLine::of(&content, carried))
    }

    /// Notes, or strikes out, a session that is owed to a device.
    fn owe(
        &mut self,
        cx: &mut Cx<'_>,
        (account, device): (AccountId, DeviceId),
        renewal: Option<Renewal>,
    ) -> Result<(), RowsError> {
        let contact = self.contacts.get_mut(&account);
        let row = contact.and_then(|it| it.devices.iter_mut().find(|it| it.device == device));
        match row {
            Some(row) if row.renewal != renewal => {
                row.renewal = renewal;
                self.save_contact(cx, account)
            }
            _ => Ok(()),
        }
    }

    /// A person adds a contact again: if that has removed us, it is asked anew, at most once a day.
    /// Whether it has, a `hello` finds out.
    pub(in crate::endpoint) fn ask_again(
        &mut self,
        cx: &mut Cx<'_>,
        account: AccountId,
    ) -> Result<(), RowsError> {
        let Some(contact) = self.contacts.get_mut(&account) else { return Ok(()) };
        if contact.state != ContactState::Accepted {
            return Ok(());
        }
        contact.added_again_at = Some(cx.now.wall);
        let devices = contact.devices.iter().map(|row| (row.device, row.dropped_us));
        for (device, dropped) in devices.collect::<Vec<_>>() {
            if dropped {
                self.owe_request(cx, (account, device))?;
            } else {
                self.drop_lines(cx, device, Kind::HELLO)?;
                self.queue_content(cx, (account, device), Kind::HELLO, Hello::Plain.to_bytes())?;
            }
        }
        self.save_contact(cx, account)?;
        self.renew(cx)
    }

    fn owe_request(&mut self, cx: &mut Cx<'_>, to: (AccountId, DeviceId)) -> Result<(), RowsError> {
        match self.sessions.pair(cx.rows, to.1)?.highest() {
            Some(above) => self.owe(cx, to, Some(Renewal { above, cause: Cause::FirstContact })),
            None => Ok(()),
        }
    }

    /// Whether a device's hosts, or it itself, know our queue.
    pub(in crate::endpoint) fn knows_our_queue(
        &mut self,
        cx: &mut Cx<'_>,
        device: DeviceId,
        knows: bool,
    ) -> Result<(), RowsError> {
        let Some(account) = self.owners.get(&device).copied() else { return Ok(()) };
        let Some(contact) = self.contacts.get_mut(&account) else { return Ok(()) };
        let added = contact.added_again_at;
        let row = contact.devices.iter_mut().find(|it| it.device == device);
        let Some(row) = row.filter(|row| row.dropped_us == knows) else { return Ok(()) };
        row.dropped_us = !knows;
        if !knows {
            // Its newest bundle tells whether its home is another than it was.
            row.card_at = None;
        }
        let wanted = added.is_some_and(|at| cx.now.wall.since(at) < INVITE_LIFE);
        self.save_contact(cx, account)?;
        if !knows {
            self.ask_for_wanted_cards(cx);
        }
        if !knows && wanted { self.owe_request(cx, (account, device)) } else { Ok(()) }
    }

    /// Begins what is owed, where it may be begun by now.
    pub(in crate::endpoint) fn renew(&mut self, cx: &mut Cx<'_>) -> Result<(), RowsError> {
        let owed: Vec<(AccountId, DeviceId, Renewal)> = self
            .contacts
            .iter()
            .flat_map(|(account, contact)| {
                let owed = |row: &DeviceRow| Some((*account, row.device, row.renewal?));
                contact.devices.iter().filter_map(owed)
            })
            .collect();
        for (account, device, Renewal { above, cause }) in owed {
            let requested_at = self.contacts.get(&account).and_then(|it| it.requested_at);
            let lately = requested_at.is_some_and(|at| cx.now.wall.since(at) < CARD_AGAIN);
            if cause == Cause::FirstContact && lately {
                continue;
            }
            let pair = self.sessions.pair(cx.rows, device)?;
            match pair.renewal(above, cause, cx.now.wall) {
                Remedy::Nothing => self.owe(cx, (account, device), None)?,
                Remedy::Open(_) if self.usable_bundle(device, cx.now.wall).is_none() => {}
                remedy => self.carry_out(cx, device, remedy)?,
            }
        }
        Ok(())
    }

    /// Makes an unanswered handshake anew whose bundle has ended, if a newer bundle is here.
    pub(in crate::endpoint) fn renew_stale(
        &mut self,
        cx: &mut Cx<'_>,
        device: DeviceId,
    ) -> Result<(), RowsError> {
        let Some(bundle) = self.usable_bundle(device, cx.now.wall) else { return Ok(()) };
        let pair = self.sessions.pair(cx.rows, device)?;
        match pair.stale_handshake(bundle.expires(), cx.now.wall) {
            Some(purpose) => self.carry_out(cx, device, Remedy::Open(purpose)),
            None => Ok(()),
        }
    }

    /// A device whose bundle shows another era, and that was not heard since for a day or does not know
    /// our queue, has forgotten us: it is asked anew through its contact queue, once a week.
    pub(in crate::endpoint) fn ask_who_forgot(
        &mut self,
        cx: &mut Cx<'_>,
        (account, device): (AccountId, DeviceId),
    ) -> Result<(), RowsError> {
        let now = cx.now.wall;
        let pair = self.sessions.pair(cx.rows, device)?;
        let (heard, highest) = (pair.last_sign(), pair.highest());
        let Some(contact) = self.contacts.get_mut(&account) else { return Ok(()) };
        let accepted = contact.state == ContactState::Accepted;
        let row = contact.devices.iter_mut().find(|row| row.device == device);
        let (Some(row), Some(above)) = (row.filter(|_| accepted), highest) else { return Ok(()) };
        let Some(at) = row.new_era_at else { return Ok(()) };
        if heard > Some(at) {
            row.new_era_at = None;
            return self.save_contact(cx, account);
        }
        let lately = row.forgotten_at.is_some_and(|at| now.since(at) < WEEK);
        // Whoever does not know our queue either need not be waited for.
        if lately || (now.since(at) < CARD_AGAIN && !row.dropped_us) {
            return Ok(());
        }
        row.forgotten_at = Some(now);
        self.save_contact(cx, account)?;
        let generation = above.saturating_add(1);
        let purpose = Purpose { generation, cause: Cause::Forgotten, via: Via::Contact };
        self.begin(cx, (account, device), purpose)
    }

    /// A friend's device asks anew in a generation that it was heard in before: its home has lost us,
    /// and knows neither the session that we send in nor our queue. It is asked anew as soon as its
    /// newest bundle is here, at most once an hour.
    pub(in crate::endpoint) fn forgotten_by(
        &mut self,
        cx: &mut Cx<'_>,
        (account, device): (AccountId, DeviceId),
    ) -> Result<(), RowsError> {
        let highest = self.sessions.pair(cx.rows, device)?.highest();
        let now = cx.now.wall;
        let contact = self.contacts.get_mut(&account);
        let contact = contact.filter(|it| it.state == ContactState::Accepted);
        let row = contact.and_then(|it| it.devices.iter_mut().find(|it| it.device == device));
        let (Some(row), Some(above)) = (row, highest) else { return Ok(()) };
        if row.forgotten_at.is_some_and(|at| now.since(at) < MOVE_AGAIN && at <= now) {
            return Ok(());
        }
        row.forgotten_at = Some(now);
        row.renewal = Some(Renewal { above, cause: Cause::Forgotten });
        row.card_at = None;
        // The bundle that is here is that of the lost home, and its old host may give it out still.
        let net = self.me.network.as_str();
        if let Ok(known) = Bundle::from_bytes(&row.bundle, net) {
            self.lost_eras.insert(device, (known.era(), now));
        }
        self.save_contact(cx, account)?;
        self.ask_for_wanted_cards(cx);
        Ok(())
    }

    /// The newest bundle of a device, while it still has the private keys: three weeks past its end. One
    /// of a home that was lost is none for an hour, unless the device itself gives it out.
    pub(in crate::endpoint) fn usable_bundle(
        &self,
        device: DeviceId,
        now: UnixMillis,
    ) -> Option<Bundle> {
        let (_, row) = self.device_row(device)?;
        let bundle = Bundle::from_bytes(&row.bundle, self.net()).ok()?;
        let end = bundle.expires().saturating_add(PREKEY_GRACE.saturating_sub(PREKEY_ROTATION));
        let is_lost = self.lost_eras.get(&device).is_some_and(|(era, at)| {
            *era == bundle.era() && now.since(*at) < MOVE_AGAIN && *at <= now
        });
        (now < end && !is_lost).then_some(bundle)
    }

    /// A newer bundle of a device that is known.
    pub(in crate::endpoint) fn bundle_came(
        &mut self,
        cx: &mut Cx<'_>,
        account: AccountId,
        bundle: &Bundle,
    ) -> Result<(), RowsError> {
        let (device, net) = (bundle.device_id(), self.me.network.clone());
        let Some(contact) = self.contacts.get_mut(&account) else { return Ok(()) };
        let Some(row) = contact.devices.iter_mut().find(|row| row.device == device) else {
            return Ok(());
        };
        let known = Bundle::from_bytes(&row.bundle, net.as_str()).ok();
        // An older one, which somebody still holds, says nothing.
        if known.as_ref().is_none_or(|known| known.seq() <= bundle.seq()) {
            if known.is_some_and(|known| known.era() != bundle.era()) {
                row.new_era_at = Some(cx.now.wall);
            }
            row.bundle = ByteBuf::from(bundle.to_bytes());
            // Its contact queues may be at other hosts now.
            self.to_pump.insert(device);
        }
        row.card_at = Some(cx.now.wall);
        self.save_contact(cx, account)?;
        self.renew(cx)?;
        self.ask_who_forgot(cx, (account, device))?;
        self.renew_stale(cx, device)
    }
}
