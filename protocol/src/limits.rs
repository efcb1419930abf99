//! Every bound on remote input, queues, retries and time: value, unit, reason, source.
//!
//! `godwit limits` prints [`table`].

use crate::time::Millis;

/// One row of [`table`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// The constant's name.
    pub name: &'static str,
    /// Its value.
    pub value: u64,
    /// What it counts.
    pub unit: &'static str,
    /// Why it is this, and where it comes from.
    pub reason: &'static str,
}

/// A type that limits have.
trait Amount {
    fn amount(self) -> u64;
}
impl Amount for usize {
    fn amount(self) -> u64 {
        u64::try_from(self).unwrap_or(u64::MAX)
    }
}
impl Amount for u32 {
    fn amount(self) -> u64 {
        u64::from(self)
    }
}
impl Amount for u64 {
    fn amount(self) -> u64 {
        self
    }
}
impl Amount for Millis {
    fn amount(self) -> u64 {
        self.0
    }
}

macro_rules! limits {
    ($($(#[doc = $doc:literal])+ $name:ident: $kind:ty = $value:expr, $unit:literal;)+) => {
        $($(#[doc = $doc])+ pub const $name: $kind = $value;)+

        /// Every limit, in the order of this file.
        #[must_use]
        pub fn table() -> Vec<Limit> {
            vec![$(Limit {
                name: stringify!($name),
                value: $name.amount(),
                unit: $unit,
                reason: concat!($($doc),+).trim(),
            },)+]
        }
    };
}

limits! {
    // Frames and streams
    /// One frame on a stream: an envelope of 64 KiB and its header (PROTOCOL §8).
    MAX_FRAME: usize = 66_560, "bytes";
    /// One network address as text; two of them a host must fit a record (PROTOCOL §6).
    MAX_ADDRESS: usize = 64, "bytes";
    /// Addresses kept of one host (PROTOCOL §6).
    MAX_HOST_ADDRESSES: usize = 2, "addresses";
    /// Inputs that one batch of a machine takes (ARCHITECTURE, "Threads and tasks").
    MAX_BATCH_INPUTS: usize = 1_024, "inputs";
    /// Rows that one scan returns (STORE-NOTES).
    MAX_SCAN: usize = 512, "rows";

    // Content
    /// The largest content of a message, so that it fits sealed as well (PROTOCOL §6).
    MAX_CONTENT: usize = 60 * 1_024, "bytes";
    /// The longest text a person sends in one message (PROTOCOL §6).
    MAX_TEXT: usize = 32 * 1_024, "bytes";
    /// Parents that a content names (PROTOCOL §10).
    MAX_PARENTS: usize = 4, "messages";
    /// Parents of one conversation that are missed at once (a `resend` names as many; PROTOCOL §10).
    MAX_MISSING: usize = 64, "messages";
    /// Messages whose place is raised when a parent comes late (CLI, "inbox").
    MAX_RAISED: usize = 1_000, "messages";
    /// How long a parent is missed before it is asked for (PROTOCOL §10).
    GAP_PATIENCE: Millis = Millis::from_secs(60), "ms";
    /// How often a parent is asked for, once a day (PROTOCOL §10).
    MAX_ASKED: u8 = 3, "times";
    /// Message ids that one receipt or `resend` names (PROTOCOL §7, §10).
    MAX_RECEIPT_IDS: usize = 64, "messages";
    /// The text that rides in a contact request (PROTOCOL §6).
    MAX_REQUEST_TEXT: usize = 512, "bytes";
    /// A name, after trimming and NFC (CLI, "Contacts").
    MAX_NAME: usize = 64, "characters";
    /// A contact link or host link (PROTOCOL §2).
    MAX_LINK: usize = 2_048, "bytes";

    // Identity
    /// An entry of a sigchain; `add_device` with its counter-signature is 309 (PROTOCOL §6).
    MAX_ENTRY: usize = 320, "bytes";
    /// A chain proof as it travels (PROTOCOL §6).
    MAX_PROOF: usize = 5_120, "bytes";
    /// Active devices of one account (PROTOCOL §6).
    MAX_DEVICES: usize = 10, "devices";
    /// Mailbox hosts of one account (PROTOCOL §6).
    MAX_ACCOUNT_HOSTS: usize = 8, "hosts";
    /// Mailbox hosts of one device (PROTOCOL §6).
    MAX_DEVICE_HOSTS: usize = 4, "hosts";
    /// A record in the DHT (PROTOCOL §3).
    MAX_RECORD: usize = 8 * 1_024 - 1, "bytes";
    /// How far ahead of the reader's clock a record's `seq` may lie (PROTOCOL §3).
    MAX_RECORD_AHEAD: Millis = Millis::from_secs(600), "ms";
    /// How long a bundle is valid after publishing (PROTOCOL §3).
    BUNDLE_LIFE: Millis = Millis::from_days(10), "ms";
    /// How long an account record is valid (PROTOCOL §3).
    RECORD_LIFE: Millis = Millis::from_days(14), "ms";
    /// Records that a node of the DHT holds for others (PROTOCOL §3).
    MAX_HELD_RECORDS: usize = 1_024, "records";
    /// How long a node of the DHT holds a record that nobody puts again (PROTOCOL §3; DATA, 5).
    RECORD_HELD: Millis = Millis::from_hours(24), "ms";
    /// How often a record is put again, give or take a quarter (PROTOCOL §3).
    PUT_AGAIN: Millis = Millis::from_hours(8), "ms";
    /// Records that a host puts at once; the rest is spread (PROTOCOL §3).
    MAX_PUTS_AT_ONCE: usize = 8, "accounts";
    /// Searches in the DHT under way at once (PROTOCOL §3).
    MAX_LOOKUPS: usize = 4, "searches";
    /// The first wait before a search that found nothing is repeated (PROTOCOL §3).
    LOOKUP_FIRST: Millis = Millis::from_secs(5), "ms";
    /// The longest wait before a search that found nothing is repeated (PROTOCOL §3).
    LOOKUP_LAST: Millis = Millis::from_minutes(30), "ms";
    /// How often a search begins that nothing waits for: those of a large address book are spread over
    /// a day (PROTOCOL §3).
    LOOKUP_PACE: Millis = Millis::from_minutes(1), "ms";
    /// How long a search may be without an answer (PROTOCOL §3).
    LOOKUP_TIME: Millis = Millis::from_minutes(2), "ms";
    /// Values that one search brings: what as many holders as Kademlia asks give (PROTOCOL §3).
    MAX_FOUND_VALUES: usize = 20, "values";
    /// How often SPK, PQPK and the seal key are made anew (PROTOCOL §2).
    PREKEY_ROTATION: Millis = Millis::from_days(7), "ms";
    /// Private prekeys live this much longer than their bundle (PROTOCOL §4, "Key life").
    PREKEY_GRACE: Millis = Millis::from_days(32), "ms";
    /// Seal keys of one device alive at once (PROTOCOL §6).
    MAX_SEAL_KEYS: usize = 7, "keys";

    // Sessions
    /// How far ahead a message may lie in a chain (PROTOCOL §4, "State").
    MAX_SKIP: u32 = 10_000, "messages";
    /// Skipped keys of each kind kept for a session (PROTOCOL §4).
    MAX_SKIPPED_KEYS: usize = 10_000, "keys";
    /// Skipped keys in one stored row (PROTOCOL §4).
    SKIPPED_RUN: usize = 500, "keys";
    /// Keys that one pair may skip in a day (PROTOCOL §4).
    MAX_SKIPPED_A_DAY: u32 = 20_000, "keys";
    /// Old header keys kept for a session (PROTOCOL §4).
    MAX_HEADER_KEYS: usize = 1_024, "keys";
    /// Live sessions of one device pair (PROTOCOL §4).
    MAX_SESSIONS: usize = 4, "sessions";
    /// A sender stops after this many unanswered messages in one chain (PROTOCOL §4).
    MAX_UNANSWERED: u32 = 9_000, "messages";
    /// How long replaced sessions, skipped keys and old header keys are kept (PROTOCOL §4).
    SESSION_GRACE: Millis = Millis::from_days(35), "ms";
    /// Sessions that one peer may open in a day (PROTOCOL §4, "Which session").
    MAX_SESSIONS_A_DAY: u32 = 30, "sessions";
    /// How long a pair without sessions is remembered after its last sign (PROTOCOL §4, "Which
    /// session").
    PAIR_MEMORY: Millis = Millis::from_days(400), "ms";
    /// Session ids of a pair that are remembered: 30 a day for the 42 days of a prekey, and our own
    /// (PROTOCOL §4, "Which session").
    MAX_REMEMBERED_SESSIONS: usize = 1_536, "sessions";
    /// Device pairs whose sessions stay in memory between batches: 16 KiB each at most
    /// (ARCHITECTURE, "The contract": memory is a cache).
    MAX_CACHED_PAIRS: usize = 1_024, "pairs";
    /// How far above the highest known a generation may lie (PROTOCOL §4).
    MAX_GENERATION_AHEAD: u32 = 65_536, "generations";
    /// The highest generation of a pair not known yet (PROTOCOL §4).
    MAX_FIRST_GENERATION: u32 = 1 << 30, "generations";
    /// Generations on either side of the highest known for which `made` is tried (PROTOCOL §4).
    MADE_WINDOW: u32 = 8, "generations";
    /// Messages both ways before a KEM epoch is offered (PROTOCOL §4).
    KEM_EPOCH_MESSAGES: u32 = 50, "messages";
    /// Time before a KEM epoch is offered (PROTOCOL §4).
    KEM_EPOCH_TIME: Millis = Millis::from_days(1), "ms";
    /// Encryptions after which `fence` grows (PROTOCOL §4, the fence).
    FENCE_ENCRYPTIONS: u32 = 64, "messages";
    /// A fence leaps by this when a home finds itself older, past whatever its other hosts hold
    /// (PROTOCOL §4, the fence).
    FENCE_LEAP: u64 = 1 << 16, "fences";
    /// A fence that far above our own is a living copy's (PROTOCOL §4, the fence).
    MAX_FENCE_AHEAD: u64 = 1 << 32, "fences";
    /// Contents that go once more to an older copy of a home (PROTOCOL §4, the fence).
    MAX_REFILL: usize = 1_000, "messages";
    /// How long the queue of a pair keeps its number at least (PROTOCOL §7).
    QUEUE_LIFE: Millis = Millis::from_days(28), "ms";
    /// How much longer it may, drawn each time (PROTOCOL §7).
    QUEUE_JITTER: Millis = Millis::from_days(7), "ms";
    /// Numbers above the known one that a sender tries at a host (PROTOCOL §7).
    MAX_QUEUE_TRIES: u32 = 8, "queues";
    /// How often it tries them at one host (PROTOCOL §7).
    QUEUES_TRIED_AGAIN: Millis = Millis::from_days(1), "ms";
    /// How far above the known number an announced one may lie (PROTOCOL §7).
    MAX_QUEUE_RAISE: u32 = 64, "queues";
    /// Queue roots kept of a device pair (PROTOCOL §7).
    MAX_QUEUE_ROOTS: usize = 3, "roots";

    // Contacts
    /// Contacts of every kind, so that the queues of all fit one owner key at a host (PROTOCOL §7).
    MAX_CONTACTS: usize = 1_024, "contacts";
    /// Requests of strangers that wait for an answer; an invited one does not count (PROTOCOL §7).
    MAX_PENDING: usize = 256, "contacts";

    // Outbox
    /// What is under way moves to a new session at most [`MAX_MOVES`] times in this time a pair
    /// (PROTOCOL §4, "Which session").
    MOVE_AGAIN: Millis = Millis::from_hours(1), "ms";
    /// How often it moves within that time: two who add, block and unblock each other within one hour
    /// are not to wait for the next (decision 0002).
    MAX_MOVES: usize = 4, "moves";
    /// Devices whose lines are encrypted in one batch; the others follow in the next
    /// (ARCHITECTURE, "The contract").
    MAX_PUMPED: usize = 64, "devices";
    /// Envelopes in flight of one session (PROTOCOL §7).
    MAX_IN_FLIGHT: usize = 1_000, "envelopes";
    /// Messages that may wait for one device (PROTOCOL §7; a full disk comes later).
    MAX_OUTBOX_LINES: usize = 100_000, "messages";
    /// How long a message lives by default (CLI, "send").
    MESSAGE_LIFE: Millis = Millis::from_days(14), "ms";
    /// The longest life of a message (DATA, 3).
    MAX_MESSAGE_LIFE: Millis = Millis::from_days(30), "ms";
    /// The shortest life of a message (CLI, "send").
    MIN_MESSAGE_LIFE: Millis = Millis::from_hours(1), "ms";
    /// How long a contact with a live link is given to answer before its hosts are used too (PROTOCOL §7).
    DIRECT_GRACE: Millis = Millis::from_secs(2), "ms";
    /// How long changes are kept for readers of events (DATA, 3).
    CHANGES_KEPT: Millis = Millis::from_days(7), "ms";
    /// The first wait before a failed dial is repeated (PROTOCOL §7).
    RETRY_FIRST: Millis = Millis::from_secs(1), "ms";
    /// The longest wait before a failed dial is repeated (PROTOCOL §7).
    RETRY_LAST: Millis = Millis::from_secs(30), "ms";
    /// Addresses that one dial tries; of more, those that most contacts name (PROTOCOL §7).
    MAX_DIAL_ADDRESSES: usize = 16, "addresses";
    /// Contacts' nodes and hosts that are dialled at once; own hosts are not counted (PROTOCOL §7).
    MAX_DIALS_AT_ONCE: u32 = 16, "dials";
    /// How often another of them is dialled when so many were (PROTOCOL §7).
    DIAL_PACE: Millis = Millis(500), "ms";
    /// Nodes that are heard in the same room and remembered (spec/streams.md, "Reach").
    MAX_NEAR: usize = 256, "nodes";
    /// Addresses that one question to dial back names (spec/streams.md, "Reach").
    MAX_DIAL_BACKS: usize = 8, "addresses";
    /// How often a node that is heard in the room is dialled before its time (spec/streams.md, "Reach").
    NEAR_AGAIN: Millis = Millis::from_minutes(1), "ms";
    /// A receipt on a direct stream waits this long for others to go with it (decision 0005).
    RECEIPT_WAITS: Millis = Millis(5), "ms";
    /// The same envelope is receipted again at most once in this time (PROTOCOL §7).
    RECEIPT_AGAIN: Millis = Millis::from_hours(12), "ms";
    /// A seen envelope id is kept this much longer than the envelope (PROTOCOL §4).
    SEEN_GRACE: Millis = Millis::from_days(8), "ms";
    /// An envelope older than this past its end is dropped (PROTOCOL §4).
    LATE_GRACE: Millis = Millis::from_days(7), "ms";

    // Mailboxes
    /// Envelopes pushed and not yet acknowledged (PROTOCOL §7).
    MAX_FETCH_ITEMS: usize = 512, "envelopes";
    /// Bytes pushed and not yet acknowledged (PROTOCOL §7).
    MAX_FETCH_BYTES: usize = 1 << 20, "bytes";
    /// Envelope ids in one acknowledgement (PROTOCOL §7).
    MAX_ACK_IDS: usize = 512, "envelopes";
    /// Queues in one registration (a frame holds them).
    MAX_REGISTER: usize = 512, "queues";
    /// Grant of a host by default (PROTOCOL §7).
    DEFAULT_GRANT: Millis = Millis::from_days(14), "ms";
    /// Queues of one owner key (PROTOCOL §7).
    MAX_OWNER_QUEUES: u32 = 4_096, "queues";
    /// Bytes of one owner key (PROTOCOL §7).
    MAX_OWNER_BYTES: u64 = 64 << 20, "bytes";
    /// Envelopes of one queue (PROTOCOL §7).
    MAX_QUEUE_ENVELOPES: u32 = 1_000, "envelopes";
    /// Bytes of one queue (PROTOCOL §7).
    MAX_QUEUE_BYTES: u64 = 4 << 20, "bytes";
    /// Full queues that one owner key is told of (a flood is not one of words).
    MAX_FULL_QUEUES: usize = 16, "queues";
    /// Owner keys of one host, public and private counted together (PROTOCOL §7).
    MAX_OWNERS: u32 = 512, "owner keys";
    /// Bytes that one host keeps (PROTOCOL §7).
    MAX_HOST_BYTES: u64 = 4 << 30, "bytes";
    /// Requests of strangers that a contact queue holds (PROTOCOL §7).
    MAX_CONTACT_ENVELOPES: u32 = 50, "envelopes";
    /// Bytes of a contact queue (PROTOCOL §7).
    MAX_CONTACT_BYTES: u64 = 400 * 1_024, "bytes";
    /// Reserved places in a contact queue for invited strangers (PROTOCOL §7).
    MAX_INVITED_ENVELOPES: u32 = 20, "envelopes";
    /// Bytes of invited strangers, beside those of a contact queue: the largest ones (PROTOCOL §7).
    MAX_INVITED_BYTES: u64 = 20 * (16 * 1_024 + 100), "bytes";
    /// A harder stamp than this is refused (PROTOCOL §7).
    MAX_STAMP_BITS: u8 = 24, "bits";
    /// A stamp's difficulty at rest: about 0.1 s of one core (PROTOCOL §7).
    STAMP_BITS: u8 = 19, "bits";
    /// An envelope of a contact queue: a first contact of 16 KiB and its header (PROTOCOL §6).
    MAX_CONTACT_ENVELOPE: usize = 16 * 1_024 + 100, "bytes";
    /// Invites that one owner key may have registered (two a day for their 30 days; DATA, 3).
    MAX_OWNER_INVITES: usize = 64, "invites";
    /// Records that a host gives out for one account: its own, and one a device (PROTOCOL §3, §6).
    MAX_CARD_RECORDS: usize = 11, "records";
    /// Owner keys that may be shown on one stream: two a host for some devices (PROTOCOL §7).
    MAX_STREAM_OWNERS: usize = 16, "owner keys";
    /// Queues that may be open on one stream: those of a large address book (PROTOCOL §7).
    MAX_STREAM_QUEUES: usize = 4_096, "queues";
    /// Queues whose counts a host keeps in memory between batches (ARCHITECTURE, "The contract").
    MAX_LEDGER_QUEUES: usize = 8_192, "queues";
    /// How long an invite is good (PROTOCOL §2).
    INVITE_LIFE: Millis = Millis::from_days(30), "ms";
    /// A mailbox without any sign of its owner is given up (PROTOCOL §7).
    IDLE_MAILBOX: Millis = Millis::from_days(60), "ms";
    /// How often the machines sweep (ARCHITECTURE, "Modules").
    SWEEP_EVERY: Millis = Millis::from_secs(60), "ms";
    /// How often what was never confirmed is looked at (PROTOCOL §7, "Sent again": days).
    MEND_EVERY: Millis = Millis::from_hours(1), "ms";
    /// A device is asked about a host that does not serve at most once in this time (decision 0014).
    ASK_AGAIN: Millis = Millis::from_days(7), "ms";
    /// Broken words of one own host, or from one contact, that are kept (decision 0014).
    MAX_BROKEN: usize = 16, "words";
    /// How long a broken word is kept (decision 0014).
    BROKEN_KEPT: Millis = Millis::from_days(180), "ms";
    /// Rows that one `handle` sweeps (ARCHITECTURE, "Modules").
    MAX_SWEEP: usize = 1_000, "rows";
    /// `GetCard` answers a minute on one connection (PROTOCOL §3).
    MAX_CARDS_A_MINUTE: u32 = 10, "answers";
    /// The path of one leaf in a receipt's Merkle tree (PROTOCOL §7).
    MAX_RECEIPT_PATH: usize = 10, "hashes";
    /// How far behind its newest commit a clock may stand, since clocks are corrected (PROTOCOL §7).
    CLOCK_SLACK: Millis = Millis::from_minutes(1), "ms";
    /// The difference of clocks that raises a doubt (PROTOCOL §7).
    MAX_CLOCK_DIFFERENCE: Millis = Millis::from_hours(1), "ms";
    /// Own hosts whose median may raise a doubt of the clock (PROTOCOL §7).
    MEDIAN_HOSTS: usize = 3, "hosts";
    /// Whoever was away for longer erases nothing for a day (PROTOCOL §7).
    LONG_AWAY: Millis = Millis::from_days(30), "ms";
}

impl Amount for u8 {
    fn amount(self) -> u64 {
        u64::from(self)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_limit_has_a_reason_with_its_source() {
        for limit in super::table() {
            assert!(limit.reason.contains('('), "{} names no source", limit.name);
            assert!(limit.value > 0, "{} is zero", limit.name);
        }
    }
}
