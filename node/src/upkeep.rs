//! A home's store: opened for a node, or looked at, mended and written anew while none runs.

use std::time::Duration;

use godwit_protocol::rows::home::{HOME, RESTORED};
use godwit_protocol::rows::{self, Rows as _, Table};
use godwit_store::{
    CheckReport, DataKey, Disk, Kind, OpenError, Options, Place, Rewritten, Saved, Store,
};

use crate::config::Config;
use crate::error::Error;
use crate::home::OpenHome;

/// The hint for the cache of a host's store, in bytes: up to ten times as much is used.
const HOST_CACHE_BYTES: u64 = 16 << 20;

/// How much later a node may be ready because its store is written anew.
const TIDY_TIME: Duration = Duration::from_secs(8);

/// Opens the store of a home, or makes it. One that is mostly space of deleted rows is written anew first.
pub(crate) fn open_store(home: &OpenHome, config: &Config) -> Result<Store, Error> {
    let disk = disk(home, config);
    match godwit_store::tidy(&disk, &all_tables(), TIDY_TIME) {
        Ok(Some(done)) => tracing::info!(
            before = done.bytes_before,
            after = done.bytes_after,
            "the store was written anew: most of it was space of deleted rows"
        ),
        Ok(None) => {}
        // Whether the store opens is said below.
        Err(error) => tracing::info!(%error, "the store was not written anew"),
    }
    let place = Place::Disk(disk);
    let store = Store::open(Options { place, tables: all_tables() }).map_err(refused)?;
    if let Some(version) = store.brought_from() {
        tracing::info!(
            version,
            "the store was written by an earlier version, and is of this one now"
        );
    }
    Ok(store)
}

/// Reads every row of a home's store; nothing is changed.
///
/// # Errors
/// [`Error`] if the store does not open at all.
pub fn check_store(home: &OpenHome) -> Result<CheckReport, Error> {
    let report = godwit_store::check(&disk(home, &home.config), &all_tables());
    Ok(report.map_err(refused)?.unwrap_or_default())
}

/// Writes anew what opens of a damaged store, and sets the damaged files aside; at its next start the
/// node asks its peers for what it has lost. None where no node has
/// run yet.
///
/// # Errors
/// [`Error`] if the store is of another version or made with another key, or the disk refuses; then
/// nothing has changed.
pub fn repair_store(home: &OpenHome) -> Result<Option<Saved>, Error> {
    let note = (&HOME, RESTORED, &b"mended"[..]);
    godwit_store::repair(&disk(home, &home.config), &all_tables(), note).map_err(refused)
}

/// Lets a home of which two copies are alive go on as the one that is kept, from its next start on.
///
/// # Errors
/// [`Error`] if the store does not open or cannot be written.
pub fn keep_this_home(home: &OpenHome) -> Result<(), Error> {
    let store = open_store(home, &home.config)?;
    let mut view = store.view();
    view.put(&HOME, RESTORED, b"kept".to_vec());
    let fault = |error: String| Error::StoreDamaged(error);
    let Some(batch) = view.take().map_err(|error| fault(error.to_string()))? else { return Ok(()) };
    match store.commit_here(batch) {
        Ok(done) => done.map(drop).map_err(|error| Error::Io(error.to_string())),
        Err(_) => Err(fault("somebody else writes".to_owned())),
    }
}

/// Writes a store anew, onto another engine or the one that it has: what was deleted takes no space any
/// more. Where no node has run yet, it is made.
///
/// # Errors
/// [`Error`] if the store does not open or cannot be read whole, or the disk refuses; then the old one
/// still counts.
pub fn rewrite_store(home: &OpenHome, to: Option<Kind>) -> Result<Rewritten, Error> {
    godwit_store::rewrite(&disk(home, &home.config), &all_tables(), to).map_err(refused)
}

fn disk(home: &OpenHome, config: &Config) -> Disk {
    let mut key = *home.data_key.expose();
    Disk {
        folder: home.store_path(),
        new: config.engine,
        cache_bytes: config.cache.unwrap_or(match config.hosting {
            Some(_) => HOST_CACHE_BYTES,
            None => Options::DEFAULT_CACHE_BYTES,
        }),
        data_key: DataKey::take(&mut key),
    }
}

/// Those of a person and those of a host: a home may become both.
fn all_tables() -> Vec<&'static Table> {
    let mut tables = rows::tables();
    tables.extend(rows::mailbox::tables());
    tables
}

fn refused(error: OpenError) -> Error {
    match error {
        OpenError::Io(_) | OpenError::Random => Error::Io(error.to_string()),
        OpenError::Version { .. } => Error::StoreVersion(error.to_string()),
        OpenError::Damaged(said) => Error::StoreDamaged(said),
        other => Error::StoreDamaged(other.to_string()),
    }
}
