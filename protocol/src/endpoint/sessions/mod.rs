//! The sessions of every device pair, in front of their rows.
//!
//! A session changes with every message and is written once a batch ([`Sessions::flush`]); skipped
//! keys and old header keys are written as they come. Rules: a message enters the state only once
//! its body has opened; on `Err` nothing here has changed; the cache is dropped
//! ([`Sessions::discard`]) when, and only when, the whole batch is: what it holds and the batch's
//! rows belong together. Source: PROTOCOL §4, "State"; ARCHITECTURE, "The contract".

mod skipped;

use std::collections::{BTreeMap, BTreeSet};

use rand_core::CryptoRng;

use crate::id::{DeviceId, SessionId};
use crate::limits::{MAX_CACHED_PAIRS, MAX_SCAN};
use crate::rows::session::{PAIRS, SESSIONS, SessionRow, session_key};
use crate::rows::typed::{load, load_all, save};
use crate::rows::{Direction, ReadRows, Rows, RowsError};
use crate::session::{
    AdmitError, EncryptError, KemAccept, OpenError, Pair, Position, Pqxdh, Session, Started,
};
use crate::time::{Millis, UnixMillis};

/// A message that was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedMessage {
    /// In which session.
    pub session: SessionId,
    /// Its generation.
    pub generation: u32,
    /// What the peer wrote: the content's bytes.
    pub content: Vec<u8>,
    /// Whether the peer was heard for the first time in this session.
    pub first_heard: bool,
    /// Whether the session came to be with this message.
    pub new_session: bool,
}

/// Why a message was not opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenFailure {
    /// It does not open; one counter for each reason.
    #[error(transparent)]
    Unopened(#[from] OpenError),
    /// Its handshake builds no session, and its session is not here.
    #[error(transparent)]
    NotAdmitted(#[from] AdmitError),
    /// It would skip more keys than a pair may today: it waits, unacknowledged.
    #[error("the pair has skipped too many keys today")]
    Wait,
    /// The store cannot read.
    #[error(transparent)]
    Rows(#[from] RowsError),
}

/// Why a content was not encrypted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncryptFailure {
    /// There is no such session.
    #[error("no such session")]
    NoSession,
    /// The session does not encrypt it.
    #[error(transparent)]
    Encrypt(#[from] EncryptError),
    /// The store cannot read.
    #[error(transparent)]
    Rows(#[from] RowsError),
}

struct Live {
    row: SessionRow,
    changed: bool,
}

struct Cached {
    pair: Pair,
    pair_changed: bool,
    live: Vec<Live>,
}

impl Cached {
    fn find(&mut self, session: SessionId) -> Option<&mut Live> {
        self.live.iter_mut().find(|live| live.row.session.id() == session)
    }
}

/// The cache: everything in it is a copy of rows, or will be one with the next flush.
#[derive(Default)]
pub struct Sessions {
    devices: BTreeMap<DeviceId, Cached>,
    /// Where a message was opened since somebody last had time.
    opened: BTreeSet<(DeviceId, SessionId)>,
}

impl Sessions {
    /// An empty cache.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What is known of the pair with a device; an empty one if the two never spoke.
    ///
    /// # Errors
    /// [`RowsError`] if the store cannot be read.
    pub fn pair(&mut self, rows: &dyn ReadRows, device: DeviceId) -> Result<&Pair, RowsError> {
        Ok(&self.load(rows, device)?.pair)
    }

    /// The same, to be changed: it is written with the next flush.
    ///
    /// # Errors
    /// As [`Self::pair`].
    pub fn pair_mut(
        &mut self,
        rows: &dyn ReadRows,
        device: DeviceId,
    ) -> Result<&mut Pair, RowsError> {
        let cached = self.load(rows, device)?;
        cached.pair_changed = true;
        Ok(&mut cached.pair)
    }

    /// A live session.
    ///
    /// # Errors
    /// As [`Self::pair`].
    pub fn session(
        &mut self,
        rows: &dyn ReadRows,
        device: DeviceId,
        session: SessionId,
    ) -> Result<Option<&Session>, RowsError> {
        Ok(self.load(rows, device)?.find(session).map(|live| &live.row.session))
    }

    /// The handshake that rides with every message of a session until the peer was heard in it.
    ///
    /// # Errors
    /// As [`Self::pair`].
    pub fn handshake(
        &mut self,
        rows: &dyn ReadRows,
        device: DeviceId,
        session: SessionId,
    ) -> Result<Option<Pqxdh>, RowsError> {
        let live = self.load(rows, device)?.find(session);
        Ok(live.and_then(|live| live.row.handshake.clone()))
    }

    /// Takes in a session that this side has begun.
    ///
    /// # Errors
    /// As [`Self::pair`].
    pub fn insert(
        &mut self,
        rows: &mut dyn Rows,
        now: UnixMillis,
        device: DeviceId,
        started: &Started,
    ) -> Result<(), RowsError> {
        let row = SessionRow {
            session: started.session.clone(),
            handshake: Some(started.handshake.clone()),
            skipped_ec: 0,
            skipped_pq: 0,
            headers: 0,
            kem_sent: None,
        };
        self.add(rows, now, device, started, row)
    }

    fn add(
        &mut self,
        rows: &mut dyn Rows,
        now: UnixMillis,
        device: DeviceId,
        started: &Started,
        row: SessionRow,
    ) -> Result<(), RowsError> {
        let cached = self.load(rows, device)?;
        let mut pair = cached.pair.clone();
        pair.add(started, now);
        for gone in pair.crowd_out() {
            skipped::erase(rows, device, gone)?;
            cached.live.retain(|live| live.row.session.id() != gone);
        }
        if pair.sessions().iter().any(|session| session.id == row.session.id()) {
            cached.live.push(Live { row, changed: true });
        }
        cached.pair = pair;
        cached.pair_changed = true;
        Ok(())
    }

    /// Opens a message of a device in one of its sessions: of the generation that its mark named,
    /// or of any.
    ///
    /// # Errors
    /// [`OpenFailure`]: every case but `NotAdmitted`.
    pub fn open(
        &mut self,
        rows: &mut dyn Rows,
        now: UnixMillis,
        device: DeviceId,
        generation: Option<u32>,
        bytes: &[u8],
    ) -> Result<OpenedMessage, OpenFailure> {
        let cached = self.load(rows, device)?;
        let mut found = None;
        for (index, live) in cached.live.iter().enumerate() {
            let named = generation.is_none_or(|named| named == live.row.session.generation());
            if named && let Some(position) = locate(rows, &live.row, bytes)? {
                found = Some((index, position));
                break;
            }
        }
        let (index, position) = found.ok_or(OpenError::NoHeader)?;
        let live = cached.live.get_mut(index).ok_or(OpenError::NoHeader)?;
        let pair = &mut cached.pair;
        let message = open_at(rows, now, (pair, &mut live.row), &position, bytes)?;
        live.changed = true;
        cached.pair_changed |= pair.skip(position.skips(), now);
        cached.pair_changed |= pair.heard(message.session, now);
        self.opened.insert((device, message.session));
        Ok(message)
    }

    /// Opens what came sealed with a handshake that was answered: in its session if that is here,
    /// else in the new one, which is taken in.
    ///
    /// # Errors
    /// [`OpenFailure`]: every case.
    pub fn open_sealed(
        &mut self,
        rows: &mut dyn Rows,
        now: UnixMillis,
        device: DeviceId,
        started: &Started,
        bytes: &[u8],
    ) -> Result<OpenedMessage, OpenFailure> {
        let (id, generation) = (started.session.id(), started.session.generation());
        let cached = self.load(rows, device)?;
        if cached.find(id).is_some() {
            return self.open(rows, now, device, Some(generation), bytes);
        }
        cached.pair.admit(id, generation, now)?;
        let mut row = SessionRow {
            session: started.session.clone(),
            handshake: None,
            skipped_ec: 0,
            skipped_pq: 0,
            headers: 0,
            kem_sent: None,
        };
        let position = locate(rows, &row, bytes)?.ok_or(OpenError::NoHeader)?;
        let opened = open_at(rows, now, (&cached.pair, &mut row), &position, bytes)?;
        self.add(rows, now, device, started, row)?;
        let pair = self.pair_mut(rows, device)?;
        pair.skip(position.skips(), now);
        pair.heard(id, now);
        Ok(OpenedMessage { new_session: true, ..opened })
    }

    /// Computes ahead what the next message of one session needs; whether there was one. For idle
    /// moments: nothing that is stored changes.
    pub fn prepare(&mut self, rng: &mut dyn CryptoRng) -> bool {
        while let Some((device, session)) = self.opened.pop_first() {
            let live = self.devices.get_mut(&device).and_then(|cached| cached.find(session));
            if live.is_some_and(|live| live.row.session.prepare(rng)) {
                return true;
            }
        }
        false
    }

    /// Encrypts a content into a message of exactly `length` bytes.
    ///
    /// # Errors
    /// [`EncryptFailure`]: every case.
    pub fn encrypt(
        &mut self,
        rows: &dyn ReadRows,
        at: (DeviceId, SessionId),
        content: &[u8],
        length: usize,
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, EncryptFailure> {
        let cached = self.load(rows, at.0)?;
        let live = cached.find(at.1).ok_or(EncryptFailure::NoSession)?;
        let (next, message) = live.row.session.encrypt(content, length, rng)?;
        live.row.session = next;
        live.changed = true;
        Ok(message)
    }

    /// The part of a KEM epoch that is to be sent now for the first time: an offer that is due.
    ///
    /// # Errors
    /// As [`Self::pair`].
    pub fn offer_kem(
        &mut self,
        rows: &dyn ReadRows,
        at: (DeviceId, SessionId),
        now: UnixMillis,
        rng: &mut dyn CryptoRng,
    ) -> Result<Option<Vec<u8>>, RowsError> {
        let Some(live) = self.load(rows, at.0)?.find(at.1) else { return Ok(None) };
        let Some(next) = live.row.session.offer_kem(now, rng) else { return Ok(None) };
        live.row.session = next;
        live.row.kem_sent = Some((now, 0));
        live.changed = true;
        Ok(live.row.session.kem_part())
    }

    /// The part that is due once more: the same, after 1, 3, 7 days and then every 7 days, if the
    /// peer gave a sign since it was last sent.
    ///
    /// # Errors
    /// As [`Self::pair`].
    pub fn repeat_kem(
        &mut self,
        rows: &dyn ReadRows,
        at: (DeviceId, SessionId),
        now: UnixMillis,
    ) -> Result<Option<Vec<u8>>, RowsError> {
        let cached = self.load(rows, at.0)?;
        let heard = cached.pair.last_sign();
        let Some(live) = cached.find(at.1) else { return Ok(None) };
        let (Some(part), Some((sent, repeats))) = (live.row.session.kem_part(), live.row.kem_sent)
        else {
            return Ok(None);
        };
        if !repeat_is_due((sent, repeats), heard, now) {
            return Ok(None);
        }
        live.row.kem_sent = Some((now, repeats.saturating_add(1)));
        live.changed = true;
        Ok(Some(part))
    }

    /// Takes in a part that the peer sent in a session: returns the answer, if one is to be sent.
    ///
    /// # Errors
    /// As [`Self::pair`].
    pub fn accept_kem_part(
        &mut self,
        rows: &dyn ReadRows,
        at: (DeviceId, SessionId),
        part: &[u8],
        now: UnixMillis,
        rng: &mut dyn CryptoRng,
    ) -> Result<Option<Vec<u8>>, RowsError> {
        let Some(live) = self.load(rows, at.0)?.find(at.1) else { return Ok(None) };
        let (next, accepted) = live.row.session.accept_kem_part(part, rng);
        if accepted == KemAccept::NotDue {
            return Ok(None);
        }
        live.row.session = next;
        live.row.kem_sent = Some((now, 0));
        live.changed = true;
        let answer = if accepted == KemAccept::Answer { live.row.session.kem_part() } else { None };
        Ok(answer)
    }

    /// Removes everything of a device pair but that the two spoke.
    ///
    /// # Errors
    /// As [`Self::pair`].
    pub fn forget(&mut self, rows: &mut dyn Rows, device: DeviceId) -> Result<(), RowsError> {
        let cached = self.load(rows, device)?;
        let gone: Vec<SessionId> = cached.live.iter().map(|live| live.row.session.id()).collect();
        for session in gone {
            skipped::erase(rows, device, session)?;
        }
        cached.pair.forget();
        cached.pair_changed = true;
        cached.live.clear();
        Ok(())
    }

    /// Erases what has outlived its time, for at most `limit` devices that come after `after`.
    /// Returns where to go on, or `None` at the end. Not to be asked while the clock is in doubt.
    ///
    /// # Errors
    /// As [`Self::pair`].
    pub fn sweep(
        &mut self,
        rows: &mut dyn Rows,
        now: UnixMillis,
        after: Option<DeviceId>,
        limit: usize,
    ) -> Result<Option<DeviceId>, RowsError> {
        let mut from = after.map_or_else(Vec::new, |device| device.as_bytes().to_vec());
        if after.is_some() {
            from.push(0);
        }
        let page = rows.scan(&PAIRS, &from, &[], limit.min(MAX_SCAN), Direction::Forward)?;
        let mut last = None;
        for (key, _) in &page {
            last = DeviceId::from_slice(key);
            if let Some(device) = last {
                self.sweep_device(rows, now, device)?;
            }
        }
        Ok(if page.len() < limit { None } else { last })
    }

    fn sweep_device(
        &mut self,
        rows: &mut dyn Rows,
        now: UnixMillis,
        device: DeviceId,
    ) -> Result<(), RowsError> {
        let cached = self.load(rows, device)?;
        let mut pair = cached.pair.clone();
        for gone in pair.expire(now) {
            skipped::erase(rows, device, gone)?;
            cached.live.retain(|live| live.row.session.id() != gone);
        }
        cached.pair_changed |= pair != cached.pair;
        cached.pair = pair;
        for live in &mut cached.live {
            live.changed |= skipped::expire(rows, now, &mut live.row)?;
        }
        if cached.pair.is_over(now) {
            rows.delete(&PAIRS, device.as_bytes());
            self.devices.remove(&device);
        }
        Ok(())
    }

    /// Writes every session and pair that changed: once, at the end of a batch.
    ///
    /// # Errors
    /// [`RowsError`] if a row is larger than any may be.
    pub fn flush(&mut self, rows: &mut dyn Rows) -> Result<(), RowsError> {
        for (device, cached) in &mut self.devices {
            if core::mem::take(&mut cached.pair_changed) {
                save(rows, &PAIRS, device.as_bytes(), &cached.pair)?;
            }
            for live in cached.live.iter_mut().filter(|live| live.changed) {
                let key = session_key(device, &live.row.session.id());
                save(rows, &SESSIONS, &key, &live.row)?;
                live.changed = false;
            }
        }
        if self.devices.len() > MAX_CACHED_PAIRS {
            self.devices.clear();
        }
        Ok(())
    }

    /// Forgets the cache, with what was not flushed: the batch that it belonged to was dropped.
    pub fn discard(&mut self) {
        self.devices.clear();
        self.opened.clear();
    }

    fn load(&mut self, rows: &dyn ReadRows, device: DeviceId) -> Result<&mut Cached, RowsError> {
        use std::collections::btree_map::Entry;
        match self.devices.entry(device) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                let pair = load(rows, &PAIRS, device.as_bytes())?.unwrap_or_default();
                let live = load_all::<SessionRow>(rows, &SESSIONS, device.as_bytes())?;
                let live = live.into_iter().map(|(_, row)| Live { row, changed: false });
                let live = live.collect();
                Ok(entry.insert(Cached { pair, pair_changed: false, live }))
            }
        }
    }
}

/// Whether what was sent and never answered goes once more: after 1, 3, 7 days and then every 7
/// days, if the peer was heard since. Source: PROTOCOL §4 "KEM epochs", §7 "Sent again".
pub(super) fn repeat_is_due(
    (sent, repeats): (UnixMillis, u8),
    heard: Option<UnixMillis>,
    now: UnixMillis,
) -> bool {
    let days = match repeats {
        0 => 1,
        1 => 3,
        _ => 7,
    };
    heard.is_some_and(|heard| heard > sent) && now.since(sent) >= Millis::from_days(days)
}

/// Where a message belongs in a session; old header keys are read only if the present ones do not
/// fit.
fn locate(
    rows: &dyn ReadRows,
    row: &SessionRow,
    bytes: &[u8],
) -> Result<Option<Position>, RowsError> {
    let position = row.session.locate(&[], bytes);
    if position.is_some() || row.headers == 0 {
        return Ok(position);
    }
    Ok(row.session.locate(&skipped::headers(rows, row.session.id())?, bytes))
}

/// Opens a located message; the row and what it leaves behind are changed once it has opened.
fn open_at(
    rows: &mut dyn Rows,
    now: UnixMillis,
    (pair, row): (&Pair, &mut SessionRow),
    position: &Position,
    bytes: &[u8],
) -> Result<OpenedMessage, OpenFailure> {
    if !pair.may_skip(position.skips(), now) {
        return Err(OpenFailure::Wait);
    }
    let keys = skipped::keys(rows, row.session.id(), position)?;
    let opened = row.session.open(position, keys, bytes, now)?;
    let mut next = SessionRow {
        session: opened.session,
        handshake: None,
        skipped_ec: row.skipped_ec,
        skipped_pq: row.skipped_pq,
        headers: row.headers,
        kem_sent: row.kem_sent,
    };
    skipped::use_up(rows, &mut next, &opened.used)?;
    skipped::keep(rows, now, &mut next, &opened.new_skipped)?;
    if let Some(header) = opened.retired_header {
        skipped::keep_header(rows, now, &mut next, header)?;
    }
    let first_heard = !row.session.heard();
    *row = next;
    Ok(OpenedMessage {
        session: row.session.id(),
        generation: row.session.generation(),
        content: opened.content,
        first_heard,
        new_session: false,
    })
}

#[cfg(test)]
mod tests;
