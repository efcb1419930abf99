//! One process a home: an exclusive lock on a file in the folder that the path resolves to.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::HomeError;

/// The lock; it ends with this value, or with the process.
#[derive(Debug)]
pub(crate) struct HomeLock {
    _file: File,
}

impl HomeLock {
    /// Takes the lock of the (resolved) folder, or says that somebody has it.
    pub(crate) fn take(folder: &Path) -> Result<Self, HomeError> {
        let path = folder.join("lock");
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| HomeError::io(&path, &error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(Errno::WOULDBLOCK) => Err(HomeError::InUse { path: folder.to_owned() }),
            Err(errno) => Err(HomeError::io(&path, &errno.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lock_on_the_same_folder_is_refused_until_the_first_ends() {
        let folder = tempfile::tempdir().unwrap();
        let first = HomeLock::take(folder.path()).unwrap();

        assert!(matches!(HomeLock::take(folder.path()), Err(HomeError::InUse { .. })));
        drop(first);
        assert!(HomeLock::take(folder.path()).is_ok());
    }
}
