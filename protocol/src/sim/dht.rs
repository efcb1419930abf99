//! The DHT of the world: every running host holds what is put, and forgets it with its process.

use rand_core::Rng;

use super::node::NodeId;
use super::world::{Event, World, chance};
use crate::id::{HostId, RecordKey};
use crate::machine::NetworkInput;
use crate::record::Published;

impl World {
    /// A node has started: whoever can reach a host of the DHT learns so.
    pub(super) fn dht_joined(&mut self) {
        let hosts: Vec<NodeId> = self.holders().collect();
        for node in (0..self.nodes.len()).map(NodeId) {
            if hosts.iter().any(|host| *host == node || !self.bus.are_apart(node, *host)) {
                let latency = self.weather.latency;
                self.soon(node, latency, Event::Told(NetworkInput::Dht { reachable: true }));
            }
        }
    }

    /// A record is given to every host that can be reached.
    pub(super) fn dht_put(&mut self, node: NodeId, key: RecordKey, value: &[u8]) {
        let hosts: Vec<NodeId> = self.reached_from(node).collect();
        let now = self.now().0;
        for host in &hosts {
            let Some(it) = self.nodes.get_mut(host.0) else { continue };
            let wall = it.time(now).wall;
            if let Ok(record) = Published::from_bytes(&key, value, "main", wall) {
                // An old one is refused: that is its answer.
                let _ = it.holder.take(&record, wall);
            }
            it.first_held.entry(key).or_insert_with(|| value.to_vec());
        }
        let told = NetworkInput::Stored { key, reached: !hosts.is_empty() };
        let latency = self.weather.latency;
        self.soon(node, latency, Event::Told(told));
    }

    /// What every host that can be reached holds, or says so.
    pub(super) fn dht_find(&mut self, node: NodeId, key: RecordKey) {
        let hosts: Vec<NodeId> = self.reached_from(node).collect();
        let now = self.now().0;
        let mut values: Vec<(HostId, Vec<u8>)> = Vec::new();
        for host in hosts {
            let Some(it) = self.nodes.get(host.0) else { continue };
            let held = it.holder.get(&key, it.time(now).wall).map(<[u8]>::to_vec);
            let (lies, from, first) =
                (it.liar.lies.records, it.host, it.first_held.get(&key).cloned());
            let other = it.first_held.values().next().cloned();
            if !chance(&mut self.rng, lies) {
                values.extend(held.map(|value| (from, value)));
                continue;
            }
            // Nothing, an old one, another's, an altered one, half of one.
            let told = match self.rng.next_u32() % 5 {
                0 => None,
                1 => first,
                2 => other,
                3 => held.map(|mut value| {
                    let place = usize::try_from(self.rng.next_u32()).unwrap_or(0);
                    let place = place.checked_rem(value.len()).unwrap_or(0);
                    if let Some(byte) = value.get_mut(place) {
                        *byte ^= 1;
                    }
                    value
                }),
                _ => held.map(|mut value| {
                    value.truncate(value.len() / 2);
                    value
                }),
            };
            values.extend(told.map(|value| (from, value)));
        }
        let latency = self.weather.latency.saturating_mul(4);
        self.soon(node, latency, Event::Told(NetworkInput::Found { key, values }));
    }

    fn holders(&self) -> impl Iterator<Item = NodeId> + '_ {
        let nodes = self.nodes.iter().enumerate();
        nodes.filter(|(_, it)| it.is_holder()).map(|(number, _)| NodeId(number))
    }

    /// Itself included, if it is one.
    fn reached_from(&self, node: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.holders().filter(move |host| *host == node || !self.bus.are_apart(node, *host))
    }
}
