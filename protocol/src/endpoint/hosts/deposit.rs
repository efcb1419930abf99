//! Envelopes at the hosts of contacts, and the hosts' word for them.
//!
//! Rules: k words of distinct hosts make a line *deposited*; what a host signed in an earlier birth
//! counts no longer; an unsteady host gets mail, and its word counts only where there is no other host.

use serde_bytes::ByteBuf;

use super::evidence::evidence_of;
use super::ways::{Gate, SHUT, Way};
use crate::crypto::hash;
use crate::endpoint::links::Asked;
use crate::endpoint::machine::{Cx, Endpoint};
use crate::endpoint::outbox::Lane;
use crate::endpoint::outbox::note_step;
use crate::endpoint::{Change, Effect, MessageState, Reason, StampJob, StepKind};
use crate::envelope::Envelope;
use crate::id::{Birth, DeviceId, HostId, QueueId, SessionId};
use crate::limits::{MAX_STAMP_BITS, SESSION_GRACE};
use crate::machine::{LinkId, Output};
use crate::mailbox::DepositProof;
use crate::rows::RowsError;
use crate::rows::host::{PEER_HOSTS, PeerHostRow};
use crate::rows::message::{MESSAGES, MessageKey, MessageRow};
use crate::rows::outbox::{Carried, HostWord, OUTBOX, line_key};
use crate::rows::typed::{load, save};
use crate::time::Millis;
use crate::wire::frame::{Answer, OpenKey, Refused, Request};

/// What a search for a stamp is for.
#[derive(Debug)]
pub(in crate::endpoint) struct StampFor {
    link: LinkId,
    device: DeviceId,
    number: u64,
    envelope: Envelope,
}

/// A deposit that waits for its receipt.
#[derive(Debug, Clone)]
pub(in crate::endpoint) struct Deposited {
    pub(in crate::endpoint) device: DeviceId,
    pub(in crate::endpoint) number: u64,
    queue: QueueId,
    envelope: [u8; 16],
    hash: [u8; 32],
    /// In which session it was encrypted: the line may have moved since.
    session: Option<SessionId>,
}

impl Endpoint {
    /// Deposits an envelope of a line at one host; a stranger's queue wants work first.
    pub(in crate::endpoint) fn deposit_at(
        &mut self,
        cx: &mut Cx<'_>,
        (device, number): (DeviceId, u64),
        way: Way,
        envelope: Envelope,
    ) {
        let hello = self.links.get(&way.link).and_then(|link| link.hello.as_ref());
        let Some((challenge, difficulty)) = hello.map(|it| (it.challenge, it.difficulty)) else {
            return;
        };
        if way.stamp && difficulty > MAX_STAMP_BITS {
            // More work than anybody may ask for: the host counts as busy.
            if let Some(lane) = self.lanes.get_mut(&device) {
                lane.refused(number, way.host);
            }
            self.shut(cx, way.link, way.queue, Refused::Full);
            return;
        }
        if !way.stamp || difficulty == 0 {
            self.deposit_now(cx, (device, number), way.link, &envelope, [0; 8]);
            return;
        }
        self.next_job = self.next_job.saturating_add(1);
        let job = StampJob {
            job: self.next_job,
            host: way.host,
            queue: way.queue,
            bytes_hash: envelope.bytes_hash(),
            challenge,
            difficulty,
        };
        let link = way.link;
        self.jobs.insert(self.next_job, StampFor { link, device, number, envelope });
        cx.out.push(Output::Now(Effect::Search(job)));
    }

    /// A search has ended.
    pub(in crate::endpoint) fn stamp_found(&mut self, cx: &mut Cx<'_>, job: u64, stamp: [u8; 8]) {
        let Some(work) = self.jobs.remove(&job) else { return };
        let StampFor { link, device, number, envelope } = work;
        if self.links.contains_key(&link) {
            self.deposit_now(cx, (device, number), link, &envelope, stamp);
        }
    }

    fn deposit_now(
        &mut self,
        cx: &mut Cx<'_>,
        (device, number): (DeviceId, u64),
        link: LinkId,
        envelope: &Envelope,
        stamp: [u8; 8],
    ) {
        let bytes = envelope.to_bytes();
        let row = self.lanes.get(&device).and_then(|lane| lane.lines.get(&number));
        let session = row.and_then(|row| row.session);
        let asked = Deposited {
            session,
            device,
            number,
            queue: envelope.queue(),
            envelope: envelope.id().0,
            hash: hash(&[&bytes]),
        };
        let request = Request::Deposit { envelope: ByteBuf::from(bytes), stamp };
        self.ask(cx, link, Asked::HostDeposit(asked), request, true);
    }

    /// A host has answered about a queue or a deposit of ours.
    pub(in crate::endpoint) fn deposit_answered(
        &mut self,
        cx: &mut Cx<'_>,
        link: LinkId,
        asked: Asked,
        answer: Answer,
    ) -> Result<(), RowsError> {
        match (asked, answer) {
            (Asked::Open(queue, pair), Answer::Opened { seq }) => {
                self.count_seen(cx, link, (queue, seq))?;
                if let Some(state) = self.links.get_mut(&link) {
                    let stamp =
                        matches!(state.gates.get(&queue), Some(Gate::Asked(OpenKey::Stamp)));
                    state.gates.insert(queue, Gate::Open { stamp });
                }
                if let Some(device) = pair {
                    self.knows_our_queue(cx, device, true)?;
                }
                self.pump_all();
                Ok(())
            }
            (Asked::Open(queue, pair), Answer::Refused(why)) => {
                self.not_opened(cx, link, (queue, pair), why)
            }
            (Asked::HostDeposit(it), Answer::Deposited { receipt, path, expires, seq }) => {
                let state = self.links.get(&link);
                let hello = state.and_then(|state| state.hello.as_ref().map(|it| (state.peer, it)));
                let Some((host, hello)) = hello else { return Ok(()) };
                let (queue, envelope, until) = (it.queue, it.hash, expires);
                let proof = DepositProof { receipt, path, queue, envelope, until, seq };
                let true_word = proof.receipt.host == host
                    && proof.receipt.birth == hello.birth
                    && proof.check(self.net()).is_ok();
                if !true_word {
                    return Ok(());
                }
                let word = HostWord {
                    host,
                    birth: proof.receipt.birth,
                    at: cx.now.wall,
                    until: expires.start(),
                    queue,
                    envelope: it.envelope,
                    seq,
                };
                self.word_came(cx, (it.device, it.number), (word, proof, it.session))
            }
            (Asked::HostDeposit(it), Answer::Refused(why)) => {
                let reason = match why {
                    Refused::Full => Reason::Full,
                    Refused::Busy { .. } => Reason::Busy,
                    Refused::NotFound | Refused::Rejected => Reason::NoQueue,
                };
                self.shut(cx, link, it.queue, why);
                let host = self.links.get(&link).map(|state| state.peer);
                if let (Some(lane), Some(host)) = (self.lanes.get_mut(&it.device), host) {
                    lane.refused(it.number, host);
                }
                self.refused_line(cx, (it.device, it.number), host, reason)
            }
            _ => Ok(()),
        }
    }

    fn shut(&mut self, cx: &Cx<'_>, link: LinkId, queue: QueueId, why: Refused) {
        let wait = match why {
            Refused::Busy { retry_after } => Millis(u64::from(retry_after)).max(Millis(1_000)),
            _ => SHUT,
        };
        let until = cx.now.since_start.saturating_add(wait);
        if let Some(state) = self.links.get_mut(&link) {
            state.gates.insert(queue, Gate::Shut(until));
        }
        for device in self.lanes.iter().filter(|(_, lane)| !lane.is_empty()).map(|(it, _)| *it) {
            let timer = self.timers.entry(device).or_insert(until);
            *timer = (*timer).min(until);
        }
    }

    fn not_opened(
        &mut self,
        cx: &mut Cx<'_>,
        link: LinkId,
        (queue, pair): (QueueId, Option<DeviceId>),
        why: Refused,
    ) -> Result<(), RowsError> {
        let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
        let host = state.peer;
        if matches!(state.gates.get(&queue), Some(Gate::Asked(OpenKey::Invite(_)))) {
            // The invite was used or is over: what any stranger may do is left.
            let key = OpenKey::Stamp;
            state.gates.insert(queue, Gate::Asked(key.clone()));
            self.ask(cx, link, Asked::Open(queue, None), Request::Open { queue, key }, true);
            return Ok(());
        }
        self.shut(cx, link, queue, why);
        let Some(device) = pair else { return Ok(()) };
        // A host that lost state will know the queue again; one that did not was told to drop it.
        let row: Option<PeerHostRow> = load(cx.rows, &PEER_HOSTS, host.as_bytes())?;
        let lost = row.and_then(|row| row.lost_state_at);
        let lost = lost.is_some_and(|at| cx.now.wall.since(at) < SESSION_GRACE);
        let dropped = why == Refused::NotFound && !lost;
        let n = self.queue_number(device);
        let tried = (n, self.numbers.at_host(device, host, n));
        let root = self.sessions.pair(cx.rows, device)?.sending_root();
        if root.is_some_and(|root| root.roots.sending.queue_id(tried.1) != queue) {
            // Said of another root's queue, or of a number that was left.
            self.to_pump.insert(device);
            return Ok(());
        }
        if dropped && self.numbers.not_there((device, host), tried, cx.now.since_start) {
            // Its number may have been raised, and we have not heard of it.
            self.to_pump.insert(device);
            return Ok(());
        }
        if dropped {
            self.knows_our_queue(cx, device, false)?;
        }
        let reason = if dropped { Reason::AwaitingAcceptance } else { Reason::NoQueue };
        match self.lanes.get(&device).and_then(|lane| lane.first_waiting()) {
            Some(number) => self.refused_line(cx, (device, number), Some(host), reason),
            None => Ok(()),
        }
    }

    pub(in crate::endpoint) fn refused_line(
        &mut self,
        cx: &mut Cx<'_>,
        (device, number): (DeviceId, u64),
        host: Option<HostId>,
        reason: Reason,
    ) -> Result<(), RowsError> {
        let row = self.lanes.get(&device).and_then(|lane| lane.lines.get(&number));
        let Some(Carried::Message(key)) = row.map(|row| row.carried.clone()) else {
            return Ok(());
        };
        let Some(mut row) = load::<MessageRow>(cx.rows, &MESSAGES, &key.bytes())? else {
            return Ok(());
        };
        note_step(&mut row, (StepKind::Refused, host, reason.as_str()), cx.now.wall);
        if row.state == MessageState::Queued && row.reason != Some(reason) {
            row.reason = Some(reason);
            self.changed(Change::State(key.id, row.state, row.reason));
        }
        save(cx.rows, &MESSAGES, &key.bytes(), &row)
    }

    /// A host signed for a line.
    fn word_came(
        &mut self,
        cx: &mut Cx<'_>,
        (device, number): (DeviceId, u64),
        (word, proof, session): (HostWord, DepositProof, Option<SessionId>),
    ) -> Result<(), RowsError> {
        let (k, hosts) = self.hosts_of(device);
        let k = usize::from(*k);
        let hosts: Vec<HostId> = hosts.iter().map(|it| it.host).collect();
        let steady = hosts.iter().filter(|host| !self.words.is_unsteady(host)).count();
        let host = word.host;
        let Some(lane) = self.lanes.get_mut(&device) else { return Ok(()) };
        let row = lane.lines.get_mut(&number).filter(|row| row.session == session);
        let Some(row) = row else {
            // What it signed for nobody needs any more.
            return Ok(());
        };
        let first = matches!(row.carried, Carried::FirstContact { .. });
        let all = first || steady == 0;
        let count = if steady == 0 { hosts.len() } else { steady };
        let needed = if first { 1 } else { k.min(count).max(1) };
        let words = &self.words;
        let counts = |word: &&HostWord| all || !words.is_unsteady(&word.host);
        let kept = row.receipted && !first;
        let evidence = evidence_of(row, &word, proof);
        row.words.retain(|known| known.host != host);
        row.words.push(word);
        row.deposited |= row.words.iter().filter(counts).count() >= needed;
        let (deposited, carried) = (row.deposited, row.carried.clone());
        if deposited && !row.receipted {
            lane.end(cx.rows, (device, number))?;
        } else {
            save(cx.rows, &OUTBOX, &line_key(device, number), row)?;
            lane.rest(number);
            if kept {
                lane.keep_proof(cx.rows, (device, number), &evidence)?;
            }
        }
        self.to_pump.insert(device);
        match carried {
            Carried::Message(key) => self.message_deposited(cx, key, host, deposited),
            Carried::FirstContact { .. } => {
                self.request_waits(cx, device, Reason::AwaitingAcceptance)
            }
            _ => Ok(()),
        }
    }

    fn message_deposited(
        &mut self,
        cx: &mut Cx<'_>,
        key: MessageKey,
        host: HostId,
        deposited: bool,
    ) -> Result<(), RowsError> {
        let Some(mut row) = load::<MessageRow>(cx.rows, &MESSAGES, &key.bytes())? else {
            return Ok(());
        };
        note_step(&mut row, (StepKind::Deposited, Some(host), "ok"), cx.now.wall);
        if deposited && row.state == MessageState::Queued {
            row.state = MessageState::Deposited;
            row.reason = None;
            self.changed(Change::State(key.id, row.state, None));
        }
        save(cx.rows, &MESSAGES, &key.bytes(), &row)
    }

    /// A host of contacts says which store it has: what it signed for in another one is deposited
    /// again.
    pub(in crate::endpoint) fn birth_seen(
        &mut self,
        cx: &mut Cx<'_>,
        (link, host): (LinkId, HostId),
        birth: Birth,
    ) -> Result<(), RowsError> {
        let mut row: PeerHostRow = load(cx.rows, &PEER_HOSTS, host.as_bytes())?.unwrap_or_default();
        if row.birth.is_some_and(|known| known != birth) {
            row.lost(cx.now.wall);
        }
        row.birth = Some(birth);
        row.last_used = cx.now.wall;
        save(cx.rows, &PEER_HOSTS, host.as_bytes(), &row)?;
        self.words.look(host, &row, cx.now.wall);
        self.void(cx, (link, host), |word| word.host == host && word.birth != birth)?;
        // What it still claims to hold is compared with its count.
        let there = |lane: &Lane| {
            lane.lines.values().any(|row| row.words.iter().any(|word| word.host == host))
        };
        let lanes = self.lanes.iter().filter(|(_, lane)| there(lane));
        let devices: Vec<DeviceId> = lanes.map(|(device, _)| *device).collect();
        for device in devices {
            self.ways(cx, device)?;
        }
        Ok(())
    }

    /// A host says how many commits touched a queue: what it signed for above that is not there any
    /// more (a disk of an earlier day).
    fn count_seen(
        &mut self,
        cx: &mut Cx<'_>,
        link: LinkId,
        (queue, seq): (QueueId, u64),
    ) -> Result<(), RowsError> {
        let Some(host) = self.links.get(&link).map(|state| state.peer) else { return Ok(()) };
        let lost = |word: &HostWord| word.host == host && word.queue == queue && word.seq > seq;
        let mut rows = self.lanes.values().flat_map(|lane| lane.lines.values());
        if rows.any(|row| row.words.iter().any(lost)) {
            let at = host.as_bytes();
            let mut row: PeerHostRow = load(cx.rows, &PEER_HOSTS, at)?.unwrap_or_default();
            row.lost(cx.now.wall);
            save(cx.rows, &PEER_HOSTS, at, &row)?;
            self.words.look(host, &row, cx.now.wall);
        }
        self.void(cx, (link, host), lost)
    }

    /// Words that count no longer: their lines wait again, unless the host lost something just before.
    fn void(
        &mut self,
        cx: &mut Cx<'_>,
        (link, host): (LinkId, HostId),
        lost: impl Fn(&HostWord) -> bool,
    ) -> Result<(), RowsError> {
        let mut words =
            self.lanes.values().flat_map(|lane| lane.lines.values()).flat_map(|row| &row.words);
        let [_, peers] = &mut self.losses;
        if !words.any(&lost) || !peers.is_due(host, link, cx.now.since_start) {
            return Ok(());
        }
        for (device, lane) in &mut self.lanes {
            for number in lane.void(&lost) {
                if let Some(row) = lane.lines.get(&number) {
                    save(cx.rows, &OUTBOX, &line_key(*device, number), row)?;
                }
                self.to_pump.insert(*device);
            }
        }
        Ok(())
    }
}
