//! `contacts`: the address book.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::{DataClass, KeyPart, Scope, Table};
use crate::crypto::opaque_debug;
use crate::endpoint::{ContactState, Reason};
use crate::id::{AccountId, DeviceId, HostId};
use crate::machine::Address;
use crate::session::Cause;
use crate::time::UnixMillis;

/// One row per contact: account → [`ContactRow`].
pub static CONTACTS: Table = Table {
    name: "contacts",
    key: &[KeyPart::shown("account", AccountId::LENGTH)],
    scope: Scope::Home,
    class: DataClass::Metadata,
    purpose: "to reach contacts and to recognise them",
    ttl: "until removed",
    subject: "the contact",
};

/// account → [`DirectoryRow`].
pub static DIRECTORY: Table = Table {
    name: "directory",
    key: &[KeyPart::shown("account", AccountId::LENGTH)],
    scope: Scope::Home,
    class: DataClass::Metadata,
    purpose: "to find a contact's hosts, and to take no older record for its newest",
    ttl: "until the contact is removed",
    subject: "the contact",
};

/// What was published by a contact.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryRow {
    /// Its newest account record, as signed; empty while none is known.
    pub record: ByteBuf,
    /// Unix seconds of signing.
    pub seq: u64,
    /// Where the mail of its devices is kept, as the record says.
    pub devices: Vec<PlacedDevice>,
    /// By which peers its network is entered, as its link says.
    pub enter: Vec<(HostId, Vec<Address>)>,
}

/// A device with its hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedDevice {
    /// Which.
    pub device: DeviceId,
    /// How many receipts its owner calls *deposited*.
    pub k: u8,
    /// Its hosts, and where they listen.
    pub hosts: Vec<(HostId, Vec<Address>)>,
}

/// What is known of a contact.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactRow {
    /// Its name here.
    pub name: String,
    /// Whether the person chose the name; a suggested one gives way.
    pub name_chosen: bool,
    /// Where it stands.
    pub state: ContactState,
    /// Whether the safety number was compared.
    pub verified: bool,
    /// Since when it is here.
    pub added_at: UnixMillis,
    /// What it waits for.
    pub reason: Option<Reason>,
    /// The first line of its request, while it is pending.
    pub request_text: Option<String>,
    /// Its sigchain as a proof, once known.
    pub chain: ByteBuf,
    /// Hosts to ask for its card, from its link.
    pub link_hosts: Vec<(HostId, Vec<Address>)>,
    /// Where its device was at hand, from its link.
    pub link_direct: Vec<(HostId, Vec<Address>)>,
    /// The start of the chain head that its link named.
    pub link_head: Option<(u64, [u8; 16])>,
    /// The invite of its link.
    pub invite: Option<[u8; 16]>,
    /// Its devices.
    pub devices: Vec<DeviceRow>,
    /// When a request was last sent.
    pub requested_at: Option<UnixMillis>,
    /// When the person last added it again: if it has removed us meanwhile, it is asked.
    pub added_again_at: Option<UnixMillis>,
    /// The message id of our request, while it is unanswered.
    pub our_request: Option<[u8; 16]>,
    /// The message id of its request, until it is receipted.
    pub their_request: Option<[u8; 16]>,
    /// When it was blocked, and until when: what it sent in between is not taken. The newest 8.
    pub blocks: Vec<(UnixMillis, Option<UnixMillis>)>,
}

opaque_debug!(ContactRow);

/// What is known of a contact's device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRow {
    /// Which.
    pub device: DeviceId,
    /// Its newest bundle, as sent; empty while unknown.
    pub bundle: ByteBuf,
    /// Its newest manifest, as sent; empty while unknown.
    pub manifest: ByteBuf,
    /// Its node.
    pub peer: Option<HostId>,
    /// Where its node can be reached.
    pub addresses: Vec<Address>,
    /// `n` of the queue that we deposit into, as the device told it of the present root.
    pub queue_n: u32,
    /// When it was last heard.
    pub heard_at: Option<UnixMillis>,
    /// Whether our newest `reachability` was receipted by it.
    pub knows_us: bool,
    /// Its hosts or it itself know our queue no more, and lost nothing: we were removed there.
    pub dropped_us: bool,
    /// A session that is to be begun as soon as it may, or as its bundle is here.
    pub renewal: Option<Renewal>,
    /// When its card was last read.
    pub card_at: Option<UnixMillis>,
    /// When its bundle showed another era: its home may have forgotten us.
    pub new_era_at: Option<UnixMillis>,
    /// When it was last asked anew because of that.
    pub forgotten_at: Option<UnixMillis>,
    /// When it was last sent what an older copy of its home had lost.
    pub refilled_at: Option<UnixMillis>,
}

/// A session that is owed to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewal {
    /// Its generation is one above this.
    pub above: u32,
    /// Why it is begun.
    pub cause: Cause,
}
