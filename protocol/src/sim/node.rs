//! One process: a machine, its rows, its batches.

use std::collections::{BTreeMap, VecDeque};

use chacha20::ChaCha20Rng;
use rand_core::SeedableRng;

use super::journal::{Disk, Journal};
use super::tamper::{Liar, Lies};
use crate::crypto::Signer;
use crate::endpoint::{Change, Effect, Endpoint, Input, Person, Refusal, Reply, query};
use crate::id::{AccountId, HostId, MessageId, RecordKey};
use crate::identity::{AccountRoot, Chain, DeviceKeys, Network, RecoveryPhrase};
use crate::machine::{Address, NetworkInput, Output, WakeAt};
use crate::mailbox::host::{Admission, HostEffect, HostInput, HostMachine, HostReply, HostSetup};
use crate::record::Holder;
use crate::rows::RowsError;
use crate::rows::recorder::Write;
use crate::time::{Millis, Time, UnixMillis};

/// When the world begins.
pub(super) const EPOCH: u64 = 1_700_000_000_000;

/// Stamps cost time here as well: they are there, but easy.
const STAMP_BITS: u8 = 6;

/// A node of the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(super) usize);

/// What a node is: made anew from its seed at every start.
#[derive(Debug, Clone)]
pub(super) enum Role {
    Person { seed: u64, name: String },
    Host { seed: u64 },
}

pub(super) enum Machine {
    Person(Box<Endpoint>),
    Host(Box<HostMachine>),
}

#[derive(Debug)]
pub(super) enum AnyInput {
    Person(Input),
    Host(HostInput),
}

#[derive(Debug)]
pub(super) enum AnyEffect {
    Person(Effect),
    Host(HostEffect),
}

/// A batch whose rows are not durable yet.
pub(super) struct Batch {
    pub(super) ops: Vec<Write>,
    pub(super) after: Vec<AnyEffect>,
}

pub(super) struct SimNode {
    pub(super) role: Role,
    pub(super) host: HostId,
    pub(super) account: Option<AccountId>,
    pub(super) address: Address,
    pub(super) machine: Option<Machine>,
    pub(super) rows: Journal,
    /// Counts the starts: what belongs to an earlier process comes to nothing.
    pub(super) process: u64,
    pub(super) started_at: u64,
    /// How far the wall clock is ahead of the world's, in milliseconds.
    pub(super) skew: i64,
    pub(super) inbox: VecDeque<AnyInput>,
    pub(super) turn_due: bool,
    /// A turn came while two batches were under way.
    pub(super) turn_missed: bool,
    pub(super) under_way: VecDeque<Batch>,
    pub(super) leaving: VecDeque<AnyEffect>,
    pub(super) wake: Option<u64>,
    pub(super) durable_at: u64,
    pub(super) replies: Vec<(u64, Result<Reply, Refusal>)>,
    pub(super) host_replies: Vec<(u64, HostReply)>,
    pub(super) liar: Liar,
    /// What it holds of the DHT while it runs, and for its lies the first of everything.
    pub(super) holder: Holder,
    pub(super) first_held: BTreeMap<RecordKey, Vec<u8>>,
    /// Messages that were announced, and up to which change.
    pub(super) shown: BTreeMap<MessageId, u32>,
    seen: u64,
}

fn keys(seed: u64) -> ChaCha20Rng {
    let mut bytes = [0; 32];
    for (byte, value) in bytes.iter_mut().zip(seed.to_le_bytes()) {
        *byte = value;
    }
    ChaCha20Rng::from_seed(bytes)
}

fn person(seed: u64, name: &str) -> Person {
    let mut rng = keys(seed);
    let root = AccountRoot::from_phrase(&RecoveryPhrase::random(&mut rng));
    let device = DeviceKeys::random(&mut rng);
    let chain = Chain::genesis(&root, &device, UnixMillis(EPOCH));
    Person {
        account: root.account(),
        device,
        chain,
        name: Some(name.to_owned()),
        host: HostId(Signer::random(&mut rng).verify_key().0),
        network: Network::default(),
        bootstrap: Vec::new(),
        is_public: false,
        life: crate::limits::MESSAGE_LIFE,
    }
}

fn setup(seed: u64) -> HostSetup {
    HostSetup {
        signer: Signer::random(&mut keys(seed)),
        network: Network::default(),
        admit: Admission::Open,
        owners: crate::limits::MAX_OWNERS,
        bytes: crate::limits::MAX_HOST_BYTES,
        stamp_bits: STAMP_BITS,
    }
}

impl SimNode {
    pub(super) fn new(role: Role, address: Address) -> Self {
        let (host, account) = match &role {
            Role::Person { seed, name } => {
                let person = person(*seed, name);
                (person.host, Some(person.account))
            }
            Role::Host { seed } => (HostId(setup(*seed).signer.verify_key().0), None),
        };
        Self {
            role,
            host,
            account,
            address,
            machine: None,
            rows: Journal::default(),
            process: 0,
            started_at: 0,
            skew: 0,
            inbox: VecDeque::new(),
            turn_due: false,
            turn_missed: false,
            under_way: VecDeque::new(),
            leaving: VecDeque::new(),
            wake: None,
            durable_at: 0,
            replies: Vec::new(),
            host_replies: Vec::new(),
            liar: Liar::default(),
            holder: Holder::new([0; 32]),
            first_held: BTreeMap::new(),
            shown: BTreeMap::new(),
            seen: 0,
        }
    }

    pub(super) fn time(&self, now: u64) -> Time {
        let wall = EPOCH.saturating_add(now).saturating_add_signed(self.skew);
        let since_start = Millis(now.saturating_sub(self.started_at));
        Time { wall: UnixMillis(wall), since_start }
    }

    /// Starts the process over what is durable.
    pub(super) fn start(&mut self, now: u64, rng: &mut ChaCha20Rng) -> Result<(), RowsError> {
        self.stop();
        self.started_at = now;
        let time = self.time(now);
        let machine = match &self.role {
            Role::Person { seed, name } => Machine::Person(Box::new(Endpoint::open(
                person(*seed, name),
                time,
                rng,
                &mut self.rows.view,
            )?)),
            Role::Host { seed } => Machine::Host(Box::new(HostMachine::open(
                setup(*seed),
                time,
                rng,
                &mut self.rows.view,
            )?)),
        };
        self.machine = Some(machine);
        if matches!(self.role, Role::Person { .. }) {
            let addresses = vec![self.address.clone()];
            self.inbox.push_back(AnyInput::Person(Input::Addresses(addresses)));
        }
        Ok(())
    }

    /// Kills the process: only what is durable is left.
    pub(super) fn stop(&mut self) {
        self.machine = None;
        self.process = self.process.saturating_add(1);
        self.rows.crash();
        self.inbox.clear();
        self.under_way.clear();
        self.leaving.clear();
        self.turn_due = false;
        self.turn_missed = false;
        self.wake = None;
        self.holder = Holder::new([0; 32]);
    }

    /// Whether it is a node of the DHT that holds records.
    pub(super) const fn is_holder(&self) -> bool {
        matches!(self.machine, Some(Machine::Host(_)))
    }

    pub(super) fn put_back(&mut self, disk: Disk) {
        self.stop();
        self.rows = Journal::new(disk);
        self.shown.clear();
        self.seen = query::last_change(self.rows.durable_rows()).unwrap_or(0);
    }

    /// Reads on from the cursor, as `watch` does.
    pub(super) fn read_changes(&mut self) {
        while let Ok(changes) = query::changes(self.rows.durable_rows(), self.seen) {
            let Some((last, _)) = changes.last() else { return };
            self.seen = *last;
            for (_, change) in changes {
                if let Change::Message(_, _, id) = change {
                    let count = self.shown.entry(id).or_default();
                    *count = count.saturating_add(1);
                }
            }
        }
    }

    pub(super) fn network(&mut self, input: NetworkInput) {
        let input = match self.machine {
            Some(Machine::Person(_)) => AnyInput::Person(Input::Network(input)),
            Some(Machine::Host(_)) => AnyInput::Host(HostInput::Network(input)),
            None => return,
        };
        self.inbox.push_back(input);
    }

    /// Takes what waits through the machine: what may leave at once is returned.
    pub(super) fn turn(
        &mut self,
        now: u64,
        rng: &mut ChaCha20Rng,
    ) -> Result<Vec<AnyEffect>, RowsError> {
        let time = self.time(now);
        let (mut leave, mut after) = (Vec::new(), Vec::new());
        let inputs = core::mem::take(&mut self.inbox);
        match &mut self.machine {
            Some(Machine::Person(machine)) => {
                let mut out = Vec::new();
                for input in inputs {
                    if let AnyInput::Person(input) = input {
                        machine.handle(input, time, rng, &mut self.rows.view, &mut out)?;
                    }
                }
                machine.end_batch(time, rng, &mut self.rows.view, &mut out)?;
                sort(out, AnyEffect::Person, &mut leave, &mut after);
            }
            Some(Machine::Host(machine)) => {
                let mut out = Vec::new();
                for input in inputs {
                    if let AnyInput::Host(input) = input {
                        machine.handle(input, time, rng, &mut self.rows.view, &mut out)?;
                    }
                }
                machine.end_batch(time, rng, &mut self.rows.view, &mut out)?;
                sort(out, AnyEffect::Host, &mut leave, &mut after);
            }
            None => {}
        }
        let ops = self.rows.take();
        match self.under_way.back_mut() {
            // Nothing was written: it leaves behind the batches before it.
            Some(last) if ops.is_empty() => last.after.append(&mut after),
            None if ops.is_empty() => self.leaving.extend(after),
            _ => self.under_way.push_back(Batch { ops, after }),
        }
        Ok(leave)
    }

    /// When a machine wants to be woken, by the world's clock.
    pub(super) fn wake_at(&self, at: WakeAt) -> u64 {
        self.started_at.saturating_add(at.0)
    }

    pub(super) fn lies(&mut self, lies: Lies) {
        self.liar.lies = lies;
    }
}

fn sort<E>(
    out: Vec<Output<E>>,
    wrap: impl Fn(E) -> AnyEffect,
    leave: &mut Vec<AnyEffect>,
    after: &mut Vec<AnyEffect>,
) {
    for output in out {
        match output {
            Output::Now(effect) => leave.push(wrap(effect)),
            Output::After(effect) => after.push(wrap(effect)),
        }
    }
}
