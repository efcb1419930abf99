//! The own records: left with the hosts, which put them; put by this node itself where none of its
//! hosts is at hand.
//!
//! Whoever puts a record shows its address to the nodes that hold it. A host does so for many; a
//! device that did it would tell strangers where its person is (decision 0006).

use crate::endpoint::machine::{Cx, Endpoint};
use crate::id::RecordKey;
use crate::limits::PUT_AGAIN;
use crate::machine::NetworkOutput;
use crate::record::{account_key, bundle_key};
use crate::time::Millis;

/// How long the hosts of a node that has just entered the DHT are given to be at hand.
const HOSTS_FIRST: Millis = Millis::from_secs(20);
/// When a put that reached nobody is repeated.
const AGAIN: Millis = Millis::from_minutes(1);

impl Endpoint {
    /// The DHT can be reached, or no more.
    pub(in crate::endpoint) fn dht(&mut self, cx: &Cx<'_>, reachable: bool) {
        let now = cx.now.since_start;
        if reachable && !self.discovery.reachable {
            self.discovery.put_at = self.discovery.put_at.min(now.saturating_add(HOSTS_FIRST));
            self.look_up_at_once(now);
        }
        self.discovery.reachable = reachable;
    }

    /// The own records have changed: they leave at the end of this batch.
    pub(in crate::endpoint) fn publish_soon(&mut self, cx: &Cx<'_>) {
        self.discovery.put_at = cx.now.since_start;
    }

    /// A put has ended.
    pub(in crate::endpoint) fn stored(&mut self, cx: &Cx<'_>, key: RecordKey, reached: bool) {
        if !reached && key == account_key(&self.me.account) {
            let again = cx.now.since_start.saturating_add(AGAIN);
            self.discovery.put_at = self.discovery.put_at.min(again);
        }
    }

    /// Lets the own records leave when it is time; returns when that is next.
    pub(super) fn publish(&mut self, cx: &mut Cx<'_>) -> Option<Millis> {
        let now = cx.now.since_start;
        let by_hosts = self.is_host_at_hand();
        let by_us = self.discovery.reachable && (self.has_hosts() || self.discovery.was_put);
        if !by_hosts && !by_us {
            return None;
        }
        if self.discovery.put_at > now {
            return Some(self.discovery.put_at);
        }
        let (least, spread) = (PUT_AGAIN.0 / 4 * 3, PUT_AGAIN.0 / 2);
        let drawn = u64::from_le_bytes(cx.random()).checked_rem(spread).unwrap_or(0);
        self.discovery.put_at = now.saturating_add(Millis(least.saturating_add(drawn)));
        self.publish_everywhere(cx);
        if !by_hosts {
            self.discovery.was_put = true;
            let record = self.account_record(cx).to_bytes();
            let keys = [account_key(&self.me.account), bundle_key(&self.device)];
            for (key, value) in keys.into_iter().zip([record, self.bundle.clone()]) {
                // The prekeys that it names are to be on disk first.
                cx.after(NetworkOutput::Put { key, value });
            }
        }
        Some(self.discovery.put_at)
    }
}
