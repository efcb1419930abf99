//! The library's front door: a home becomes a running node.

use std::path::PathBuf;
use std::sync::Arc;

use godwit_protocol::crypto::Signer;
use godwit_protocol::endpoint::{Command, HostChoice, Input, Person};
use godwit_protocol::identity::{Chain, HostLink, account_text, peer_id_text};
use godwit_protocol::limits::{MAX_HOST_ADDRESSES, STAMP_BITS};
use godwit_protocol::machine::{Address, NetworkInput};
use godwit_protocol::mailbox::host::{Admission, HostSetup};
use godwit_protocol::rows;
use godwit_protocol::rows::home::{ADDRESSES, HOME};
use godwit_protocol::rows::typed::load;
use godwit_store::{CheckReport, DataKey, OpenError, Options, Place, Store};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::config::{Admit, Config};
use crate::control::{self, Api, Events, Facts};
use crate::error::Error;
use crate::home::{Card, OpenHome, Protection};
use crate::network::{Network, NetworkConfig, NetworkError, Sinks};
use crate::room::Room;
use crate::service::{Mailbox, Messenger, MessengerParts};

/// The hint for the cache of a host's store, in bytes: up to ten times as much is used.
const HOST_CACHE_BYTES: u64 = 16 << 20;

/// What the network may tell before the loop takes it.
const NETWORK_QUEUE: usize = 256;

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
    watching: JoinHandle<()>,
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
        let Self { home, config } = self;
        let home = Arc::new(home);
        let store = Arc::new(open_store(&home, &config)?);
        let heard = start_network(&home, &config, &store).await?;
        let network = heard.network;
        let announced = if config.announce.is_empty() {
            network.listen_addresses().to_vec()
        } else {
            config.announce.clone()
        };
        let account = home.account.as_ref();
        let chain = account.map(|account| Chain::from_bytes(&account.chain)).transpose();
        let chain = chain.map_err(|error| Error::StoreDamaged(error.to_string()))?;
        let facts = Facts {
            account: chain.as_ref().map(|chain| account_text(&chain.account())),
            device: account.map(|account| account.device.id().to_string()),
            peer_id: peer_id_text(&network.host_id()),
            network: config.network.to_string(),
            listen: texts(network.listen_addresses()),
            announced: texts(&announced),
            protection: match home.protection() {
                Protection::Passphrase => "passphrase",
                Protection::File => "file",
            },
            host_link: host_link(&network, &config, &announced),
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
                messenger.give(Input::Addresses(announced.clone()));
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
                if home.account.is_none() {
                    keep_link(Arc::clone(&home))(&facts.host_link.to_string());
                }
                Some(mailbox)
            }
            None => None,
        };
        let room = Arc::new(Room::new(home.store_path(), config.floor));
        let watching =
            tokio::spawn(watch_space(Arc::clone(&room), messenger.clone(), mailbox.clone()));
        let socket = home.socket_path()?;
        let reader = store.reader();
        let clock = Clock::start();
        let own = chain.as_ref().map(Chain::account);
        let api =
            Api { own, chain, messenger, mailbox, store, reader, network, clock, facts, room };
        let api = Arc::new(api);
        let serving = control::serve(&socket, Arc::clone(&api))?;
        Ok(Handle { home, socket, api, serving, watching, ended })
    }
}

impl Handle {
    /// The event that says that the node is there: peer id, real ports, control socket.
    #[must_use]
    pub fn ready(&self) -> Value {
        control::ready(&self.api.facts, &self.socket)
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
        watching.abort();
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

type Told = mpsc::Receiver<NetworkInput>;

/// A network that listens, and what it tells.
struct Heard {
    network: Network,
    endpoint: Told,
    host: Told,
}

/// Listens where it was asked to; where any port would do, on the port of the last time if it is
/// free, so that contacts find the node again.
async fn start_network(home: &OpenHome, config: &Config, store: &Store) -> Result<Heard, Error> {
    let known: Option<Vec<Address>> = load(&store.reader(), &HOME, ADDRESSES).unwrap_or_default();
    let kept = kept_ports(&config.listeners(), &known.unwrap_or_default());
    match listen(home, config, kept).await {
        Err(NetworkError::PortInUse { .. }) => {
            listen(home, config, config.listeners()).await.map_err(unheard)
        }
        result => result.map_err(unheard),
    }
}

async fn listen(
    home: &OpenHome,
    config: &Config,
    listen: Vec<Address>,
) -> Result<Heard, NetworkError> {
    let (to_endpoint, endpoint) = mpsc::channel(NETWORK_QUEUE);
    let (to_host, host) = mpsc::channel(NETWORK_QUEUE);
    let sinks = Sinks {
        endpoint: home.account.as_ref().map(|_| to_endpoint),
        host: config.hosting.map(|_| to_host),
    };
    let network = config.network.clone();
    let settings = NetworkConfig { node_key: home.node_key.clone(), network, listen };
    Ok(Heard { network: Network::start(settings, sinks).await?, endpoint, host })
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

/// This host's link without a token.
fn host_link(network: &Network, config: &Config, announced: &[Address]) -> HostLink {
    HostLink {
        host: network.host_id(),
        network: config.network.clone(),
        addresses: announced.iter().take(MAX_HOST_ADDRESSES).cloned().collect(),
        token: None,
    }
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

fn unheard(error: NetworkError) -> Error {
    match error {
        NetworkError::PortInUse { address } => Error::PortInUse { address: address.to_string() },
        other => Error::Io(other.to_string()),
    }
}

/// The wanted addresses, with the port of the last time in place of port 0.
fn kept_ports(wanted: &[Address], known: &[Address]) -> Vec<Address> {
    let port = known.iter().find_map(|address| address.as_str().rsplit_once("/tcp/"));
    let keep = |address: &Address| {
        let (_, port) = port?;
        let place = address.as_str().strip_suffix("/tcp/0")?;
        Address::new(&format!("{place}/tcp/{port}")).ok()
    };
    wanted.iter().map(|address| keep(address).unwrap_or_else(|| address.clone())).collect()
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

fn texts(addresses: &[Address]) -> Vec<String> {
    addresses.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_of_the_last_time_is_kept_where_any_would_do() {
        let address = |text| Address::new(text).unwrap();
        let known = [address("/ip4/127.0.0.1/tcp/4001")];
        let wanted = [address("/ip4/0.0.0.0/tcp/0"), address("/ip6/::/tcp/7447")];

        let kept = kept_ports(&wanted, &known);

        assert_eq!(kept, [address("/ip4/0.0.0.0/tcp/4001"), address("/ip6/::/tcp/7447")]);
        assert_eq!(kept_ports(&wanted, &[]), wanted);
    }
}
