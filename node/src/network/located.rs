//! Where hosts are that do not answer where they were: the DHT is asked, four times a minute a host
//! at most.
//!
//! What it says is a hint: whoever answers there has to have the host's key, and strangers' addresses
//! are dialled in this node's own range alone. Source: PROTOCOL §7, "Addresses are hints".

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::join_all;
use libp2p::{Multiaddr, PeerId};
use tokio::sync::oneshot;

use godwit_protocol::id::HostId;
use godwit_protocol::machine::Address;

use super::swarm::{Order, Teller};
use super::{Network, translate};

/// How often one host is looked for.
const AGAIN: Duration = Duration::from_secs(15);
/// Hosts that are remembered.
const MAX_HOSTS: usize = 256;

/// When hosts were looked for, and where they were found; gone with the process.
#[derive(Debug, Default)]
pub(super) struct Located(Mutex<HashMap<PeerId, (Instant, Vec<Multiaddr>)>>);

impl Located {
    /// Where a host was found last.
    fn of(&self, host: &PeerId) -> Vec<Multiaddr> {
        self.lock().get(host).map(|(_, found)| found.clone()).unwrap_or_default()
    }

    /// Whether it is to be looked for at `now`; from then on it was.
    fn begin(&self, host: PeerId, now: Instant) -> bool {
        let mut hosts = self.lock();
        let lately = |at: &Instant| now.saturating_duration_since(*at) < AGAIN;
        if hosts.get(&host).is_some_and(|(at, _)| lately(at)) {
            return false;
        }
        if hosts.len() >= MAX_HOSTS && !hosts.contains_key(&host) {
            hosts.retain(|_, (at, _)| lately(at));
        }
        if hosts.len() < MAX_HOSTS || hosts.contains_key(&host) {
            hosts.entry(host).or_insert((now, Vec::new())).0 = now;
            return true;
        }
        false
    }

    fn found(&self, host: &PeerId, at: &[Multiaddr]) {
        if let Some((_, known)) = self.lock().get_mut(host) {
            at.clone_into(known);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<PeerId, (Instant, Vec<Multiaddr>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Network {
    /// Is connected to a host: where it is said to be, else where the DHT says that it is.
    pub(super) async fn connect_host(
        &self,
        id: PeerId,
        addresses: &[Address],
        relays: &[HostId],
    ) -> Option<Multiaddr> {
        if let Some(address) = self.connect(id, addresses, relays).await {
            return Some(address);
        }
        if self.shared.located.begin(id, Instant::now()) {
            let (answer, found) = oneshot::channel();
            self.order(Order::Locate { peer: id, answer });
            let found = found.await.ok()?;
            if !found.is_empty() {
                self.shared.located.found(&id, &found);
            }
        }
        self.connect_found(id, &self.shared.located.of(&id)).await
    }

    /// Is connected to a peer where strangers say that it is, if they may send this node there.
    pub(super) async fn connect_found(&self, id: PeerId, found: &[Multiaddr]) -> Option<Multiaddr> {
        let found: Vec<Address> = found.iter().filter_map(translate::address).collect();
        let addresses = found.iter().map(|it| self.shared.names.resolve(it));
        let (addresses, from) = (join_all(addresses).await.concat(), Teller::Stranger);
        self.asked(|answer| Order::Connect { peer: id, addresses, from, answer }).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_looked_for_now_and_then_and_no_more_are_remembered_than_may_be() {
        let (located, start) = (Located::default(), Instant::now());
        let host = PeerId::random();
        assert!(located.begin(host, start));
        assert!(!located.begin(host, start + AGAIN - Duration::from_millis(1)));
        let at: Multiaddr = "/ip4/203.0.113.7/tcp/7447".parse().unwrap();
        located.found(&host, core::slice::from_ref(&at));
        assert!(located.begin(host, start + AGAIN));
        assert_eq!(located.of(&host), [at], "until it is found elsewhere");

        let later = start + AGAIN + AGAIN;
        let begun = (0..2 * MAX_HOSTS).filter(|_| located.begin(PeerId::random(), later));
        assert_eq!(begun.count(), MAX_HOSTS, "those of earlier make room");
        assert!(!located.begin(host, later));
        assert!(located.begin(host, later + AGAIN));
    }
}
