//! `reachability`: where a device can be reached, told to contacts inside sealed messages only.
//!
//! ```text
//! LP(manifest) ‖ PeerId key 32 ‖ count u8 (≤ 8) ‖ LP(address)… ‖ count u8 (≤ 3) ‖ (session 16 ‖ n LE32)…
//! ```

use super::ContentError;
use crate::crypto::lp_into;
use crate::id::{HostId, SessionId};
use crate::limits::{MAX_ADDRESS, MAX_QUEUE_ROOTS, MAX_RECORD};
use crate::machine::Address;
use crate::wire::Reader;

/// Addresses of one device that a content names.
const MAX_ADDRESSES: usize = 8;

/// Where a device can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reachability {
    /// Its manifest, still to be checked.
    pub manifest: Vec<u8>,
    /// Its node.
    pub peer: HostId,
    /// Where its node listens, best first; at most 8.
    pub addresses: Vec<Address>,
    /// The present `n` for each queue root of the pair.
    pub queues: Vec<QueueNumber>,
}

/// Which queue of a root is to be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueNumber {
    /// The session that brought the root.
    pub session: SessionId,
    /// The queue's number.
    pub n: u32,
}

impl Reachability {
    /// The body; addresses and queues above their bounds are left out.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        lp_into(&mut bytes, &self.manifest);
        bytes.extend_from_slice(self.peer.as_bytes());
        let addresses = self.addresses.len().min(MAX_ADDRESSES);
        bytes.push(u8::try_from(addresses).unwrap_or(0));
        for address in self.addresses.iter().take(addresses) {
            lp_into(&mut bytes, address.as_str().as_bytes());
        }
        let queues = self.queues.len().min(MAX_QUEUE_ROOTS);
        bytes.push(u8::try_from(queues).unwrap_or(0));
        for queue in self.queues.iter().take(queues) {
            bytes.extend_from_slice(queue.session.as_bytes());
            bytes.extend_from_slice(&queue.n.to_le_bytes());
        }
        bytes
    }

    /// Reads a body.
    ///
    /// # Errors
    /// [`ContentError::Malformed`] if it is none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ContentError> {
        let mut reader = Reader::new(bytes);
        let reachability = read(&mut reader).filter(|_| reader.finished());
        reachability.ok_or(ContentError::Malformed)
    }
}

fn read(reader: &mut Reader<'_>) -> Option<Reachability> {
    let manifest = reader.lp(MAX_RECORD)?.to_vec();
    let peer = HostId(reader.array()?);
    let count = usize::from(reader.byte()?);
    if count > MAX_ADDRESSES {
        return None;
    }
    let mut addresses = Vec::with_capacity(count);
    for _ in 0..count {
        let text = core::str::from_utf8(reader.lp(MAX_ADDRESS)?).ok()?;
        addresses.push(Address::new(text).ok()?);
    }
    let count = usize::from(reader.byte()?);
    if count > MAX_QUEUE_ROOTS {
        return None;
    }
    let mut queues = Vec::with_capacity(count);
    for _ in 0..count {
        queues.push(QueueNumber { session: SessionId(reader.array()?), n: reader.le32()? });
    }
    Some(Reachability { manifest, peer, addresses, queues })
}
