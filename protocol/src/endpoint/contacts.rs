//! The address book: finding, naming, adding, removing.
//!
//! Source: CLI "Contacts".

use super::machine::{Cx, Endpoint};
use super::{Change, Code, ContactState, ContactView, Reason, Refusal};
use crate::id::{AccountId, ConversationId, DeviceId};
use crate::identity::{ContactLink, Name, account_text};
use crate::limits::{MAX_CONTACTS, MAX_PENDING};
use crate::machine::StreamKind;
use crate::rows::contact::ContactRow;
use crate::rows::message::{CONVERSATIONS, MESSAGES, MessageKey, TIMELINE};
use crate::rows::outbox::{Carried, OutboxRow};
use crate::rows::{Direction, RowsError, prefix_end};
use crate::time::UnixMillis;

/// Characters of an account by which a contact without a name is called.
const SHORT: usize = 12;
/// The shortest beginning of an account that finds a contact.
const MIN_PREFIX: usize = 8;

/// A contact that has asked.
pub(super) fn stranger(account: AccountId, now: UnixMillis) -> ContactRow {
    ContactRow {
        name: account_text(&account).chars().take(SHORT).collect(),
        name_chosen: false,
        state: ContactState::Pending,
        verified: false,
        added_at: now,
        reason: None,
        request_text: None,
        chain: serde_bytes::ByteBuf::new(),
        link_hosts: Vec::new(),
        link_direct: Vec::new(),
        link_head: None,
        invite: None,
        devices: Vec::new(),
        requested_at: None,
        added_again_at: None,
        our_request: None,
        their_request: None,
        blocks: Vec::new(),
    }
}

/// Finds a contact by name, account, or the beginning of an account.
///
/// # Errors
/// `E_NO_CONTACT`, `E_AMBIGUOUS`.
pub(super) fn find_contact<'a>(
    contacts: impl Iterator<Item = (&'a AccountId, &'a str)> + Clone,
    who: &str,
) -> Result<AccountId, Refusal> {
    let missing = || {
        Refusal::new(Code::NoContact, format!("no contact named \"{who}\""), "godwit contact list")
    };
    let wanted = who.trim();
    if let Some((account, _)) = contacts.clone().find(|(_, known)| *known == wanted) {
        return Ok(*account);
    }
    if let Ok(name) = Name::parse(wanted) {
        let named = contacts.clone().find(|(_, known)| {
            Name::parse(known).map_or(*known == wanted, |known| known.folded() == name.folded())
        });
        if let Some((account, _)) = named {
            return Ok(*account);
        }
    }
    if wanted.chars().count() < MIN_PREFIX {
        return Err(missing());
    }
    let lower = wanted.to_lowercase();
    let mut found =
        contacts.filter(|(account, _)| account_text(account).starts_with(&lower)).map(|it| *it.0);
    match (found.next(), found.next()) {
        (Some(account), None) => Ok(account),
        (Some(_), Some(_)) => Err(Refusal::new(
            Code::Ambiguous,
            format!("\"{who}\" is the beginning of more than one account"),
            "give more of it, or the name",
        )),
        _ => Err(missing()),
    }
}

impl Endpoint {
    /// Whether nobody else is taken into the book: it is full, or (but for the invited) too many ask.
    pub(super) fn is_full(&self, invited: bool) -> bool {
        let asks = |row: &&ContactRow| row.state == ContactState::Pending;
        self.contacts.len() >= MAX_CONTACTS
            || (!invited && self.contacts.values().filter(asks).count() >= MAX_PENDING)
    }

    pub(super) fn find(&self, who: &str) -> Result<AccountId, Refusal> {
        let names = self.contacts.iter().map(|(account, row)| (account, row.name.as_str()));
        find_contact(names, who)
    }

    pub(super) fn view(&self, account: AccountId) -> Option<ContactView> {
        let row = self.contacts.get(&account)?;
        Some(contact_view(account, row, self.conversation(account)))
    }

    /// Adds the contact of a link; adding it again renames it.
    pub(super) fn add_contact(
        &mut self,
        cx: &mut Cx<'_>,
        link: &str,
        name: Option<&str>,
    ) -> Result<Result<AccountId, Refusal>, RowsError> {
        let (link, name) = match self.checked_link(link, name) {
            Ok(checked) => checked,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let account = link.account;
        if self.contacts.len() >= MAX_CONTACTS && !self.contacts.contains_key(&account) {
            let message = format!("there are {MAX_CONTACTS} contacts, as many as may be");
            return Ok(Err(Refusal::new(Code::Full, message, "godwit contact remove WHO")));
        }
        self.unblock(cx, account)?;
        let asked = self
            .contacts
            .get(&account)
            .is_some_and(|contact| contact.state == ContactState::Pending);
        let mut contact = match self.contacts.remove(&account) {
            Some(contact) => contact,
            None => ContactRow {
                state: ContactState::Requested,
                reason: Some(Reason::Resolving),
                ..stranger(account, cx.now.wall)
            },
        };
        contact.invite = link.invite.or(contact.invite);
        for (host, address) in link.hosts {
            match contact.link_hosts.iter_mut().find(|(known, _)| *known == host) {
                Some((_, addresses)) if !addresses.contains(&address) => addresses.push(address),
                Some(_) => {}
                None => contact.link_hosts.push((host, vec![address])),
            }
        }
        contact.link_head = Some((link.head.seq, link.head.hash));
        if !link.direct.is_empty() {
            contact.link_direct =
                link.direct.into_iter().map(|(host, address)| (host, vec![address])).collect();
            if contact.state == ContactState::Requested {
                contact.reason = Some(Reason::Resolving);
            }
        }
        if let Some(name) = name {
            name.as_str().clone_into(&mut contact.name);
            contact.name_chosen = true;
        }
        let state = contact.state;
        for (peer, _) in &contact.link_direct {
            self.dials.remove(&(*peer, StreamKind::Direct));
        }
        for (host, _) in &contact.link_hosts {
            self.dials.remove(&(*host, StreamKind::Mailbox));
        }
        self.contacts.insert(account, contact);
        self.save_contact(cx, account)?;
        self.keep_entrance(cx, account, link.bootstrap)?;
        self.look_up_soon(cx, account);
        self.ask_for_card(cx, account);
        if asked {
            self.accept(cx, account)?;
        } else {
            self.ask_again(cx, account)?;
            self.changed(Change::Contact(account, Some(state)));
        }
        Ok(Ok(account))
    }

    fn checked_link(
        &self,
        link: &str,
        name: Option<&str>,
    ) -> Result<(ContactLink, Option<Name>), Refusal> {
        let link: ContactLink = link.parse().map_err(|error| {
            Refusal::new(Code::BadLink, format!("{error}"), "ask for the link of `godwit id`")
        })?;
        if link.account == self.me.account {
            let message = "this is your own link";
            return Err(Refusal::new(Code::OwnLink, message, "add the link of somebody else"));
        }
        if link.network != self.me.network {
            let message = format!(
                "the link is of the network \"{}\", and this node lives in \"{}\"",
                link.network, self.me.network
            );
            return Err(Refusal::new(Code::OtherNetwork, message, "godwit run --network NAME"));
        }
        let name = name.map(|name| self.free_name(name, Some(link.account))).transpose()?;
        Ok((link, name))
    }

    /// A name that is one and that nobody else has.
    pub(super) fn free_name(
        &self,
        name: &str,
        for_whom: Option<AccountId>,
    ) -> Result<Name, Refusal> {
        let name = Name::parse(name)
            .map_err(|error| Refusal::new(Code::BadName, error.to_string(), "choose another"))?;
        if self.name_is_taken(&name, for_whom) {
            let message = format!("another contact is called \"{name}\"");
            return Err(Refusal::new(Code::NameTaken, message, "godwit contact list"));
        }
        Ok(name)
    }

    fn name_is_taken(&self, name: &Name, for_whom: Option<AccountId>) -> bool {
        self.contacts.iter().any(|(account, row)| {
            Some(*account) != for_whom
                && Name::parse(&row.name).is_ok_and(|known| known.folded() == name.folded())
        })
    }

    /// Calls a contact as it suggests, unless the person chose a name.
    pub(super) fn suggest_name(
        &mut self,
        cx: &mut Cx<'_>,
        account: AccountId,
        suggested: &str,
    ) -> Result<(), RowsError> {
        let chosen = self.contacts.get(&account).is_none_or(|contact| contact.name_chosen);
        let Some(name) = Name::parse(suggested).ok().filter(|_| !chosen) else { return Ok(()) };
        let numbered =
            (2..1_000).filter_map(|number| Name::parse(&format!("{name} {number}")).ok());
        let free = core::iter::once(name.clone())
            .chain(numbered)
            .find(|name| !self.name_is_taken(name, Some(account)));
        if let (Some(name), Some(contact)) = (free, self.contacts.get_mut(&account)) {
            name.as_str().clone_into(&mut contact.name);
        }
        self.save_contact(cx, account)
    }

    /// Removes a contact with its conversation; that the two spoke is remembered.
    pub(super) fn remove(&mut self, cx: &mut Cx<'_>, account: AccountId) -> Result<(), RowsError> {
        let devices = self.devices_of(account);
        if self.contacts.remove(&account).is_none() {
            return Ok(());
        }
        self.save_contact(cx, account)?;
        self.forget_directory(cx, account);
        self.part(cx, account, devices)?;
        self.erase_conversation(cx, self.conversation(account))?;
        self.changed(Change::Contact(account, None));
        Ok(())
    }

    /// Ends what there is with devices of an account: sessions, queues, lines. Returns the messages
    /// that were under way.
    pub(super) fn part(
        &mut self,
        cx: &mut Cx<'_>,
        account: AccountId,
        devices: Vec<DeviceId>,
    ) -> Result<Vec<MessageKey>, RowsError> {
        let mut under_way = Vec::new();
        for device in devices.into_iter().chain([Self::waiting_room(account)]) {
            self.sessions.forget(cx.rows, device)?;
            self.end_numbers(cx, device)?;
            self.owners.remove(&device);
            self.peer_manifests.remove(&device);
            self.timers.remove(&device);
            self.receipts.remove(&device);
            self.learn_queues(cx.rows, device)?;
            let mut lane = self.lanes.remove(&device).unwrap_or_default();
            for number in lane.lines.keys().copied().collect::<Vec<u64>>() {
                let row = lane.end(cx.rows, (device, number))?;
                if let Some(OutboxRow { carried: Carried::Message(key), .. }) = row {
                    under_way.push(key);
                }
            }
            for link in self.links.values_mut().filter(|link| link.device == Some(device)) {
                link.device = None;
            }
        }
        Ok(under_way)
    }

    fn erase_conversation(
        &mut self,
        cx: &mut Cx<'_>,
        conversation: ConversationId,
    ) -> Result<(), RowsError> {
        let (from, to) = (conversation.as_bytes(), prefix_end(conversation.as_bytes()));
        loop {
            let limit = crate::limits::MAX_SCAN;
            let page = cx.rows.scan(&TIMELINE, from, &to, limit, Direction::Forward)?;
            for (key, _) in &page {
                cx.rows.delete(&TIMELINE, key);
                if let Some((_, message)) = MessageKey::parse_timeline(key) {
                    cx.rows.delete(&MESSAGES, &message.bytes());
                }
            }
            if page.len() < limit {
                break;
            }
        }
        self.gaps.remove(&conversation);
        cx.rows.delete(&CONVERSATIONS, from);
        Ok(())
    }
}

/// A contact as it is shown.
pub(super) fn contact_view(
    account: AccountId,
    row: &ContactRow,
    conversation: ConversationId,
) -> ContactView {
    ContactView {
        name: row.name.clone(),
        account,
        state: row.state,
        verified: row.verified,
        devices: row.devices.len(),
        added_at: row.added_at,
        reason: row.reason,
        text: row.request_text.clone(),
        conversation,
    }
}
