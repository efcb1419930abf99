//! The queues in which contacts leave mail for this device, and at which own hosts they are registered.
//!
//! Invariant: what a host lacks is what is ours and not registered there. It is kept, not counted anew,
//! since it is asked for in every batch.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::{DeviceId, HostId, QueueId};

/// What is registered at one host, a contact queue among it, and what is not.
#[derive(Debug, Default)]
struct AtHost {
    known: BTreeSet<QueueId>,
    lacking: BTreeSet<QueueId>,
}

/// Queues, their devices, and who keeps them.
#[derive(Debug, Default)]
pub(in crate::endpoint) struct Queues {
    devices: BTreeMap<QueueId, DeviceId>,
    of: BTreeMap<DeviceId, Vec<QueueId>>,
    hosts: BTreeMap<HostId, AtHost>,
}

impl Queues {
    /// The device that writes into a queue.
    pub(in crate::endpoint) fn device(&self, queue: &QueueId) -> Option<DeviceId> {
        self.devices.get(queue).copied()
    }

    /// A device writes into these from now on, and into no others.
    pub(in crate::endpoint) fn learn(&mut self, device: DeviceId, queues: Vec<QueueId>) {
        for old in self.of.remove(&device).unwrap_or_default() {
            self.devices.remove(&old);
            for host in self.hosts.values_mut() {
                host.lacking.remove(&old);
            }
        }
        for queue in &queues {
            self.devices.insert(*queue, device);
            for host in self.hosts.values_mut() {
                if !host.known.contains(queue) {
                    host.lacking.insert(*queue);
                }
            }
        }
        if !queues.is_empty() {
            self.of.insert(device, queues);
        }
    }

    /// A host is one of ours.
    pub(super) fn add_host(&mut self, host: HostId) {
        let all = || self.devices.keys().copied().collect();
        self.hosts.entry(host).or_insert_with(|| AtHost { lacking: all(), ..AtHost::default() });
    }

    /// A host is ours no more; returns what was registered there.
    pub(super) fn remove_host(&mut self, host: HostId) -> BTreeSet<QueueId> {
        self.hosts.remove(&host).map(|it| it.known).unwrap_or_default()
    }

    /// A host has registered a queue.
    pub(in crate::endpoint) fn registered(&mut self, host: HostId, queue: QueueId) {
        self.add_host(host);
        if let Some(it) = self.hosts.get_mut(&host) {
            it.known.insert(queue);
            it.lacking.remove(&queue);
        }
    }

    /// A host does not keep a queue any more.
    pub(super) fn unregistered(&mut self, host: HostId, queue: QueueId) {
        let Some(it) = self.hosts.get_mut(&host) else { return };
        it.known.remove(&queue);
        if self.devices.contains_key(&queue) {
            it.lacking.insert(queue);
        }
    }

    /// Everything that is ours is to be registered at a host again, whatever it knows.
    pub(super) fn register_again(&mut self, host: HostId, contact_queue: QueueId) {
        let ours = self.known(host).filter(|queue| self.is_ours(queue, contact_queue));
        for queue in ours.collect::<Vec<QueueId>>() {
            self.unregistered(host, queue);
        }
    }

    fn is_ours(&self, queue: &QueueId, contact_queue: QueueId) -> bool {
        *queue == contact_queue || self.devices.contains_key(queue)
    }

    /// What is registered at a host.
    pub(super) fn known(&self, host: HostId) -> impl Iterator<Item = QueueId> {
        self.hosts.get(&host).into_iter().flat_map(|it| it.known.iter().copied())
    }

    /// How many are registered at a host.
    pub(super) fn count(&self, host: HostId) -> usize {
        self.hosts.get(&host).map_or(0, |it| it.known.len())
    }

    /// Whether a host keeps a queue.
    pub(super) fn is_known(&self, host: HostId, queue: &QueueId) -> bool {
        self.hosts.get(&host).is_some_and(|it| it.known.contains(queue))
    }

    /// Whether a host keeps every queue that is ours.
    pub(super) fn is_complete(&self, host: HostId) -> bool {
        self.hosts.get(&host).is_some_and(|it| it.lacking.is_empty())
    }

    /// Whether a host keeps every queue of a device.
    pub(super) fn has_all_of(&self, host: HostId, device: DeviceId) -> bool {
        let queues = self.of.get(&device).into_iter().flatten();
        let Some(it) = self.hosts.get(&host) else { return false };
        queues.into_iter().all(|queue| it.known.contains(queue))
    }

    /// What a host lacks, with the device that writes into it.
    pub(super) fn lacking(&self, host: HostId) -> impl Iterator<Item = (QueueId, DeviceId)> {
        let lacking = self.hosts.get(&host).into_iter().flat_map(|it| &it.lacking);
        lacking.filter_map(|queue| Some((*queue, *self.devices.get(queue)?)))
    }

    /// What a host keeps that is ours no more; its contact queue is none of these queues.
    pub(super) fn gone(&self, host: HostId, contact_queue: QueueId) -> Vec<QueueId> {
        self.known(host).filter(|queue| !self.is_ours(queue, contact_queue)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Queues;
    use crate::id::{DeviceId, HostId, QueueId};

    const HOST: HostId = HostId([1; 32]);
    const DEVICE: DeviceId = DeviceId([2; 32]);

    fn queue(number: u8) -> QueueId {
        QueueId([number; 32])
    }

    #[test]
    fn a_host_lacks_what_is_ours_and_not_registered_there() {
        let mut queues = Queues::default();
        queues.learn(DEVICE, vec![queue(1), queue(2)]);
        queues.add_host(HOST);
        let lacking = |queues: &Queues| queues.lacking(HOST).map(|it| it.0).collect::<Vec<_>>();
        assert_eq!(lacking(&queues), [queue(1), queue(2)]);

        for known in [1, 2, 9] {
            queues.registered(HOST, queue(known));
        }
        assert!(queues.is_complete(HOST) && queues.has_all_of(HOST, DEVICE));
        assert!(queues.gone(HOST, queue(9)).is_empty());

        // A device that moves to another queue leaves the old one behind.
        queues.learn(DEVICE, vec![queue(2), queue(3)]);
        assert_eq!(lacking(&queues), [queue(3)]);
        assert_eq!(queues.gone(HOST, queue(9)), [queue(1)]);
        assert_eq!((queues.device(&queue(1)), queues.device(&queue(3))), (None, Some(DEVICE)));

        queues.register_again(HOST, queue(9));
        assert_eq!(lacking(&queues), [queue(2), queue(3)]);
        assert_eq!((queues.count(HOST), queues.gone(HOST, queue(9))), (1, vec![queue(1)]));
        queues.unregistered(HOST, queue(1));
        assert_eq!(lacking(&queues), [queue(2), queue(3)]);
        queues.registered(HOST, queue(2));
        assert_eq!(queues.remove_host(HOST).len(), 1);
        assert!(!queues.is_complete(HOST) && !queues.has_all_of(HOST, DEVICE));
    }
}
