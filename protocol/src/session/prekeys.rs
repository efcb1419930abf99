//! The private half of a bundle: what a device keeps so that strangers can start a session.
//!
//! Made anew weekly; erased 32 days after the bundle's end (PROTOCOL §4, "Key life").

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use super::opaque_debug;
use crate::crypto::{DhSecret, PqSeed, SealSecret};
use crate::limits::{BUNDLE_LIFE, PREKEY_GRACE};
use crate::time::UnixMillis;

/// Signed prekey, post-quantum prekey and seal key of one week, with their ids.
#[derive(Clone, Serialize, Deserialize)]
pub struct Prekeys {
    signed: DhSecret,
    signed_id: u32,
    quantum: PqSeed,
    quantum_id: u32,
    seal: SealSecret,
    seal_id: u32,
    published: UnixMillis,
    expires: UnixMillis,
}

opaque_debug!(Prekeys);

impl Prekeys {
    /// Draws the keys and their ids (never 0, which stands for "none").
    #[must_use]
    pub fn random(published: UnixMillis, rng: &mut dyn CryptoRng) -> Self {
        Self {
            signed: DhSecret::random(rng),
            signed_id: rng.next_u32().max(1),
            quantum: PqSeed::random(rng),
            quantum_id: rng.next_u32().max(1),
            seal: SealSecret::random(rng),
            seal_id: rng.next_u32().max(1),
            published,
            expires: published.saturating_add(BUNDLE_LIFE),
        }
    }

    /// The X25519 prekey, SPK.
    #[must_use]
    pub const fn signed(&self) -> &DhSecret {
        &self.signed
    }

    /// The id of [`Self::signed`].
    #[must_use]
    pub const fn signed_id(&self) -> u32 {
        self.signed_id
    }

    /// The ML-KEM-1024 prekey, PQPK.
    #[must_use]
    pub const fn quantum(&self) -> &PqSeed {
        &self.quantum
    }

    /// The id of [`Self::quantum`].
    #[must_use]
    pub const fn quantum_id(&self) -> u32 {
        self.quantum_id
    }

    /// The key to which first contacts are sealed.
    #[must_use]
    pub const fn seal(&self) -> &SealSecret {
        &self.seal
    }

    /// The id of [`Self::seal`]: the first four bytes of what was sealed to it.
    #[must_use]
    pub const fn seal_id(&self) -> u32 {
        self.seal_id
    }

    /// When the keys were made.
    #[must_use]
    pub const fn published(&self) -> UnixMillis {
        self.published
    }

    /// When the last bundle that names them ends.
    #[must_use]
    pub const fn expires(&self) -> UnixMillis {
        self.expires
    }

    /// When the private keys are to be erased; session ids that used them are remembered until then.
    #[must_use]
    pub const fn erase_at(&self) -> UnixMillis {
        self.expires.saturating_add(PREKEY_GRACE)
    }
}
