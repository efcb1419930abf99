//! The one remedy: whatever the peer made that does not open brings a new session, one generation
//! up; how often is bounded.
//!
//! Source: PROTOCOL §4, "What does not open".

use serde::{Deserialize, Serialize};

use super::Pair;
use super::made::Relation;
use crate::session::pqxdh::{Cause, Purpose, Via};
use crate::time::{Millis, UnixMillis};

const HOUR: Millis = Millis::from_hours(1);
const DAY: Millis = Millis::from_days(1);
/// The fourth within a day goes through the contact queue: someone else may hold the old root.
const BEFORE_CONTACT: usize = 3;

/// What is done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Nothing, or nothing yet.
    Nothing,
    /// A `hello` in the newest session; then [`Pair::hello_sent`].
    Hello,
    /// A new session, opened by `hello`; then [`Pair::add`].
    Open(Purpose),
    /// A new session one above this generation, once the hour or the day is over.
    Later {
        /// The generation below it.
        above: u32,
        /// Why.
        cause: Cause,
    },
}

/// What was done lately.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Remedies {
    /// Sessions opened as a remedy, newest last: at most four.
    opened: Vec<UnixMillis>,
    through_contact: Option<UnixMillis>,
    hello: Option<UnixMillis>,
}

impl Remedies {
    /// As if no session had been opened lately.
    pub(super) fn begin_anew(&mut self) {
        self.opened.clear();
        self.through_contact = None;
    }

    pub(super) fn opened(&mut self, purpose: Purpose, now: UnixMillis) {
        if !matches!(purpose.cause, Cause::Desync | Cause::RolledBack) {
            return;
        }
        self.opened.push(now);
        let too_many = self.opened.len().saturating_sub(BEFORE_CONTACT + 1);
        self.opened.drain(..too_many);
        if purpose.via == Via::Contact {
            self.through_contact = Some(now);
        }
    }

    /// Where the next session may go now: at most one an hour, the fourth within a day through the
    /// contact queue, and after that one a day.
    fn allowed(&self, now: UnixMillis) -> Option<Via> {
        if self.opened.iter().any(|at| within(*at, HOUR, now)) {
            return None;
        }
        if self.through_contact.is_some_and(|at| within(at, DAY, now)) {
            return None;
        }
        let today = self.opened.iter().filter(|at| within(**at, DAY, now)).count();
        Some(if today >= BEFORE_CONTACT { Via::Contact } else { Via::Pair })
    }
}

/// A time that lies ahead (the clock went back) does not count.
fn within(at: UnixMillis, length: Millis, now: UnixMillis) -> bool {
    at <= now && now.since(at) < length
}

impl Pair {
    /// What to do about an envelope of the peer that opens neither a session nor the seal;
    /// `generation` and `relation` are what its mark said.
    #[must_use]
    pub fn remedy(&self, generation: u32, relation: Relation, now: UnixMillis) -> Remedy {
        match relation {
            Relation::Below => self.hello_if_due(now),
            Relation::Highest if self.newest_is_unanswered() => Remedy::Nothing,
            Relation::Highest => self.open(generation, Cause::Desync, now),
            Relation::Above => self.open(generation, Cause::RolledBack, now),
        }
    }

    /// What to do about a session that the peer opened; asked before [`Pair::add`].
    #[must_use]
    pub fn answer_to(&self, purpose: Purpose, now: UnixMillis) -> Remedy {
        match self.highest() {
            Some(highest) if purpose.generation <= highest => match purpose.cause {
                Cause::RolledBack => self.open(highest, Cause::Desync, now),
                _ => Remedy::Nothing,
            },
            Some(_) => Remedy::Hello,
            None => Remedy::Nothing,
        }
    }

    /// What [`Remedy::Later`] put off: nothing any more where a higher session has come since.
    #[must_use]
    pub fn renewal(&self, above: u32, cause: Cause, now: UnixMillis) -> Remedy {
        match (self.highest() > Some(above), above.checked_add(1), cause) {
            (true, ..) | (_, None, _) => Remedy::Nothing,
            // A person asks again: that is no remedy, and not counted as one.
            (false, Some(generation), Cause::FirstContact | Cause::Forgotten) => {
                Remedy::Open(Purpose { generation, cause, via: Via::Contact })
            }
            (false, ..) => self.open(above, cause, now),
        }
    }

    /// The session that replaces an unanswered one of ours whose bundle has ended, where the
    /// newest bundle that is here ends later.
    #[must_use]
    pub fn stale_handshake(&self, bundle_until: UnixMillis, now: UnixMillis) -> Option<Purpose> {
        let newest = self.sessions.iter().find(|session| Some(session.id) == self.sending())?;
        let stale = newest.ours
            && newest.heard_at.is_none()
            && newest.bundle_until <= now
            && newest.bundle_until < bundle_until;
        let generation = self.next_generation().filter(|_| stale)?;
        Some(Purpose { generation, cause: Cause::StaleBundle, via: newest.via })
    }

    /// Notes that a `hello` went out because of a [`Remedy::Hello`].
    pub const fn hello_sent(&mut self, now: UnixMillis) {
        self.remedies.hello = Some(now);
    }

    fn hello_if_due(&self, now: UnixMillis) -> Remedy {
        let lately = self.remedies.hello.is_some_and(|at| within(at, DAY, now));
        if lately || self.sending().is_none() { Remedy::Nothing } else { Remedy::Hello }
    }

    /// An answer is under way: we began the newest session and have not heard the peer in it.
    fn newest_is_unanswered(&self) -> bool {
        let mut newest =
            self.sessions.iter().filter(|session| Some(session.generation) == self.highest());
        newest.clone().any(|session| session.ours)
            && newest.all(|session| session.heard_at.is_none())
    }

    fn open(&self, above: u32, cause: Cause, now: UnixMillis) -> Remedy {
        match (above.checked_add(1), self.remedies.allowed(now)) {
            (Some(generation), Some(via)) => Remedy::Open(Purpose { generation, cause, via }),
            (Some(_), None) => Remedy::Later { above, cause },
            (None, _) => Remedy::Nothing,
        }
    }
}
