//! Addresses as people write them: a multiaddr, with or without the peer at its end.

use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

use godwit_protocol::id::HostId;
use godwit_protocol::identity::{peer_id_from_text, peer_id_text};
use godwit_protocol::machine::Address;

/// A text that is no address of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressFault {
    /// No multiaddr.
    #[error(
        "\"{0}\" is no multiaddr such as /ip4/192.0.2.1/tcp/7447 or /dns/example.org/udp/7447/quic-v1"
    )]
    NoAddress(String),
    /// No place to listen.
    #[error(
        "\"{0}\" is no place to listen, such as /ip4/0.0.0.0/tcp/7447 or /ip6/::/udp/7447/quic-v1"
    )]
    NotHere(String),
    /// No peer at the end.
    #[error("\"{0}\" does not end in /p2p/ID")]
    NoPeer(String),
}

/// Reads a multiaddr that a node can dial, without a peer: an IP address or a name, then `/tcp/PORT` or
/// `/udp/PORT/quic-v1`.
///
/// # Errors
/// [`AddressFault::NoAddress`] for anything else.
pub fn parse_address(text: &str) -> Result<Address, AddressFault> {
    let good = is_transport(text, |family, place| match family {
        "dns" | "dns4" | "dns6" => !place.is_empty(),
        _ => is_ip(family, place),
    });
    let address = Address::new(text).ok().filter(|_| good);
    address.ok_or_else(|| AddressFault::NoAddress(text.to_owned()))
}

/// Reads a multiaddr that a node can listen on: `/ip4` or `/ip6`, then `/tcp/PORT` or
/// `/udp/PORT/quic-v1`.
///
/// # Errors
/// [`AddressFault::NotHere`] for anything else.
pub fn parse_listen(text: &str) -> Result<Address, AddressFault> {
    let address = Address::new(text).ok().filter(|_| is_transport(text, is_ip));
    address.ok_or_else(|| AddressFault::NotHere(text.to_owned()))
}

/// Whether it is a place of some family with a port for TCP or QUIC.
fn is_transport(text: &str, is_place: impl Fn(&str, &str) -> bool) -> bool {
    match text.split('/').collect::<Vec<_>>().as_slice() {
        ["", family, place, "tcp", port] | ["", family, place, "udp", port, "quic-v1"] => {
            is_place(family, place) && port.parse::<u16>().is_ok()
        }
        _ => false,
    }
}

fn is_ip(family: &str, place: &str) -> bool {
    match family {
        "ip4" => place.parse::<Ipv4Addr>().is_ok(),
        "ip6" => place.parse::<Ipv6Addr>().is_ok(),
        _ => false,
    }
}

/// A peer and where it listens: `…/p2p/ID`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerAddress {
    /// Its node key.
    pub host: HostId,
    /// Where it listens.
    pub address: Address,
}

impl FromStr for PeerAddress {
    type Err = AddressFault;

    fn from_str(text: &str) -> Result<Self, AddressFault> {
        let no_peer = || AddressFault::NoPeer(text.to_owned());
        let (address, peer) = text.rsplit_once("/p2p/").ok_or_else(no_peer)?;
        let host = peer_id_from_text(peer).ok_or_else(no_peer)?;
        Ok(Self { host, address: parse_address(address)? })
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/p2p/{}", self.address, peer_id_text(&self.host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_dialled_or_listened_on_is_taken() {
        for (text, dials, listens) in [
            ("/ip4/127.0.0.1/tcp/1", true, true),
            ("/ip6/::1/udp/7447/quic-v1", true, true),
            ("/dns/example.org/tcp/7447", true, false),
            ("/dns4/example.org/udp/7447/quic-v1", true, false),
            ("/ip4/1.2.3.4", false, false),
            ("/ip4/1.2.3.4/tcp/70000", false, false),
            ("/ip4/1.2.3/tcp/1", false, false),
            ("/ip4/127.0.0.1/udp/1", false, false),
            ("/ip4/127.0.0.1/tcp/1/p2p/12D3", false, false),
            ("/dns//tcp/1", false, false),
            ("nonsense", false, false),
        ] {
            assert_eq!(parse_address(text).is_ok(), dials, "{text}");
            assert_eq!(parse_listen(text).is_ok(), listens, "{text}");
        }
    }
}
