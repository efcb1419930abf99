//! What is over goes: envelopes by the hour, owners that gave no sign for 60 days, old tokens.
//!
//! Rule: nothing is swept while the clock is doubted; a round deletes at most
//! [`crate::limits::MAX_SWEEP`] rows and the next one goes on.

use super::fetches::envelope_of;
use super::machine::{HostMachine, Hx};
use crate::id::OwnerKey;
use crate::limits::{IDLE_MAILBOX, MAX_SCAN, MAX_SWEEP, SESSION_GRACE};
use crate::rows::mailbox::{
    CARDS, CardRow, INVITED, InvitedRow, MailPlace, OwnerRow, TOKENS, TokenRow, trees,
};
use crate::rows::typed::{load, load_all, parse};
use crate::rows::{Direction, RowsError};
use crate::time::Millis;
use crate::wire::frame::OwnerRole;

/// How often idle owners and old tokens are looked for.
const IDLE_EVERY: Millis = Millis::from_hours(1);
/// How often it is written that a connected owner is seen.
const SEEN_EVERY: Millis = Millis::from_days(1);

impl HostMachine {
    pub(super) fn sweep(&mut self, hx: &mut Hx<'_>) -> Result<(), RowsError> {
        if self.clock.is_doubted() {
            return Ok(());
        }
        let mut budget = MAX_SWEEP;
        for role in [OwnerRole::Private, OwnerRole::Public] {
            self.sweep_mail(hx, role, &mut budget)?;
        }
        let now = hx.now.since_start;
        if self.idle_swept.is_none_or(|at| now.saturating_sub(at) >= IDLE_EVERY) {
            self.idle_swept = Some(now);
            self.sweep_idle(hx)?;
        }
        Ok(())
    }

    fn sweep_mail(
        &mut self,
        hx: &mut Hx<'_>,
        role: OwnerRole,
        budget: &mut usize,
    ) -> Result<(), RowsError> {
        let (trees, now) = (trees(role), hx.now.wall.hours());
        let to = now.0.saturating_add(1).to_be_bytes();
        let due = hx.rows.scan(&trees.ends, &[], &to, MAX_SCAN, Direction::Forward)?;
        for (key, value) in due {
            let owner: OwnerKey = parse(&trees.ends, &value)?;
            for (at, place) in load_all::<MailPlace>(hx.rows, &trees.ids, owner.as_bytes())? {
                if place.until > now {
                    continue;
                }
                if *budget == 0 {
                    return Ok(());
                }
                if let Some(id) = envelope_of(&at) {
                    self.delete_mail(hx, (role, owner), id, &place)?;
                }
                *budget = budget.saturating_sub(1);
            }
            let Some(hour) = key.get(..4) else { continue };
            hx.rows.delete(&trees.ends, &[hour, owner.as_bytes()].concat());
        }
        Ok(())
    }

    fn sweep_idle(&mut self, hx: &mut Hx<'_>) -> Result<(), RowsError> {
        let connected =
            |owner: &OwnerKey| self.links.values().any(|link| link.proved.contains(owner));
        let (mut idle, mut here, mut published) = (Vec::new(), Vec::new(), Vec::new());
        for role in [OwnerRole::Private, OwnerRole::Public] {
            for (_, row) in load_all::<OwnerRow>(hx.rows, &trees(role).owners, &[])? {
                let silent = hx.now.wall.since(row.last_seen.start());
                if connected(&row.owner) {
                    here.extend((silent >= SEEN_EVERY).then_some(row.owner));
                } else if silent >= IDLE_MAILBOX {
                    idle.push(row.owner);
                    continue;
                }
                if role == OwnerRole::Public {
                    published.push((row.owner, row.account));
                }
            }
        }
        // Who stays connected for months is seen all the while, and not gone when its line drops.
        for owner in here {
            if let Some(row) = self.ledger.owner_mut(hx.rows, owner)? {
                row.last_seen = hx.now.wall.hours();
            }
        }
        for owner in idle {
            self.end_owner(hx, owner)?;
        }
        for (owner, account) in published {
            self.sweep_invited(hx, owner)?;
            let Some(account) = account else { continue };
            let card: Option<CardRow> = load(hx.rows, &CARDS, account.as_bytes())?;
            if card.is_some_and(|card| card.until <= hx.now.wall.hours()) {
                hx.rows.delete(&CARDS, account.as_bytes());
            }
        }
        self.sweep_tokens(hx)
    }

    /// Invites that are over go.
    pub(super) fn sweep_invited(
        &mut self,
        hx: &mut Hx<'_>,
        owner: OwnerKey,
    ) -> Result<(), RowsError> {
        if self.clock.is_doubted() {
            return Ok(());
        }
        for (key, row) in load_all::<InvitedRow>(hx.rows, &INVITED, owner.as_bytes())? {
            if row.expires <= hx.now.wall.hours() {
                hx.rows.delete(&INVITED, &key);
            }
        }
        Ok(())
    }

    /// A token is remembered for as long as a young store might take it after its end.
    fn sweep_tokens(&mut self, hx: &mut Hx<'_>) -> Result<(), RowsError> {
        for (key, row) in load_all::<TokenRow>(hx.rows, &TOKENS, &[])? {
            if hx.now.wall.since(row.expires.start()) >= SESSION_GRACE {
                hx.rows.delete(&TOKENS, &key);
            }
        }
        Ok(())
    }
}
