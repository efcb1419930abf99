//! Opening a home: the lock, the permissions, the configuration, the keys.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use godwit_protocol::crypto::Secret;
use godwit_protocol::id::HostId;

use super::card::write_card;
use super::files::{mend_permissions, read_file};
use super::init::host_id;
use super::keystore::Keystore;
use super::lock::HomeLock;
use super::sealed::{self, Head, Label};
use super::socket::socket_path;
use super::{AccountHome, Card, HomeError, Passphrase, Protection};
use crate::config::{self, Config};

/// The largest configuration that is read, in bytes.
const MAX_CONFIG: u64 = 256 * 1_024;
/// The largest sealed file, in bytes: the largest keystore and its head.
const MAX_SEALED: u64 = 32 * 1_024;

/// What can be asked about a home without opening it.
#[derive(Debug)]
pub enum Home {}

impl Home {
    /// The folder that `path` leads to, if there is a home in it.
    ///
    /// # Errors
    /// [`HomeError::Absent`] if there is none; nothing is created.
    pub fn resolve(path: &Path) -> Result<PathBuf, HomeError> {
        let absent = || HomeError::Absent { path: path.to_owned() };
        let folder = match fs::canonicalize(path) {
            Ok(folder) => folder,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Err(HomeError::io(path, &error));
            }
            Err(_) => return Err(absent()),
        };
        match fs::metadata(folder.join("keystore")) {
            Ok(_) => Ok(folder),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Err(HomeError::io(&folder, &error))
            }
            Err(_) => Err(absent()),
        }
    }

    /// What keeps the keystore of a home closed.
    ///
    /// # Errors
    /// [`HomeError::Absent`], [`HomeError::Version`], [`HomeError::Damaged`] or what the disk says.
    pub fn protection(path: &Path) -> Result<Protection, HomeError> {
        let folder = Self::resolve(path)?;
        let keystore = keystore_bytes(&folder)?;
        Head::read(&folder.join("keystore"), &keystore).map(|(head, _)| head.protection)
    }

    /// Where the control socket of a home is, whether or not a node runs.
    ///
    /// # Errors
    /// [`HomeError::Absent`] without a home.
    pub fn socket_path(path: &Path) -> Result<PathBuf, HomeError> {
        socket_path(&Self::resolve(path)?)
    }

    /// Whether somebody works in a home at present.
    ///
    /// # Errors
    /// As [`Home::resolve`]; what the disk says.
    pub fn is_in_use(path: &Path) -> Result<bool, HomeError> {
        match HomeLock::take(&Self::resolve(path)?) {
            Ok(_) => Ok(false),
            Err(HomeError::InUse { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// The configuration of a home, or of a folder that is not one yet.
    ///
    /// # Errors
    /// [`HomeError::Config`] if it is refused.
    pub fn config(path: &Path) -> Result<Config, HomeError> {
        Ok(config::parse(&config_text(path)?)?)
    }

    /// Opens a home for the one process that works in it, until the result is dropped.
    ///
    /// # Errors
    /// [`HomeError`]: no home, in use, another format, a wrong or missing passphrase, a file of
    /// somebody else, a refused configuration, damage.
    pub fn open(path: &Path, passphrase: Option<&Passphrase>) -> Result<OpenHome, HomeError> {
        let folder = Self::resolve(path)?;
        for file in ["", "config.toml", "keystore", "kek", "node.key", "card", "lock", "store"] {
            mend_permissions(&folder.join(file))?;
        }
        let lock = HomeLock::take(&folder)?;
        let config = Self::config(&folder)?;
        let file = folder.join("keystore");
        let bytes = keystore_bytes(&folder)?;
        let (head, sealed) = Head::read(&file, &bytes)?;
        let kek = key(&folder, &head, passphrase)?;
        let plain = head.open(&kek, sealed).ok_or(match head.protection {
            Protection::Passphrase => HomeError::PassphraseWrong,
            Protection::File => HomeError::Damaged { path: file.clone() },
        })?;
        let keystore = Keystore::from_bytes(&plain).ok_or(HomeError::Damaged { path: file })?;
        let node_key = open_node_key(&folder, &kek)?;
        let Keystore { data_key, account } = keystore;
        Ok(OpenHome {
            config,
            node_key,
            data_key,
            account,
            protection: head.protection,
            folder,
            _lock: lock,
        })
    }
}

/// An open home; nobody else works in it as long as this value lives.
#[derive(Debug)]
pub struct OpenHome {
    /// How the node is set up by its file; flags come over it.
    pub config: Config,
    /// The seed of the key that names this node on the network.
    pub node_key: Secret<32>,
    /// Seals the store's keys.
    pub data_key: Secret<32>,
    /// The account; `None` at a host.
    pub account: Option<AccountHome>,
    protection: Protection,
    folder: PathBuf,
    _lock: HomeLock,
}

impl OpenHome {
    /// What keeps the keystore closed.
    #[must_use]
    pub const fn protection(&self) -> Protection {
        self.protection
    }

    /// Who this node is on the network.
    #[must_use]
    pub fn host_id(&self) -> HostId {
        host_id(&self.node_key)
    }

    /// The engine's folder; it may not exist yet.
    #[must_use]
    pub fn store_path(&self) -> PathBuf {
        self.folder.join("store")
    }

    /// Where the control socket belongs. A file that is there is stale, since the lock is ours.
    ///
    /// # Errors
    /// What the disk says of the runtime folder, where the home's own path is too long.
    pub fn socket_path(&self) -> Result<PathBuf, HomeError> {
        socket_path(&self.folder)
    }

    /// Replaces the card, so that `id` shows the present link.
    ///
    /// # Errors
    /// What the disk says.
    pub fn write_card(&self, card: &Card) -> Result<(), HomeError> {
        write_card(&self.folder, card)
    }

    /// The card as it is.
    ///
    /// # Errors
    /// [`HomeError::Damaged`] for what is no card.
    pub fn read_card(&self) -> Result<Card, HomeError> {
        super::read_card(&self.folder)
    }
}

/// The text of `config.toml`; empty if there is none.
pub(crate) fn config_text(folder: &Path) -> Result<String, HomeError> {
    let path = folder.join("config.toml");
    let bytes = read_file(&path, MAX_CONFIG)?.unwrap_or_default();
    String::from_utf8(bytes)
        .map_err(|_| config::ConfigError { line: 1, message: "not UTF-8".to_owned() }.into())
}

fn keystore_bytes(folder: &Path) -> Result<Vec<u8>, HomeError> {
    read_file(&folder.join("keystore"), MAX_SEALED)?
        .ok_or_else(|| HomeError::Absent { path: folder.to_owned() })
}

fn key(
    folder: &Path,
    head: &Head,
    passphrase: Option<&Passphrase>,
) -> Result<Secret<32>, HomeError> {
    match head.protection {
        Protection::Passphrase => {
            let passphrase = passphrase.ok_or(HomeError::PassphraseNeeded)?;
            head.stretch(passphrase.expose())
        }
        Protection::File => {
            let path = folder.join("kek");
            let bytes = read_file(&path, 32)?;
            bytes.and_then(|bytes| Secret::from_slice(&bytes)).ok_or(HomeError::Damaged { path })
        }
    }
}

fn open_node_key(folder: &Path, kek: &Secret<32>) -> Result<Secret<32>, HomeError> {
    let path = folder.join("node.key");
    let sealed = read_file(&path, MAX_SEALED)?.unwrap_or_default();
    sealed::open(kek, Label::NodeKey, &[], &sealed)
        .and_then(|plain| Secret::from_slice(&plain))
        .ok_or(HomeError::Damaged { path })
}
