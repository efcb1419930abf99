//! The keys by which strangers begin a session with this device, and the bundle that names them.
//!
//! Source: PROTOCOL §2, §3, §4 "Key life".

use super::machine::{Cx, Endpoint};
use crate::limits::PREKEY_ROTATION;
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
        if !fresh {
            self.prekeys.push(Prekeys::random(wall, cx.rng));
            save(cx.rows, &HOME, b"prekeys", &self.prekeys)?;
        }
        self.birth = match load(cx.rows, &HOME, b"birth")? {
            Some(birth) => birth,
            None => {
                let birth: [u8; 16] = cx.random();
                save(cx.rows, &HOME, b"birth", &birth)?;
                birth
            }
        };
        self.sign_bundle(cx)
    }

    /// Signs a bundle over the newest prekeys and the present contact queues.
    pub(super) fn sign_bundle(&mut self, cx: &mut Cx<'_>) -> Result<(), RowsError> {
        let wall = cx.now.wall;
        let queues = self.contact_queues();
        let Some(newest) = self.prekeys.last() else { return Ok(()) };
        let parts = BundleParts {
            net: self.net(),
            ik: self.me.device.identity().public(),
            contact_queues: &queues,
            era: self.birth,
            published: newest.published(),
            seq: wall.0 / 1_000,
        };
        let bundle = Bundle::sign(self.signer(), newest, &parts)
            .map_err(|error| RowsError(format!("the own prekeys: {error}")))?;
        self.bundle = bundle.to_bytes();
        Ok(())
    }
}
