//! Links that people pass on: `godwit:…` names a person, `godwit-host:…` a mailbox host.
//!
//! ```text
//! godwit:<gw1…>?n=<net>&c=<seq>.<16 bytes of the head, hex>&h=<host/p2p>…&b=<bootstrap/p2p>…[&d=<device/p2p>…][&i=<invite>]
//! godwit-host:<gwh1…>?n=<net>&a=<multiaddr>…[&t=<token>]
//! ```
//! Percent-encoded, at most 2 KiB; unknown keys are ignored, single keys that come twice refused.
//! Source: PROTOCOL §2; `spec/identity.md#links`.

use core::fmt;
use core::str::FromStr;

use data_encoding::HEXLOWER;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::{
    Network, account_text, host_text, parse_account_text, parse_host_text, peer_id_from_text,
    peer_id_text,
};
use crate::id::{AccountId, HostId};
use crate::limits::{MAX_ACCOUNT_HOSTS, MAX_LINK};
use crate::machine::Address;

/// What stays as it is in a value.
const PLAIN: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');
/// Addresses of one kind that a link may hold.
const MAX_ADDRESSES: usize = 2 * MAX_ACCOUNT_HOSTS;

/// A text that is no link of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// It does not begin as such a link does.
    #[error("not a {0} link")]
    Scheme(&'static str),
    /// It is too long.
    #[error("a link has at most {limit} bytes, not {got}")]
    TooLong {
        /// The most there may be.
        limit: usize,
        /// How many there are.
        got: usize,
    },
    /// The key at its beginning is misspelt.
    #[error("the {0} at its beginning is misspelt or cut off")]
    Subject(&'static str),
    /// One of its parts is broken.
    #[error("its part `{0}=` is broken, missing or there twice")]
    Part(&'static str),
}

/// The beginning of a sigchain's head: what a chain must contain to be the one meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkHead {
    /// The entry's number.
    pub seq: u64,
    /// The first 16 bytes of its hash.
    pub hash: [u8; 16],
}

/// A link to a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactLink {
    /// Who.
    pub account: AccountId,
    /// In which network.
    pub network: Network,
    /// The head of the person's sigchain.
    pub head: LinkHead,
    /// Mailbox hosts to ask for the person's card.
    pub hosts: Vec<(HostId, Address)>,
    /// Peers by which to enter the network.
    pub bootstrap: Vec<(HostId, Address)>,
    /// Where the person's device is at hand.
    pub direct: Vec<(HostId, Address)>,
    /// An invite, good for one stranger.
    pub invite: Option<[u8; 16]>,
}

/// A link to a mailbox host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostLink {
    /// Its node key.
    pub host: HostId,
    /// In which network.
    pub network: Network,
    /// Where it listens.
    pub addresses: Vec<Address>,
    /// What admits an owner.
    pub token: Option<[u8; 16]>,
}

impl FromStr for ContactLink {
    type Err = LinkError;

    fn from_str(text: &str) -> Result<Self, LinkError> {
        let (subject, parts) = split(text, "godwit:", "contact")?;
        let account = parse_account_text(subject).ok_or(LinkError::Subject("account"))?;
        Ok(Self {
            account,
            network: network(&parts)?,
            head: parts.one("c")?.and_then(parse_head).ok_or(LinkError::Part("c"))?,
            hosts: parts.peers("h")?,
            bootstrap: parts.peers("b")?,
            direct: parts.peers("d")?,
            invite: parts.bytes("i")?,
        })
    }
}

impl fmt::Display for ContactLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "godwit:{}?n={}", account_text(&self.account), self.network)?;
        write!(f, "&c={}.{}", self.head.seq, HEXLOWER.encode(&self.head.hash))?;
        for (key, peers) in [("h", &self.hosts), ("b", &self.bootstrap), ("d", &self.direct)] {
            for (host, address) in peers {
                let text = format!("{address}/p2p/{}", peer_id_text(host));
                write!(f, "&{key}={}", utf8_percent_encode(&text, PLAIN))?;
            }
        }
        match &self.invite {
            Some(invite) => write!(f, "&i={}", HEXLOWER.encode(invite)),
            None => Ok(()),
        }
    }
}

impl FromStr for HostLink {
    type Err = LinkError;

    fn from_str(text: &str) -> Result<Self, LinkError> {
        let (subject, parts) = split(text, "godwit-host:", "host")?;
        let host = parse_host_text(subject).ok_or(LinkError::Subject("host key"))?;
        let addresses = parts
            .all("a")
            .map(|text| Address::new(text).map_err(|_| LinkError::Part("a")))
            .take(MAX_ADDRESSES)
            .collect::<Result<_, _>>()?;
        Ok(Self { host, network: network(&parts)?, addresses, token: parts.bytes("t")? })
    }
}

impl fmt::Display for HostLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "godwit-host:{}?n={}", host_text(&self.host), self.network)?;
        for address in &self.addresses {
            write!(f, "&a={}", utf8_percent_encode(address.as_str(), PLAIN))?;
        }
        match &self.token {
            Some(token) => write!(f, "&t={}", HEXLOWER.encode(token)),
            None => Ok(()),
        }
    }
}

/// The parts of a link, decoded.
struct Parts(Vec<(String, String)>);

impl Parts {
    fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    fn one(&self, key: &'static str) -> Result<Option<&str>, LinkError> {
        let mut all = self.all(key);
        match (all.next(), all.next()) {
            (first, None) => Ok(first),
            _ => Err(LinkError::Part(key)),
        }
    }

    fn bytes(&self, key: &'static str) -> Result<Option<[u8; 16]>, LinkError> {
        let parse = |text: &str| HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok();
        self.one(key)?.map(|text| parse(text).ok_or(LinkError::Part(key))).transpose()
    }

    fn peers(&self, key: &'static str) -> Result<Vec<(HostId, Address)>, LinkError> {
        let parse = |text: &str| {
            let (address, peer) = text.rsplit_once("/p2p/")?;
            Some((peer_id_from_text(peer)?, Address::new(address).ok()?))
        };
        self.all(key)
            .take(MAX_ADDRESSES)
            .map(|text| parse(text).ok_or(LinkError::Part(key)))
            .collect()
    }
}

fn split<'a>(
    text: &'a str,
    scheme: &'static str,
    kind: &'static str,
) -> Result<(&'a str, Parts), LinkError> {
    let text = text.trim();
    let rest = text.strip_prefix(scheme).ok_or(LinkError::Scheme(kind))?;
    if text.len() > MAX_LINK {
        return Err(LinkError::TooLong { limit: MAX_LINK, got: text.len() });
    }
    let (subject, query) = rest.split_once('?').unwrap_or((rest, ""));
    let parts =
        query.split('&').filter_map(|part| part.split_once('=')).filter_map(|(key, value)| {
            let value = percent_decode_str(value).decode_utf8().ok()?;
            Some((key.to_owned(), value.into_owned()))
        });
    Ok((subject, Parts(parts.collect())))
}

fn network(parts: &Parts) -> Result<Network, LinkError> {
    match parts.one("n")? {
        Some(name) => name.parse().map_err(|_| LinkError::Part("n")),
        None => Err(LinkError::Part("n")),
    }
}

fn parse_head(text: &str) -> Option<LinkHead> {
    let (seq, hash) = text.split_once('.')?;
    let hash = HEXLOWER.decode(hash.as_bytes()).ok()?.try_into().ok()?;
    Some(LinkHead { seq: seq.parse().ok()?, hash })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn contact() -> ContactLink {
        let address = |text| Address::new(text).unwrap();
        ContactLink {
            account: AccountId([1; 32]),
            network: "alps".parse().unwrap(),
            head: LinkHead { seq: 7, hash: [2; 16] },
            hosts: vec![(HostId([3; 32]), address("/dns4/mail.example.org/tcp/7447"))],
            bootstrap: vec![(HostId([4; 32]), address("/ip6/2001:db8::1/tcp/7447"))],
            direct: vec![(HostId([5; 32]), address("/ip4/192.168.1.7/tcp/4001"))],
            invite: Some([6; 16]),
        }
    }

    #[test]
    fn links_read_back_what_they_print() {
        let host = HostLink {
            host: HostId([8; 32]),
            network: Network::default(),
            addresses: vec![Address::new("/ip4/127.0.0.1/tcp/7447").unwrap()],
            token: Some([9; 16]),
        };

        assert_eq!(contact().to_string().parse(), Ok(contact()));
        assert_eq!(host.to_string().parse(), Ok(host));
    }

    #[test]
    fn unknown_parts_are_ignored_and_double_or_broken_ones_refused() {
        let text = contact().to_string();

        assert_eq!(format!("{text}&zz=1&flag").parse(), Ok(contact()));
        assert_eq!(format!("{text}&n=alps").parse::<ContactLink>(), Err(LinkError::Part("n")));
        assert_eq!(
            format!("{text}&d=/ip4/1.2.3.4").parse::<ContactLink>(),
            Err(LinkError::Part("d"))
        );
        assert_eq!("godwit-host:x".parse::<ContactLink>(), Err(LinkError::Scheme("contact")));
        assert_eq!("godwit:gw1x?n=a".parse::<ContactLink>(), Err(LinkError::Subject("account")));
        let long = format!("{text}&x={}", "y".repeat(MAX_LINK));
        assert!(matches!(
            long.parse::<ContactLink>(),
            Err(LinkError::TooLong { limit: MAX_LINK, .. })
        ));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_text_makes_a_link_panic(text in "(godwit:|godwit-host:)?\\PC{0,80}") {
            let _ = text.parse::<ContactLink>();
            let _ = text.parse::<HostLink>();
        }

        #[test]
        fn a_changed_link_never_panics(at in 0_usize..300, byte in 32_u8..127) {
            let mut bytes = contact().to_string().into_bytes();
            if let Some(slot) = bytes.get_mut(at) { *slot = byte; }
            let _ = String::from_utf8(bytes).unwrap().parse::<ContactLink>();
        }
    }
}
