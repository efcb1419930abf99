//! `config.toml` and the flags over it: a [`Config`] that is valid because it exists.
//!
//! Rule: flags > file > defaults; a key that is not known is refused with its line.
//! Source: CLI, "Rules".

mod address;
mod document;
mod edit;
mod file;
mod quantity;

use godwit_protocol::identity::{HostLink, Network};
use godwit_protocol::limits;
use godwit_protocol::machine::Address;
use godwit_protocol::time::Millis;
use godwit_store::Kind;

pub use address::{AddressFault, PeerAddress, parse_address, parse_listen};
pub use document::document;
pub(crate) use edit::{Setting, set};
pub use file::{ConfigError, parse};
pub use quantity::{QuantityError, format_duration, format_size, parse_duration, parse_size};

use crate::home::Costs;

/// The port on which a host of mailboxes listens unless told otherwise.
pub const HOST_PORT: u16 = 7447;

/// Whom a host of mailboxes takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admit {
    /// Anybody.
    Open,
    /// Who shows a token of `godwit host invite`.
    Invited,
}

impl Admit {
    /// The word of the configuration and of `status`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Invited => "invited",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Open, Self::Invited].into_iter().find(|admit| admit.as_str() == text)
    }
}

/// To whom a node says where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reachability {
    /// To contacts, inside sealed messages.
    #[default]
    Contacts,
    /// To everybody: its link names its addresses, and it answers searches in the DHT.
    Public,
}

impl Reachability {
    /// The word of the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Contacts => "contacts",
            Self::Public => "public",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Contacts, Self::Public].into_iter().find(|it| it.as_str() == text)
    }
}

/// What a node does for others, and what it may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// All that its role asks for.
    #[default]
    Full,
    /// As little as its owner needs: it holds no records, relays nobody, keeps few links.
    Light,
}

impl Profile {
    /// The word of the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Light => "light",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Full, Self::Light].into_iter().find(|it| it.as_str() == text)
    }
}

/// How a node is set up.
#[derive(Debug, Clone)]
pub struct Config {
    /// The network it lives in.
    pub network: Network,
    /// Where it listens; empty for the default of [`Config::listeners`].
    pub listen: Vec<Address>,
    /// What it tells peers instead of the addresses it listens on; may be empty.
    pub announce: Vec<Address>,
    /// Peers that it dials first.
    pub bootstrap: Vec<PeerAddress>,
    /// To whom it says where it is.
    pub reachability: Reachability,
    /// What it does for others.
    pub profile: Profile,
    /// Whether it says in its room that it is there, and hears who else is.
    pub mdns: bool,
    /// Hosts that `join` wrote down; used from the next start on.
    pub hosts: Vec<HostLink>,
    /// How long a message lives, from 1 h to 30 d.
    pub life: Millis,
    /// Whom it keeps mailboxes for; `None` for nobody.
    pub hosting: Option<Admit>,
    /// The most owner keys of a host.
    pub owners: u32,
    /// The most bytes of a host.
    pub bytes: u64,
    /// What keeps a new store; one that is there has its own engine.
    pub engine: Kind,
    /// Memory for the store's cache, in bytes; `None` for what suits the role.
    pub cache: Option<u64>,
    /// Free bytes on the disk below which nothing new is taken; `None` for the store's rule.
    pub floor: Option<u64>,
    /// What a new passphrase costs to try; an existing keystore knows its own.
    pub costs: Costs,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            network: Network::default(),
            listen: Vec::new(),
            announce: Vec::new(),
            bootstrap: Vec::new(),
            reachability: Reachability::default(),
            profile: Profile::default(),
            mdns: true,
            hosts: Vec::new(),
            life: limits::MESSAGE_LIFE,
            hosting: None,
            owners: limits::MAX_OWNERS,
            bytes: limits::MAX_HOST_BYTES,
            engine: Kind::Sled,
            cache: None,
            floor: None,
            costs: Costs::default(),
        }
    }
}

/// What was typed beside `run`: each replaces what the file says of it.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--network`.
    pub network: Option<Network>,
    /// `--listen`; empty if not given.
    pub listen: Vec<Address>,
    /// `--announce`; empty if not given.
    pub announce: Vec<Address>,
    /// `--bootstrap`; empty if not given.
    pub bootstrap: Vec<PeerAddress>,
    /// `--reachability`.
    pub reachability: Option<Reachability>,
    /// `--host-mailboxes`.
    pub hosting: Option<Admit>,
}

impl Flags {
    /// What is to be written where flags are kept: those that were given.
    pub(crate) fn settings(&self) -> Vec<Setting> {
        let mut settings = Vec::new();
        settings
            .extend(self.network.as_ref().map(|it| Setting::text("node", "network", it.as_str())));
        for (key, values) in [("listen", &self.listen), ("announce", &self.announce)] {
            if !values.is_empty() {
                settings.push(Setting::list("node", key, values));
            }
        }
        if !self.bootstrap.is_empty() {
            settings.push(Setting::list("node", "bootstrap", &self.bootstrap));
        }
        settings
            .extend(self.reachability.map(|it| Setting::text("node", "reachability", it.as_str())));
        settings.extend(self.hosting.map(|it| Setting::text("host", "admit", it.as_str())));
        settings
    }
}

impl Config {
    /// Lays flags over what the file says.
    #[must_use]
    pub fn with(mut self, flags: Flags) -> Self {
        let Flags { network, listen, announce, bootstrap, reachability, hosting } = flags;
        if let Some(network) = network {
            self.network = network;
        }
        if !listen.is_empty() {
            self.listen = listen;
        }
        if !announce.is_empty() {
            self.announce = announce;
        }
        if !bootstrap.is_empty() {
            self.bootstrap = bootstrap;
        }
        self.reachability = reachability.unwrap_or(self.reachability);
        self.hosting = hosting.or(self.hosting);
        self
    }

    /// Where to listen: what was said, else TCP and QUIC on every interface, at [`HOST_PORT`] for a
    /// host.
    #[must_use]
    pub fn listeners(&self) -> Vec<Address> {
        if !self.listen.is_empty() {
            return self.listen.clone();
        }
        let port = if self.hosting.is_some() { HOST_PORT } else { 0 };
        ["/ip4/0.0.0.0", "/ip6/::"]
            .iter()
            .flat_map(|place| {
                [format!("{place}/tcp/{port}"), format!("{place}/udp/{port}/quic-v1")]
            })
            .filter_map(|text| Address::new(&text).ok())
            .collect()
    }
}
