//! What the examples share: a real node on loopback in a temporary home, and a client of its API.

use std::error::Error;
use std::path::Path;

use godwit_node::config::Config;
use godwit_node::control::{Client, EventStream};
use godwit_node::home::{Home, NewHome, init_account, init_host};
use godwit_node::{Handle, Node, clock};
use godwit_protocol::identity::Name;
use godwit_protocol::machine::Address;
use serde_json::Value;
use tempfile::TempDir;

/// What goes wrong in an example ends it.
pub type Outcome<T> = Result<T, Box<dyn Error>>;

/// A node of its own in this process; its home is gone with this value.
pub struct Peer {
    /// Its home.
    pub home: TempDir,
    /// A connection to its local API: the same that the command line uses.
    pub client: Client,
    handle: Handle,
}

impl Peer {
    /// A person's node with a new account.
    ///
    /// # Errors
    /// Whatever stands in the way.
    pub async fn person(name: &str) -> Outcome<Self> {
        let home = TempDir::new()?;
        let new = NewHome { name: Some(Name::parse(name)?), ..NewHome::default() };
        // The 24 words would be shown here: these accounts last as long as the example.
        init_account(home.path(), &new, &mut clock::system_rng(), |_| Ok(()))?;
        Self::start(home).await
    }

    /// A mailbox host.
    ///
    /// # Errors
    /// As [`Self::person`].
    pub async fn host() -> Outcome<Self> {
        let home = TempDir::new()?;
        init_host(home.path(), &NewHome::default(), &mut clock::system_rng())?;
        Self::start(home).await
    }

    /// Starts a node over a home that is there.
    ///
    /// # Errors
    /// As [`Self::person`].
    pub async fn start(home: TempDir) -> Outcome<Self> {
        let open = Home::open(home.path(), None)?;
        let listen = vec![Address::new("/ip4/127.0.0.1/tcp/0")?];
        let config = Config { listen, ..open.config.clone() };
        let handle = Node::builder(open, config).start().await?;
        let client = Client::connect(&Home::socket_path(home.path())?).await?;
        Ok(Self { home, client, handle })
    }

    /// Ends the node as SIGTERM would; the home stays.
    pub async fn stop(self) -> TempDir {
        self.handle.stop().await;
        self.home
    }

    /// Everything that happens at this node from now on.
    ///
    /// # Errors
    /// As [`Self::person`].
    pub async fn events(&self) -> Outcome<EventStream> {
        events_of(self.home.path()).await
    }
}

/// What happens at the running node of a home, from now on.
///
/// # Errors
/// If no node runs there.
pub async fn events_of(home: &Path) -> Outcome<EventStream> {
    let client = Client::connect(&Home::socket_path(home)?).await?;
    Ok(client.events(None).await?)
}

/// The next text that comes in, with who sent it.
///
/// # Errors
/// If the node goes away first.
pub async fn next_text(events: &mut EventStream) -> Outcome<(String, String)> {
    while let Some((_, event)) = events.next().await {
        let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default();
        if text("event") == "message" && text("direction") == "in" {
            return Ok((text("from_account").to_owned(), text("body").to_owned()));
        }
    }
    Err("the node has gone away".into())
}

/// A field of an answer.
#[must_use]
pub fn field(answer: &Value, name: &str) -> String {
    answer.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}
