//! A symmetric chain: each message key is used once, each chain key is erased by the next.

use serde::{Deserialize, Serialize};

use super::opaque_debug;
use crate::crypto::{Secret, hmac};
use crate::limits::MAX_SKIP;

/// Which of the two ratchets a key belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum KeyKind {
    /// The Double Ratchet's: its chains are counted from 1.
    Ec,
    /// The KEM ratchet's: its chains are the epochs, from 0.
    Pq,
}

impl KeyKind {
    const fn labels(self) -> (u8, u8) {
        match self {
            Self::Ec => (0x01, 0x02),
            Self::Pq => (0x03, 0x04),
        }
    }
}

/// A message lies more than [`MAX_SKIP`] ahead in its chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooFarAhead;

/// A chain key and the number of the message key that it gives next.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Chain {
    key: Secret<32>,
    n: u32,
}

opaque_debug!(Chain);

impl Chain {
    pub(super) const fn new(key: Secret<32>) -> Self {
        Self { key, n: 0 }
    }

    /// The number of the next message.
    pub(super) const fn n(&self) -> u32 {
        self.n
    }

    /// The next message key; the chain moves on.
    pub(super) fn step(&mut self, kind: KeyKind) -> Result<Secret<32>, TooFarAhead> {
        let next = self.n.checked_add(1).ok_or(TooFarAhead)?;
        let (message, chain) = kind.labels();
        let key = Secret::new(hmac(self.key.expose(), &[&[message]]));
        self.key = Secret::new(hmac(self.key.expose(), &[&[chain]]));
        self.n = next;
        Ok(key)
    }

    /// Moves on to message `n`; the keys passed over are returned in order.
    pub(super) fn skip_to(
        &mut self,
        n: u32,
        kind: KeyKind,
    ) -> Result<Vec<Secret<32>>, TooFarAhead> {
        let ahead = n.saturating_sub(self.n);
        if ahead > MAX_SKIP {
            return Err(TooFarAhead);
        }
        (0..ahead).map(|_| self.step(kind)).collect()
    }
}
