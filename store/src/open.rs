//! The store: opened once, by whoever holds the home's lock.
//!
//! ```text
//! `_meta`:  "version" → u32     "proof" → a value sealed under the data key
//! ```
//!
//! Rule: a store of a version that is not known here, or under another data key, does not open and is not
//! changed. One of an earlier version is brought to this one first ([`crate::migrate`]).

use std::path::PathBuf;
use std::sync::Arc;

use godwit_protocol::rows::Table;
use godwit_protocol::rows::steps::{OLDEST_VERSION, VERSION};

use crate::batch::{Batch, CommitError, Durable, SealedBatch, StoredWrite};
use crate::commit::Committer;
use crate::engine::{Engine, EngineError, Kind, MemoryEngine, journaled};
use crate::layout::Tables;
use crate::migrate::migrate;
use crate::reader::{Base, Reader};
use crate::scope::SCOPE_KEYS;
use crate::upkeep::Generation;
use crate::vault::{DataKey, Vault, VaultError};
use crate::view::View;

const META: &str = "_meta";
const VERSION_KEY: &[u8] = b"version";
const PROOF_KEY: &[u8] = b"proof";

/// Where rows are kept.
#[derive(Debug)]
pub enum Place {
    /// A folder, encrypted.
    Disk(Disk),
    /// Memory: gone with the process.
    Memory {
        /// Which; kept by the caller for crashes and faults.
        engine: Arc<MemoryEngine>,
        /// Encrypts like a home does, or not at all.
        data_key: Option<DataKey>,
    },
}

/// A store's folder, and how it is used.
#[derive(Debug)]
pub struct Disk {
    /// The folder; made if it is missing.
    pub folder: PathBuf,
    /// The engine of a new store; one that is there has its own.
    pub new: Kind,
    /// Memory for the cache, in bytes: a hint, up to ten times as much is used.
    pub cache_bytes: u64,
    /// The key of everything.
    pub data_key: DataKey,
}

/// How a store is opened.
#[derive(Debug)]
pub struct Options {
    /// Where.
    pub place: Place,
    /// Every table that may be touched.
    pub tables: Vec<&'static Table>,
}

/// Why a store does not open.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OpenError {
    /// It was written by a version of this program that is newer, or too old.
    #[error("the store has version {found}, and this program reads {oldest} to {newest}")]
    Version {
        /// The store's.
        found: u32,
        /// The oldest that this program reads.
        oldest: u32,
        /// The one that it writes.
        newest: u32,
    },
    /// The data key is not the one that it was made with.
    #[error("the store was made with another key")]
    WrongKey,
    /// What is stored makes no sense.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// The file system refused.
    #[error("the store cannot be opened: {0}")]
    Io(#[source] Arc<std::io::Error>),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Random,
    /// A table's declaration makes no sense: a bug of the caller.
    #[error("the table `{table}` cannot be: {fault}")]
    Declaration {
        /// Its name.
        table: &'static str,
        /// What is wrong.
        fault: &'static str,
    },
}

/// What a store uses and has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// Bytes used.
    pub bytes: u64,
    /// Bytes free on its file system; none in memory.
    pub free_bytes: Option<u64>,
    /// Batches made durable since it was opened.
    pub batches: u64,
    /// Flushes that this took.
    pub flushes: u64,
}

/// An open store. Everything it gives out keeps the engine open: drop readers and views as well
/// before opening the same folder again.
pub struct Store {
    pub(crate) base: Arc<Base>,
    committer: Committer,
    kind: Option<Kind>,
    brought_from: Option<u32>,
}

/// A store whose rows can be read, before anything is done with them.
pub(crate) struct Opened {
    pub(crate) base: Base,
    pub(crate) version: u32,
    counts: Option<Generation>,
}

impl Opened {
    /// Opens a store, or makes it.
    pub(crate) fn open(options: Options) -> Result<Self, OpenError> {
        let Options { place, tables } = options;
        let tables = Tables::new(&tables)
            .map_err(|(table, fault)| OpenError::Declaration { table, fault })?;
        let (engine, vault, counts): (Arc<dyn Engine>, Vault, Option<Generation>) = match place {
            Place::Disk(disk) => {
                let (vault, names) = (Vault::new(&disk.data_key), names(&tables));
                let counts = disk.generation(&vault, &names)?;
                (counts.kind.open(&counts.path(), disk.cache_bytes, &names)?, vault, Some(counts))
            }
            Place::Memory { engine, data_key } => {
                (engine, data_key.as_ref().map_or_else(Vault::none, Vault::new), None)
            }
        };
        let is_made = counts.as_ref().is_some_and(Generation::is_made);
        let version = recognise(&*engine, &vault, is_made)?;
        if let Some(counts) = &counts {
            counts.made().map_err(EngineError::from)?;
            // What a rewrite has left is of no use once this one is known to be whole.
            counts.remove_others().map_err(EngineError::from)?;
        }
        let opened = Self { base: Base { engine, vault, tables }, version, counts };
        // An earlier version has none, and does not know of this one's.
        if version < VERSION { Ok(opened) } else { opened.journaled() }
    }

    /// The same with the journal in front, where there is a disk.
    fn journaled(mut self) -> Result<Self, OpenError> {
        if let Some(counts) = &self.counts {
            let engine = Arc::clone(&self.base.engine);
            let names = names(&self.base.tables);
            self.base.engine = journaled(engine, &counts.path(), &names)?;
        }
        Ok(self)
    }
}

impl Disk {
    /// The folder that counts; made if there is none.
    pub(crate) fn generation(
        &self,
        vault: &Vault,
        tables: &[&'static str],
    ) -> Result<Generation, OpenError> {
        if let Some(counts) = Generation::find(&self.folder)? {
            return Ok(counts);
        }
        let first = Generation::first(&self.folder, self.new);
        first.clear().map_err(EngineError::from)?;
        if first.path() != self.folder {
            let engine = self.new.open(&begin(&first)?, self.cache_bytes, tables)?;
            recognise(&*engine, vault, false)?;
            drop(engine);
            first.finish().map_err(EngineError::from)?;
        }
        Ok(first)
    }

    /// The same once more.
    pub(crate) fn again(&self) -> Self {
        let (folder, data_key) = (self.folder.clone(), self.data_key.again());
        Self { folder, data_key, ..*self }
    }

    /// Opens one of the folders, and its journal.
    pub(crate) fn open(
        &self,
        generation: &Generation,
        tables: &[&'static str],
    ) -> Result<Arc<dyn Engine>, EngineError> {
        let path = generation.path();
        journaled(generation.kind.open(&path, self.cache_bytes, tables)?, &path, tables)
    }
}

/// The tables of an engine: those that were declared, and the store's own.
pub(crate) fn names(tables: &Tables) -> Vec<&'static str> {
    tables.iter().map(|table| table.name).chain([META, SCOPE_KEYS]).collect()
}

fn begin(generation: &Generation) -> Result<PathBuf, EngineError> {
    Ok(generation.begin()?)
}

impl Options {
    /// The hint for sled's cache on a personal node, in bytes: it uses up to ten times as much, which
    /// stays below 16 MiB (STORE-NOTES).
    pub const DEFAULT_CACHE_BYTES: u64 = 1 << 20;

    /// A folder on disk, with the default engine and cache.
    #[must_use]
    pub fn disk(folder: PathBuf, data_key: DataKey, tables: Vec<&'static Table>) -> Self {
        let cache_bytes = Self::DEFAULT_CACHE_BYTES;
        Self { place: Place::Disk(Disk { folder, new: Kind::Sled, cache_bytes, data_key }), tables }
    }

    /// Memory, without encryption.
    #[must_use]
    pub fn memory(engine: Arc<MemoryEngine>, tables: Vec<&'static Table>) -> Self {
        Self { place: Place::Memory { engine, data_key: None }, tables }
    }
}

impl Store {
    /// Opens a store, or makes it; what an earlier version wrote is brought to this one.
    ///
    /// # Errors
    /// [`OpenError`], each variant as it says; nothing is changed then.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        let mut opened = Opened::open(options)?;
        let version = opened.version;
        if version < VERSION {
            migrate(&opened.base, version)?;
            opened = opened.journaled()?;
        }
        let kind = opened.counts.map(|counts| counts.kind);
        let base = Arc::new(opened.base);
        let committer = Committer::start(Arc::clone(&base)).map_err(EngineError::from)?;
        let brought_from = Some(version).filter(|version| *version < VERSION);
        Ok(Self { base, committer, kind, brought_from })
    }

    /// The version that it had, if opening it brought it to this one.
    #[must_use]
    pub const fn brought_from(&self) -> Option<u32> {
        self.brought_from
    }

    /// The engine's name.
    #[must_use]
    pub fn engine(&self) -> &'static str {
        self.kind.map_or("memory", Kind::name)
    }

    /// Reads what is committed.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader { base: Arc::clone(&self.base) }
    }

    /// The rows of one machine; no two views may write the same tables.
    #[must_use]
    pub fn view(&self) -> View {
        View::new(Arc::clone(&self.base))
    }

    /// Queues a batch; `answer` is called on the commit thread when it is durable or has failed,
    /// in the order of the calls. Blocks while 128 batches wait. `answer` must not block: it sends
    /// into a place that is kept free for it.
    pub fn commit(
        &self,
        batch: SealedBatch,
        answer: impl FnOnce(Result<Durable, CommitError>) + Send + 'static,
    ) {
        self.committer.submit(batch, Box::new(answer));
    }

    /// Commits a batch on the caller's thread: for who has nothing else to do meanwhile. `Err` gives
    /// it back where others are queued or being written: [`Self::commit`] takes it.
    ///
    /// # Errors
    /// The batch, not written.
    pub fn commit_here(
        &self,
        batch: SealedBatch,
    ) -> Result<Result<Durable, CommitError>, SealedBatch> {
        self.committer.commit_here(batch)
    }

    /// What it uses and has done.
    ///
    /// # Errors
    /// [`EngineError`] if the engine cannot tell.
    pub fn stats(&self) -> Result<Stats, EngineError> {
        let engine = self.base.engine.stats()?;
        let (batches, flushes) = self.committer.counts();
        Ok(Stats { bytes: engine.bytes, free_bytes: engine.free_bytes, batches, flushes })
    }

    /// Makes everything queued durable and ends the commit thread; batches that come later are
    /// refused, and the journal is empty. Dropping the store does the same.
    pub fn close(&self) {
        self.committer.close();
        match self.base.engine.settle() {
            // What did not get there is in the journal; why it stopped has been said.
            Ok(()) | Err(EngineError::Broken) => {}
            Err(error) => tracing::warn!(%error, "the store was closed with rows in its journal"),
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}

/// Tells a store of ours from one of a version that is not known or of another key, and which version it
/// has; marks a new one, unless it must have been marked before.
pub(crate) fn recognise(
    engine: &dyn Engine,
    vault: &Vault,
    is_made: bool,
) -> Result<u32, OpenError> {
    let place = (META, PROOF_KEY);
    let version = engine.get(META, VERSION_KEY)?;
    let proof = engine.get(META, PROOF_KEY)?;
    let (version, proof) = match (version, proof) {
        (Some(version), Some(proof)) => (version, proof),
        (None, None) if !is_made => {
            let proof = meta(PROOF_KEY, vault.proof(place)?);
            let writes = vec![version_row(VERSION), proof];
            engine.commit(&Batch { expectations: Vec::new(), writes })?;
            return Ok(VERSION);
        }
        _ => return Err(OpenError::Damaged("it has lost what tells its version".into())),
    };
    let Ok(version) = <[u8; 4]>::try_from(version.as_slice()) else {
        return Err(OpenError::Damaged("its version is no number".into()));
    };
    let found = u32::from_be_bytes(version);
    if !(OLDEST_VERSION..=VERSION).contains(&found) {
        return Err(OpenError::Version { found, oldest: OLDEST_VERSION, newest: VERSION });
    }
    if vault.made(place, &proof) { Ok(found) } else { Err(OpenError::WrongKey) }
}

/// What says which version a store has.
pub(crate) fn version_row(version: u32) -> StoredWrite {
    meta(VERSION_KEY, version.to_be_bytes().to_vec())
}

fn meta(key: &[u8], value: Vec<u8>) -> StoredWrite {
    StoredWrite { table: META, key: key.to_vec(), value: Some(value) }
}

impl From<EngineError> for OpenError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Io(error) => Self::Io(error),
            EngineError::Damaged(said) => Self::Damaged(said),
            other => Self::Damaged(other.to_string()),
        }
    }
}

impl From<VaultError> for OpenError {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Random => Self::Random,
            VaultError::Engine(error) => error.into(),
            other => Self::Damaged(other.to_string()),
        }
    }
}
