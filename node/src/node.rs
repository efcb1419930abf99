//! The library's front door: a home becomes a running node.

use std::sync::Arc;
use std::time::Duration;

use godwit_protocol::crypto::Signer;
use godwit_protocol::endpoint::{Command, HostChoice, Input, Person};
use godwit_protocol::id::HostId;
use godwit_protocol::identity::{Chain, HostLink, account_text, peer_id_text};
use godwit_protocol::limits::STAMP_BITS;
use godwit_protocol::machine::{Address, NetworkInput};
use godwit_protocol::mailbox::host::{Admission, HostCommand, HostSetup};
use godwit_store::Store;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::config::{Admit, Config, Reachability};
use crate::control::{self, Api, Events, Facts, Phase, Serving};
use crate::error::Error;
use crate::home::{OpenHome, Protection};
use crate::listeners::{self, Heard, Told};
use crate::network::{Entrance, Network};
use crate::room::Room;
use crate::service::{Mailbox, Messenger, MessengerParts};
use crate::upkeep::open_store;
use crate::watch;

/// How long a busy loop is left alone before it is asked again.
const BUSY: Duration = Duration::from_millis(50);

/// A node that is not running yet.
#[derive(Debug)]
pub struct Node {
    home: OpenHome,
    config: Config,
}

/// A running node. Dropping it ends the node without draining.
pub struct Handle {
    home: Arc<OpenHome>,
    api: Arc<Api>,
    serving: Serving,
    watching: Vec<JoinHandle<()>>,
    ended: mpsc::Receiver<Result<(), Error>>,
}

impl Node {
    /// Prepares a node from an open home.
    #[must_use]
    pub const fn builder(home: OpenHome, config: Config) -> Self {
        Self { home, config }
    }

    /// Starts it: the store, the network, the machine; the local API says from the first moment how
    /// far that is.
    ///
    /// # Errors
    /// [`Error`]: every case; then nothing runs.
    pub async fn start(self) -> Result<Handle, Error> {
        let Self { home, mut config } = self;
        if home.account.is_none() {
            // Without an account there is nothing else to do.
            config.hosting = config.hosting.or(Some(Admit::Invited));
        }
        let (home, config) = (Arc::new(home), Arc::new(config));
        let chain = home.account.as_ref().map(|account| Chain::from_bytes(&account.chain));
        let chain = chain.transpose().map_err(|error| Error::StoreDamaged(error.to_string()))?;
        let facts = Arc::new(facts(&home, &config, chain.as_ref()));
        let serving = Serving::open(&home.socket_path()?, Arc::clone(&facts))?;
        let store = {
            let (home, config) = (Arc::clone(&home), Arc::clone(&config));
            Arc::new(aside(move || open_store(&home, &config)).await?)
        };
        serving.door.phase(Phase::Network);
        let Heard { network, endpoint, host } = listeners::start(&home, &config, &store).await?;
        network.enter(entrances(&config), Entrance::Always);
        let (end, ended) = mpsc::channel(2);
        let place = (&home, &config, &store, &network);
        serving.door.phase(Phase::Account);
        let messenger = match &chain {
            Some(chain) => messenger(place, chain, (endpoint, end.clone())).await?,
            None => None,
        };
        serving.door.phase(Phase::Mailboxes);
        let mailbox = mailbox(place, (host, end)).await?;
        let room = Arc::new(Room::new(home.store_path(), config.floor));
        let card = watch::host_card(&home, &facts, mailbox.is_some());
        if let Some(keep) = &card {
            keep(&network);
        }
        let space = watch::space(Arc::clone(&room), messenger.clone(), mailbox.clone());
        let moving = watch::addresses(network.clone(), messenger.clone(), card);
        let mut watching = vec![tokio::spawn(space), tokio::spawn(moving)];
        if network.announces() || config.hosting.is_some() {
            watching.push(tokio::spawn(watch::reach(network.clone())));
        }
        let reader = store.reader();
        let clock = Clock::start();
        let own = chain.as_ref().map(Chain::account);
        let api =
            Api { own, chain, messenger, mailbox, store, reader, network, clock, facts, room };
        let api = Arc::new(api);
        serving.door.ready(Arc::clone(&api));
        Ok(Handle { home, api, serving, watching, ended })
    }
}

type PlaceOf<'a> = (&'a Arc<OpenHome>, &'a Arc<Config>, &'a Arc<Store>, &'a Network);
type End = mpsc::Sender<Result<(), Error>>;

/// What a home says of its node before anything runs.
fn facts(home: &OpenHome, config: &Config, chain: Option<&Chain>) -> Facts {
    let account = home.account.as_ref();
    Facts {
        account: chain.map(|chain| account_text(&chain.account())),
        device: account.map(|account| account.device.id().to_string()),
        peer_id: peer_id_text(&home.host_id()),
        protection: match home.protection() {
            Protection::Passphrase => "passphrase",
            Protection::File => "file",
        },
        network_name: config.network.clone(),
    }
}

/// The person's part of the node, where there is an account.
async fn messenger(
    (home, config, store, network): PlaceOf<'_>,
    chain: &Chain,
    (told, end): (Told, End),
) -> Result<Option<Arc<Messenger>>, Error> {
    let Some(account) = &home.account else { return Ok(None) };
    let person = Person {
        account: chain.account(),
        device: account.device.clone(),
        chain: chain.clone(),
        name: account.name.clone(),
        host: network.host_id(),
        network: config.network.clone(),
        bootstrap: bootstrap(config),
        is_public: config.reachability == Reachability::Public,
        life: config.life,
    };
    let parts = MessengerParts {
        person,
        store: Arc::clone(store),
        network: network.clone(),
        on_link: watch::keep_link(Arc::clone(home)),
    };
    let started =
        aside(move || Messenger::start(parts, move |it| drop(end.blocking_send(it)))).await?;
    let messenger = Arc::new(started);
    messenger.give(Input::Addresses(network.announced_addresses()));
    if !config.hosts.is_empty() {
        let command = Command::UseHosts { hosts: choices(config), k: None };
        messenger.give(Input::Command { request: 0, command });
    }
    let taking = Arc::clone(&messenger);
    forward(told, move |input| taking.network(input))?;
    Ok(Some(messenger))
}

/// The host's part of the node, where it hosts.
async fn mailbox(
    (home, config, store, network): PlaceOf<'_>,
    (told, end): (Told, End),
) -> Result<Option<Arc<Mailbox>>, Error> {
    let Some(admit) = config.hosting else { return Ok(None) };
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
    let parts = (Arc::clone(store), network.clone());
    let ended = move |it| drop(end.blocking_send(it));
    let mailbox = Arc::new(aside(move || Mailbox::start(setup, parts, ended)).await?);
    let taking = Arc::clone(&mailbox);
    forward(told, move |input| taking.network(input))?;
    Ok(Some(mailbox))
}

/// Work that takes as long as the disk does, where it holds nobody up.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|fell| Error::Inner(format!("the start fell: {fell}")))?
}

impl Handle {
    /// The event that says that the node is there: peer id, real ports, control socket.
    #[must_use]
    pub fn ready(&self) -> Value {
        control::ready(&self.api, self.serving.socket())
    }

    /// What happens from now on.
    ///
    /// # Errors
    /// [`Error`] if the store cannot be read.
    pub fn events(&self) -> Result<Events, Error> {
        Events::new(Arc::clone(&self.api), None)
            .map_err(|error| Error::StoreDamaged(error.to_string()))
    }

    /// Whether every part of the node answers within `patience`: what a watchdog asks.
    pub async fn answers(&self, patience: Duration) -> bool {
        let both = async {
            if let Some(messenger) = &self.api.messenger {
                // Whoever is busy has only to get there in time.
                while messenger.ask(Command::Status).await.is_err() {
                    tokio::time::sleep(BUSY).await;
                }
            }
            if let Some(mailbox) = &self.api.mailbox {
                while mailbox.ask(HostCommand::Status).await.is_err() {
                    tokio::time::sleep(BUSY).await;
                }
            }
        };
        tokio::time::timeout(patience, both).await.is_ok()
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
        let Self { home, api, serving, watching, mut ended } = self;
        serving.door.stopping();
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
        drop(serving);
        drop(home);
    }
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
