//! How many frames of one peer may wait for a machine: whoever sends more is not read meanwhile.
//!
//! ```text
//! reader ── a place, or it waits ──► machine's queue ──► handled: the place is free again
//!                                                    └── refused: free again after 100 ms
//! ```
//! A peer has [`ALONE`] places, and [`SHARED`] while others send as well: so a frame of somebody who
//! sends one at a time waits behind few of each other peer, however many streams that one has open.
//! Source: issue "Nothing lost, nobody flooded", point 8.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use libp2p::PeerId;
use tokio::sync::Notify;

use godwit_protocol::machine::LinkId;

/// Frames of one peer that wait for a machine while nobody else sends.
const ALONE: usize = 256;
/// The same while others send.
const SHARED: usize = 4;
/// For how long somebody who has sent counts as sending.
const LATELY: u64 = 1_000;
/// How long the place of a refused request stays taken.
pub(super) const REFUSED: Duration = Duration::from_millis(100);

/// The places of every peer with a link.
#[derive(Debug)]
pub(super) struct Budgets {
    peers: Mutex<Peers>,
    crowd: Arc<Crowd>,
}

#[derive(Debug, Default)]
struct Peers {
    next: u64,
    of_peer: HashMap<PeerId, Weak<Places>>,
    of_link: HashMap<LinkId, Arc<Places>>,
}

/// Whether more than one peer sends at present.
#[derive(Debug)]
struct Crowd {
    start: Instant,
    /// Who has sent last.
    last: AtomicU64,
    /// When that was somebody else than before, in milliseconds since the start; 0 for never.
    changed: AtomicU64,
}

/// The places of one peer.
#[derive(Debug)]
pub(super) struct Places {
    number: u64,
    taken: AtomicUsize,
    freed: Notify,
    crowd: Arc<Crowd>,
}

/// A place that is taken until this value is dropped, or kept until the machine has the frame.
pub(super) struct Place<'a>(Option<&'a Places>);

impl Default for Budgets {
    fn default() -> Self {
        let crowd =
            Crowd { start: Instant::now(), last: AtomicU64::new(0), changed: AtomicU64::new(0) };
        Self { peers: Mutex::default(), crowd: Arc::new(crowd) }
    }
}

impl Budgets {
    /// The places that a new link shares with the peer's others.
    pub(super) fn enter(&self, link: LinkId, peer: PeerId) -> Arc<Places> {
        let mut peers = self.peers();
        let known = peers.of_peer.get(&peer).and_then(Weak::upgrade);
        let places = known.unwrap_or_else(|| {
            peers.of_peer.retain(|_, places| places.strong_count() > 0);
            peers.next = peers.next.saturating_add(1);
            Arc::new(Places {
                number: peers.next,
                taken: AtomicUsize::new(0),
                freed: Notify::new(),
                crowd: Arc::clone(&self.crowd),
            })
        });
        peers.of_peer.insert(peer, Arc::downgrade(&places));
        peers.of_link.insert(link, Arc::clone(&places));
        places
    }

    /// The places of a link's peer.
    pub(super) fn of(&self, link: LinkId) -> Option<Arc<Places>> {
        self.peers().of_link.get(&link).cloned()
    }

    /// A link's machine knows that it has ended: no frame of it waits any more.
    pub(super) fn ended(&self, link: LinkId) {
        self.peers().of_link.remove(&link);
    }

    fn peers(&self) -> MutexGuard<'_, Peers> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Crowd {
    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }

    /// Somebody sends.
    fn heard(&self, number: u64) {
        let last = self.last.swap(number, Ordering::Relaxed);
        if last != number && last != 0 {
            self.changed.store(self.now(), Ordering::Relaxed);
        }
    }

    fn places(&self) -> usize {
        let changed = self.changed.load(Ordering::Relaxed);
        let lately = changed != 0 && self.now().saturating_sub(changed) < LATELY;
        if lately { SHARED } else { ALONE }
    }
}

impl Places {
    /// Waits for a place.
    ///
    /// Cancel safety: nothing is taken until this returns.
    pub(super) async fn take(&self) -> Place<'_> {
        self.crowd.heard(self.number);
        loop {
            let freed = self.freed.notified();
            let most = self.crowd.places();
            let enter = |taken: usize| (taken < most).then_some(taken.saturating_add(1));
            let entered = self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, enter);
            if let Ok(before) = entered {
                if before.saturating_add(1) < most {
                    // There may be more room than one more had been told of.
                    self.freed.notify_one();
                }
                return Place(Some(self));
            }
            freed.await;
        }
    }

    /// A frame was taken by its machine.
    pub(super) fn free(&self) {
        let leave = |taken: usize| Some(taken.saturating_sub(1));
        // It always gives a value.
        let _ = self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, leave);
        self.freed.notify_one();
    }
}

impl Place<'_> {
    /// The frame is on its way: its machine frees the place.
    pub(super) fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(places) = self.0.take() {
            places.free();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    /// Whether there is a place, which is taken then.
    fn takes(places: &Places) -> bool {
        places.take().now_or_never().map(Place::keep).is_some()
    }

    #[test]
    fn a_peer_has_its_places_once_however_many_links_and_gets_them_back() {
        let budgets = Budgets::default();
        let peer = PeerId::random();
        let (first, second) = (budgets.enter(LinkId(1), peer), budgets.enter(LinkId(2), peer));
        assert_eq!((0..ALONE).filter(|_| takes(&first)).count(), ALONE);
        assert!(!takes(&second));

        // What waits of a link that was closed frees its place as well.
        drop((first, second));
        budgets.of(LinkId(1)).unwrap().free();
        budgets.ended(LinkId(1));
        let third = budgets.enter(LinkId(3), peer);
        assert!(takes(&third) && !takes(&third));

        drop(third);
        budgets.ended(LinkId(2));
        budgets.ended(LinkId(3));
        // Another has sent a moment ago.
        let new = budgets.enter(LinkId(4), peer);
        assert_eq!((0..ALONE).filter(|_| takes(&new)).count(), SHARED);
    }

    #[test]
    fn while_others_send_each_has_fewer_and_what_was_not_sent_takes_none() {
        let budgets = Budgets::default();
        let loud = budgets.enter(LinkId(1), PeerId::random());
        let calm = budgets.enter(LinkId(2), PeerId::random());
        assert!(takes(&loud) && takes(&calm));
        assert_eq!((0..ALONE).filter(|_| takes(&loud)).count(), SHARED - 1);
        assert!(takes(&calm));
        drop(calm.take().now_or_never());
        assert_eq!(calm.taken.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn whoever_waits_goes_on_when_a_place_is_free() {
        let budgets = Budgets::default();
        let places = budgets.enter(LinkId(1), PeerId::random());
        (0..ALONE).for_each(|_| assert!(takes(&places)));
        let waiting: Vec<_> = (0..2)
            .map(|_| {
                let places = Arc::clone(&places);
                tokio::spawn(async move { places.take().await.keep() })
            })
            .collect();
        tokio::task::yield_now().await;
        places.free();
        places.free();
        for task in waiting {
            task.await.unwrap();
        }
        assert!(!takes(&places));
    }
}
