//! The machine itself: its memory, its three entries, and which file carries out what.

use std::collections::{BTreeMap, BTreeSet};

use rand_core::CryptoRng;

use super::dials::{Dial, Near, Pace};
use super::discovery::{Discovery, OwnRecords};
use super::hosts::{Arrival, FullQueues, Losses, Numbers, Queues, StampFor, Words};
use super::sessions::Sessions;
use super::{Change, Effect, HostState, Input};
use crate::clock::ClockWatch;
use crate::content::Evidence;
use crate::conversation::{Mode, direct};
use crate::crypto::Signer;
use crate::id::{AccountId, ConversationId, DeviceId, EnvelopeId, HostId, MessageId, OwnerKey};
use crate::identity::{Chain, DeviceKeys, LinkHead, Network};
use crate::limits::{CHANGES_KEPT, MAX_SCAN, MEND_EVERY, SEEN_GRACE, SWEEP_EVERY};
use crate::machine::{Address, LinkId, NetworkInput, NetworkOutput, Output, StreamKind};
use crate::record::ManifestHost;
use crate::rows::contact::{CONTACTS, ContactRow, DirectoryRow};
use crate::rows::evidence::PROOFS;
use crate::rows::home::{CHANGES, ChangesRow, CountersRow, FenceRow, HOME, SEEN};
use crate::rows::host::OwnHostRow;
use crate::rows::outbox::{OUTBOX, OutboxRow, parse_line_key};
use crate::rows::typed::{load, load_all, parse, save};
use crate::rows::{Direction, Rows, RowsError};
use crate::session::{LocalParty, Prekeys};
use crate::time::{Millis, Time, UnixMillis};

use super::links::Link;
use super::outbox::Lane;

/// Whose node it is.
#[derive(Debug)]
pub struct Person {
    /// The account.
    pub account: AccountId,
    /// The keys of this device.
    pub device: DeviceKeys,
    /// The account's sigchain.
    pub chain: Chain,
    /// The name that is suggested to contacts.
    pub name: Option<String>,
    /// The key of this node.
    pub host: HostId,
    /// The network it lives in.
    pub network: Network,
    /// Peers by which it is entered, as links name them.
    pub bootstrap: Vec<(HostId, Address)>,
    /// Whether its link tells everybody where it is.
    pub is_public: bool,
    /// How long a message lives.
    pub life: Millis,
}

/// A person's node, without I/O.
pub struct Endpoint {
    pub(super) me: Person,
    pub(super) device: DeviceId,
    pub(super) sessions: Sessions,
    pub(super) contacts: BTreeMap<AccountId, ContactRow>,
    /// What contacts have published.
    pub(super) directory: BTreeMap<AccountId, DirectoryRow>,
    pub(super) discovery: Discovery,
    pub(super) own: OwnRecords,
    pub(super) owners: BTreeMap<DeviceId, AccountId>,
    pub(super) queues: Queues,
    pub(super) lanes: BTreeMap<DeviceId, Lane>,
    pub(super) links: BTreeMap<LinkId, Link>,
    pub(super) dials: BTreeMap<(HostId, StreamKind), Dial>,
    pub(super) pace: Pace,
    pub(super) near: Near,
    pub(super) hosts: BTreeMap<HostId, OwnHostRow>,
    pub(super) host_states: BTreeMap<HostId, HostState>,
    /// The era of a device's bundle when its home was found to have lost us, and when that was.
    pub(super) lost_eras: BTreeMap<DeviceId, ([u8; 16], UnixMillis)>,
    /// Whether hosts kept their word.
    pub(super) words: Words,
    /// Under which numbers queues are known.
    pub(super) numbers: Numbers,
    /// What own hosts had no room for.
    pub(super) full: FullQueues,
    /// Own hosts that lost something, and those of contacts.
    pub(super) losses: [Losses; 2],
    /// Own hosts that are left without waiting for contacts.
    pub(super) leaving_now: BTreeSet<HostId>,
    pub(super) queues_changed: bool,
    pub(super) acks: BTreeMap<(LinkId, OwnerKey), Vec<EnvelopeId>>,
    pub(super) arrival: Arrival,
    pub(super) fence: FenceRow,
    /// Until when this home had everything that came for it, as far as hosts know.
    pub(super) proved_at: Option<UnixMillis>,
    /// The newest fence that each own host was shown apart from mail.
    pub(super) fences_shown: BTreeMap<HostId, u64>,
    pub(super) space_low: bool,
    /// Encryptions since the fence last grew.
    pub(super) encrypted: u32,
    /// Conversations in which a parent is missed.
    pub(super) gaps: BTreeSet<ConversationId>,
    /// Where the sweep of sessions goes on.
    pub(super) sessions_swept: Option<DeviceId>,
    pub(super) jobs: BTreeMap<u64, StampFor>,
    pub(super) next_job: u64,
    /// When a lane is to be looked at again.
    pub(super) timers: BTreeMap<DeviceId, Millis>,
    /// Who is at the other side of a direct conversation.
    pub(super) partners: BTreeMap<ConversationId, AccountId>,
    /// The chain heads of contacts that messages name.
    peer_heads: BTreeMap<AccountId, LinkHead>,
    /// k and hosts of devices, as their manifests say.
    pub(super) peer_manifests: BTreeMap<DeviceId, (u8, Vec<ManifestHost>)>,
    pub(super) clock: ClockWatch,
    pub(super) prekeys: Vec<Prekeys>,
    pub(super) bundle: Vec<u8>,
    pub(super) birth: [u8; 16],
    /// Drawn anew whenever this home finds itself older than it was.
    pub(super) era: [u8; 16],
    pub(super) counters: CountersRow,
    pub(super) counters_changed: bool,
    pub(super) addresses: Vec<Address>,
    pub(super) receipts: BTreeMap<DeviceId, (Millis, Vec<MessageId>)>,
    pub(super) to_pump: BTreeSet<DeviceId>,
    /// Where the pump goes on.
    pub(super) pumped: DeviceId,
    changes: Vec<Change>,
    /// No batch has ended yet.
    is_new: bool,
    swept: Millis,
    mended: Millis,
}

/// One call of the machine: the time, and where rows and outputs go.
pub(super) struct Cx<'a> {
    pub(super) now: Time,
    pub(super) rng: &'a mut dyn CryptoRng,
    pub(super) rows: &'a mut dyn Rows,
    pub(super) out: &'a mut Vec<Output<Effect>>,
}

impl Cx<'_> {
    pub(super) fn now(&mut self, output: NetworkOutput) {
        self.out.push(Output::Now(Effect::Network(output)));
    }

    pub(super) fn after(&mut self, output: NetworkOutput) {
        self.out.push(Output::After(Effect::Network(output)));
    }

    pub(super) fn random<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }
}

impl Endpoint {
    /// Opens the machine over the rows of its home.
    ///
    /// # Errors
    /// [`RowsError`] if the store cannot be read.
    pub fn open(
        me: Person,
        now: Time,
        rng: &mut dyn CryptoRng,
        rows: &mut dyn Rows,
    ) -> Result<Self, RowsError> {
        let mut out = Vec::new();
        let device = me.device.id();
        let mut endpoint = Self {
            me,
            device,
            sessions: Sessions::new(),
            contacts: BTreeMap::new(),
            directory: BTreeMap::new(),
            discovery: Discovery::new(now.since_start),
            own: OwnRecords::default(),
            owners: BTreeMap::new(),
            queues: Queues::default(),
            lanes: BTreeMap::new(),
            links: BTreeMap::new(),
            dials: BTreeMap::new(),
            pace: Pace::new(now.since_start),
            near: Near::new(),
            hosts: BTreeMap::new(),
            host_states: BTreeMap::new(),
            lost_eras: BTreeMap::new(),
            words: Words::default(),
            numbers: Numbers::default(),
            full: FullQueues::default(),
            losses: Default::default(),
            leaving_now: BTreeSet::new(),
            queues_changed: true,
            acks: BTreeMap::new(),
            arrival: Arrival::Pushed,
            fence: FenceRow::default(),
            proved_at: None,
            fences_shown: BTreeMap::new(),
            space_low: false,
            encrypted: 0,
            gaps: BTreeSet::new(),
            sessions_swept: None,
            jobs: BTreeMap::new(),
            next_job: 0,
            timers: BTreeMap::new(),
            partners: BTreeMap::new(),
            peer_heads: BTreeMap::new(),
            peer_manifests: BTreeMap::new(),
            clock: ClockWatch::new(UnixMillis(0), now),
            prekeys: Vec::new(),
            bundle: Vec::new(),
            birth: [0; 16],
            era: [0; 16],
            counters: load(rows, &HOME, b"counters")?.unwrap_or_default(),
            counters_changed: false,
            addresses: Vec::new(),
            receipts: BTreeMap::new(),
            to_pump: BTreeSet::new(),
            pumped: DeviceId([0; 32]),
            changes: Vec::new(),
            is_new: true,
            swept: now.since_start,
            mended: now.since_start,
        };
        endpoint.clock = ClockWatch::new(endpoint.counters.newest, now);
        let now = endpoint.clock.time(now);
        let cx = &mut Cx { now, rng, rows, out: &mut out };
        endpoint.open_fence(cx)?;
        endpoint.open_hosts(cx)?;
        endpoint.open_gaps(cx)?;
        endpoint.open_directory(cx)?;
        for (key, row) in load_all::<ContactRow>(cx.rows, &CONTACTS, &[])? {
            if let Some(account) = AccountId::from_slice(&key) {
                endpoint.owners.extend(row.devices.iter().map(|device| (device.device, account)));
                endpoint.partners.insert(endpoint.conversation(account), account);
                endpoint.contacts.insert(account, row);
            }
        }
        endpoint.open_numbers(cx)?;
        let devices: Vec<(DeviceId, AccountId)> =
            endpoint.owners.iter().map(|(device, account)| (*device, *account)).collect();
        for (device, account) in devices {
            endpoint.learn_queues(cx.rows, device)?;
            endpoint.follow_root(cx, (account, device))?;
        }
        for (key, row) in load_all::<OutboxRow>(cx.rows, &OUTBOX, &[])? {
            if let Some((device, number)) = parse_line_key(&key) {
                endpoint.lanes.entry(device).or_default().add(number, row);
            }
        }
        for (key, _) in load_all::<Evidence>(cx.rows, &PROOFS, &[])? {
            let line = key.get(..key.len().saturating_sub(HostId::LENGTH)).and_then(parse_line_key);
            if let Some((device, number)) = line {
                endpoint.lanes.entry(device).or_default().proved.insert(number);
            }
        }
        endpoint.open_words(cx)?;
        endpoint.open_prekeys(cx)?;
        Ok(endpoint)
    }

    /// Takes one input.
    ///
    /// # Errors
    /// [`RowsError`] if the store fails: the machine and its batch are to be dropped.
    pub fn handle(
        &mut self,
        input: Input,
        now: Time,
        rng: &mut dyn CryptoRng,
        rows: &mut dyn Rows,
        out: &mut Vec<Output<Effect>>,
    ) -> Result<(), RowsError> {
        self.clock.look(now);
        let now = self.clock.time(now);
        let cx = &mut Cx { now, rng, rows, out };
        match input {
            Input::Network(NetworkInput::LinkUp { link, peer, kind, opener, .. }) => {
                self.link_up(cx, link, (peer, kind), opener)
            }
            Input::Network(NetworkInput::LinkDown { link }) => {
                self.link_down(link);
                Ok(())
            }
            Input::Network(NetworkInput::Frame { link, bytes }) => self.frame(cx, link, &bytes),
            Input::Network(NetworkInput::DialFailed { peer, kind }) => {
                self.dial_failed(cx, (peer, kind))
            }
            Input::Network(NetworkInput::Near { peer, addresses }) => {
                self.heard_near(cx, peer, addresses);
                Ok(())
            }
            Input::Network(NetworkInput::Dht { reachable }) => {
                self.dht(cx, reachable);
                Ok(())
            }
            Input::Network(NetworkInput::Found { key, values }) => self.found(cx, key, &values),
            Input::Network(NetworkInput::Stored { key, reached }) => {
                self.stored(cx, key, reached);
                Ok(())
            }
            Input::Command { request, command } => self.command(cx, request, command),
            Input::Addresses(addresses) => self.moved(cx, addresses),
            Input::Space { low } => {
                self.space(cx, low);
                Ok(())
            }
            Input::StampFound { job, stamp } => {
                self.stamp_found(cx, job, stamp);
                Ok(())
            }
            Input::Wake => Ok(()),
        }
    }

    /// For a moment in which nothing waits: computes ahead what a next message needs (the sending
    /// half of a DH step, PROTOCOL §4). Nothing that is stored changes. Returns whether there may be
    /// more to do; a driver need never call it.
    pub fn rest(&mut self, rng: &mut dyn CryptoRng) -> bool {
        self.sessions.prepare(rng)
    }

    /// Ends a batch: one receipt for all that was recorded, what can leave leaves, the sessions and
    /// the changes are written once.
    ///
    /// # Errors
    /// As [`Self::handle`].
    pub fn end_batch(
        &mut self,
        now: Time,
        rng: &mut dyn CryptoRng,
        rows: &mut dyn Rows,
        out: &mut Vec<Output<Effect>>,
    ) -> Result<(), RowsError> {
        self.clock.look(now);
        let now = self.clock.time(now);
        let cx = &mut Cx { now, rng, rows, out };
        if core::mem::take(&mut self.is_new) {
            self.go_on_restored(cx)?;
        }
        if now.since_start.saturating_sub(self.swept) >= SWEEP_EVERY {
            self.swept = now.since_start;
            if !self.clock.is_doubted() {
                self.expire_lines(cx)?;
                self.sweep_changes(cx)?;
                self.sweep_seen(cx)?;
                self.sweep_hosts(cx)?;
                self.sweep_words(cx)?;
            }
            self.renew(cx)?;
            self.ask_for_missing(cx)?;
        }
        if now.since_start.saturating_sub(self.mended) >= MEND_EVERY {
            self.mended = now.since_start;
            self.hourly(cx)?;
        }
        self.drain(cx)?;
        self.write_receipts(cx)?;
        self.sync_queues(cx)?;
        let due = self.timers.iter().filter(|(_, at)| **at <= now.since_start);
        let due: Vec<DeviceId> = due.map(|(device, _)| *device).collect();
        for device in due {
            self.timers.remove(&device);
            self.to_pump.insert(device);
        }
        self.pump(cx)?;
        self.acknowledge(cx)?;
        self.tell_host_states(cx);
        self.dial(cx);
        self.sessions.flush(cx.rows)?;
        self.write_changes(cx)
    }

    /// What waits and for whom, in one line: for the simulator's failed runs; no ids of messages, no
    /// text.
    #[cfg(feature = "sim")]
    #[must_use]
    pub fn describe(&self) -> String {
        let lanes = self.lanes.iter().map(|(device, lane)| {
            let owed = self.device_row(*device).and_then(|(_, row)| row.renewal);
            format!("[{device:?}: {} owed {owed:?}]", lane.describe())
        });
        let links = self.links.values().map(|link| {
            format!(
                "[{:?} ready {} gates {:?} device {:?}]",
                link.kind,
                link.ready,
                link.gates.values(),
                link.device
            )
        });
        let lanes: Vec<String> = lanes.chain(links).collect();
        format!("fence {:?}; {}", self.fence, lanes.join("\n    "))
    }

    /// This device, as handshakes name it.
    pub(super) fn local(&self) -> LocalParty<'_> {
        LocalParty { account: self.me.account, device: self.device, ik: self.me.device.identity() }
    }

    pub(super) fn signer(&self) -> &Signer {
        self.me.device.signer()
    }

    pub(super) fn net(&self) -> &str {
        self.me.network.as_str()
    }

    pub(super) fn conversation(&self, with: AccountId) -> ConversationId {
        direct(Mode::Sealed, self.me.account, with)
    }

    /// Our head and the contact's, as contents name them.
    pub(super) fn heads(&mut self, with: AccountId) -> [LinkHead; 2] {
        let short = |chain: &Chain| {
            let head = chain.head();
            LinkHead { seq: head.seq, hash: head.short() }
        };
        let contacts = &self.contacts;
        // Reading a chain verifies every signature in it: once, not once a message.
        let theirs = self.peer_heads.entry(with).or_insert_with(|| {
            let chain = contacts.get(&with).map(|contact| Chain::from_bytes(&contact.chain));
            let unknown = LinkHead { seq: 0, hash: [0; 16] };
            chain.and_then(Result::ok).map_or(unknown, |chain| short(&chain))
        });
        [short(&self.me.chain), *theirs]
    }

    pub(super) fn changed(&mut self, change: Change) {
        self.changes.push(change);
    }

    pub(super) fn save_contact(
        &mut self,
        cx: &mut Cx<'_>,
        account: AccountId,
    ) -> Result<(), RowsError> {
        self.peer_heads.remove(&account);
        self.partners.insert(self.conversation(account), account);
        match self.contacts.get(&account) {
            Some(row) => save(cx.rows, &CONTACTS, account.as_bytes(), row),
            None => {
                cx.rows.delete(&CONTACTS, account.as_bytes());
                Ok(())
            }
        }
    }

    /// Forgets envelopes whose end has passed by eight days.
    fn sweep_seen(&mut self, cx: &mut Cx<'_>) -> Result<(), RowsError> {
        let to = cx.now.wall.saturating_sub(SEEN_GRACE).hours().0.to_be_bytes();
        for (key, _) in cx.rows.scan(&SEEN, &[], &to, MAX_SCAN, Direction::Forward)? {
            cx.rows.delete(&SEEN, &key);
        }
        Ok(())
    }

    /// Forgets the oldest changes, which nobody reads any more.
    fn sweep_changes(&mut self, cx: &mut Cx<'_>) -> Result<(), RowsError> {
        let page = cx.rows.scan(&CHANGES, &[], &[], MAX_SCAN, Direction::Forward)?;
        // The newest row stays: it says where the numbers are.
        for (key, value) in page.iter().take(page.len().saturating_sub(1)) {
            let row: ChangesRow = parse(&CHANGES, value)?;
            if cx.now.wall.since(row.at) < CHANGES_KEPT {
                break;
            }
            cx.rows.delete(&CHANGES, key);
        }
        Ok(())
    }

    fn write_changes(&mut self, cx: &mut Cx<'_>) -> Result<(), RowsError> {
        if !self.changes.is_empty() {
            let first = self.counters.change.saturating_add(1);
            let changes = core::mem::take(&mut self.changes);
            let count = u64::try_from(changes.len()).unwrap_or(0);
            let row = ChangesRow { at: cx.now.wall, changes };
            save(cx.rows, &CHANGES, &first.to_be_bytes(), &row)?;
            self.counters.change = self.counters.change.saturating_add(count);
            self.counters_changed = true;
            cx.out.push(Output::After(Effect::Changed(self.counters.change)));
        }
        if core::mem::take(&mut self.counters_changed) {
            if !self.clock.is_doubted() {
                self.counters.newest = self.counters.newest.max(cx.now.wall);
            }
            save(cx.rows, &HOME, b"counters", &self.counters)?;
        }
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests;
