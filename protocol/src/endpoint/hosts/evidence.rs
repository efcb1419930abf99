//! A host that signed for an envelope and does not serve it: found out by the two ends together.
//!
//! ```text
//! sender     keeps each host's receipt while the message is not delivered; at its first repeat
//!   not_served ──► recipient   has fetched everything there, and neither opened nor was served it:
//!   ◄── broken_word            the host has broken its word; both keep the proof
//! ```
//! Rule: whatever else may explain it (state lost at the host or here, a host left since, a queue that is
//! not ours, a clock in doubt, a full disk) is no broken word. Who cannot judge yet gives no receipt,
//! and is asked again.
//! Source: PROTOCOL §7 "Sent again"; decision 0014.

use std::collections::{BTreeMap, BTreeSet};

use super::register::owner_key;
use crate::content::{Content, Control, Evidence, Kind};
use crate::endpoint::machine::{Cx, Endpoint};
use crate::endpoint::receive::{seen_key, seen_key_of};
use crate::envelope::Envelope;
use crate::id::{AccountId, DeviceId, EnvelopeId, HostId, MessageId};
use crate::limits::{
    ASK_AGAIN, BROKEN_KEPT, MAX_BROKEN, MAX_QUEUE_TRIES, MAX_SCAN, SEEN_GRACE, SESSION_GRACE,
};
use crate::mailbox::{DepositProof, check_erasure};
use crate::rows::evidence::{
    BROKEN, BrokenRow, ErasedWord, LEFT, LeftRow, PROOFS, SERVED, proof_key,
};
use crate::rows::home::{HOME, LOST_ROWS_AT, SEEN, SeenRow};
use crate::rows::host::{PEER_HOSTS, PeerHostRow};
use crate::rows::outbox::{HostWord, OutboxRow, line_key};
use crate::rows::typed::{load, load_all, save};
use crate::rows::{Direction, RowsError};
use crate::time::{Millis, UnixMillis};

/// What is known of hosts' words, beside the rows.
#[derive(Debug, Default)]
pub(in crate::endpoint) struct Words {
    /// Own hosts that broke theirs, and when that was found last.
    broken: BTreeMap<HostId, UnixMillis>,
    /// Contacts' hosts that lost state more than once in 35 d.
    unsteady: BTreeSet<HostId>,
    /// When a device was last asked about a host.
    asked: BTreeMap<(DeviceId, HostId), Millis>,
}

/// What a recipient makes of a question.
enum Verdict {
    /// It cannot tell now.
    Later,
    /// The envelope was opened: its message may be receipted again.
    Had(Option<MessageId>),
    /// There are other reasons for it.
    Excused,
    /// The host has broken its word.
    Broken,
}

/// What a host signed for, of a line.
pub(super) fn evidence_of(row: &OutboxRow, word: &HostWord, proof: DepositProof) -> Evidence {
    let (id, expires) = (EnvelopeId(word.envelope), row.expires.hours_up());
    Evidence { message: row.message, id, expires, proof }
}

impl Words {
    /// Whether an own host broke its word.
    pub(in crate::endpoint) fn is_broken(&self, host: &HostId) -> bool {
        self.broken.contains_key(host)
    }

    /// Whether a contact's host is one whose receipts do not count.
    pub(in crate::endpoint) fn is_unsteady(&self, host: &HostId) -> bool {
        self.unsteady.contains(host)
    }

    /// What is known of how often a contact's host lost state.
    pub(in crate::endpoint) fn look(&mut self, host: HostId, row: &PeerHostRow, now: UnixMillis) {
        let lately = row.lost_state_at.is_some_and(|at| now.since(at) < SESSION_GRACE);
        if lately && row.losses >= 2 {
            self.unsteady.insert(host);
        } else {
            self.unsteady.remove(&host);
        }
    }

    /// When that was found.
    pub(in crate::endpoint) fn broken_at(&self, host: &HostId) -> Option<UnixMillis> {
        self.broken.get(host).copied()
    }
}

impl Endpoint {
    /// Reads which own hosts broke their word, and which of contacts' hosts are unsteady.
    pub(in crate::endpoint) fn open_words(&mut self, cx: &Cx<'_>) -> Result<(), RowsError> {
        let rows = &*cx.rows;
        for (key, row) in load_all::<PeerHostRow>(rows, &PEER_HOSTS, &[])? {
            if let Some(host) = HostId::from_slice(&key) {
                self.words.look(host, &row, cx.now.wall);
            }
        }
        for (_, row) in load_all::<BrokenRow>(rows, &BROKEN, &[])? {
            if row.ours && !row.forgiven {
                let at = self.words.broken.entry(row.evidence.proof.receipt.host).or_default();
                *at = (*at).max(row.at);
            }
        }
        Ok(())
    }

    /// What a device is asked before a line is repeated: nothing twice in a week about one host.
    pub(in crate::endpoint) fn questions(
        &mut self,
        cx: &Cx<'_>,
        (device, number): (DeviceId, u64),
    ) -> Result<Vec<Evidence>, RowsError> {
        let Some(lane) = self.lanes.get(&device) else { return Ok(Vec::new()) };
        let Some(row) = lane.lines.get(&number) else { return Ok(Vec::new()) };
        let now = cx.now.since_start;
        let mut questions = Vec::new();
        for word in row.words.iter().filter(|word| word.until > cx.now.wall) {
            let asked = self.words.asked.get(&(device, word.host));
            if asked.is_some_and(|at| now.saturating_sub(*at) < ASK_AGAIN) {
                continue;
            }
            let key = proof_key(&line_key(device, number), word.host);
            let evidence: Option<Evidence> = load(cx.rows, &PROOFS, &key)?;
            let same = |it: &Evidence| it.id.0 == word.envelope && it.proof.seq == word.seq;
            if let Some(evidence) = evidence.filter(same) {
                self.words.asked.insert((device, word.host), now);
                questions.push(evidence);
            }
        }
        Ok(questions)
    }

    /// A contact says something of a host.
    pub(in crate::endpoint) fn control(
        &mut self,
        cx: &mut Cx<'_>,
        (account, device): (AccountId, DeviceId),
        content: &Content,
    ) -> Result<(), RowsError> {
        match Control::from_bytes(&content.body) {
            Ok(Some(Control::NotServed(evidence))) => match self.judge(cx, device, &evidence)? {
                Verdict::Later => return Ok(()),
                Verdict::Had(message) => {
                    if let Some(message) = message {
                        self.receipt(device, message);
                    }
                }
                Verdict::Excused => {}
                Verdict::Broken => {
                    let answer = Control::BrokenWord(evidence.clone()).to_bytes();
                    if self.keep_broken(cx, (account, true), evidence)? {
                        self.queue_content(cx, (account, device), Kind::CONTROL, answer)?;
                        self.hosts_changed(cx)?;
                    }
                }
            },
            Ok(Some(Control::BrokenWord(evidence))) => {
                if self.is_ours_to_ask(cx, device, &evidence.proof)? {
                    self.keep_broken(cx, (account, false), evidence)?;
                }
            }
            Ok(None) | Err(_) => {}
        }
        self.receipt(device, content.message);
        Ok(())
    }

    fn judge(
        &self,
        cx: &Cx<'_>,
        device: DeviceId,
        evidence: &Evidence,
    ) -> Result<Verdict, RowsError> {
        let Evidence { id, expires, proof, .. } = evidence;
        let host = proof.receipt.host;
        let Some(row) = self.hosts.get(&host) else { return Ok(Verdict::Excused) };
        let key = seen_key_of(*expires, *id);
        if let Some(seen) = load::<SeenRow>(cx.rows, &SEEN, &key)? {
            return Ok(Verdict::Had(seen.message));
        }
        let signed_at = proof.receipt.hour.start();
        let since = |at: Option<UnixMillis>| at.is_some_and(|at| at >= signed_at);
        let left: Option<LeftRow> = load(cx.rows, &LEFT, host.as_bytes())?;
        let left = left.map(|row| row.at);
        let lost: Option<UnixMillis> = load(cx.rows, &HOME, LOST_ROWS_AT)?;
        let excused = cx.rows.get(&SERVED, &key)?.is_some()
            || self.queues.device(&proof.queue) != Some(device)
            || row.birth != Some(proof.receipt.birth)
            || since(row.lost_state_at)
            || since(left)
            || since(lost)
            || row.left_at.is_some()
            || proof.until.start() <= cx.now.wall
            || proof.check(self.net()).is_err();
        if excused {
            return Ok(Verdict::Excused);
        }
        let link = self.mailbox_link(host).and_then(|link| self.links.get(&link));
        let fetched = link.is_some_and(|link| link.live.contains(&owner_key(&row.private)));
        let registered = self.queues.is_known(host, &proof.queue) && !row.forgot_us;
        if !fetched || !registered || self.space_low || self.clock.is_doubted() {
            return Ok(Verdict::Later);
        }
        Ok(Verdict::Broken)
    }

    /// Whether a proof is of an envelope that we deposited for a device.
    fn is_ours_to_ask(
        &mut self,
        cx: &Cx<'_>,
        device: DeviceId,
        proof: &DepositProof,
    ) -> Result<bool, RowsError> {
        let n = self.queue_number(device);
        let root = self.sessions.pair(cx.rows, device)?.sending_root();
        let root = root.map(|root| &root.roots.sending);
        let numbers = n.saturating_sub(1)..=n.saturating_add(MAX_QUEUE_TRIES);
        let ours = root.is_some_and(|root| {
            let mut queues = numbers.map(|n| root.queue_id(n));
            queues.any(|queue| queue == proof.queue)
        });
        Ok(ours && proof.check(self.net()).is_ok())
    }

    /// Keeps a broken word; returns whether it is new.
    fn keep_broken(
        &mut self,
        cx: &mut Cx<'_>,
        (with, ours): (AccountId, bool),
        evidence: Evidence,
    ) -> Result<bool, RowsError> {
        let host = evidence.proof.receipt.host;
        let known = load_all::<BrokenRow>(cx.rows, &BROKEN, &[])?;
        let key = [host.as_bytes().as_slice(), &evidence.proof.envelope].concat();
        // A contact can sign for hosts that nobody has ever seen: its words are counted, not those hosts.
        let like = |(_, row): &&(Vec<u8>, BrokenRow)| {
            let same = row.evidence.proof.receipt.host == host;
            row.ours == ours && if ours { same } else { row.with == with }
        };
        let full = known.iter().filter(like).count() >= MAX_BROKEN;
        if full || known.iter().any(|(known, _)| *known == key) {
            return Ok(false);
        }
        let at = cx.now.wall;
        if ours {
            self.words.broken.insert(host, at);
        }
        save(cx.rows, &BROKEN, &key, &BrokenRow { evidence, with, ours, at, forgiven: false })?;
        Ok(true)
    }

    /// The person uses a host again: what it did is kept, and held against it no longer.
    pub(super) fn forgive(&mut self, cx: &mut Cx<'_>, host: HostId) -> Result<bool, RowsError> {
        if self.words.broken.remove(&host).is_none() {
            return Ok(false);
        }
        for (key, row) in load_all::<BrokenRow>(cx.rows, &BROKEN, host.as_bytes())? {
            save(cx.rows, &BROKEN, &key, &BrokenRow { forgiven: true, ..row })?;
        }
        Ok(true)
    }

    /// An own host served an envelope that did not open.
    pub(super) fn note_served(cx: &mut Cx<'_>, envelope: &Envelope) -> Result<(), RowsError> {
        let key = seen_key(envelope);
        if cx.rows.get(&SEEN, &key)?.is_none() {
            cx.rows.put(&SERVED, &key, Vec::new());
        }
        Ok(())
    }

    /// A host is left; what it said of erasing stays.
    pub(super) fn note_left(cx: &mut Cx<'_>, host: HostId) -> Result<(), RowsError> {
        let known: Option<LeftRow> = load(cx.rows, &LEFT, host.as_bytes())?;
        let row = LeftRow { at: cx.now.wall, ..known.unwrap_or_default() };
        save(cx.rows, &LEFT, host.as_bytes(), &row)
    }

    /// A host that is being left says that an owner is gone: kept if it is true.
    pub(super) fn erased(
        &self,
        cx: &mut Cx<'_>,
        host: HostId,
        word: ErasedWord,
    ) -> Result<(), RowsError> {
        let Some(row) = self.hosts.get(&host) else { return Ok(()) };
        let ours = [&row.public, &row.private].map(owner_key).contains(&word.owner);
        let about = (&host, &word.owner, word.hour);
        if !ours || !check_erasure(self.net(), about, &word.signature) {
            return Ok(());
        }
        let known: Option<LeftRow> = load(cx.rows, &LEFT, host.as_bytes())?;
        let mut left = LeftRow { at: cx.now.wall, ..known.unwrap_or_default() };
        left.erased.retain(|known| known.owner != word.owner && known.hour >= word.hour);
        left.erased.push(word);
        save(cx.rows, &LEFT, host.as_bytes(), &left)
    }

    /// Forgets what is too old to show anything.
    pub(in crate::endpoint) fn sweep_words(&mut self, cx: &mut Cx<'_>) -> Result<(), RowsError> {
        let now = cx.now.wall;
        let to = now.saturating_sub(SEEN_GRACE).hours().0.to_be_bytes();
        for (key, _) in cx.rows.scan(&SERVED, &[], &to, MAX_SCAN, Direction::Forward)? {
            cx.rows.delete(&SERVED, &key);
        }
        for (key, row) in load_all::<LeftRow>(cx.rows, &LEFT, &[])? {
            if now.since(row.at) >= SESSION_GRACE {
                cx.rows.delete(&LEFT, &key);
            }
        }
        for (key, row) in load_all::<BrokenRow>(cx.rows, &BROKEN, &[])? {
            if now.since(row.at) >= BROKEN_KEPT {
                cx.rows.delete(&BROKEN, &key);
                let host = row.evidence.proof.receipt.host;
                let at = self.words.broken.get(&host);
                if at.is_some_and(|at| *at <= row.at) {
                    self.words.broken.remove(&host);
                }
            }
        }
        let since_start = cx.now.since_start;
        self.words.asked.retain(|_, at| since_start.saturating_sub(*at) < ASK_AGAIN);
        Ok(())
    }
}
