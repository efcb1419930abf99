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
    #[error("\"{0}\" is no multiaddr such as /ip4/192.0.2.1/tcp/7447")]
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

/// Reads a multiaddr without a peer.
///
/// # Errors
/// [`AddressFault::NoAddress`] for anything else.
pub fn parse_address(text: &str) -> Result<Address, AddressFault> {
    let fault = || AddressFault::NoAddress(text.to_owned());
    if text.contains("/p2p/") {
        return Err(fault());
    }
    Address::new(text).map_err(|_| fault())
}

/// Reads a multiaddr that a node can listen on: `/ip4` or `/ip6`, then `/tcp/PORT` or
/// `/udp/PORT/quic-v1`.
///
/// # Errors
/// [`AddressFault::NotHere`] for anything else.
pub fn parse_listen(text: &str) -> Result<Address, AddressFault> {
    let fault = || AddressFault::NotHere(text.to_owned());
    let parts: Vec<&str> = text.split('/').collect();
    let good = match parts.as_slice() {
        ["", family, ip, "tcp", port] | ["", family, ip, "udp", port, "quic-v1"] => {
            let is_ip = match *family {
                "ip4" => ip.parse::<Ipv4Addr>().is_ok(),
                "ip6" => ip.parse::<Ipv6Addr>().is_ok(),
                _ => false,
            };
            is_ip && port.parse::<u16>().is_ok()
        }
        _ => false,
    };
    if good { Address::new(text).map_err(|_| fault()) } else { Err(fault()) }
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
