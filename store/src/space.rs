//! How much room the file system has, and below what nothing new is taken.
//!
//! sled never writes again after a full disk, so a node stops taking things before that.
//! Source: STORE-NOTES ("errors are returned": a free-space floor).

use std::io;
use std::path::Path;

/// The smallest floor, in bytes: a burst of commits and a snapshot fit below it (STORE-NOTES).
const MIN_FLOOR: u64 = 256 << 20;
/// The floor of a large disk: one part in fifty, 2 % (STORE-NOTES).
const FLOOR_PART: u64 = 50;

/// A file system's room, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What this process may still fill.
    pub free: u64,
    /// All of it.
    pub total: u64,
}

impl Space {
    /// The free bytes below which nothing new is taken: 256 MiB or 2 % of the disk, whichever is
    /// more.
    #[must_use]
    pub fn floor(self) -> u64 {
        MIN_FLOOR.max(self.total.checked_div(FLOOR_PART).unwrap_or(0))
    }
}

/// The room of the file system that holds a path, which must exist.
///
/// # Errors
/// What the system says about the path.
pub fn of(path: &Path) -> io::Result<Space> {
    let found = rustix::fs::statvfs(path)?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Ok(Space { free: bytes(found.f_bavail), total: bytes(found.f_blocks) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_is_the_larger_of_256_mib_and_2_percent() {
        assert_eq!(Space { free: 0, total: 1 << 30 }.floor(), 256 << 20);
        assert_eq!(Space { free: 0, total: 100 << 40 }.floor(), 2 << 40);
    }

    #[test]
    fn a_folder_has_room_and_a_missing_one_is_an_error() {
        let folder = tempfile::tempdir().unwrap();

        let space = of(folder.path()).unwrap();

        assert!(space.total >= space.free && space.total > 0);
        assert!(of(&folder.path().join("missing")).is_err());
    }
}
