//! The keys by which strangers begin a session with this device, and the bundle that names them.
//!
//! Source: PROTOCOL §2, §3, §4 "Key life".

use super::machine::{Cx, Endpoint};
use crate::limits::{MAX_SEAL_KEYS, PREKEY_ROTATION};
use crate::rows::RowsError;
use crate::rows::home::HOME;
use crate::rows::typed::{load, save};
use crate::session::{Bundle, BundleParts, Prekeys};

impl Endpoint {
    /// Reads the prekeys, makes new ones where the newest are a week old, and signs a bundle.
    pub(super) fn open_prekeys(&mut self, cx: &mut Cx<'_>) -> Result<(), RowsError> {
        let wall = cx.now.wall;
        self.prekeys = load(cx.rows, &HOME, b"prekeys")?.unwrap_or_default();
        let fresh = self.prekeys.last().is_some_and(|newest: &Prekeys| {
            newest.published() <= wall && wall.since(newest.published()) < PREKEY_ROTATION
        });
        let may = self.prekeys.len() < MAX_SEAL_KEYS && !self.clock.is_doubted();
        if self.prekeys.is_empty() || (may && !fresh) {
            self.prekeys.push(Prekeys::random(wall, cx.rng));
            save(cx.rows, &HOME, b"prekeys", &self.prekeys)?;
        }
        self.birth = drawn_once(cx, b"birth")?;
        self.era = drawn_once(cx, b"era")?;
        self.sign_bundle(cx)
    }

    /// Makes new prekeys every week, and erases private ones whose bundle ended 32 days ago. A clock
    /// that is doubted does neither.
    pub(super) fn keep_prekeys(&mut self, cx: &mut Cx<'_>) -> Result<(), RowsError> {
        let wall = cx.now.wall;
        if self.clock.is_doubted() {
            return Ok(());
        }
        let newest = self.prekeys.last().map(Prekeys::published);
        let old = newest.is_none_or(|at| wall.since(at) >= PREKEY_ROTATION);
        // What was sealed to the oldest keys may still lie at a host that was not fetched from; but for
        // one that never comes back no more are kept than may be.
        let full = self.prekeys.len() >= MAX_SEAL_KEYS;
        let over =
            (full || self.has_fetched()) && self.prekeys.iter().any(|it| it.erase_at() <= wall);
        if over {
            self.prekeys.retain(|prekeys| prekeys.erase_at() > wall);
        }
        if old && self.prekeys.len() < MAX_SEAL_KEYS {
            self.prekeys.push(Prekeys::random(wall, cx.rng));
        } else if !over {
            return Ok(());
        }
        save(cx.rows, &HOME, b"prekeys", &self.prekeys)?;
        self.sign_bundle(cx)?;
        self.publish_soon(cx);
        Ok(())
    }

    /// Signs a bundle over the newest prekeys and the present contact queues.
    pub(super) fn sign_bundle(&mut self, cx: &mut Cx<'_>) -> Result<(), RowsError> {
        let wall = cx.now.wall;
        let (queues, seq) = (self.contact_queues(), self.own.next_bundle(wall));
        let Some(newest) = self.prekeys.last() else { return Ok(()) };
        let parts = BundleParts {
            net: self.net(),
            ik: self.me.device.identity().public(),
            contact_queues: &queues,
            era: self.era,
            published: newest.published(),
            seq,
        };
        let bundle = Bundle::sign(self.signer(), newest, &parts)
            .map_err(|error| RowsError(format!("the own prekeys: {error}")))?;
        self.bundle = bundle.to_bytes();
        Ok(())
    }
}

/// A random value of the home, drawn when it is first needed.
fn drawn_once(cx: &mut Cx<'_>, name: &[u8]) -> Result<[u8; 16], RowsError> {
    if let Some(known) = load(cx.rows, &HOME, name)? {
        return Ok(known);
    }
    let drawn: [u8; 16] = cx.random();
    save(cx.rows, &HOME, name, &drawn)?;
    Ok(drawn)
}
