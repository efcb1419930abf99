//! Files that are whole or absent: written beside themselves, synced, renamed, the folder synced.
//!
//! Rule: who reads a file of the home sees the old bytes or the new ones, after a crash at any
//! moment as well. Everything is readable by its owner only.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};

use super::HomeError;

/// A file under its temporary name, on disk; [`Staged::commit`] gives it its own.
#[derive(Debug)]
pub(crate) struct Staged {
    temporary: PathBuf,
    target: PathBuf,
}

impl Staged {
    /// Writes the bytes beside `target` and syncs them.
    pub(crate) fn write(target: &Path, bytes: &[u8]) -> Result<Self, HomeError> {
        let mut name = target.file_name().unwrap_or_default().to_os_string();
        name.push(".new");
        let staged = Self { temporary: target.with_file_name(name), target: target.to_owned() };
        let write = || -> io::Result<()> {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&staged.temporary)?;
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
            file.write_all(bytes)?;
            file.sync_all()
        };
        match write() {
            Ok(()) => Ok(staged),
            Err(error) => {
                let failed = HomeError::io(&staged.temporary, &error);
                staged.discard();
                Err(failed)
            }
        }
    }

    /// Renames the file to its own name and syncs the folder.
    pub(crate) fn commit(self) -> Result<(), HomeError> {
        let rename = || -> io::Result<()> {
            fs::rename(&self.temporary, &self.target)?;
            sync_folder(self.target.parent().unwrap_or(Path::new(".")))
        };
        rename().map_err(|error| HomeError::io(&self.target, &error))
    }

    /// Takes the temporary file away.
    pub(crate) fn discard(self) {
        remove_if_there(&self.temporary);
    }
}

/// Replaces a file as a whole, readable by its owner only: after a crash it has the old bytes or the
/// new ones.
///
/// # Errors
/// [`HomeError`] if it cannot be written; what was there is left then.
pub fn replace_file(target: &Path, bytes: &[u8]) -> Result<(), HomeError> {
    Staged::write(target, bytes)?.commit()
}

/// Removes a file that may be absent; what cannot be removed is left.
pub(crate) fn remove_if_there(path: &Path) {
    // Only leftovers are removed here, and the next writer replaces them.
    let _ = fs::remove_file(path);
}

/// Reads a file of at most `limit` bytes; `None` if there is none.
pub(crate) fn read_file(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, HomeError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Ok(None),
        Err(error) => return Err(HomeError::io(path, &error)),
    };
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| HomeError::io(path, &error))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
        return Err(HomeError::Damaged { path: path.to_owned() });
    }
    Ok(Some(bytes))
}

/// Makes a folder that only its owner can enter, and its parents.
pub(crate) fn make_folder(path: &Path) -> Result<(), HomeError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| HomeError::io(path, &error))
}

/// Refuses what belongs to somebody else; takes away what others may do with what is ours.
pub(crate) fn mend_permissions(path: &Path) -> Result<(), HomeError> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(HomeError::io(path, &error)),
    };
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(HomeError::ForeignOwner { path: path.to_owned(), owner: metadata.uid() });
    }
    let mode = metadata.permissions().mode();
    if mode & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o700))
            .map_err(|error| HomeError::io(path, &error))?;
    }
    Ok(())
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_is_whole_and_private_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("card");

        replace_file(&path, b"one").unwrap();
        replace_file(&path, b"two").unwrap();

        assert_eq!(read_file(&path, 3).unwrap().unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_above_its_limit_is_damage_and_not_memory() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("big");
        fs::write(&path, [0; 9]).unwrap();

        assert!(matches!(read_file(&path, 8), Err(HomeError::Damaged { .. })));
    }

    #[test]
    fn what_others_can_read_is_mended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keystore");
        fs::write(&path, b"x").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();

        mend_permissions(&path).unwrap();

        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
