//! The library's front door: a home becomes a running node.

use std::path::PathBuf;
use std::sync::Arc;

use godwit_protocol::endpoint::{Input, Person};
use godwit_protocol::identity::{Chain, account_text, peer_id_text};
use godwit_protocol::machine::Address;
use godwit_protocol::rows;
use godwit_protocol::rows::home::{ADDRESSES, HOME};
use godwit_protocol::rows::typed::load;
use godwit_store::{DataKey, OpenError, Options, Place, Store};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::config::Config;
use crate::control::{self, Api, Events, Facts};
use crate::error::Error;
use crate::home::{OpenHome, Protection};
use crate::network::{Network, NetworkConfig, NetworkError};
use crate::service::{Messenger, MessengerParts};

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
    home: OpenHome,
    socket: PathBuf,
    api: Arc<Api>,
    serving: JoinHandle<()>,
    ended: oneshot::Receiver<Result<(), Error>>,
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
        let Some(account) = &home.account else {
            return Err(Error::Unsupported("hosting mailboxes".to_owned()));
        };
        if config.hosting.is_some() {
            return Err(Error::Unsupported("hosting mailboxes".to_owned()));
        }
        let chain = Chain::from_bytes(&account.chain)
            .map_err(|error| Error::StoreDamaged(error.to_string()))?;
        let store = Arc::new(open_store(&home, &config)?);
        let (network, told) = start_network(&home, &config, &store).await?;
        let announced = if config.announce.is_empty() {
            network.listen_addresses().to_vec()
        } else {
            config.announce.clone()
        };
        let own = chain.account();
        let facts = Facts {
            account: account_text(&own),
            device: account.device.id().to_string(),
            peer_id: peer_id_text(&network.host_id()),
            network: config.network.to_string(),
            listen: texts(network.listen_addresses()),
            announced: texts(&announced),
            protection: match home.protection() {
                Protection::Passphrase => "passphrase",
                Protection::File => "file",
            },
        };
        let person = Person {
            account: own,
            device: account.device.clone(),
            chain,
            name: account.name.clone(),
            host: network.host_id(),
            network: config.network.clone(),
            life: config.life,
        };
        let (end, ended) = oneshot::channel();
        let parts = MessengerParts { person, store: Arc::clone(&store), network: network.clone() };
        let messenger = Messenger::start(parts, move |result| drop(end.send(result)))?;
        let messenger = Arc::new(messenger);
        messenger.give(Input::Addresses(announced));
        forward(Arc::clone(&messenger), told)?;
        let socket = home.socket_path()?;
        let reader = store.reader();
        let clock = Clock::start();
        let api = Arc::new(Api { own, messenger, store, reader, network, clock, facts });
        let serving = control::serve(&socket, Arc::clone(&api))?;
        Ok(Handle { home, socket, api, serving, ended })
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
        match (&mut self.ended).await {
            Ok(Err(error)) => error,
            Ok(Ok(())) | Err(_) => Error::Inner("the messenger has ended".to_owned()),
        }
    }

    /// Ends the node: no new requests, what was taken becomes durable, links are closed.
    pub async fn stop(self) {
        let Self { home, socket, api, serving, ended } = self;
        serving.abort();
        api.messenger.end();
        // An error here was an error of the disk: there is nothing left to save.
        let _ = ended.await;
        api.network.clone().shutdown().await;
        api.store.close();
        let _ = std::fs::remove_file(&socket);
        drop(home);
    }
}

fn open_store(home: &OpenHome, config: &Config) -> Result<Store, Error> {
    let mut key = *home.data_key.expose();
    let place = Place::Sled {
        folder: home.store_path(),
        cache_bytes: config.cache.unwrap_or(Options::DEFAULT_CACHE_BYTES),
        data_key: DataKey::take(&mut key),
    };
    Store::open(Options { place, tables: rows::tables() }).map_err(|error| match error {
        OpenError::Io(_) | OpenError::Random => Error::Io(error.to_string()),
        _ => Error::StoreDamaged(error.to_string()),
    })
}

type Told = mpsc::Receiver<godwit_protocol::machine::NetworkInput>;

/// Listens where it was asked to; where any port would do, on the port of the last time if it is
/// free, so that contacts find the node again.
async fn start_network(
    home: &OpenHome,
    config: &Config,
    store: &Store,
) -> Result<(Network, Told), Error> {
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
) -> Result<(Network, Told), NetworkError> {
    let (sender, told) = mpsc::channel(NETWORK_QUEUE);
    let network = config.network.clone();
    let settings = NetworkConfig { node_key: home.node_key.clone(), network, listen };
    Ok((Network::start(settings, sender).await?, told))
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

/// Carries what the network tells to the loop; a full loop slows the peers.
fn forward(messenger: Arc<Messenger>, mut told: Told) -> Result<(), Error> {
    std::thread::Builder::new()
        .name("forward".to_owned())
        .spawn(move || {
            while let Some(input) = told.blocking_recv() {
                messenger.network(input);
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
