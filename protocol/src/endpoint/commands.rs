//! What a person or program asks for.

use serde_bytes::ByteBuf;

use super::block::blocked;
use super::machine::{Cx, Endpoint};
use super::outbox::NewLine;
use super::outbox::note;
use super::{
    Code, Command, ContactState, Effect, EndpointStatus, HostState, HostView, MessageState,
    OutgoingText, Reason, Refusal, Reply, SentMessage, StepKind,
};
use crate::content::{Kind, Text};
use crate::id::{AccountId, DeviceId, MessageId};
use crate::identity::ContactLink;
use crate::limits::{MAX_OUTBOX_LINES, MAX_TEXT, SESSION_GRACE};
use crate::machine::Output;
use crate::rows::RowsError;
use crate::rows::message::{CONVERSATIONS, ConversationRow, MESSAGES, MessageKey, MessageRow};
use crate::rows::outbox::Carried;
use crate::rows::typed::{load, save};
use crate::time::UnixMillis;

impl Endpoint {
    /// Carries a command out; its answer leaves when what it did is on disk.
    pub(super) fn command(
        &mut self,
        cx: &mut Cx<'_>,
        request: u64,
        command: Command,
    ) -> Result<(), RowsError> {
        let result = match command {
            Command::Send(texts) => {
                let mut sent = Vec::with_capacity(texts.len());
                for text in texts {
                    sent.push(self.send(cx, text)?);
                }
                Ok(Reply::Sent(sent))
            }
            Command::AddContact { link, name } => {
                let added = self.add_contact(cx, &link, name.as_deref())?;
                added.and_then(|account| self.contact_reply(account))
            }
            Command::Accept { who, name } => self.accept_command(cx, &who, name.as_deref())?,
            Command::Rename { who, name } => self.rename(cx, &who, &name)?,
            Command::Remove { who } => match self.find(&who) {
                Ok(account) => {
                    self.remove(cx, account)?;
                    Ok(Reply::Done)
                }
                Err(refusal) => Err(refusal),
            },
            Command::Block { who } => self.on_contact(cx, &who, Self::block)?,
            Command::Unblock { who } => self.on_contact(cx, &who, Self::unblock)?,
            Command::Verify { who } => self.on_contact(cx, &who, Self::verified)?,
            Command::MarkRead { from, messages } => self.mark_read(cx, from, &messages)?,
            Command::Status => Ok(Reply::Status(self.status(cx))),
            Command::LinkHere => Ok(Reply::Link(self.link_here())),
            Command::Invite => Ok(self.make_invite(cx)?),
            Command::UseHosts { hosts, k } => self.use_hosts(cx, hosts, k)?,
            Command::DropHost { host, now } => self.drop_host(cx, host, now)?,
        };
        cx.out.push(Output::After(Effect::Reply { request, result }));
        Ok(())
    }

    fn send(
        &mut self,
        cx: &mut Cx<'_>,
        text: OutgoingText,
    ) -> Result<Result<SentMessage, Refusal>, RowsError> {
        if self.space_low {
            let message = "the disk has too little room: nothing new is taken";
            return Ok(Err(Refusal::new(Code::Full, message, "free space, then repeat")));
        }
        let account = match self.find(&text.to) {
            Ok(account) => account,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if text.text.is_empty() {
            return Ok(Err(Refusal::new(Code::Empty, "the text is empty", "godwit send TO TEXT")));
        }
        let Ok(body) = Text::new(text.text) else {
            let message = format!("a text has at most {MAX_TEXT} bytes");
            return Ok(Err(Refusal::new(Code::TooLarge, message, "send it in parts")));
        };
        if let Some(contact) = self.contacts.get(&account)
            && contact.state == ContactState::Blocked
        {
            return Ok(Err(blocked(&contact.name)));
        }
        let conversation = self.conversation(account);
        let id = text.id.unwrap_or_else(|| MessageId(cx.random()));
        let key = MessageKey { id, conversation, sender: self.me.account };
        // An id that was drawn just now is nobody's yet.
        if text.id.is_some()
            && let Some(row) = load::<MessageRow>(cx.rows, &MESSAGES, &key.bytes())?
        {
            return Ok(if *row.body == body.to_bytes() {
                Ok(SentMessage { id, conversation, state: row.state })
            } else {
                let message = "this id was used for another text";
                Err(Refusal::new(Code::IdUsed, message, "leave --id out"))
            });
        }
        let full = |device: &DeviceId| {
            self.lanes.get(device).is_some_and(|lane| lane.lines.len() >= MAX_OUTBOX_LINES)
        };
        if self.lanes_of(account).iter().any(full) {
            let message = format!("{MAX_OUTBOX_LINES} messages wait for this contact already");
            return Ok(Err(Refusal::new(Code::Full, message, "wait until some are delivered")));
        }
        let heads = load::<ConversationRow>(cx.rows, &CONVERSATIONS, conversation.as_bytes())?;
        let accepted =
            self.contacts.get(&account).is_some_and(|row| row.state == ContactState::Accepted);
        let wall = cx.now.wall;
        let mut row = MessageRow {
            kind: Kind::TEXT.0,
            body: ByteBuf::from(body.to_bytes()),
            sent_at: wall,
            received_at: None,
            order: wall.0,
            parents: heads.map(|row| row.heads).unwrap_or_default(),
            state: MessageState::Queued,
            reason: match self.fence.two_homes {
                true => Some(Reason::TwoHomes),
                false if !accepted => Some(Reason::AwaitingAcceptance),
                false => {
                    let devices = self.devices_of(account);
                    let at_hand = devices.iter().any(|device| self.link_to(*device).is_some());
                    (!at_hand).then_some(Reason::Dialling)
                }
            },
            expires: wall.saturating_add(self.me.life),
            steps: Vec::new(),
        };
        note(&mut row, StepKind::Queued, wall);
        self.place(cx, key, row)?;
        for device in self.lanes_of(account) {
            self.queue(cx, device, NewLine::message(key, Kind::TEXT))?;
        }
        Ok(Ok(SentMessage { id, conversation, state: MessageState::Queued }))
    }

    /// The devices of a contact, or where lines wait until one is known.
    fn lanes_of(&self, account: AccountId) -> Vec<DeviceId> {
        let devices = self.devices_of(account);
        if devices.is_empty() { vec![Self::waiting_room(account)] } else { devices }
    }

    /// The devices of a contact that are known.
    pub(super) fn devices_of(&self, account: AccountId) -> Vec<DeviceId> {
        let contact = self.contacts.get(&account);
        contact.map(|it| it.devices.iter().map(|row| row.device).collect()).unwrap_or_default()
    }

    fn accept_command(
        &mut self,
        cx: &mut Cx<'_>,
        who: &str,
        name: Option<&str>,
    ) -> Result<Result<Reply, Refusal>, RowsError> {
        let account = match self.find(who) {
            Ok(account) => account,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if let Some(name) = name {
            match self.free_name(name, Some(account)) {
                Ok(name) => self.set_name(cx, account, name.as_str())?,
                Err(refusal) => return Ok(Err(refusal)),
            }
        }
        let pending =
            self.contacts.get(&account).is_some_and(|row| row.state == ContactState::Pending);
        if pending {
            self.accept(cx, account)?;
        }
        Ok(self.contact_reply(account))
    }

    fn rename(
        &mut self,
        cx: &mut Cx<'_>,
        who: &str,
        name: &str,
    ) -> Result<Result<Reply, Refusal>, RowsError> {
        let checked =
            self.find(who).and_then(|account| Ok((account, self.free_name(name, Some(account))?)));
        match checked {
            Ok((account, name)) => {
                self.set_name(cx, account, name.as_str())?;
                Ok(self.contact_reply(account))
            }
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    /// Does something with a contact, and shows it as it is then.
    fn on_contact(
        &mut self,
        cx: &mut Cx<'_>,
        who: &str,
        act: fn(&mut Self, &mut Cx<'_>, AccountId) -> Result<(), RowsError>,
    ) -> Result<Result<Reply, Refusal>, RowsError> {
        match self.find(who) {
            Ok(account) => {
                act(self, cx, account)?;
                Ok(self.contact_reply(account))
            }
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    fn verified(&mut self, cx: &mut Cx<'_>, account: AccountId) -> Result<(), RowsError> {
        if let Some(contact) = self.contacts.get_mut(&account) {
            contact.verified = true;
        }
        self.save_contact(cx, account)
    }

    fn set_name(
        &mut self,
        cx: &mut Cx<'_>,
        account: AccountId,
        name: &str,
    ) -> Result<(), RowsError> {
        if let Some(contact) = self.contacts.get_mut(&account) {
            name.clone_into(&mut contact.name);
            contact.name_chosen = true;
        }
        self.save_contact(cx, account)
    }

    fn contact_reply(&self, account: AccountId) -> Result<Reply, Refusal> {
        self.view(account).map(Reply::Contact).ok_or_else(|| {
            Refusal::new(Code::NoContact, "the contact is gone", "godwit contact list")
        })
    }

    fn mark_read(
        &mut self,
        cx: &mut Cx<'_>,
        from: AccountId,
        messages: &[MessageId],
    ) -> Result<Result<Reply, Refusal>, RowsError> {
        let conversation = self.conversation(from);
        for id in messages {
            let key = MessageKey { id: *id, conversation, sender: from };
            if let Some(mut row) = load::<MessageRow>(cx.rows, &MESSAGES, &key.bytes())?
                && row.state == MessageState::Received
            {
                row.state = MessageState::Read;
                save(cx.rows, &MESSAGES, &key.bytes(), &row)?;
            }
        }
        Ok(Ok(Reply::Done))
    }

    fn status(&self, cx: &Cx<'_>) -> EndpointStatus {
        let lines = self.lanes.values().flat_map(|lane| lane.lines.values());
        let messages = lines.filter(|row| matches!(row.carried, Carried::Message(_)));
        let (deposited, queued): (Vec<_>, Vec<_>) = messages.partition(|row| row.deposited);
        EndpointStatus {
            queued: u64::try_from(queued.len()).unwrap_or(u64::MAX),
            deposited: u64::try_from(deposited.len()).unwrap_or(u64::MAX),
            hosts: self.host_views(cx),
            k: self.k(),
            faults: self.counters.faults,
            warnings: self.warnings(cx),
            clock_doubted: self.clock.is_doubted(),
            found_at_strangers: self.discovery.found_at_strangers,
            stood_down: self.fence.two_homes,
        }
    }

    /// What a person should know, by code.
    fn warnings(&self, cx: &Cx<'_>) -> Vec<String> {
        let lately = |at: UnixMillis| cx.now.wall.since(at) < SESSION_GRACE;
        let unsteady = |view: &HostView| {
            matches!(view.state, HostState::Unsteady | HostState::BrokenWord | HostState::Refused)
        };
        let all = [
            ("two_homes", self.fence.two_homes),
            ("rolled_back", !self.fence.two_homes && self.fence.behind_at.is_some_and(lately)),
            ("clock", self.clock.is_doubted()),
            ("host_clock", !self.clock.dissenters(cx.now).is_empty()),
            ("mailbox_full", self.full.is_any(cx.now.wall)),
            ("disk", self.space_low),
            ("contacts", self.is_full(false)),
            ("host", self.host_views(cx).iter().any(unsteady)),
        ];
        all.into_iter().filter(|(_, holds)| *holds).map(|(code, _)| code.to_owned()).collect()
    }

    fn link_here(&self) -> String {
        ContactLink { direct: self.at_hand(), ..self.contact_link() }.to_string()
    }
}
