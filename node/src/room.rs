//! Whether the disk has room: below a floor nothing new is taken, since sled never writes again once
//! the disk was full.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use godwit_store::space;

/// What a person's node leaves free: a burst of commits and a snapshot of a small store fit below it.
const OWN_FLOOR: u64 = 32 << 20;

/// The room of one home's disk.
#[derive(Debug)]
pub(crate) struct Room {
    folder: PathBuf,
    floor: Option<u64>,
    low: AtomicBool,
}

impl Room {
    pub(crate) const fn new(folder: PathBuf, floor: Option<u64>) -> Self {
        Self { folder, floor, low: AtomicBool::new(false) }
    }

    /// Whether there is too little for a person's node, if that is not what was last said.
    pub(crate) fn changed(&self) -> Option<bool> {
        let room = space::of(&self.folder).ok()?;
        let low = room.free < self.floor.unwrap_or(OWN_FLOOR);
        (self.low.swap(low, Ordering::Relaxed) != low).then_some(low)
    }

    /// Whether there is too little for a host.
    pub(crate) fn is_low_for_a_host(&self) -> Option<bool> {
        let room = space::of(&self.folder).ok()?;
        Some(room.free < self.floor.unwrap_or_else(|| room.floor()))
    }
}
