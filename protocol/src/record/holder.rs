//! What a node of the DHT holds for others: in memory only, bounded, never unchecked.
//!
//! Rules: at most [`MAX_HELD_RECORDS`], each at most [`RECORD_HELD`] after it was last put; a record
//! below the one that is held is refused, an equal one refreshes it. Where there is no room, the
//! record farthest from this node goes if the new one is nearer: those who put a thousand records of
//! their own do not push out what this node is asked for.
//! Source: PROTOCOL §3; `spec/records.md#holders`.

use std::collections::BTreeMap;

use super::{Published, Rank};
use crate::crypto::hash;
use crate::id::RecordKey;
use crate::limits::{MAX_HELD_RECORDS, RECORD_HELD};
use crate::time::UnixMillis;

/// Why a record is not held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HoldError {
    /// A newer one is here.
    #[error("a newer record is held")]
    Stale,
    /// There is no room, and every record that is held is nearer.
    #[error("no room for a record that far away")]
    Full,
}

#[derive(Debug)]
struct Held {
    rank: Rank,
    until: UnixMillis,
    value: Vec<u8>,
}

/// The records that one node holds.
#[derive(Debug)]
pub struct Holder {
    /// This node's place among the keys.
    here: [u8; 32],
    held: BTreeMap<RecordKey, Held>,
}

impl Holder {
    /// An empty holder at the place `here`: the SHA-256 of its PeerId's bytes, as in Kademlia.
    #[must_use]
    pub const fn new(here: [u8; 32]) -> Self {
        Self { here, held: BTreeMap::new() }
    }

    /// Takes a record that was checked at `now`.
    ///
    /// # Errors
    /// [`HoldError`]: every case.
    pub fn take(&mut self, record: &Published, now: UnixMillis) -> Result<(), HoldError> {
        let (key, rank) = (record.key(), record.rank());
        match self.held.get(&key) {
            Some(known) if known.rank > rank => return Err(HoldError::Stale),
            Some(_) => {}
            None => self.make_room(&key, now)?,
        }
        let until = record.expires().min(now.saturating_add(RECORD_HELD));
        self.held.insert(key, Held { rank, until, value: record.to_bytes() });
        Ok(())
    }

    /// What is held under a key, while it is.
    #[must_use]
    pub fn get(&self, key: &RecordKey, now: UnixMillis) -> Option<&[u8]> {
        let held = self.held.get(key).filter(|held| held.until > now);
        held.map(|held| held.value.as_slice())
    }

    /// Forgets what is over.
    pub fn sweep(&mut self, now: UnixMillis) {
        self.held.retain(|_, held| held.until > now);
    }

    /// How many records are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    fn make_room(&mut self, key: &RecordKey, now: UnixMillis) -> Result<(), HoldError> {
        if self.held.len() < MAX_HELD_RECORDS {
            return Ok(());
        }
        self.sweep(now);
        if self.held.len() < MAX_HELD_RECORDS {
            return Ok(());
        }
        let farthest = self.held.keys().max_by_key(|held| self.distance(held)).copied();
        match farthest.filter(|farthest| self.distance(farthest) > self.distance(key)) {
            Some(farthest) => {
                self.held.remove(&farthest);
                Ok(())
            }
            None => Err(HoldError::Full),
        }
    }

    fn distance(&self, key: &RecordKey) -> [u8; 32] {
        let mut distance = hash(&[key.as_bytes()]);
        for (byte, here) in distance.iter_mut().zip(self.here) {
            *byte ^= here;
        }
        distance
    }
}

#[cfg(test)]
mod tests;
