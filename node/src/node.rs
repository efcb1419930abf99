//! The library's front door: a home becomes a running node.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use godwit_protocol::crypto::Signer;
use godwit_protocol::endpoint::{Command, HostChoice, Input, Person};
use godwit_protocol::id::HostId;
use godwit_protocol::identity::{Chain, HostLink, account_text, peer_id_text};
use godwit_protocol::limits::STAMP_BITS;
use godwit_protocol::machine::{Address, NetworkInput};
use godwit_protocol::mailbox::host::{Admission, HostSetup};
use godwit_protocol::rows;
use godwit_store::{CheckReport, DataKey, OpenError, Options, Place, Store};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::config::{Admit, Config, Reachability};
use crate::control::{self, Api, Events, Facts};
use crate::error::Error;
use crate::home::{Card, OpenHome, Protection};
use crate::listeners::{self, Told};
use crate::network::{Entrance, Network};
use crate::room::Room;
use crate::service::{Mailbox, Messenger, MessengerParts};

/// The hint for the cache of a host's store, in bytes: up to ten times as much is used.
const HOST_CACHE_BYTES: u64 = 16 << 20;

/// How long addresses are given to come to rest.
const ADDRESSES_SETTLE: Duration = Duration::from_secs(1);

/// A node that is not running yet.
#[derive(Debug)]
pub struct Node {
    home: OpenHome,
    config: Config,
}

/// A running node. Dropping it ends the node without draining.
pub struct Handle {
    home: Arc<OpenHome>,
    socket: PathBuf,
    api: Arc<Api>,
    serving: JoinHandle<()>,
    watching: Vec<JoinHandle<()>>,
    ended: mpsc::Receiver<Result<(), Error>>,
}

impl Node {
    /// Prepares a node from an open home.
    #[must_use]
    pub const fn builder(home: OpenHome, config: Config) -> Self {
        Self { home, config }
    }

    /// Starts it: the store, the network, the machine, the local API.
    ///
    /// # Errors
    /// [`Error`]: every case; then nothing runs.
    pub async fn start(self) -> Result<Handle, Error> {
        let Self { home, mut config } = self;
        if home.account.is_none() {
            // Without an account there is nothing else to do.
            config.hosting = config.hosting.or(Some(Admit::Invited));
        }
        let home = Arc::new(home);
        let store = Arc::new(open_store(&home, &config)?);
        let heard = listeners::start(&home, &config, &store).await?;
        let network = heard.network;
        network.enter(entrances(&config), Entrance::Always);
        let account = home.account.as_ref();
        let chain = account.map(|account| Chain::from_bytes(&account.chain)).transpose();
        let chain = chain.map_err(|error| Error::StoreDamaged(error.to_string()))?;
        let facts = Facts {
            account: chain.as_ref().map(|chain| account_text(&chain.account())),
            device: account.map(|account| account.device.id().to_string()),
            peer_id: peer_id_text(&network.host_id()),
            protection: match home.protection() {
                Protection::Passphrase => "passphrase",
                Protection::File => "file",
            },
            network_name: config.network.clone(),
        };
        let (end, ended) = mpsc::channel(2);
        let messenger = match (account, &chain) {
            (Some(account), Some(chain)) => {
                let person = Person {
                    account: chain.account(),
                    device: account.device.clone(),
                    chain: chain.clone(),
                    name: account.name.clone(),
                    host: network.host_id(),
                    network: config.network.clone(),
                    bootstrap: bootstrap(&config),
                    is_public: config.reachability == Reachability::Public,
                    life: config.life,
                };
                let on_link = keep_link(Arc::clone(&home));
                let parts = MessengerParts {
                    person,
                    store: Arc::clone(&store),
                    network: network.clone(),
                    on_link,
                };
                let end = end.clone();
                let messenger = Messenger::start(parts, move |it| drop(end.blocking_send(it)))?;
                let messenger = Arc::new(messenger);
                messenger.give(Input::Addresses(network.announced_addresses()));
                if !config.hosts.is_empty() {
                    let command = Command::UseHosts { hosts: choices(&config), k: None };
                    messenger.give(Input::Command { request: 0, command });
                }
                let taking = Arc::clone(&messenger);
                forward(heard.endpoint, move |input| taking.network(input))?;
                Some(messenger)
            }
            _ => None,
        };
        let mailbox = match config.hosting {
            Some(admit) => {
                let setup = HostSetup {
                    signer: Signer::from_seed(*home.node_key.expose()),
                    network: config.network.clone(),
                    admit: match admit {
                        Admit::Open => Admission::Open,
                        Admit::Invited => Admission::Invited,
                    },
                    owners: config.owners,
                    bytes: config.bytes,
                    stamp_bits: STAMP_BITS,
                };
                let parts = (Arc::clone(&store), network.clone());
                let mailbox = Mailbox::start(setup, parts, move |it| drop(end.blocking_send(it)))?;
                let mailbox = Arc::new(mailbox);
                let taking = Arc::clone(&mailbox);
                forward(heard.host, move |input| taking.network(input))?;
                Some(mailbox)
            }
            None => None,
        };
        let room = Arc::new(Room::new(home.store_path(), config.floor));
        let watching =
            tokio::spawn(watch_space(Arc::clone(&room), messenger.clone(), mailbox.clone()));
        let card = host_card(&home, &facts, mailbox.is_some());
        if let Some(keep) = &card {
            keep(&network);
        }
        let moving = tokio::spawn(watch_addresses(network.clone(), messenger.clone(), card));
        let socket = home.socket_path()?;
        let reader = store.reader();
        let clock = Clock::start();
        let own = chain.as_ref().map(Chain::account);
        let api =
            Api { own, chain, messenger, mailbox, store, reader, network, clock, facts, room };
        let api = Arc::new(api);
        let serving = control::serve(&socket, Arc::clone(&api))?;
        let watching = vec![watching, moving];
        Ok(Handle { home, socket, api, serving, watching, ended })
    }
}

impl Handle {
    /// The event that says that the node is there: peer id, real ports, control socket.
    #[must_use]
    pub fn ready(&self) -> Value {
        control::ready(&self.api, &self.socket)
    }

    /// What happens from now on.
    ///
    /// # Errors
    /// [`Error`] if the store cannot be read.
    pub fn events(&self) -> Result<Events, Error> {
        Events::new(Arc::clone(&self.api), None)
            .map_err(|error| Error::StoreDamaged(error.to_string()))
    }

    /// Waits until the node ends by itself, and says why.
    pub async fn ended(&mut self) -> Error {
        match self.ended.recv().await {
            Some(Err(error)) => error,
            Some(Ok(())) | None => Error::Inner("a part of the node has ended".to_owned()),
        }
    }

    /// Ends the node: no new requests, what was taken becomes durable, links are closed.
    pub async fn stop(self) {
        let Self { home, socket, api, serving, watching, mut ended } = self;
        serving.abort();
        watching.iter().for_each(JoinHandle::abort);
        let mut threads = 0;
        if let Some(messenger) = &api.messenger {
            messenger.end();
            threads += 1;
        }
        if let Some(mailbox) = &api.mailbox {
            mailbox.end();
            threads += 1;
        }
        for _ in 0..threads {
            // An error here was an error of the disk: there is nothing left to save.
            let _ = ended.recv().await;
        }
        api.network.clone().shutdown().await;
        api.store.close();
        let _ = std::fs::remove_file(&socket);
        drop(home);
    }
}

/// Reads every row of a home's store, without starting a node; nothing is changed.
///
/// # Errors
/// [`Error`] if the store does not open at all.
pub fn check_store(home: &OpenHome) -> Result<CheckReport, Error> {
    if !home.store_path().exists() {
        return Ok(CheckReport::default());
    }
    Ok(open_store(home, &home.config)?.check())
}

/// Those of a person and those of a host: a home may become both.
fn all_tables() -> Vec<&'static rows::Table> {
    let mut tables = rows::tables();
    tables.extend(rows::mailbox::tables());
    tables
}

fn open_store(home: &OpenHome, config: &Config) -> Result<Store, Error> {
    let mut key = *home.data_key.expose();
    let place = Place::Sled {
        folder: home.store_path(),
        cache_bytes: config.cache.unwrap_or(match config.hosting {
            Some(_) => HOST_CACHE_BYTES,
            None => Options::DEFAULT_CACHE_BYTES,
        }),
        data_key: DataKey::take(&mut key),
    };
    Store::open(Options { place, tables: all_tables() }).map_err(|error| match error {
        OpenError::Io(_) | OpenError::Random => Error::Io(error.to_string()),
        OpenError::Version { .. } => Error::StoreVersion(error.to_string()),
        _ => Error::StoreDamaged(error.to_string()),
    })
}

/// The hosts that `join` wrote down.
fn choices(config: &Config) -> Vec<HostChoice> {
    let choice = |link: &HostLink| HostChoice {
        host: link.host,
        addresses: link.addresses.clone(),
        token: link.token,
    };
    config.hosts.iter().map(choice).collect()
}

/// The peers by which the network is entered, with all that is known of where they are.
fn entrances(config: &Config) -> Vec<(HostId, Vec<Address>)> {
    let mut peers: Vec<(HostId, Vec<Address>)> = Vec::new();
    for (host, address) in bootstrap(config) {
        match peers.iter_mut().find(|(known, _)| *known == host) {
            Some((_, addresses)) => addresses.push(address),
            None => peers.push((host, vec![address])),
        }
    }
    peers
}

fn bootstrap(config: &Config) -> Vec<(HostId, Address)> {
    config.bootstrap.iter().map(|peer| (peer.host, peer.address.clone())).collect()
}

/// Writes a new link to the card, for `id`; a card that cannot be written keeps the old one.
fn keep_link(home: Arc<OpenHome>) -> Box<dyn Fn(&str) + Send> {
    Box::new(move |link| {
        let written = home
            .read_card()
            .and_then(|card| home.write_card(&Card { link: link.to_owned(), ..card }));
        if written.is_err() {
            tracing::warn!("the card of this home cannot be written");
        }
    })
}

type KeepCard = Box<dyn Fn(&Network) + Send>;

/// What is done with the link of a host without an account: it stands on the card.
fn host_card(home: &Arc<OpenHome>, facts: &Facts, hosts: bool) -> Option<KeepCard> {
    let keep = (hosts && home.account.is_none()).then(|| keep_link(Arc::clone(home)))?;
    let name = facts.network_name.clone();
    Some(Box::new(move |network| keep(&control::host_link(network, &name).to_string())))
}

/// Tells everybody whom it concerns when this node is reached elsewhere: a cable, another network, a
/// machine that had none when it started.
async fn watch_addresses(
    network: Network,
    messenger: Option<Arc<Messenger>>,
    card: Option<KeepCard>,
) {
    let mut listening = network.listening();
    while listening.changed().await.is_ok() {
        // Addresses come and go in groups.
        tokio::time::sleep(ADDRESSES_SETTLE).await;
        let _ = listening.borrow_and_update();
        if let Some(keep) = &card {
            keep(&network);
        }
        if let Some(messenger) = &messenger {
            messenger.give(Input::Addresses(network.announced_addresses()));
        }
    }
}

/// Looks at the room on the disk every ten seconds; nothing new is taken below the floor.
async fn watch_space(
    room: Arc<Room>,
    messenger: Option<Arc<Messenger>>,
    mailbox: Option<Arc<Mailbox>>,
) {
    let mut ticks = tokio::time::interval(std::time::Duration::from_secs(10));
    let mut was_low = false;
    loop {
        ticks.tick().await;
        if let (Some(low), Some(messenger)) = (room.changed(), &messenger) {
            messenger.give(Input::Space { low });
        }
        if let (Some(low), Some(mailbox)) = (room.is_low_for_a_host(), &mailbox)
            && low != was_low
        {
            was_low = low;
            mailbox.space(low);
        }
    }
}

/// Carries what the network tells to a loop; a full loop slows the peers.
fn forward(mut told: Told, take: impl Fn(NetworkInput) + Send + 'static) -> Result<(), Error> {
    std::thread::Builder::new()
        .name("forward".to_owned())
        .spawn(move || {
            while let Some(input) = told.blocking_recv() {
                take(input);
            }
        })
        .map(drop)
        .map_err(|error| Error::Io(error.to_string()))
}
