//! The machine itself: its memory, its three entries.

use std::collections::{BTreeMap, BTreeSet};

use rand_core::CryptoRng;

use super::deposits::Accepted;
use super::exchange::{Admission, HostEffect, HostInput};
use super::ledger::Ledger;
use super::links::HostLink;
use super::records::Puts;
use crate::clock::ClockWatch;
use crate::crypto::Signer;
use crate::id::{Birth, HostId, OwnerKey};
use crate::identity::Network;
use crate::limits::SWEEP_EVERY;
use crate::machine::{LinkId, NetworkInput, NetworkOutput, Output};
use crate::mailbox::TokenKey;
use crate::rows::mailbox::{HOSTING, HostCounters};
use crate::rows::typed::{load, save};
use crate::rows::{Rows, RowsError};
use crate::time::{Millis, Time};
use crate::wire::frame::{Answer, Frame, Refused};

/// How a host is set up.
#[derive(Debug, Clone)]
pub struct HostSetup {
    /// The node key.
    pub signer: Signer,
    /// The network it lives in.
    pub network: Network,
    /// Whom it takes.
    pub admit: Admission,
    /// The most owner keys.
    pub owners: u32,
    /// The most bytes of envelopes.
    pub bytes: u64,
    /// The difficulty of a stranger's stamp while the contact queues are empty.
    pub stamp_bits: u8,
}

/// A mailbox host, without I/O.
pub struct HostMachine {
    pub(super) setup: HostSetup,
    pub(super) host: HostId,
    pub(super) tokens: TokenKey,
    pub(super) birth: Birth,
    pub(super) counters: HostCounters,
    pub(super) counters_changed: bool,
    pub(super) ledger: Ledger,
    pub(super) links: BTreeMap<LinkId, HostLink>,
    pub(super) accepted: Vec<Accepted>,
    pub(super) to_push: BTreeSet<OwnerKey>,
    pub(super) clock: ClockWatch,
    pub(super) puts: Puts,
    refusals: u64,
    pub(super) space_low: bool,
    swept: Millis,
    pub(super) idle_swept: Option<Millis>,
}

/// One call of the machine: the time, and where rows and outputs go.
pub(super) struct Hx<'a> {
    pub(super) now: Time,
    pub(super) rng: &'a mut dyn CryptoRng,
    pub(super) rows: &'a mut dyn Rows,
    pub(super) out: &'a mut Vec<Output<HostEffect>>,
    /// Whether a request was refused.
    pub(super) refused: bool,
}

impl Hx<'_> {
    fn send(link: LinkId, frame: &Frame) -> Option<HostEffect> {
        let bytes = frame.encode().ok()?;
        Some(HostEffect::Network(NetworkOutput::Send { link, bytes }))
    }

    /// Sends what says nothing about anything done.
    pub(super) fn send_now(&mut self, link: LinkId, frame: &Frame) {
        self.out.extend(Self::send(link, frame).map(Output::Now));
    }

    /// Sends when the batch is on disk.
    pub(super) fn send_after(&mut self, link: LinkId, frame: &Frame) {
        self.out.extend(Self::send(link, frame).map(Output::After));
    }

    /// Answers a request once what it did is on disk.
    pub(super) fn done(&mut self, (link, id): (LinkId, u32), answer: Answer) {
        self.send_after(link, &Frame::Answer(id, answer));
    }

    /// Refuses a request.
    pub(super) fn refuse(&mut self, (link, id): (LinkId, u32), why: Refused) {
        self.refused = true;
        self.send_now(link, &Frame::Answer(id, Answer::Refused(why)));
    }
}

impl HostMachine {
    /// Opens the machine over the rows of its home; a new store gets its birth.
    ///
    /// # Errors
    /// [`RowsError`] if the store cannot be read.
    pub fn open(
        setup: HostSetup,
        now: Time,
        rng: &mut dyn CryptoRng,
        rows: &mut dyn Rows,
    ) -> Result<Self, RowsError> {
        let host = HostId(setup.signer.verify_key().0);
        let counters: Option<HostCounters> = load(rows, &HOSTING, b"counters")?;
        let birth = match load(rows, &HOSTING, b"birth")? {
            Some(birth) => birth,
            None => {
                let mut birth = [0; 16];
                rng.fill_bytes(&mut birth);
                save(rows, &HOSTING, b"birth", &Birth(birth))?;
                Birth(birth)
            }
        };
        let puts = Puts::open(rows, now.since_start, rng)?;
        let new = counters.is_none();
        let counters =
            counters.unwrap_or_else(|| HostCounters { created: now.wall, ..Default::default() });
        Ok(Self {
            tokens: TokenKey::new(&setup.signer),
            setup,
            host,
            birth,
            clock: ClockWatch::new(counters.newest, now),
            counters,
            counters_changed: new,
            puts,
            ledger: Ledger::default(),
            links: BTreeMap::new(),
            accepted: Vec::new(),
            to_push: BTreeSet::new(),
            refusals: 0,
            space_low: false,
            swept: now.since_start,
            idle_swept: None,
        })
    }

    /// Takes one input.
    ///
    /// # Errors
    /// [`RowsError`] if the store fails: the machine and its batch are to be dropped.
    pub fn handle(
        &mut self,
        input: HostInput,
        now: Time,
        rng: &mut dyn CryptoRng,
        rows: &mut dyn Rows,
        out: &mut Vec<Output<HostEffect>>,
    ) -> Result<(), RowsError> {
        self.clock.look(now);
        let now = self.clock.time(now);
        let hx = &mut Hx { now, rng, rows, out, refused: false };
        let handled = self.take(hx, input);
        self.refusals = self.refusals.saturating_add(u64::from(hx.refused));
        handled
    }

    /// Requests that were refused since the machine was opened: a driver lets whoever is refused wait
    /// a little before it is heard again.
    #[must_use]
    pub const fn refusals(&self) -> u64 {
        self.refusals
    }

    fn take(&mut self, hx: &mut Hx<'_>, input: HostInput) -> Result<(), RowsError> {
        match input {
            HostInput::Network(NetworkInput::LinkUp { link, peer, .. }) => {
                self.link_up(hx, link, peer);
                Ok(())
            }
            HostInput::Network(NetworkInput::LinkDown { link }) => {
                self.links.remove(&link);
                Ok(())
            }
            HostInput::Network(NetworkInput::Frame { link, bytes }) => self.frame(hx, link, &bytes),
            HostInput::Network(NetworkInput::Dht { reachable }) => {
                self.puts.reachable(reachable, hx.now.since_start, hx.rng);
                Ok(())
            }
            HostInput::Network(
                NetworkInput::DialFailed { .. }
                | NetworkInput::Near { .. }
                | NetworkInput::Found { .. }
                | NetworkInput::Stored { .. },
            )
            | HostInput::Wake => Ok(()),
            HostInput::Command { request, command } => self.command(hx, request, command),
            HostInput::Space { low } => {
                self.space_low = low;
                Ok(())
            }
        }
    }

    /// Ends a batch: counts are raised, one receipt is signed for all deposits, items leave within
    /// their windows, what changed is written once.
    ///
    /// # Errors
    /// As [`Self::handle`].
    pub fn end_batch(
        &mut self,
        now: Time,
        rng: &mut dyn CryptoRng,
        rows: &mut dyn Rows,
        out: &mut Vec<Output<HostEffect>>,
    ) -> Result<(), RowsError> {
        self.clock.look(now);
        let now = self.clock.time(now);
        let hx = &mut Hx { now, rng, rows, out, refused: false };
        if now.since_start.saturating_sub(self.swept) >= SWEEP_EVERY {
            self.swept = now.since_start;
            self.sweep(hx)?;
        }
        self.ledger.raise(hx.rows)?;
        self.receipt(hx)?;
        self.push(hx)?;
        self.ledger.flush(hx.rows)?;
        if core::mem::take(&mut self.counters_changed) {
            if !self.clock.is_doubted() {
                self.counters.newest = self.counters.newest.max(now.wall);
            }
            save(hx.rows, &HOSTING, b"counters", &self.counters)?;
        }
        let put = self.put_records(hx)?;
        let next = self.swept.saturating_add(SWEEP_EVERY);
        let next = put.map_or(next, |put| next.min(put));
        hx.out.push(Output::Now(HostEffect::WakeAt(next)));
        Ok(())
    }

    pub(super) fn net(&self) -> &str {
        self.setup.network.as_str()
    }
}
