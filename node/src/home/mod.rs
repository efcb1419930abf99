//! The home: the folder where everything of a node lives.
//!
//! | file | what |
//! |---|---|
//! | `config.toml` | settings, written by people and by `join` |
//! | `keystore` | the account's keys and the store's data key, sealed; with it the folder *is* a home |
//! | `kek` | the key of the keystore, where there is no passphrase |
//! | `node.key` | the key that names this node on the network, sealed under the same key |
//! | `card` | the own link in the clear, for `id` |
//! | `lock` | held by the one process that works here |
//! | `store/` | the engine's folder |
//! | `control.sock` | the control API of the running node |
//!
//! Rules: the folder and its files are for their owner only; every file is written beside itself,
//! synced and renamed; `keystore` is renamed last, so a folder is a home as a whole or not at all.

mod card;
mod error;
mod files;
mod init;
mod join;
mod keystore;
mod lock;
mod open;
mod passphrase;
mod sealed;
mod socket;

pub use card::{Card, read_card};
pub use error::HomeError;
pub use files::replace_file as write_whole;
pub use init::{NewAccount, NewHome, init_account, init_host};
pub use join::{Joined, forget_host, join, keep_flags};
pub use keystore::AccountHome;
pub use open::{Home, OpenHome};
pub use passphrase::Passphrase;
pub use sealed::{Costs, Protection};
