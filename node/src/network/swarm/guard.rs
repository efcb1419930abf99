//! The last word on every dial, whoever asks for it: an address that was read somewhere is dialled
//! only where this node's own range allows it.
//!
//! Kademlia, hole punching and dial-backs name addresses that strangers chose; below them all lies
//! this transport. Source: CLI, "run"; decision 0008.

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};

use libp2p::core::transport::{DialOpts, ListenerId, TransportError, TransportEvent};
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, Transport};

use crate::network::range::Range;

/// Addresses that were typed or sent; above this many, none is added.
const MAX_TRUSTED: usize = 4_096;

/// What may be dialled now.
#[derive(Clone)]
pub(super) struct Allowed {
    inner: Arc<RwLock<Inner>>,
}

struct Inner {
    range: Range,
    trusted: HashSet<Multiaddr>,
}

impl Allowed {
    pub(super) fn new() -> Self {
        let inner = Inner { range: Range::Loopback, trusted: HashSet::new() };
        Self { inner: Arc::new(RwLock::new(inner)) }
    }

    /// This node listens in that range from now on.
    pub(super) fn set_range(&self, range: Range) {
        self.inner.write().unwrap_or_else(PoisonError::into_inner).range = range;
    }

    pub(super) fn range(&self) -> Range {
        self.inner.read().unwrap_or_else(PoisonError::into_inner).range
    }

    /// An address that a person typed or a contact sent.
    pub(super) fn trust(&self, address: &Multiaddr) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        if inner.trusted.len() < MAX_TRUSTED {
            inner.trusted.insert(plain(address));
        }
    }

    pub(super) fn may_dial(&self, address: &Multiaddr) -> bool {
        let address = plain(address);
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.range.dials(&address) || inner.trusted.contains(&address)
    }
}

/// Without the peer that an address may end in.
fn plain(address: &Multiaddr) -> Multiaddr {
    let mut plain = address.clone();
    if matches!(plain.iter().last(), Some(Protocol::P2p(_))) {
        plain.pop();
    }
    plain
}

/// A transport that dials what it may.
pub(super) struct Guard<T> {
    inner: T,
    allowed: Allowed,
}

impl<T> Guard<T> {
    pub(super) const fn new(inner: T, allowed: Allowed) -> Self {
        Self { inner, allowed }
    }
}

impl<T: Transport + Unpin> Transport for Guard<T> {
    type Output = T::Output;
    type Error = T::Error;
    type ListenerUpgrade = T::ListenerUpgrade;
    type Dial = T::Dial;

    fn listen_on(
        &mut self,
        id: ListenerId,
        address: Multiaddr,
    ) -> Result<(), TransportError<Self::Error>> {
        self.inner.listen_on(id, address)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.inner.remove_listener(id)
    }

    fn dial(
        &mut self,
        address: Multiaddr,
        options: DialOpts,
    ) -> Result<Self::Dial, TransportError<Self::Error>> {
        if self.allowed.may_dial(&address) {
            self.inner.dial(address, options)
        } else {
            Err(TransportError::MultiaddrNotSupported(address))
        }
    }

    fn poll(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, Self::Error>> {
        Pin::new(&mut self.get_mut().inner).poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use libp2p::PeerId;
    use libp2p::core::Endpoint;
    use libp2p::core::transport::{MemoryTransport, PortUse};

    use super::*;

    #[test]
    fn what_was_read_is_dialled_in_ones_own_range_and_what_was_typed_everywhere() {
        let allowed = Allowed::new();
        let address = |text: &str| text.parse::<Multiaddr>().unwrap();
        let lan = address("/ip4/192.168.1.9/tcp/7447");
        assert!(!allowed.may_dial(&lan));

        allowed.set_range(Range::Global);
        assert!(!allowed.may_dial(&lan), "a stranger's word leads nowhere into this network");
        assert!(allowed.may_dial(&address("/ip4/203.0.113.9/tcp/7447")));
        allowed.set_range(Range::Private);
        assert!(allowed.may_dial(&lan));
        allowed.set_range(Range::Global);
        allowed.trust(&lan.clone().with_p2p(PeerId::random()).unwrap());
        assert!(allowed.may_dial(&lan));
        assert!(!allowed.may_dial(&address("/ip4/192.168.1.9/tcp/80")));
    }

    #[test]
    fn the_transport_itself_refuses() {
        let mut guard = Guard::new(MemoryTransport::new(), Allowed::new());
        let options = DialOpts { role: Endpoint::Dialer, port_use: PortUse::Reuse };

        let refused = guard.dial("/memory/7".parse().unwrap(), options);

        assert!(matches!(refused, Err(TransportError::MultiaddrNotSupported(_))));
    }
}
