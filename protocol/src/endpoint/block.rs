//! Blocked contacts: kept in the book, heard no more.
//!
//! Rules: blocking ends sessions, queues and lines at once, as removing does, and keeps the book's row
//! and the conversation; what the contact sends meanwhile is never taken, by its `sent_at`. Unblocking
//! asks the contact anew: it accepts without a question, since it still has us in its book.
//! Source: CLI "Contacts"; PROTOCOL §4, "Which session".

use super::machine::{Cx, Endpoint};
use super::{Change, Code, ContactState, MessageState, Reason, Refusal, StepKind};
use crate::id::AccountId;
use crate::machine::{Address, StreamKind};
use crate::rows::RowsError;
use crate::rows::contact::ContactRow;
use crate::time::UnixMillis;

/// Spans of blocking that a contact keeps.
const MAX_BLOCKS: usize = 8;

/// Whether something was sent while its sender was blocked.
pub(super) fn was_blocked(contact: &ContactRow, sent_at: UnixMillis) -> bool {
    let within = |(from, until): &(UnixMillis, Option<UnixMillis>)| {
        *from <= sent_at && until.is_none_or(|until| sent_at < until)
    };
    contact.blocks.iter().any(within)
}

/// What sending to a blocked contact brings.
pub(super) fn blocked(name: &str) -> Refusal {
    let message = format!("\"{name}\" is blocked");
    Refusal::new(Code::NoContact, message, "godwit contact unblock WHO")
}

impl Endpoint {
    /// Hears a contact no more; what was under way to it has failed.
    pub(super) fn block(&mut self, cx: &mut Cx<'_>, account: AccountId) -> Result<(), RowsError> {
        let devices = self.devices_of(account);
        let mut hosts = Vec::new();
        for device in &devices {
            let known = self.hosts_of(*device).1.iter();
            hosts.extend(known.map(|host| (host.host, host.addresses.clone())));
        }
        let Some(contact) = self.contacts.get_mut(&account) else { return Ok(()) };
        if contact.state == ContactState::Blocked {
            return Ok(());
        }
        for (host, addresses) in hosts {
            contact.link_hosts.retain(|(known, _)| *known != host);
            contact.link_hosts.push((host, addresses));
        }
        let at_hand = contact.devices.iter().filter_map(|row| Some((row.peer?, &row.addresses)));
        let at_hand: Vec<(_, Vec<Address>)> =
            at_hand.map(|(peer, addresses)| (peer, addresses.clone())).collect();
        for (peer, addresses) in at_hand.into_iter().filter(|(_, it)| !it.is_empty()) {
            contact.link_direct.retain(|(known, _)| *known != peer);
            contact.link_direct.push((peer, addresses));
        }
        contact.state = ContactState::Blocked;
        contact.reason = None;
        contact.request_text = None;
        contact.devices.clear();
        contact.our_request = None;
        contact.their_request = None;
        contact.blocks.push((cx.now.wall, None));
        let old = contact.blocks.len().saturating_sub(MAX_BLOCKS);
        contact.blocks.drain(..old);
        self.save_contact(cx, account)?;
        for key in self.part(cx, account, devices)? {
            self.end_message(cx, key, MessageState::Failed, StepKind::Refused)?;
        }
        self.changed(Change::Contact(account, Some(ContactState::Blocked)));
        Ok(())
    }

    /// Asks a blocked contact anew; nothing for another one.
    pub(super) fn unblock(&mut self, cx: &mut Cx<'_>, account: AccountId) -> Result<(), RowsError> {
        let blocked = |contact: &&mut ContactRow| contact.state == ContactState::Blocked;
        let Some(contact) = self.contacts.get_mut(&account).filter(blocked) else { return Ok(()) };
        contact.state = ContactState::Requested;
        let is_known = !contact.link_hosts.is_empty() || !contact.link_direct.is_empty();
        contact.reason = Some(if is_known { Reason::Resolving } else { Reason::NoMailbox });
        contact.requested_at = None;
        if let Some((_, until @ None)) = contact.blocks.last_mut() {
            *until = Some(cx.now.wall);
        }
        for (peer, _) in &contact.link_direct {
            self.dials.remove(&(*peer, StreamKind::Direct));
        }
        for (host, _) in &contact.link_hosts {
            self.dials.remove(&(*host, StreamKind::Mailbox));
        }
        self.save_contact(cx, account)?;
        self.ask_for_card(cx, account);
        self.changed(Change::Contact(account, Some(ContactState::Requested)));
        Ok(())
    }
}
