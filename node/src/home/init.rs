//! Making a home, in one step: nothing counts as one until its words were written.
//!
//! ```text
//! lock → keys → kek, node.key, card, config.toml → keystore.new → the words are shown → keystore
//! ```
//! Rule: killed at any moment there is no account, or a whole one whose words were written; if the
//! words cannot be written, no account is left.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use godwit_protocol::crypto::{Secret, Signer};
use godwit_protocol::id::{AccountId, DeviceId, HostId};
use godwit_protocol::identity::{
    AccountRoot, Chain, ContactLink, DeviceKeys, HostLink, LinkHead, Name, RecoveryPhrase,
    account_text, peer_id_text,
};
use godwit_protocol::limits::MAX_HOST_ADDRESSES;
use godwit_protocol::machine::Address;
use rand_core::CryptoRng;

use super::card::write_card;
use super::files::{Staged, make_folder, mend_permissions, remove_if_there, replace_file};
use super::keystore::{AccountHome, Keystore};
use super::lock::HomeLock;
use super::open::config_text;
use super::sealed::{self, Head, Label, Protection};
use super::{Card, Home, HomeError, Passphrase};
use crate::clock;
use crate::config::{self, Admit, Config, Setting};

/// How a home is made.
#[derive(Debug, Default)]
pub struct NewHome<'a> {
    /// The name that the person suggests to contacts.
    pub name: Option<Name>,
    /// What will open the keystore; `None` for a file beside it.
    pub passphrase: Option<&'a Passphrase>,
    /// At a host: what it tells peers instead of the addresses it listens on.
    pub announce: Vec<Address>,
}

/// An account that will exist once its words are shown.
#[derive(Debug)]
pub struct NewAccount {
    /// The account.
    pub account: AccountId,
    /// Its first device.
    pub device: DeviceId,
    /// Its contact link.
    pub link: String,
    /// The 24 words, to be shown once.
    pub phrase: RecoveryPhrase,
}

/// Makes an account and its first device in `path`. `show` is called once, when everything but the
/// last rename is on disk; it must write the words and flush them.
///
/// # Errors
/// [`HomeError::Exists`] and nothing touched; what the disk says; [`HomeError::Unshown`] if `show`
/// failed, and then no account is left.
pub fn init_account(
    path: &Path,
    new: &NewHome<'_>,
    rng: &mut dyn CryptoRng,
    show: impl FnOnce(&NewAccount) -> io::Result<()>,
) -> Result<(), HomeError> {
    let place = Place::take(path)?;
    let node_key = Secret::random(rng);
    let phrase = RecoveryPhrase::random(rng);
    let root = AccountRoot::from_phrase(&phrase);
    let device = DeviceKeys::random(rng);
    let chain = Chain::genesis(&root, &device, clock::wall());
    let head = chain.head();
    let link = ContactLink {
        account: root.account(),
        network: place.config.network.clone(),
        head: LinkHead { seq: head.seq, hash: head.short() },
        hosts: Vec::new(),
        bootstrap: Vec::new(),
        direct: Vec::new(),
        invite: None,
    };
    let link = link.to_string();
    let made = NewAccount { account: root.account(), device: device.id(), link, phrase };
    let card = Card {
        account: Some(made.account_text()),
        device: Some(made.device.to_string()),
        name: new.name.as_ref().map(ToString::to_string),
        host: peer_id_text(&host_id(&node_key)),
        link: made.link.clone(),
    };
    let account = AccountHome {
        device,
        backup: root.backup_key(),
        chain: chain.to_bytes(),
        name: card.name.clone(),
    };
    let keystore = Keystore { data_key: Secret::random(rng), account: Some(account) };
    let parts = Parts { node_key, keystore, card, settings: Vec::new() };
    place.make(&parts, new.passphrase, rng, || show(&made))
}

/// Makes a host's home in `path`: a node key and no account; it hosts mailboxes for the invited.
///
/// # Errors
/// As [`init_account`].
pub fn init_host(
    path: &Path,
    new: &NewHome<'_>,
    rng: &mut dyn CryptoRng,
) -> Result<Card, HomeError> {
    let place = Place::take(path)?;
    let node_key = Secret::random(rng);
    let host = host_id(&node_key);
    let link = HostLink {
        host,
        network: place.config.network.clone(),
        addresses: new.announce.iter().take(MAX_HOST_ADDRESSES).cloned().collect(),
        token: None,
    };
    let card = Card {
        account: None,
        device: None,
        name: None,
        host: peer_id_text(&host),
        link: link.to_string(),
    };
    let mut settings = Vec::new();
    if place.config.hosting.is_none() {
        settings.push(Setting::text("host", "admit", Admit::Invited.as_str()));
    }
    if !new.announce.is_empty() {
        settings.push(Setting::list("node", "announce", &new.announce));
    }
    let keystore = Keystore { data_key: Secret::random(rng), account: None };
    let parts = Parts { node_key, keystore, card: card.clone(), settings };
    place.make(&parts, new.passphrase, rng, || Ok(()))?;
    Ok(card)
}

impl NewAccount {
    /// The account as people write it (`gw1…`).
    #[must_use]
    pub fn account_text(&self) -> String {
        account_text(&self.account)
    }
}

/// What a new home is made of.
struct Parts {
    node_key: Secret<32>,
    keystore: Keystore,
    card: Card,
    settings: Vec<Setting>,
}

/// A folder that is ours and not a home yet.
struct Place {
    folder: PathBuf,
    config: Config,
    /// Whether the folder was made here, to be taken away if nothing comes of it.
    made: Option<PathBuf>,
    lock: HomeLock,
}

impl Place {
    fn take(path: &Path) -> Result<Self, HomeError> {
        if Home::resolve(path).is_ok() {
            return Err(HomeError::Exists { path: path.to_owned() });
        }
        let made = (!path.exists()).then(|| path.to_owned());
        make_folder(path)?;
        let folder = fs::canonicalize(path).map_err(|error| HomeError::io(path, &error))?;
        mend_permissions(&folder)?;
        let lock = HomeLock::take(&folder)?;
        // Another `init` may have ended while this one waited for nothing.
        if Home::resolve(&folder).is_ok() {
            return Err(HomeError::Exists { path: path.to_owned() });
        }
        let config = config::parse(&config_text(&folder)?)?;
        Ok(Self { folder, config, made, lock })
    }

    fn make(
        self,
        parts: &Parts,
        passphrase: Option<&Passphrase>,
        rng: &mut dyn CryptoRng,
        show: impl FnOnce() -> io::Result<()>,
    ) -> Result<(), HomeError> {
        let result = self.stage(parts, passphrase, rng).and_then(|staged| match show() {
            Ok(()) => staged.commit(),
            Err(error) => {
                staged.discard();
                Err(HomeError::Unshown { message: error.to_string() })
            }
        });
        if result.is_err() && Home::resolve(&self.folder).is_err() {
            self.clear();
        }
        result
    }

    /// Everything but the last rename.
    fn stage(
        &self,
        parts: &Parts,
        passphrase: Option<&Passphrase>,
        rng: &mut dyn CryptoRng,
    ) -> Result<Staged, HomeError> {
        let keystore_path = self.folder.join("keystore");
        let protection = passphrase.map_or(Protection::File, |_| Protection::Passphrase);
        let head = Head::new(protection, self.config.costs, rng);
        let kek = match passphrase {
            Some(passphrase) => head.stretch(passphrase.expose())?,
            None => Secret::random(rng),
        };
        match protection {
            Protection::File => replace_file(&self.folder.join("kek"), kek.expose())?,
            Protection::Passphrase => remove_if_there(&self.folder.join("kek")),
        }
        let node_key = sealed::seal(&kek, Label::NodeKey, &[], parts.node_key.expose(), rng);
        replace_file(&self.folder.join("node.key"), &node_key)?;
        write_card(&self.folder, &parts.card)?;
        if !parts.settings.is_empty() {
            let (text, _) = config::set(&config_text(&self.folder)?, &parts.settings)?;
            replace_file(&self.folder.join("config.toml"), text.as_bytes())?;
        }
        let damaged = || HomeError::Damaged { path: keystore_path.clone() };
        let plain = parts.keystore.to_bytes().ok_or_else(damaged)?;
        Staged::write(&keystore_path, &head.seal(&kek, &plain, rng))
    }

    /// Takes away what an attempt has left, keys first.
    fn clear(self) {
        for file in
            ["keystore.new", "kek", "kek.new", "node.key", "node.key.new", "card", "card.new"]
        {
            remove_if_there(&self.folder.join(file));
        }
        if let Some(made) = self.made {
            remove_if_there(&self.folder.join("config.toml"));
            remove_if_there(&self.folder.join("lock"));
            // Only if nobody has put anything in it meanwhile.
            let _ = fs::remove_dir(made);
        }
        drop(self.lock);
    }
}

/// The name that a node key gives on the network.
pub(super) fn host_id(node_key: &Secret<32>) -> HostId {
    HostId(Signer::from_seed(*node_key.expose()).verify_key().0)
}

#[cfg(test)]
mod tests;
