//! Names of hosts: asked for anew at every dial, and remembered for when nobody answers that.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use tokio::net::lookup_host;
use tokio::time::timeout;

use godwit_protocol::machine::Address;

use super::translate;

/// How long a name may take, and one that was known before.
const NAME_TIME: Duration = Duration::from_secs(5);
const KNOWN_TIME: Duration = Duration::from_secs(1);
/// Names that are remembered.
const MAX_NAMES: usize = 256;

/// What names meant when somebody last said so; gone with the process.
#[derive(Debug, Default)]
pub(super) struct Names(Mutex<HashMap<String, Vec<IpAddr>>>);

impl Names {
    /// What an address means now: a name becomes the addresses that it has at this moment, or those
    /// that it last had if the name servers are gone.
    pub(super) async fn resolve(&self, address: &Address) -> Vec<Multiaddr> {
        let Some(parsed) = translate::multiaddr(address) else { return Vec::new() };
        let mut parts = parsed.iter();
        let (name, four, six) = match parts.next() {
            Some(Protocol::Dns(name)) => (name, true, true),
            Some(Protocol::Dns4(name)) => (name, true, false),
            Some(Protocol::Dns6(name)) => (name, false, true),
            _ => return vec![parsed],
        };
        let rest: Multiaddr = parts.collect();
        let found = self.meaning(&name, look_up(name.to_string())).await;
        let fits = |ip: &IpAddr| if ip.is_ipv4() { four } else { six };
        let whole = |ip| Multiaddr::from(ip).into_iter().chain(rest.iter()).collect();
        found.into_iter().filter(fits).map(whole).collect()
    }

    async fn meaning(
        &self,
        name: &str,
        answer: impl Future<Output = io::Result<Vec<IpAddr>>>,
    ) -> Vec<IpAddr> {
        let known = self.lock().get(name).cloned();
        let patience = if known.is_some() { KNOWN_TIME } else { NAME_TIME };
        match timeout(patience, answer).await {
            Ok(Ok(found)) if !found.is_empty() => {
                let mut names = self.lock();
                if names.len() < MAX_NAMES || names.contains_key(name) {
                    names.insert(name.to_owned(), found.clone());
                }
                found
            }
            _ => known.unwrap_or_default(),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Vec<IpAddr>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn look_up(name: String) -> io::Result<Vec<IpAddr>> {
    // The port is that of the address: this one only completes the question.
    Ok(lookup_host((name, 0)).await?.map(|it| it.ip()).collect())
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::net::Ipv4Addr;

    use super::*;

    #[tokio::test]
    async fn a_name_is_resolved_to_the_family_that_is_asked_for() {
        let names = Names::default();
        let resolved = async |text: &str| names.resolve(&Address::new(text).unwrap()).await;

        let four = resolved("/dns4/localhost/tcp/7").await;
        assert_eq!(four, ["/ip4/127.0.0.1/tcp/7".parse().unwrap()]);
        let quic = resolved("/dns4/localhost/udp/7/quic-v1").await;
        assert_eq!(quic, ["/ip4/127.0.0.1/udp/7/quic-v1".parse().unwrap()]);
        assert!(resolved("/dns/no-such-name.invalid/tcp/7").await.is_empty());
        assert_eq!(resolved("/ip6/::1/tcp/7").await, ["/ip6/::1/tcp/7".parse().unwrap()]);
    }

    #[tokio::test]
    async fn what_a_name_last_meant_counts_while_the_name_servers_are_gone() {
        let names = Names::default();
        let here = |last: u8| IpAddr::from(Ipv4Addr::new(203, 0, 113, last));
        let gone = || ready(Err(io::Error::other("no name server")));

        assert!(names.meaning("host", gone()).await.is_empty());
        assert_eq!(names.meaning("host", ready(Ok(vec![here(1)]))).await, [here(1)]);
        for _ in 0..2 {
            assert_eq!(names.meaning("host", gone()).await, [here(1)]);
        }
        assert_eq!(names.meaning("host", pending()).await, [here(1)], "and nobody waits for long");
        assert_eq!(names.meaning("host", ready(Ok(vec![here(2)]))).await, [here(2)]);
        assert_eq!(names.meaning("host", gone()).await, [here(2)], "the newest");

        for number in 0..2 * MAX_NAMES {
            names.meaning(&format!("host {number}"), ready(Ok(vec![here(3)]))).await;
        }
        assert_eq!(names.lock().len(), MAX_NAMES);
        assert_eq!(names.meaning("host", gone()).await, [here(2)]);
    }
}
