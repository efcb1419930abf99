//! Who is dialled, where, and when: whoever something waits for and no link leads to.
//!
//! Rules: a peer that does not answer is left alone for longer and longer, never in step with others
//! that miss it too; own hosts are dialled whenever it is their time, everybody else at a pace that does
//! not grow with the number of contacts, whoever was never tried before those that failed.
//! Source: PROTOCOL §7 "Direct", "Addresses"; §8.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::ContactState;
use super::machine::{Cx, Endpoint};
use super::outbox::Lane;
use super::{Effect, links::Link};
use crate::id::{AccountId, DeviceId, HostId};
use crate::limits::{
    DIAL_PACE, MAX_DIAL_ADDRESSES, MAX_DIALS_AT_ONCE, MAX_NEAR, NEAR_AGAIN, RETRY_FIRST,
    RETRY_LAST, SWEEP_EVERY,
};
use crate::machine::{Address, NetworkOutput, Output, StreamKind};
use crate::rows::RowsError;
use crate::rows::contact::ContactRow;
use crate::time::Millis;

/// A peer, and what is spoken with it.
type Peer = (HostId, StreamKind);

/// Nodes in the same room, with where they say that they are, and since when that made a dial.
pub(super) type Near = BTreeMap<HostId, (Vec<Address>, Millis)>;

/// Why a peer is dialled, and so who knows where it is.
#[derive(Debug, Clone, Copy)]
enum Source {
    /// It keeps our mail.
    Own,
    /// A contact's link names it, and nothing else is known of that contact.
    Card(AccountId),
    /// Something waits for a contact's device.
    Device(DeviceId),
}

/// What may lead to a peer.
#[derive(Debug, Default)]
struct Lead {
    addresses: Vec<Address>,
    relays: Vec<HostId>,
}

/// When a peer is dialled again.
#[derive(Debug)]
pub(super) struct Dial {
    under_way: bool,
    not_before: Millis,
    wait: Millis,
}

impl Dial {
    const fn new(now: Millis) -> Self {
        Self { under_way: false, not_before: now, wait: RETRY_FIRST }
    }

    pub(super) const fn is_under_way(&self) -> bool {
        self.under_way
    }

    /// Whether it has failed at least once.
    pub(super) fn failed(&self) -> bool {
        self.wait > RETRY_FIRST
    }
}

/// How many dials may begin now: some at once, then at an even pace.
#[derive(Debug)]
pub(super) struct Pace {
    left: u32,
    /// Since when one more is due.
    since: Millis,
}

impl Pace {
    pub(super) const fn new(now: Millis) -> Self {
        Self { left: MAX_DIALS_AT_ONCE, since: now }
    }

    /// How many may begin at `now`.
    fn at(&mut self, now: Millis) -> u32 {
        let more = now.saturating_sub(self.since).0 / DIAL_PACE.0;
        let left = u64::from(self.left).saturating_add(more).min(u64::from(MAX_DIALS_AT_ONCE));
        self.left = u32::try_from(left).unwrap_or(MAX_DIALS_AT_ONCE);
        self.since = if self.left == MAX_DIALS_AT_ONCE {
            now
        } else {
            self.since.saturating_add(DIAL_PACE.saturating_mul(more))
        };
        self.left
    }

    fn take(&mut self) {
        self.left = self.left.saturating_sub(1);
    }

    /// When one more may begin, if none may now.
    const fn next(&self) -> Millis {
        self.since.saturating_add(DIAL_PACE)
    }
}

impl Endpoint {
    pub(super) fn dial_failed(&mut self, cx: &mut Cx<'_>, peer: Peer) -> Result<(), RowsError> {
        self.back_off(cx, peer);
        self.nobody_there(cx, peer)
    }

    /// Twice as long as the last time, give or take a quarter: a host that comes back is not dialled by
    /// all of its owners in one moment.
    pub(super) fn back_off(&mut self, cx: &mut Cx<'_>, peer: Peer) {
        let [draw] = cx.random::<1>();
        if let Some(dial) = self.dials.get_mut(&peer) {
            dial.under_way = false;
            let spread = dial.wait.0.saturating_mul(u64::from(draw)) / (2 * 255);
            let wait = Millis((dial.wait.0 / 4).saturating_mul(3).saturating_add(spread));
            dial.not_before = cx.now.since_start.saturating_add(wait);
            dial.wait = Millis(dial.wait.saturating_mul(2).0.min(RETRY_LAST.0));
        }
    }

    /// Dials whoever is waited for and has no link, where it is time; asks to be woken for the rest.
    pub(super) fn dial(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.since_start;
        let mut next = now.saturating_add(SWEEP_EVERY);
        next = self.timers.values().fold(next, |next, at| next.min(*at));
        next = self.discover(cx).map_or(next, |at| next.min(at));
        let linked = self.linked_hosts();
        let wanted = self.wanted(now, &linked);
        let mut due = Vec::new();
        for peer in wanted.keys() {
            let dial = self.dials.entry(*peer).or_insert_with(|| Dial::new(now));
            if dial.not_before > now && !dial.under_way {
                next = next.min(dial.not_before);
            } else if !dial.under_way {
                let is_own = self.hosts.contains_key(&peer.0);
                due.push((!is_own, dial.failed(), dial.not_before, *peer));
            }
        }
        due.sort_unstable();
        for (is_paced, _, _, peer) in due {
            if is_paced && self.pace.at(now) == 0 {
                next = next.min(self.pace.next());
                break;
            }
            let sources = wanted.get(&peer).map(Vec::as_slice).unwrap_or_default();
            let Lead { addresses, relays } = self.lead(peer, sources, &linked);
            if addresses.is_empty() && relays.is_empty() {
                continue;
            }
            if is_paced {
                self.pace.take();
            }
            if let Some(dial) = self.dials.get_mut(&peer) {
                dial.under_way = true;
            }
            let (peer, kind) = peer;
            let dial = NetworkOutput::Dial { peer, kind, addresses, relays };
            cx.out.push(Output::Now(Effect::Network(dial)));
        }
        cx.out.push(Output::Now(Effect::WakeAt(next)));
    }

    fn linked_hosts(&self) -> BTreeSet<HostId> {
        let links = self.links.values();
        let hosts = links.filter(|link| link.kind == StreamKind::Mailbox && link.ready);
        hosts.map(|link| link.peer).collect()
    }

    /// Peers that something waits for and that no link leads to.
    fn wanted(
        &mut self,
        now: Millis,
        linked_hosts: &BTreeSet<HostId>,
    ) -> BTreeMap<Peer, Vec<Source>> {
        let mut wanted: BTreeMap<Peer, Vec<Source>> = BTreeMap::new();
        if self.fence.two_homes {
            return wanted;
        }
        for host in self.hosts.keys() {
            wanted.entry((*host, StreamKind::Mailbox)).or_default().push(Source::Own);
        }
        for (account, contact) in &self.contacts {
            if !contact.devices.is_empty() || contact.state != ContactState::Requested {
                continue;
            }
            let direct = contact.link_direct.iter().map(|(peer, _)| (*peer, StreamKind::Direct));
            let hosts = contact.link_hosts.iter().map(|(host, _)| (*host, StreamKind::Mailbox));
            for peer in direct.chain(hosts) {
                wanted.entry(peer).or_default().push(Source::Card(*account));
            }
        }
        for (device, peer, by_host) in self.waiting_devices(now) {
            if let Some(peer) = peer {
                let peer = (peer, StreamKind::Direct);
                wanted.entry(peer).or_default().push(Source::Device(device));
            }
            if !by_host {
                continue;
            }
            let is_first = self.lanes.get(&device).is_some_and(Lane::has_first_contact);
            let first = if is_first { self.contact_queues_of(device) } else { Vec::new() };
            let first = first.into_iter().map(|(host, ..)| host);
            let hosts = self.hosts_of(device).1.iter().map(|it| it.host).chain(first);
            let hosts = hosts.filter(|host| !linked_hosts.contains(host));
            for host in hosts {
                let peer = (host, StreamKind::Mailbox);
                wanted.entry(peer).or_default().push(Source::Device(device));
            }
        }
        let linked = self.links.values().map(|link: &Link| (link.peer, link.kind));
        for peer in linked {
            wanted.remove(&peer);
        }
        wanted
    }

    /// Devices that something waits for: the node itself, if it is to be dialled for that, and whether
    /// its hosts are.
    fn waiting_devices(&self, now: Millis) -> Vec<(DeviceId, Option<HostId>, bool)> {
        let overdue =
            |device: &DeviceId, lane: &Lane| lane.is_overdue() && self.link_to(*device).is_none();
        let waits = |(device, lane): &(&DeviceId, &Lane)| {
            !lane.is_idle() || lane.is_late(now) || overdue(device, lane)
        };
        let lanes = self.lanes.iter().filter(waits).map(|(device, _)| *device);
        let devices = self.contacts.values().flat_map(|contact| &contact.devices);
        let owed = devices.filter(|row| row.renewal.is_some()).map(|row| row.device);
        let devices: BTreeSet<DeviceId> = owed.chain(lanes).collect();
        let devices = devices.into_iter().filter_map(|device| {
            let (_, row) = self.device_row(device)?;
            let owed = row.renewal.is_some();
            let Some(lane) = self.lanes.get(&device) else {
                return Some((device, row.peer, false));
            };
            let by_host =
                owed || lane.is_late(now) || (!lane.is_idle() && self.link_to(device).is_none());
            let by_itself = owed || !lane.is_idle() || overdue(&device, lane);
            Some((device, row.peer.filter(|_| by_itself), by_host))
        });
        devices.collect()
    }

    /// Where a peer may be, as everybody says who knows it.
    fn lead(&mut self, peer: Peer, sources: &[Source], linked_hosts: &BTreeSet<HostId>) -> Lead {
        let (mut lead, mut said) = (Lead::default(), Vec::new());
        if let Some((near, _)) = self.near.get(&peer.0) {
            lead.addresses.extend(near.iter().take(MAX_DIAL_ADDRESSES / 2).cloned());
        }
        for source in sources {
            match (source, peer.1) {
                (Source::Own, _) => {
                    let row = self.hosts.get(&peer.0);
                    lead.addresses.extend(row.into_iter().flat_map(|row| row.addresses.clone()));
                }
                (Source::Card(account), kind) => {
                    let Some(contact) = self.contacts.get(account) else { continue };
                    said.extend(named(named_in(contact, kind), peer.0));
                    if kind == StreamKind::Direct {
                        lead.relays.extend(contact.link_hosts.iter().map(|(host, _)| *host));
                    }
                }
                (Source::Device(device), kind) => {
                    if let Some((contact, row)) = self.device_row(*device) {
                        if kind == StreamKind::Direct {
                            said.extend(row.addresses.iter().cloned());
                        }
                        said.extend(named(named_in(contact, kind), peer.0));
                    }
                    let hosts = &self.hosts_of(*device).1;
                    match kind {
                        StreamKind::Direct => lead.relays.extend(hosts.iter().map(|it| it.host)),
                        StreamKind::Mailbox => {
                            let at = hosts.iter().filter(|it| it.host == peer.0);
                            said.extend(at.flat_map(|it| it.addresses.clone()));
                        }
                    }
                }
            }
        }
        lead.relays.retain(|relay| *relay != peer.0 && linked_hosts.contains(relay));
        // Whatever contacts say, what we know ourselves is tried.
        lead.addresses.extend(most_named(said));
        let mut seen = BTreeSet::new();
        lead.addresses.retain(|address| seen.insert(address.clone()));
        lead.addresses.truncate(MAX_DIAL_ADDRESSES);
        let mut seen = BTreeSet::new();
        lead.relays.retain(|relay| seen.insert(*relay));
        lead
    }

    /// A node in the same room: whoever waits for it dials it at once, nobody else does.
    pub(super) fn heard_near(&mut self, cx: &Cx<'_>, peer: HostId, addresses: Vec<Address>) {
        let now = cx.now.since_start;
        if addresses.is_empty() {
            self.near.remove(&peer);
            return;
        }
        let known = self.near.get(&peer);
        if known.is_none() && self.near.len() >= MAX_NEAR {
            return;
        }
        let lately = known.is_some_and(|(_, at)| now.saturating_sub(*at) < NEAR_AGAIN);
        let at = known.filter(|_| lately).map_or(now, |(_, at)| *at);
        self.near.insert(peer, (addresses, at));
        if !lately {
            for kind in [StreamKind::Direct, StreamKind::Mailbox] {
                if self.dials.get(&(peer, kind)).is_some_and(|dial| !dial.under_way) {
                    self.dials.remove(&(peer, kind));
                }
            }
        }
    }
}

/// Each address once, those that most say first.
fn most_named(said: Vec<Address>) -> Vec<Address> {
    let mut times: BTreeMap<Address, usize> = BTreeMap::new();
    for address in &said {
        *times.entry(address.clone()).or_default() += 1;
    }
    let mut named = said;
    named.sort_by_key(|address| Reverse(times.get(address).copied()));
    named
}

/// Where a contact's link says that its card is, on streams of a kind.
pub(super) fn named_in(contact: &ContactRow, kind: StreamKind) -> &[(HostId, Vec<Address>)] {
    match kind {
        StreamKind::Direct => &contact.link_direct,
        StreamKind::Mailbox => &contact.link_hosts,
    }
}

/// What a list says of a peer's addresses.
fn named(list: &[(HostId, Vec<Address>)], peer: HostId) -> impl Iterator<Item = Address> {
    let named = list.iter().filter(move |(host, _)| *host == peer);
    named.flat_map(|(_, addresses)| addresses.iter().cloned())
}

#[cfg(test)]
mod tests {
    use super::Pace;
    use crate::limits::{DIAL_PACE, MAX_DIALS_AT_ONCE};
    use crate::time::Millis;

    #[test]
    fn some_may_begin_at_once_and_then_one_after_the_other() {
        let start = Millis::from_secs(5);
        let mut pace = Pace::new(start);
        for left in (1..=MAX_DIALS_AT_ONCE).rev() {
            assert_eq!(pace.at(start), left);
            pace.take();
        }
        let at = |times: u64| start.saturating_add(DIAL_PACE.saturating_mul(times));
        assert_eq!((pace.at(start), pace.next()), (0, at(1)));
        assert_eq!(pace.at(at(1).saturating_sub(Millis(1))), 0);
        assert_eq!(pace.at(at(1)), 1);
        pace.take();
        // Half a step is not lost.
        assert_eq!(pace.at(at(3).saturating_add(Millis(1))), 2);
        assert_eq!(pace.next(), at(4));
        assert_eq!(pace.at(at(1_000)), MAX_DIALS_AT_ONCE);
    }
}
