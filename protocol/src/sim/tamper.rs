//! What a lying host does with the envelopes that it serves.

use chacha20::ChaCha20Rng;
use rand_core::Rng;
use serde_bytes::ByteBuf;

use super::world::chance;
use crate::wire::frame::{Frame, Item};

/// The most envelopes that a host remembers to replay.
const REMEMBERED: usize = 64;

/// How often a host lies, in parts of a thousand for each envelope that it serves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lies {
    /// Does not serve it on this stream.
    pub withhold: u32,
    /// Serves an altered copy as well.
    pub alter: u32,
    /// Serves one again that it served before.
    pub replay: u32,
    /// Gives an old record, another one, an altered one or none to whoever searches the DHT.
    pub records: u32,
}

/// A host's lies, and what it kept for them.
#[derive(Debug, Default)]
pub(super) struct Liar {
    pub(super) lies: Lies,
    served: Vec<Item>,
}

impl Liar {
    /// The frames that leave in place of one.
    pub(super) fn tell(&mut self, bytes: Vec<u8>, rng: &mut ChaCha20Rng) -> Vec<Vec<u8>> {
        let Lies { withhold, alter, replay, .. } = self.lies;
        if self.lies == Lies::default() {
            return vec![bytes];
        }
        let Ok(Frame::Item(item)) = Frame::decode(&bytes) else { return vec![bytes] };
        let mut frames = Vec::new();
        if chance(rng, alter) {
            let mut envelope = item.envelope.to_vec();
            let place = usize::try_from(rng.next_u64() % 2_048).unwrap_or(0);
            if let Some(byte) = envelope.get_mut(place) {
                *byte ^= 1;
            }
            let altered = Item { owner: item.owner, envelope: ByteBuf::from(envelope) };
            frames.extend(Frame::Item(altered).encode().ok());
        }
        if chance(rng, replay) && !self.served.is_empty() {
            let count = u64::try_from(self.served.len()).unwrap_or(1);
            let which = usize::try_from(rng.next_u64() % count).unwrap_or(0);
            let old = self.served.get(which).filter(|old| old.owner == item.owner).cloned();
            frames.extend(old.and_then(|old| Frame::Item(old).encode().ok()));
        }
        if !chance(rng, withhold) {
            frames.push(bytes);
        }
        if self.served.len() < REMEMBERED {
            self.served.push(item);
        }
        frames
    }
}
