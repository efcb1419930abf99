//! What a mailbox host keeps: owners, queues, envelopes.
//!
//! The rows of pairwise queues (`private_…`) have no sender, no account, no address and no time
//! finer than an hour: such a field does not exist. What names an account by its nature
//! (`public_…`: contact queues, records) lies in other trees, under other keys.
//! Source: DATA 4; PROTOCOL §7.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::{DataClass, KeyPart, Scope, Table};
use crate::id::{AccountId, OwnerKey, QueueId};
use crate::time::{UnixHours, UnixMillis};
use crate::wire::frame::{FenceRecord, OwnerRole, QueueAccess};

/// name → value: the birth of the store, the counters.
pub static HOSTING: Table = Table {
    name: "hosting",
    key: &[KeyPart::rest("name")],
    scope: Scope::Home,
    class: DataClass::Operations,
    purpose: "the host's own counters",
    ttl: "as long as the home",
    subject: "nobody",
};

/// hash of a token → [`TokenRow`].
pub static TOKENS: Table = Table {
    name: "host_tokens",
    key: &[KeyPart::shown("token", 32)],
    scope: Scope::Home,
    class: DataClass::Operations,
    purpose: "to admit as many owners as an invite allows",
    ttl: "until the token ends",
    subject: "nobody",
};

/// account → [`CardRow`].
pub static CARDS: Table = Table {
    name: "public_cards",
    key: &[KeyPart::hidden("account", AccountId::LENGTH)],
    scope: Scope::Home,
    class: DataClass::Metadata,
    purpose: "to give an owner's signed records to whoever asks for its account",
    ttl: "as long as its owner, and 14 d at most after it was published",
    subject: "the owner's account",
};

/// (owner, hash of an invite's proof) → [`InvitedRow`].
pub static INVITED: Table = Table {
    name: "public_invited",
    key: &[KeyPart::hidden("owner", OwnerKey::LENGTH), KeyPart::shown("proof", 32)],
    scope: Scope::Owner,
    class: DataClass::Operations,
    purpose: "to take a deposit by invite without a stamp, once",
    ttl: "30 d",
    subject: "the owner",
};

/// The trees of one role: the two share no key.
#[derive(Debug)]
pub struct Trees {
    /// owner → [`OwnerRow`].
    pub owners: Table,
    /// (owner, queue) → [`QueueRow`].
    pub queues: Table,
    /// queue → [`OwnerKey`].
    pub places: Table,
    /// (owner, arrival) → [`MailRow`].
    pub mail: Table,
    /// (owner, envelope, arrival) → [`MailPlace`].
    pub ids: Table,
    /// (hour, owner) → [`OwnerKey`]: something of this owner ends in that hour.
    pub ends: Table,
}

macro_rules! trees {
    ($($(#[doc = $doc:literal])+ $name:ident, $role:literal, $subject:literal;)+) => {$(
        $(#[doc = $doc])+
        pub static $name: Trees = Trees {
            owners: Table {
                name: concat!($role, "_owners"),
                key: &[KeyPart::shown("owner", OwnerKey::LENGTH)],
                scope: Scope::Owner,
                class: DataClass::Operations,
                purpose: "to know owners, their quota and their count",
                ttl: "60 d after the owner's last sign",
                subject: $subject,
            },
            queues: Table {
                name: concat!($role, "_queues"),
                key: &[
                    KeyPart::hidden("owner", OwnerKey::LENGTH),
                    KeyPart::hidden("queue", QueueId::LENGTH),
                ],
                scope: Scope::Owner,
                class: DataClass::Operations,
                purpose: "to know who may deposit, and how full a queue is",
                ttl: "as its owner",
                subject: $subject,
            },
            places: Table {
                name: concat!($role, "_places"),
                key: &[KeyPart::hidden("queue", QueueId::LENGTH)],
                scope: Scope::Home,
                class: DataClass::Operations,
                purpose: "to find the owner of a queue",
                ttl: "as its queue",
                subject: $subject,
            },
            mail: Table {
                name: concat!($role, "_mail"),
                key: &[
                    KeyPart::hidden("owner", OwnerKey::LENGTH),
                    KeyPart::shown("arrival", 8),
                ],
                scope: Scope::Owner,
                class: DataClass::Metadata,
                purpose: "to keep sealed envelopes until they are fetched",
                ttl: "until acknowledged or over, 30 d at most",
                subject: $subject,
            },
            ids: Table {
                name: concat!($role, "_mail_ids"),
                key: &[
                    KeyPart::hidden("owner", OwnerKey::LENGTH),
                    KeyPart::shown("envelope", 16),
                    KeyPart::shown("arrival", 8),
                ],
                scope: Scope::Owner,
                class: DataClass::Operations,
                purpose: "to find an envelope that is acknowledged, repeated or taken back",
                ttl: "as its envelope",
                subject: $subject,
            },
            ends: Table {
                name: concat!($role, "_mail_ends"),
                key: &[
                    KeyPart::shown("hour", 4),
                    KeyPart::hidden("owner", OwnerKey::LENGTH),
                ],
                scope: Scope::Home,
                class: DataClass::Operations,
                purpose: "to delete envelopes in time",
                ttl: "as the envelopes",
                subject: $subject,
            },
        };
    )+};
}

trees! {
    /// Pairwise queues.
    PRIVATE, "private", "an owner key without a name";
    /// Contact queues.
    PUBLIC, "public", "the owner's account";
}

/// The trees of a role.
#[must_use]
pub fn trees(role: OwnerRole) -> &'static Trees {
    match role {
        OwnerRole::Private => &PRIVATE,
        OwnerRole::Public => &PUBLIC,
    }
}

/// Every table of a host.
#[must_use]
pub fn tables() -> Vec<&'static Table> {
    let mut tables = vec![&HOSTING, &TOKENS, &CARDS, &INVITED];
    for trees in [&PRIVATE, &PUBLIC] {
        tables.extend([
            &trees.owners,
            &trees.queues,
            &trees.places,
            &trees.mail,
            &trees.ids,
            &trees.ends,
        ]);
    }
    tables
}

/// The counters of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostCounters {
    /// Owner keys.
    pub owners: u32,
    /// Bytes of envelopes.
    pub bytes: u64,
    /// Envelopes.
    pub envelopes: u64,
    /// Envelopes of strangers in contact queues.
    pub strangers: u32,
    /// The newest time that this store committed.
    pub newest: UnixMillis,
    /// When the store was created.
    pub created: UnixMillis,
}

/// How often a token was used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRow {
    /// By public keys.
    pub public: u16,
    /// By private keys.
    pub private: u16,
    /// Until when the token is good.
    pub expires: UnixHours,
}

/// What an owner has published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardRow {
    /// The public owner key.
    pub owner: OwnerKey,
    /// Account record first, then bundles.
    pub records: Vec<ByteBuf>,
    /// Until when it is given out.
    pub until: UnixHours,
}

/// An invite that an owner registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitedRow {
    /// The contact queue that it opens.
    pub queue: QueueId,
    /// Until when.
    pub expires: UnixHours,
}

/// An owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerRow {
    /// The key.
    pub owner: OwnerKey,
    /// When the owner was last seen, to the hour.
    pub last_seen: UnixHours,
    /// Queues.
    pub queues: u32,
    /// Envelopes.
    pub envelopes: u32,
    /// Bytes of envelopes.
    pub bytes: u64,
    /// Commits that touched one of its queues.
    pub seq: u64,
    /// The number of the next envelope.
    pub next: u64,
    /// The highest fence shown, for a private key.
    pub fence: Option<FenceRecord>,
    /// Whose records it published, for a public key.
    pub account: Option<AccountId>,
    /// Queues that were full when something came for them, 16 at most.
    pub full: Vec<FullQueue>,
}

/// A queue that something was refused for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FullQueue {
    /// Which.
    pub queue: QueueId,
    /// Whether its owner was told.
    pub told: bool,
}

/// A queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueRow {
    /// Its id, which the row's own key hides.
    pub queue: QueueId,
    /// Who may deposit.
    pub access: QueueAccess,
    /// The most bytes that its owner grants it.
    pub quota: u32,
    /// Envelopes; in a contact queue those with a stamp.
    pub envelopes: u32,
    /// In a contact queue: those by invite.
    pub invited: u32,
    /// Bytes of envelopes.
    pub bytes: u64,
    /// Commits that touched it.
    pub seq: u64,
}

/// An envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailRow {
    /// Its queue.
    pub queue: QueueId,
    /// Until when it is kept.
    pub until: UnixHours,
    /// Whether it came by invite.
    pub invited: bool,
    /// Its bytes.
    pub envelope: ByteBuf,
}

/// Where an envelope is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailPlace {
    /// Its number in the owner's mail.
    pub number: u64,
    /// Its queue.
    pub queue: QueueId,
    /// Until when it is kept.
    pub until: UnixHours,
    /// Whether it came by invite.
    pub invited: bool,
    /// How many bytes it has.
    pub length: u32,
}
