//! All sessions of one device pair, as far as a decision needs to know them.
//!
//! Rules: this side sends on the highest generation, among equals on one in which the peer was
//! heard, then on the lowest id; the others receive for 35 days; at most four live. Both sides
//! decide alike whatever came first. Nothing here encrypts or stores.
//! Source: PROTOCOL §4, "Which session"; `spec/session.md#which-session`.

mod made;
mod remedy;
mod roots;

pub use made::{Made, MadeClaim, Relation};
pub use remedy::Remedy;
pub use roots::PairRoot;

use core::cmp::Reverse;

use serde::{Deserialize, Serialize};

use crate::id::SessionId;
use crate::limits::{
    MAX_FIRST_GENERATION, MAX_GENERATION_AHEAD, MAX_REMEMBERED_SESSIONS, MAX_SESSIONS,
    MAX_SESSIONS_A_DAY, MAX_SKIPPED_A_DAY, PAIR_MEMORY, PREKEY_GRACE, SESSION_GRACE,
};
use crate::session::handshake::Started;
use crate::session::pqxdh::{Cause, Via};
use crate::time::{Millis, UnixMillis};
use remedy::Remedies;
use roots::RootSet;

/// Signs of a peer are noted once in this time, so that hearing it does not cost a row each time.
const COARSE: Millis = Millis::from_hours(1);

/// Two that begin within this time may have begun at once.
const AT_ONCE: Millis = Millis::from_minutes(1);

/// What a pair knows of one of its sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Which.
    pub id: SessionId,
    /// Its number within the pair.
    pub generation: u32,
    /// Why it was begun.
    pub cause: Cause,
    /// Where its handshake was made for.
    pub via: Via,
    /// Whether this side began it.
    pub ours: bool,
    /// When it came to be here.
    pub since: UnixMillis,
    /// When the bundle that it used ends.
    pub bundle_until: UnixMillis,
    /// When a body of the peer last opened in it, to the hour; `None` if never.
    pub heard_at: Option<UnixMillis>,
    /// Since when another one is sent on.
    pub replaced_at: Option<UnixMillis>,
    /// Never encrypts again: the home was older than it is.
    pub retired: bool,
}

/// What may be done in a day, counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct DayCount {
    since: UnixMillis,
    count: u32,
}

impl DayCount {
    fn at(&self, now: UnixMillis) -> u32 {
        let over = now < self.since || now.since(self.since) >= Millis::from_days(1);
        if over { 0 } else { self.count }
    }

    fn add(&mut self, count: u32, now: UnixMillis) {
        let before = self.at(now);
        if before == 0 {
            self.since = now;
        }
        self.count = before.saturating_add(count);
    }
}

/// Why a handshake builds no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AdmitError {
    /// Its session is here, or was: the message inside goes to it, or is dropped.
    #[error("the session is known")]
    Known,
    /// Its generation is further up than any honest peer's.
    #[error("generation {got} is above {limit}")]
    TooHigh {
        /// The highest that is admitted.
        limit: u32,
        /// What it claims.
        got: u32,
    },
    /// The peer opened too many sessions within a day.
    #[error("more than {} sessions in a day", MAX_SESSIONS_A_DAY)]
    TooMany,
}

/// Everything that is decided about the sessions of one device pair.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    highest: Option<u32>,
    sessions: Vec<Summary>,
    roots: RootSet,
    remembered: Vec<(SessionId, UnixMillis)>,
    opened_by_peer: DayCount,
    skipped: DayCount,
    remedies: Remedies,
    last_sign: Option<UnixMillis>,
}

impl Pair {
    /// The highest generation known; `None` if the two never spoke.
    #[must_use]
    pub const fn highest(&self) -> Option<u32> {
        self.highest
    }

    /// The generation of the next session that this side begins; `None` at the end of numbers.
    #[must_use]
    pub fn next_generation(&self) -> Option<u32> {
        self.highest.map_or(Some(0), |highest| highest.checked_add(1))
    }

    /// The live sessions.
    #[must_use]
    pub fn sessions(&self) -> &[Summary] {
        &self.sessions
    }

    /// When the peer last gave a sign, to the hour.
    #[must_use]
    pub const fn last_sign(&self) -> Option<UnixMillis> {
        self.last_sign
    }

    /// The session to encrypt in.
    #[must_use]
    pub fn sending(&self) -> Option<SessionId> {
        let usable = self.sessions.iter().filter(|session| !session.retired);
        usable.max_by_key(|session| rank(session)).map(|session| session.id)
    }

    /// Whether a handshake of the peer may build a session.
    ///
    /// # Errors
    /// [`AdmitError`]: every case.
    pub fn admit(&self, id: SessionId, generation: u32, now: UnixMillis) -> Result<(), AdmitError> {
        if self.remembers(id) {
            return Err(AdmitError::Known);
        }
        let limit = self
            .highest
            .map_or(MAX_FIRST_GENERATION, |highest| highest.saturating_add(MAX_GENERATION_AHEAD));
        if generation > limit {
            return Err(AdmitError::TooHigh { limit, got: generation });
        }
        if self.opened_by_peer.at(now) >= MAX_SESSIONS_A_DAY {
            return Err(AdmitError::TooMany);
        }
        Ok(())
    }

    /// Whether a peer that begins a session of this generation has lost one that it had: nobody makes
    /// two of one generation, but both sides may make one at once. Asked before [`Pair::add`].
    #[must_use]
    pub fn has_forgotten(&self, generation: u32, now: UnixMillis) -> bool {
        self.sessions.iter().any(|session| {
            let at_once = session.ours && now.since(session.since) < AT_ONCE;
            session.generation >= generation && session.heard_at.is_some() && !at_once
        })
    }

    /// Whether a session of this id is here, or was while its private keys live.
    #[must_use]
    pub fn remembers(&self, id: SessionId) -> bool {
        self.remembered.iter().any(|(known, _)| *known == id)
            || self.sessions.iter().any(|session| session.id == id)
    }

    /// Takes in a session that was begun, or answered and whose first message has opened.
    pub fn add(&mut self, started: &Started, now: UnixMillis) {
        let (session, purpose) = (&started.session, started.handshake.purpose());
        self.highest = self.highest.max(Some(purpose.generation));
        self.remembered.push((session.id(), started.remember_until));
        let too_many = self.remembered.len().saturating_sub(MAX_REMEMBERED_SESSIONS);
        self.remembered.drain(..too_many);
        if session.is_initiator() {
            self.remedies.opened(purpose, now);
        } else {
            self.opened_by_peer.add(1, now);
        }
        if purpose.via == Via::Contact {
            self.roots.add(PairRoot::new(session.id(), purpose.generation, started), now);
        }
        self.sessions.push(Summary {
            id: session.id(),
            generation: purpose.generation,
            cause: purpose.cause,
            via: purpose.via,
            ours: session.is_initiator(),
            since: now,
            bundle_until: started.remember_until.saturating_sub(PREKEY_GRACE),
            heard_at: None,
            replaced_at: None,
            retired: false,
        });
        self.note_replaced(now);
    }

    /// A body of the peer opened in a session. Returns whether anything here changed.
    pub fn heard(&mut self, id: SessionId, now: UnixMillis) -> bool {
        let Some(session) = self.sessions.iter_mut().find(|session| session.id == id) else {
            return false;
        };
        let fresh = session.heard_at.is_some_and(|at| now.since(at) < COARSE && at <= now);
        if fresh {
            return false;
        }
        let first = session.heard_at.is_none();
        session.heard_at = Some(now);
        self.last_sign = self.last_sign.max(Some(now));
        if first {
            self.roots.heard(id, now);
            self.note_replaced(now);
        }
        true
    }

    /// No session that is here now encrypts again: this home was older than it is. They receive
    /// for 35 days more. What was done as a remedy before puts off nothing: it rested on an older home.
    pub fn retire_all(&mut self, now: UnixMillis) {
        for session in &mut self.sessions {
            session.retired = true;
        }
        self.remedies.begin_anew();
        self.note_replaced(now);
    }

    /// Takes out what has outlived its time, and returns the sessions whose rows are to go: those
    /// replaced for 35 days. Not to be asked while the clock is in doubt.
    pub fn expire(&mut self, now: UnixMillis) -> Vec<SessionId> {
        self.remembered.retain(|(_, until)| *until > now);
        self.roots.trim(now);
        let old = |session: &Summary| {
            session.replaced_at.is_some_and(|at| now.since(at) >= SESSION_GRACE)
        };
        let gone = self.sessions.iter().filter(|session| old(session)).map(|session| session.id);
        let gone = gone.collect();
        self.sessions.retain(|session| !old(session));
        gone
    }

    /// Takes out the lowest generations above four live sessions, and returns them: their rows are
    /// to go.
    pub fn crowd_out(&mut self) -> Vec<SessionId> {
        self.sessions.sort_by_key(|session| Reverse(rank(session)));
        let kept = MAX_SESSIONS.min(self.sessions.len());
        self.sessions.split_off(kept).into_iter().map(|session| session.id).collect()
    }

    /// Forgets everything but that the two spoke (removed, declined, blocked): returns the sessions
    /// whose rows are to go. Whoever asks again asks with a higher generation.
    pub fn forget(&mut self) -> Vec<SessionId> {
        self.roots = RootSet::default();
        core::mem::take(&mut self.sessions).into_iter().map(|session| session.id).collect()
    }

    /// Whether nothing is left to remember: no session, and no sign of the peer for 400 days.
    #[must_use]
    pub fn is_over(&self, now: UnixMillis) -> bool {
        let silent = self.last_sign.is_some_and(|at| now.since(at) >= PAIR_MEMORY);
        silent && self.sessions.is_empty() && self.remembered.is_empty()
    }

    /// Whether a message may skip that many keys today.
    #[must_use]
    pub fn may_skip(&self, keys: u32, now: UnixMillis) -> bool {
        keys == 0 || self.skipped.at(now).saturating_add(keys) <= MAX_SKIPPED_A_DAY
    }

    /// Counts keys that were skipped. Returns whether anything here changed.
    pub fn skip(&mut self, keys: u32, now: UnixMillis) -> bool {
        if keys > 0 {
            self.skipped.add(keys, now);
        }
        keys > 0
    }

    fn note_replaced(&mut self, now: UnixMillis) {
        let sending = self.sending();
        for session in &mut self.sessions {
            session.replaced_at = match session.replaced_at {
                _ if Some(session.id) == sending => None,
                None => Some(now),
                since => since,
            };
        }
    }
}

/// What is sent on is the session of the highest rank.
fn rank(session: &Summary) -> (bool, u32, bool, Reverse<SessionId>) {
    (!session.retired, session.generation, session.heard_at.is_some(), Reverse(session.id))
}
