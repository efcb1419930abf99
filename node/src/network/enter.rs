//! Being connected: names are resolved anew at every dial, peers by which the network is entered are
//! dialled until they answer.

use std::pin::pin;
use std::time::{Duration, Instant};

use futures::future::{Either, join_all, select};
use libp2p::{Multiaddr, PeerId};
use tokio::sync::oneshot;
use tokio::time::timeout;

use godwit_protocol::id::HostId;
use godwit_protocol::machine::Address;

use super::swarm::{Answer, Order, Teller};
use super::{DIAL_TIME, Network, translate};

/// How long a direct dial has before others are asked to relay.
const HEAD_START: Duration = Duration::from_secs(1);
/// The first and the longest wait before such a peer is dialled again.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(20));
/// How long a peer that a contact's link names is tried: a place is kept for others.
const ONCE_FOR: Duration = Duration::from_secs(24 * 3_600);
/// How often it is looked whether it is still connected.
const STAYS: Duration = Duration::from_secs(60);
/// Peers by which the network is entered.
const MAX_ENTRANCES: usize = 64;

/// How long a peer stays an entrance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entrance {
    /// Until it was reached, or a day has passed.
    Once,
    /// As long as the node runs.
    Always,
}

impl Network {
    /// Is connected to a peer; the answer is the address at which it was reached. Others are asked to
    /// relay when it does not answer directly at once.
    pub(super) async fn connect(
        &self,
        id: PeerId,
        addresses: &[Address],
        relays: &[HostId],
    ) -> Option<Multiaddr> {
        let addresses =
            join_all(addresses.iter().map(|it| self.shared.names.resolve(it))).await.concat();
        let relays: Vec<PeerId> = relays.iter().filter_map(translate::peer_id).collect();
        let from = Teller::Known;
        let direct = self.asked(|answer| Order::Connect { peer: id, addresses, from, answer });
        if relays.is_empty() {
            return direct.await;
        }
        let through = self.asked(|answer| Order::ConnectThrough { peer: id, relays, answer });
        let mut direct = pin!(direct);
        match timeout(HEAD_START, &mut direct).await {
            Ok(None) => return through.await,
            Ok(address) => return address,
            Err(_) => {}
        }
        match select(direct, pin!(through)).await {
            Either::Left((Some(address), _)) | Either::Right((Some(address), _)) => Some(address),
            Either::Left((None, other)) => other.await,
            Either::Right((None, other)) => other.await,
        }
    }

    pub(super) async fn asked(&self, order: impl FnOnce(Answer) -> Order) -> Option<Multiaddr> {
        let (answer, connected) = oneshot::channel();
        self.shared.orders.send(order(answer)).ok()?;
        connected.await.ok()?
    }

    /// Dials peers until they answer, each on its own.
    pub(crate) fn enter(&self, peers: Vec<(HostId, Vec<Address>)>, entrance: Entrance) {
        for (peer, addresses) in peers {
            let Some(id) = translate::peer_id(&peer).filter(|_| peer != self.shared.host) else {
                continue;
            };
            {
                let mut links = self.open_links();
                if links.entrances.len() >= MAX_ENTRANCES || !links.entrances.insert(peer) {
                    continue;
                }
            }
            let network = self.clone();
            let task = self.shared.runtime.spawn(async move {
                let (mut wait, last) = AGAIN;
                let start = Instant::now();
                loop {
                    let connected = timeout(DIAL_TIME, network.connect(id, &addresses, &[])).await;
                    let is_there = matches!(connected, Ok(Some(_)));
                    let over = is_there || start.elapsed() >= ONCE_FOR;
                    if over && entrance == Entrance::Once {
                        network.open_links().entrances.remove(&peer);
                        return;
                    }
                    if !is_there {
                        tracing::warn!("a peer by which the network is entered does not answer");
                    }
                    let pause = if is_there { STAYS } else { wait };
                    wait = if is_there { AGAIN.0 } else { last.min(wait.saturating_mul(2)) };
                    tokio::time::sleep(pause).await;
                }
            });
            self.keep(task);
        }
    }
}
