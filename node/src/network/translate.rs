//! Between godwit's names and libp2p's: node keys and PeerIds, addresses and multiaddrs.

use libp2p::identity::{PublicKey, ed25519};
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};

use godwit_protocol::id::HostId;
use godwit_protocol::machine::Address;

/// The PeerId of a node key; `None` if the bytes are no Ed25519 key.
pub(super) fn peer_id(host: &HostId) -> Option<PeerId> {
    let key = ed25519::PublicKey::try_from_bytes(host.as_bytes()).ok()?;
    Some(PublicKey::from(key).to_peer_id())
}

/// The node key of a PeerId; `None` if it is of another kind of key.
pub(super) fn host_id(peer: &PeerId) -> Option<HostId> {
    let key = PublicKey::try_decode_protobuf(peer.as_ref().digest()).ok()?;
    key.try_into_ed25519().ok().map(|key| HostId(key.to_bytes()))
}

/// The multiaddr of an address, if this node can dial it or listen on it: a name or an IP address,
/// and a TCP port or QUIC on a UDP port.
pub(super) fn multiaddr(address: &Address) -> Option<Multiaddr> {
    let parsed: Multiaddr = address.as_str().parse().ok()?;
    let mut parts = parsed.iter();
    let place = matches!(
        parts.next()?,
        Protocol::Ip4(_)
            | Protocol::Ip6(_)
            | Protocol::Dns(_)
            | Protocol::Dns4(_)
            | Protocol::Dns6(_)
    );
    let port = match parts.next()? {
        Protocol::Tcp(_) => true,
        Protocol::Udp(_) => matches!(parts.next(), Some(Protocol::QuicV1)),
        _ => false,
    };
    (place && port && parts.next().is_none()).then_some(parsed)
}

/// The address of a multiaddr, without the peer that it may end in.
pub(super) fn address(multiaddr: &Multiaddr) -> Option<Address> {
    let mut plain = multiaddr.clone();
    if matches!(plain.iter().last(), Some(Protocol::P2p(_))) {
        plain.pop();
    }
    Address::new(&plain.to_string()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use godwit_protocol::crypto::Signer;

    #[test]
    fn a_node_key_is_found_in_its_peer_id() {
        let host = HostId(Signer::from_seed([3; 32]).verify_key().0);

        let peer = peer_id(&host).unwrap();

        assert_eq!(host_id(&peer), Some(host));
        assert_eq!(peer.to_string(), godwit_protocol::identity::peer_id_text(&host));
    }

    #[test]
    fn only_what_can_be_dialled_is_an_address() {
        for (text, fine) in [
            ("/ip4/127.0.0.1/tcp/1", true),
            ("/dns4/example.org/tcp/7447", true),
            ("/ip4/127.0.0.1/udp/1/quic-v1", true),
            ("/ip4/127.0.0.1/udp/1", false),
            ("/ip4/127.0.0.1", false),
            ("/ip4/300.0.0.1/tcp/1", false),
            ("/tcp/1", false),
        ] {
            assert_eq!(multiaddr(&Address::new(text).unwrap()).is_some(), fine, "{text}");
        }
    }
}
