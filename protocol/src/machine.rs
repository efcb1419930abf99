//! What the two machines share with the loop that drives them.
//!
//! ```text
//! loop: take ≤ 1,024 inputs → handle each → end_batch → one batch of rows to disk
//!       `Now` outputs leave at once, `After` outputs leave when that batch is durable, in order
//! ```
//!
//! Rule: an output that says that something was done (a receipt, an acknowledgement, an event, an
//! answer that says so, a frame of a ratchet) is `After`; one that says nothing of the kind
//! (a dial, a wake, `Busy`, a refusal, `Hello`) is `Now`.
//! Source: ARCHITECTURE, "The contract".

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{HostId, RecordKey};
use crate::time::Millis;

/// One open, long-lived, framed stream to a peer; the number is never used twice in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// What a stream was opened for: it decides which machine answers at the accepting side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StreamKind {
    /// `/godwit/<net>/direct/1`: device to device.
    Direct,
    /// `/godwit/<net>/mailbox/1`: device to mailbox host.
    Mailbox,
}

/// Who opened a stream. The side that accepted it speaks first (`Hello`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opener {
    /// This node.
    Us,
    /// The peer.
    Them,
}

/// A network address as text (a multiaddr without `/p2p/…`), of bounded length.
///
/// `protocol` does not know multiaddrs: `node` parses them where it dials.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address(String);

/// A text that is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an address is 1 to {limit} printable ASCII characters that start with '/'")]
pub struct AddressError {
    /// The longest address there may be, in bytes.
    pub limit: usize,
}

impl Address {
    /// Checks and keeps an address.
    ///
    /// # Errors
    /// [`AddressError`] if it is empty, longer than [`crate::limits::MAX_ADDRESS`] bytes, does not
    /// start with `/`, ends with `/`, or holds anything but printable ASCII.
    pub fn new(text: &str) -> Result<Self, AddressError> {
        let limit = crate::limits::MAX_ADDRESS;
        let fits = text.len() <= limit && text.len() > 1;
        let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits && printable && text.starts_with('/') && !text.ends_with('/') {
            Ok(Self(text.to_owned()))
        } else {
            Err(AddressError { limit })
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;
    fn try_from(text: String) -> Result<Self, AddressError> {
        Self::new(&text)
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address(…)")
    }
}

/// What happens on the network, as both machines are told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkInput {
    /// A stream is open and authenticated by the link below it.
    LinkUp {
        /// Its number.
        link: LinkId,
        /// Who is at the other end: the key that the link authenticated.
        peer: HostId,
        /// What it was opened for.
        kind: StreamKind,
        /// Who opened it.
        opener: Opener,
        /// The remote address as seen here, if it can be dialled.
        address: Option<Address>,
    },
    /// A stream has ended; nothing more comes from it.
    LinkDown {
        /// Its number.
        link: LinkId,
    },
    /// One whole frame, without its length.
    Frame {
        /// Where it came from.
        link: LinkId,
        /// The bytes, at most [`crate::limits::MAX_FRAME`].
        bytes: Vec<u8>,
    },
    /// A dial ended without a stream.
    DialFailed {
        /// Who was dialled.
        peer: HostId,
        /// What for.
        kind: StreamKind,
    },
    /// A node in the same room says that it is there; nothing proves it.
    Near {
        /// Who.
        peer: HostId,
        /// All addresses that it is known by; none: it has gone quiet.
        addresses: Vec<Address>,
    },
    /// Whether any node that holds records is known, this one included; not told before it is for the
    /// first time.
    Dht {
        /// One is.
        reachable: bool,
    },
    /// A search in the DHT has ended.
    Found {
        /// What was searched.
        key: RecordKey,
        /// Every value that came, with who gave it; unchecked.
        values: Vec<(HostId, Vec<u8>)>,
    },
    /// A put into the DHT has ended.
    Stored {
        /// What was put.
        key: RecordKey,
        /// Whether any node received it.
        reached: bool,
    },
}

/// What a machine asks of the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkOutput {
    /// Send one frame.
    Send {
        /// On which stream.
        link: LinkId,
        /// The frame, without its length.
        bytes: Vec<u8>,
    },
    /// Close a stream; frames already sent on it leave first.
    Close {
        /// Which.
        link: LinkId,
    },
    /// Open a stream; answered by `LinkUp` or `DialFailed`.
    Dial {
        /// To whom.
        peer: HostId,
        /// What for.
        kind: StreamKind,
        /// Where to try, best first; may be empty if a connection is known to be there.
        addresses: Vec<Address>,
        /// Connected peers that may lead there, if no address does.
        relays: Vec<HostId>,
    },
    /// Be reached through a connected peer, as long as it is connected.
    Reserve {
        /// Through whom.
        relay: HostId,
    },
    /// Let a connected peer be reached through this node, as long as it is connected.
    Serve {
        /// Who.
        peer: HostId,
    },
    /// Be connected to one of these as soon as it can be: by them the network is entered.
    Enter {
        /// Peers, with where to try.
        peers: Vec<(HostId, Vec<Address>)>,
    },
    /// Search a record in the DHT to the search's end; answered by `Found`.
    Find {
        /// Its key.
        key: RecordKey,
    },
    /// Give a record to the nodes of the DHT that are nearest to its key; answered by `Stored`.
    Put {
        /// Its key.
        key: RecordKey,
        /// The bytes as signed, at most [`crate::limits::MAX_RECORD`].
        value: Vec<u8>,
    },
}

/// An output and when it may leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output<E> {
    /// Says nothing about anything done: leaves at once.
    Now(E),
    /// Says that something was done: leaves when its batch is durable.
    After(E),
}

/// When a machine wants to be called next, counted like [`crate::time::Time::since_start`].
pub type WakeAt = Millis;
