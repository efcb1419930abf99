//! How far an address reaches: this machine, its own network, everywhere.
//!
//! Rules: what is read from strangers is dialled only if it is global, or if this node itself listens
//! only in that range; what a person typed or a contact sent is always dialled. A node tells the
//! addresses of the widest range in which it listens. Source: CLI, "run".

use std::net::IpAddr;

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

/// How far an address reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Range {
    /// This machine.
    Loopback,
    /// A network that is not reached from outside.
    Private,
    /// Everywhere; names count as this.
    Global,
}

impl Range {
    /// The range of an address; `None` for what nobody can dial (unspecified, multicast, link-local).
    pub(super) fn of(address: &Multiaddr) -> Option<Self> {
        let ip: IpAddr = match address.iter().next()? {
            Protocol::Ip4(ip) => ip.into(),
            Protocol::Ip6(ip) => ip.into(),
            Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_) => return Some(Self::Global),
            _ => return None,
        };
        Self::of_ip(ip.to_canonical())
    }

    fn of_ip(ip: IpAddr) -> Option<Self> {
        if ip.is_loopback() {
            return Some(Self::Loopback);
        }
        if ip.is_unspecified() || ip.is_multicast() {
            return None;
        }
        match ip {
            IpAddr::V4(ip) => {
                let [first, second, ..] = ip.octets();
                let shared = first == 100 && (64..128).contains(&second);
                match () {
                    () if ip.is_link_local() || ip.is_broadcast() => None,
                    () if ip.is_private() || shared => Some(Self::Private),
                    () => Some(Self::Global),
                }
            }
            IpAddr::V6(ip) if ip.is_unicast_link_local() => None,
            IpAddr::V6(ip) if ip.is_unique_local() => Some(Self::Private),
            IpAddr::V6(_) => Some(Self::Global),
        }
    }

    /// The widest range among addresses; of none, the narrowest.
    pub(super) fn widest<'a>(addresses: impl Iterator<Item = &'a Multiaddr>) -> Self {
        addresses.filter_map(Self::of).max().unwrap_or(Self::Loopback)
    }

    /// Whether a node that listens in this range dials what it read somewhere.
    pub(super) fn dials(self, address: &Multiaddr) -> bool {
        Self::of(address).is_some_and(|range| range == Self::Global || range == self)
    }
}

/// What a node tells others of where it listens: the widest range, TCP before QUIC, IPv4 before IPv6.
pub(super) fn told(listen: &[Multiaddr]) -> Vec<Multiaddr> {
    let widest = Range::widest(listen.iter());
    let mut told: Vec<Multiaddr> =
        listen.iter().filter(|address| Range::of(address) == Some(widest)).cloned().collect();
    told.sort_by_key(|address| {
        let is_quic = address.iter().any(|part| matches!(part, Protocol::QuicV1));
        let is_six = matches!(address.iter().next(), Some(Protocol::Ip6(_)));
        (is_quic, is_six)
    });
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Multiaddr {
        text.parse().unwrap()
    }

    #[test]
    fn every_address_has_its_range() {
        for (text, range) in [
            ("/ip4/127.0.0.1/tcp/1", Some(Range::Loopback)),
            ("/ip6/::1/udp/1/quic-v1", Some(Range::Loopback)),
            ("/ip4/192.168.1.1/tcp/1", Some(Range::Private)),
            ("/ip4/100.64.0.1/tcp/1", Some(Range::Private)),
            ("/ip6/fd00::1/tcp/1", Some(Range::Private)),
            ("/ip6/::ffff:10.0.0.1/tcp/1", Some(Range::Private)),
            ("/ip4/203.0.113.1/tcp/1", Some(Range::Global)),
            ("/dns/example.org/tcp/1", Some(Range::Global)),
            ("/ip4/169.254.1.1/tcp/1", None),
            ("/ip6/fe80::1/tcp/1", None),
            ("/ip4/0.0.0.0/tcp/1", None),
        ] {
            assert_eq!(Range::of(&address(text)), range, "{text}");
        }
    }

    #[test]
    fn what_is_read_is_dialled_only_in_ones_own_range() {
        let (loopback, private) = (address("/ip4/127.0.0.1/tcp/1"), address("/ip4/10.0.0.1/tcp/1"));
        let global = address("/ip4/203.0.113.1/tcp/1");
        for (own, dialled) in [
            (Range::Loopback, [true, false, true]),
            (Range::Private, [false, true, true]),
            (Range::Global, [false, false, true]),
        ] {
            assert_eq!([&loopback, &private, &global].map(|it| own.dials(it)), dialled, "{own:?}");
        }
    }

    #[test]
    fn the_widest_range_is_told_tcp_first() {
        let listen = [
            "/ip4/127.0.0.1/tcp/1",
            "/ip6/fd00::1/udp/1/quic-v1",
            "/ip4/10.0.0.1/udp/1/quic-v1",
            "/ip6/fd00::1/tcp/1",
            "/ip4/10.0.0.1/tcp/1",
        ]
        .map(address);

        let told: Vec<String> = told(&listen).iter().map(ToString::to_string).collect();

        let right = [
            "/ip4/10.0.0.1/tcp/1",
            "/ip6/fd00::1/tcp/1",
            "/ip4/10.0.0.1/udp/1/quic-v1",
            "/ip6/fd00::1/udp/1/quic-v1",
        ];
        assert_eq!(told, right);
    }
}
