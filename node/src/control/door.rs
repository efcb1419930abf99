//! The door of the API: open from a start's first second, with the node behind it once it is there.
//!
//! Until then, and while the node drains, `GET /v1/status` says what is going on and everything else
//! is `E_BUSY`. Source: CLI, "run".

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use godwit_protocol::endpoint::{Code, Refusal};
use godwit_protocol::time::Millis;
use serde_json::{Value, json};
use tokio::net::UnixListener;
use tokio::task::JoinHandle;

use super::server::{self, Failure};
use super::{Api, Facts};
use crate::clock::Clock;
use crate::error::Error;

/// What a start does, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The store is opened, and mended if it was not closed.
    Store,
    /// The listeners are opened.
    Network,
    /// Contacts, sessions and what waits are read.
    Account,
    /// The mailboxes of others are read.
    Mailboxes,
}

impl Phase {
    const ALL: [Self; 4] = [Self::Store, Self::Network, Self::Account, Self::Mailboxes];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Network => "network",
            Self::Account => "account",
            Self::Mailboxes => "mailboxes",
        }
    }

    fn step(self) -> usize {
        Self::ALL.iter().take_while(|phase| **phase != self).count().saturating_add(1)
    }
}

enum Behind {
    Starting { phase: Phase, since: Millis },
    Running(Arc<Api>),
    Stopping { since: Millis },
}

/// What stands between a client and the node.
pub(crate) struct Door {
    facts: Arc<Facts>,
    clock: Clock,
    behind: RwLock<Behind>,
}

/// The open door; it closes when this is dropped.
pub(crate) struct Serving {
    pub(crate) door: Arc<Door>,
    task: JoinHandle<()>,
    socket: PathBuf,
}

impl Serving {
    /// Opens the door on a socket; a file that is there is stale, since the home's lock is ours.
    pub(crate) fn open(socket: &Path, facts: Arc<Facts>) -> Result<Self, Error> {
        let io = |error: std::io::Error| Error::Io(format!("{}: {error}", socket.display()));
        match fs::remove_file(socket) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io(error)),
            _ => {}
        }
        let listener = UnixListener::bind(socket).map_err(io)?;
        fs::set_permissions(socket, fs::Permissions::from_mode(0o600)).map_err(io)?;
        let clock = Clock::start();
        let behind = Behind::Starting { phase: Phase::Store, since: clock.since_start() };
        let door = Arc::new(Door { facts, clock, behind: RwLock::new(behind) });
        let router = server::router(Arc::clone(&door));
        let task = tokio::spawn(async move {
            // It ends with the node.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { door, task, socket: socket.to_owned() })
    }

    /// Where it is.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.task.abort();
        let _ = fs::remove_file(&self.socket);
    }
}

impl Door {
    /// The start has come to its next phase.
    pub(crate) fn phase(&self, phase: Phase) {
        self.put(Behind::Starting { phase, since: self.clock.since_start() });
    }

    /// The node is there.
    pub(crate) fn ready(&self, api: Arc<Api>) {
        self.put(Behind::Running(api));
    }

    /// The node goes.
    pub(crate) fn stopping(&self) {
        self.put(Behind::Stopping { since: self.clock.since_start() });
    }

    fn put(&self, behind: Behind) {
        // What is behind it is whole even if somebody fell while looking.
        *self.behind.write().unwrap_or_else(std::sync::PoisonError::into_inner) = behind;
    }

    /// The node, or what is going on instead.
    pub(super) fn look(&self) -> Result<Arc<Api>, Value> {
        let behind = self.behind.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (state, since, phase) = match &*behind {
            Behind::Running(api) => return Ok(Arc::clone(api)),
            Behind::Starting { phase, since } => ("starting", *since, Some(*phase)),
            Behind::Stopping { since } => ("stopping", *since, None),
        };
        let seconds = |millis: Millis| millis.0 / 1_000;
        let now = self.clock.since_start();
        let phase = phase.map(|phase| {
            json!({
                "name": phase.as_str(), "step": phase.step(), "steps": Phase::ALL.len(),
                "for_s": seconds(now.saturating_sub(since)),
            })
        });
        Err(json!({
            "version": env!("CARGO_PKG_VERSION"),
            "state": state,
            "phase": phase,
            "pid": std::process::id(),
            "account": self.facts.account,
            "device": self.facts.device,
            "peer_id": self.facts.peer_id,
            "network": self.facts.network_name.to_string(),
            "listen": [],
            "announced": [],
            "external": [],
            "peers": 0,
            "dht": null,
            "reach": null,
            "hosts": [],
            "k": null,
            "outbox": null,
            "hosting": null,
            "keystore": {"protection": self.facts.protection},
            "store": null,
            "faults": null,
            "warnings": [],
            "uptime_s": seconds(now),
        }))
    }
}

/// The running node, for a route that needs it.
pub(super) struct Running(pub(super) Arc<Api>);

impl FromRequestParts<Arc<Door>> for Running {
    type Rejection = Failure;

    async fn from_request_parts(_: &mut Parts, door: &Arc<Door>) -> Result<Self, Failure> {
        door.look().map(Self).map_err(|status| {
            let state = status.get("state").and_then(Value::as_str).unwrap_or("busy");
            let at = status.pointer("/phase/name").and_then(Value::as_str);
            let at = at.map(|phase| format!(" ({phase})")).unwrap_or_default();
            Refusal::new(Code::Busy, format!("the node is {state}{at}"), "godwit status").into()
        })
    }
}

#[cfg(test)]
mod tests {
    use godwit_protocol::identity::Network;

    use super::*;
    use crate::control::Client;

    fn facts() -> Arc<Facts> {
        let network_name = "main".parse::<Network>().unwrap();
        let (account, device, peer_id) = (Some("gw1".to_owned()), None, "12D3".to_owned());
        Arc::new(Facts { account, device, peer_id, network_name, protection: "file" })
    }

    #[tokio::test]
    async fn a_start_and_an_end_are_told_and_everything_else_waits() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        fs::write(&socket, "left by a crash").unwrap();
        let serving = Serving::open(&socket, facts()).unwrap();
        let mut client = Client::connect(&socket).await.unwrap();
        let mut said = Vec::new();

        for phase in Phase::ALL {
            serving.door.phase(phase);
            let status = client.get("/v1/status").await.unwrap();
            assert_eq!((&status["state"], &status["account"]), (&json!("starting"), &json!("gw1")));
            said.push(status["phase"]["name"].as_str().unwrap().to_owned());
            let refusal = client.get("/v1/contacts").await.unwrap_err();
            assert_eq!(refusal.code, Code::Busy);
        }
        serving.door.stopping();
        let status = client.get("/v1/status").await.unwrap();

        assert_eq!(said, ["store", "network", "account", "mailboxes"]);
        assert_eq!((&status["state"], &status["phase"]), (&json!("stopping"), &Value::Null));
        drop(serving);
        assert!(!socket.exists());
        assert_eq!(Client::connect(&socket).await.err().unwrap().code, Code::NotRunning);
    }
}
