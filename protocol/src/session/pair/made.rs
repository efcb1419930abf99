//! Judges the mark on an envelope of a pairwise queue before anything is tried.
//!
//! Only the two ends can make it, so it tells noise of a host from a pair out of step. It is tried
//! for eight generations on either side of the highest known.
//! Source: PROTOCOL §4, "What does not open".

use core::cmp::Ordering;

use subtle::ConstantTimeEq;

use super::Pair;
use super::roots::PairRoot;
use crate::id::{QueueId, SessionId};
use crate::limits::MADE_WINDOW;
use crate::time::UnixHours;

/// What an envelope says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeClaim {
    /// The queue it lay in.
    pub queue: QueueId,
    /// Its end.
    pub expires: UnixHours,
    /// The hash of its bytes.
    pub bytes_hash: [u8; 32],
    /// The mark.
    pub made: [u8; 16],
}

/// How a generation stands to the highest known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// Lower: left over from a session that was replaced.
    Below,
    /// The highest known.
    Highest,
    /// Higher: this home may be older than its peer knows it.
    Above,
}

/// What a mark says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// The peer made it.
    Fits {
        /// In a session of this generation: only those are tried.
        generation: u32,
        /// How that stands to the highest known.
        relation: Relation,
        /// Under the root that this session brought.
        root: SessionId,
    },
    /// Noise: dropped, without a reaction.
    NoneFits,
}

impl Pair {
    /// Judges the mark on an envelope that lay in a queue of this pair.
    #[must_use]
    pub fn judge_made(&self, claim: &MadeClaim) -> Made {
        let Some(highest) = self.highest() else { return Made::NoneFits };
        let above = (1..=MADE_WINDOW).filter_map(|step| highest.checked_add(step));
        let below = (1..=MADE_WINDOW).filter_map(|step| highest.checked_sub(step));
        for generation in core::iter::once(highest).chain(above).chain(below) {
            let fitting = self.receiving_roots().iter().find(|root| fits(root, generation, claim));
            if let Some(root) = fitting {
                let relation = match generation.cmp(&highest) {
                    Ordering::Less => Relation::Below,
                    Ordering::Equal => Relation::Highest,
                    Ordering::Greater => Relation::Above,
                };
                return Made::Fits { generation, relation, root: root.session };
            }
        }
        Made::NoneFits
    }
}

fn fits(root: &PairRoot, generation: u32, claim: &MadeClaim) -> bool {
    let made =
        root.roots.receiving.made(generation, &claim.queue, claim.expires, &claim.bytes_hash);
    bool::from(made.ct_eq(&claim.made))
}
