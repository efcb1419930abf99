//! Which of a store's folders counts.
//!
//! ```text
//! store/              sled's own files, as it was first made, its journal and `made`: number 0
//! store/redb-2/       an engine's name and a number: the highest number counts
//! store/sled-3.new/   not finished: worth nothing
//! store/damaged-1/    what a repair could not read, kept as it was
//! ```
//!
//! Rule: a folder gets its name by one rename, when all of it is on stable storage; only then do older
//! ones go. Whenever that is cut off, one whole store counts. The store's own folder is never renamed:
//! it may be a link, or a disk of its own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::engine::{EngineError, JOURNAL, Kind, UNFINISHED_JOURNAL, sync_names};

/// Beside sled's files: that they have held a store. sled takes lost files for new ones.
const MADE: &str = "made";
const UNFINISHED: &str = "new";
const DAMAGED: &str = "damaged";

/// One of the folders of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Generation {
    pub(crate) kind: Kind,
    number: u64,
    store: PathBuf,
}

impl Generation {
    /// The one that counts; none where no store has been made.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] where the file is missing that held everything; what the disk says.
    pub(crate) fn find(store: &Path) -> Result<Option<Self>, EngineError> {
        let names = names(store)?;
        let numbered = names.iter().filter_map(|name| Self::named(store, name));
        if let Some(newest) = numbered.max_by_key(|it| it.number) {
            return Ok(Some(newest));
        }
        let first = Self { kind: Kind::Sled, number: 0, store: store.to_owned() };
        if names.iter().any(|name| name == "db") {
            return Ok(Some(first));
        }
        // What sled makes before that file says nothing: it was killed while it began.
        if names.iter().any(|name| is_sleds(name) && !is_first(name)) {
            return Err(EngineError::Damaged("the file `db` is missing".to_owned()));
        }
        Ok(None)
    }

    /// The first one of a new store.
    pub(crate) fn first(store: &Path, kind: Kind) -> Self {
        let number = match kind {
            Kind::Sled => 0,
            Kind::Redb => 1,
        };
        Self { kind, number, store: store.to_owned() }
    }

    /// The one after this.
    pub(crate) fn next(&self, kind: Kind) -> Self {
        let number = self.number.saturating_add(1);
        Self { kind, number, store: self.store.clone() }
    }

    fn named(store: &Path, name: &str) -> Option<Self> {
        let (kind, number) = name.split_once('-')?;
        let (kind, number) = (Kind::named(kind)?, number.parse().ok()?);
        let is_canonical = number > 0 && name == format!("{}-{number}", kind.name());
        is_canonical.then(|| Self { kind, number, store: store.to_owned() })
    }

    /// Where the engine's files are.
    pub(crate) fn path(&self) -> PathBuf {
        match self.number {
            0 => self.store.clone(),
            number => self.store.join(format!("{}-{number}", self.kind.name())),
        }
    }

    /// Removes what a start that was killed has left of a store that never was: half a configuration
    /// would bar every later start.
    pub(crate) fn clear(&self) -> io::Result<()> {
        for name in names(&self.store)?.into_iter().filter(|name| is_first(name)) {
            remove(&self.store.join(name))?;
        }
        Ok(())
    }

    /// Whether there must be a store in it.
    pub(crate) fn is_made(&self) -> bool {
        self.number > 0 || self.store.join(MADE).exists()
    }

    /// Says that there is a store in it.
    pub(crate) fn made(&self) -> io::Result<()> {
        if self.is_made() {
            return Ok(());
        }
        fs::File::create(self.store.join(MADE))?.sync_all()?;
        sync_names(&self.store)
    }

    /// The bytes of its files.
    pub(crate) fn bytes(&self) -> io::Result<u64> {
        let all = names(&self.path())?.into_iter();
        let own = all.filter(|name| self.number > 0 || is_sleds(name));
        own.map(|name| bytes(&self.path().join(name))).sum()
    }

    /// Where they are being made; whatever is left there of an earlier time goes.
    pub(crate) fn begin(&self) -> io::Result<PathBuf> {
        let path = self.path().with_extension(UNFINISHED);
        remove(&path)?;
        Ok(path)
    }

    /// Lets what was begun count. The engine must be closed.
    pub(crate) fn finish(&self) -> io::Result<()> {
        fs::rename(self.path().with_extension(UNFINISHED), self.path())?;
        sync_names(&self.store)
    }

    /// Removes what does not count any more, and what never did.
    pub(crate) fn remove_others(&self) -> io::Result<()> {
        for name in names(&self.store)? {
            let older = Self::named(&self.store, &name).is_some_and(|it| it.number < self.number);
            let unfinished = name.strip_suffix(".new");
            let unfinished = unfinished.is_some_and(|it| Self::named(&self.store, it).is_some());
            if older || unfinished || (self.number > 0 && is_sleds(&name)) {
                remove(&self.store.join(name))?;
            }
        }
        Ok(())
    }

    /// Keeps the files as they are under another name, where nothing reads them; returns where.
    pub(crate) fn set_aside(&self) -> io::Result<PathBuf> {
        let mut place = self.store.join(format!("{DAMAGED}-{}", self.number));
        for again in 1_u32.. {
            if !place.exists() {
                break;
            }
            place = self.store.join(format!("{DAMAGED}-{}-{again}", self.number));
        }
        if self.number > 0 {
            fs::rename(self.path(), &place)?;
        } else {
            fs::create_dir_all(&place)?;
            for name in names(&self.store)?.into_iter().filter(|name| is_sleds(name)) {
                fs::rename(self.store.join(&name), place.join(&name))?;
            }
        }
        sync_names(&self.store)?;
        Ok(place)
    }
}

/// Names in the store's own folder where sled was first.
fn is_sleds(name: &str) -> bool {
    [MADE, "db", "conf", "blobs", JOURNAL, UNFINISHED_JOURNAL].contains(&name)
        || name.starts_with("snap.")
}

/// Those that sled makes before its file.
fn is_first(name: &str) -> bool {
    ["conf", "blobs"].contains(&name)
}

fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    Ok(names)
}

fn bytes(path: &Path) -> io::Result<u64> {
    let it = fs::symlink_metadata(path)?;
    if it.is_dir() {
        return names(path)?.into_iter().map(|name| bytes(&path.join(name))).sum();
    }
    Ok(it.len())
}

fn remove(path: &Path) -> io::Result<()> {
    let gone = match fs::symlink_metadata(path) {
        Ok(it) if it.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match gone {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        gone => gone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn newest(store: &Path) -> Option<PathBuf> {
        Generation::find(store).unwrap().map(|it| it.path())
    }

    #[test]
    fn the_highest_number_counts_and_nothing_unfinished() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path();
        assert_eq!(newest(&store.join("missing")), None);
        assert_eq!(newest(store), None);
        for name in ["redb-9.new", "damaged-8", "redb-07", "redb--7", "other-7", "sled-x", "sled-0"]
        {
            fs::create_dir(store.join(name)).unwrap();
        }
        assert_eq!(newest(store), None);
        for name in ["db", "conf"] {
            fs::write(store.join(name), b"").unwrap();
        }
        assert_eq!(newest(store), Some(store.to_owned()));
        for name in ["sled-2", "redb-10", "redb-9"] {
            fs::create_dir(store.join(name)).unwrap();
            fs::write(store.join(name).join("file"), b"").unwrap();
        }
        assert_eq!(newest(store), Some(store.join("redb-10")));

        Generation::find(store).unwrap().unwrap().remove_others().unwrap();
        let mut left = names(store).unwrap();
        left.sort();
        assert_eq!(
            left,
            ["damaged-8", "other-7", "redb--7", "redb-07", "redb-10", "sled-0", "sled-x"]
        );
    }

    #[test]
    fn sleds_file_is_missed_where_its_company_is() {
        for company in ["made", "snap.0000000000000001"] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("conf"), b"").unwrap();
            assert_eq!(newest(folder.path()), None, "a start was killed before it made a file");
            fs::write(folder.path().join(company), b"").unwrap();
            assert!(matches!(Generation::find(folder.path()), Err(EngineError::Damaged(_))));
        }
    }

    #[test]
    fn what_is_set_aside_is_kept_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path();
        for time in 0..3_u8 {
            fs::write(store.join("db"), [time]).unwrap();
            let first = Generation::find(store).unwrap().unwrap();
            let place = first.set_aside().unwrap();
            assert_eq!(fs::read(place.join("db")).unwrap(), [time]);
            assert_eq!(newest(store), None);
        }
        assert_eq!(names(store).unwrap().len(), 3);
    }
}
