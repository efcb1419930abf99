//! Which hosts of a contact take which line now: their queue is open on a ready stream.

use crate::endpoint::links::Asked;
use crate::endpoint::machine::{Cx, Endpoint};
use crate::endpoint::outbox::Lane;
use crate::id::{DeviceId, HostId, QueueId};
use crate::machine::{Address, LinkId, StreamKind};
use crate::mailbox::host_proof;
use crate::record::{Manifest, ManifestHost};
use crate::rows::RowsError;
use crate::rows::contact::{ContactRow, DeviceRow};
use crate::session::Bundle;
use crate::time::Millis;
use crate::wire::frame::{OpenKey, Request};

/// How long a queue that was refused is left alone.
pub(super) const SHUT: Millis = Millis::from_secs(60);

/// A queue on one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::endpoint) enum Gate {
    /// Asked for.
    Asked(OpenKey),
    /// Open; each deposit bears a stamp, or not.
    Open { stamp: bool },
    /// Refused: not before this time again.
    Shut(Millis),
}

/// A host that takes a line.
#[derive(Debug, Clone, Copy)]
pub(in crate::endpoint) struct Way {
    pub(in crate::endpoint) host: HostId,
    pub(in crate::endpoint) link: LinkId,
    pub(in crate::endpoint) queue: QueueId,
    pub(in crate::endpoint) stamp: bool,
}

impl Endpoint {
    /// The ready stream to a host.
    pub(in crate::endpoint) fn mailbox_link(&self, host: HostId) -> Option<LinkId> {
        let mut links = self.links.iter();
        let fits = |kind| kind == StreamKind::Mailbox;
        links
            .find(|(_, link)| fits(link.kind) && link.ready && link.peer == host)
            .map(|(id, _)| *id)
    }

    pub(in crate::endpoint) fn device_row(
        &self,
        device: DeviceId,
    ) -> Option<(&ContactRow, &DeviceRow)> {
        let contact = self.contacts.get(self.owners.get(&device)?)?;
        let row = contact.devices.iter().find(|row| row.device == device)?;
        Some((contact, row))
    }

    /// A device's manifest, as its last word was.
    pub(in crate::endpoint) fn manifest_of(&self, device: DeviceId) -> Option<Manifest> {
        let (contact, row) = self.device_row(device)?;
        let chain = crate::identity::Chain::from_bytes(&contact.chain).ok()?;
        let signer = chain.devices().iter().find(|known| known.id == device)?.signer;
        Manifest::from_bytes(&row.manifest, &signer, self.net(), device).ok()
    }

    /// The hosts where a device's mail is kept, and its k: as the newer of its manifest and of its
    /// account's record says; while neither is known, as its contact's link does.
    pub(in crate::endpoint) fn hosts_of(&mut self, device: DeviceId) -> &(u8, Vec<ManifestHost>) {
        if !self.peer_manifests.contains_key(&device) {
            let manifest = self.manifest_of(device);
            let told = manifest.map(|it| (it.seq(), it.k(), it.hosts().to_vec()));
            // Signed in one second, what the device itself said counts: it comes last.
            let known = self.placed_by_record(device).into_iter().chain(told);
            let known = known.max_by_key(|(seq, ..)| *seq).map(|(_, k, hosts)| (k, hosts));
            let known = known.or_else(|| Some((1, self.card_hosts_of(device)?)));
            let known = known.unwrap_or_default();
            self.peer_manifests.insert(device, known);
        }
        self.peer_manifests.entry(device).or_default()
    }

    fn card_hosts_of(&self, device: DeviceId) -> Option<Vec<ManifestHost>> {
        let (contact, _) = self.device_row(device)?;
        let hosts = contact.link_hosts.iter().cloned();
        Some(hosts.map(|(host, addresses)| ManifestHost { host, addresses }).collect())
    }

    /// The contact queues of a device's bundle, with where their hosts are.
    pub(in crate::endpoint) fn contact_queues_of(
        &self,
        device: DeviceId,
    ) -> Vec<(HostId, QueueId, Vec<Address>)> {
        let Some((contact, row)) = self.device_row(device) else { return Vec::new() };
        let Some(bundle) = Bundle::from_stored(&row.bundle, self.net()) else {
            return Vec::new();
        };
        let addresses = |host: HostId| {
            let named = contact.link_hosts.iter().filter(|(named, _)| *named == host);
            named.flat_map(|(_, addresses)| addresses.clone()).collect()
        };
        let queues = bundle.contact_queues().iter();
        queues.map(|(host, queue)| (*host, *queue, addresses(*host))).collect()
    }

    /// The hosts that take what is encrypted for a device now; queues are opened as needed.
    pub(in crate::endpoint) fn ways(
        &mut self,
        cx: &mut Cx<'_>,
        device: DeviceId,
    ) -> Result<Vec<Way>, RowsError> {
        let hosts = self.hosts_of(device).1.clone();
        let n = self.queue_number(device);
        if hosts.is_empty() {
            return Ok(Vec::new());
        }
        let pair = self.sessions.pair(cx.rows, device)?;
        let Some(root) = pair.sending_root().map(|root| root.roots.sending.clone()) else {
            return Ok(Vec::new());
        };
        let mut ways = Vec::new();
        for ManifestHost { host, .. } in hosts {
            let Some(link) = self.mailbox_link(host) else { continue };
            let n = self.numbers.at_host(device, host, n);
            let queue = root.queue_id(n);
            let key = OpenKey::Token(root.token(n, self.me.network.as_str(), &host));
            if let Some(stamp) = self.open_at(cx, link, (queue, Some(device)), key) {
                ways.push(Way { host, link, queue, stamp });
            }
        }
        Ok(ways)
    }

    /// The hosts that take a first contact for a device now.
    pub(in crate::endpoint) fn first_ways(
        &mut self,
        cx: &mut Cx<'_>,
        device: DeviceId,
    ) -> Vec<Way> {
        let is_first = self.lanes.get(&device).is_some_and(Lane::has_first_contact);
        if !is_first || !self.can_be_answered(device) {
            return Vec::new();
        }
        let invite = self.device_row(device).and_then(|(contact, _)| contact.invite);
        let mut ways = Vec::new();
        for (host, queue, _) in self.contact_queues_of(device) {
            let Some(link) = self.mailbox_link(host) else { continue };
            let key =
                invite.map_or(OpenKey::Stamp, |invite| OpenKey::Invite(host_proof(&invite, &host)));
            if let Some(stamp) = self.open_at(cx, link, (queue, None), key) {
                ways.push(Way { host, link, queue, stamp });
            }
        }
        ways
    }

    /// Whether a queue, which may be that of a pair, is open on a stream, and whether it wants stamps; asks for it where it is not.
    fn open_at(
        &mut self,
        cx: &mut Cx<'_>,
        link: LinkId,
        (queue, pair): (QueueId, Option<DeviceId>),
        key: OpenKey,
    ) -> Option<bool> {
        let state = self.links.get_mut(&link)?;
        match state.gates.get(&queue) {
            Some(Gate::Open { stamp }) => return Some(*stamp),
            Some(Gate::Asked(_)) => return None,
            Some(Gate::Shut(until)) if *until > cx.now.since_start => return None,
            _ => {}
        }
        state.gates.insert(queue, Gate::Asked(key.clone()));
        self.ask(cx, link, Asked::Open(queue, pair), Request::Open { queue, key }, true);
        None
    }

    /// The devices whose mail a host keeps, as far as something waits for them.
    pub(in crate::endpoint) fn pump_all(&mut self) {
        let waits = |lane: &Lane| !lane.is_empty() || lane.is_overdue();
        let waiting = self.lanes.iter().filter(|(_, lane)| waits(lane));
        self.to_pump.extend(waiting.map(|(device, _)| *device));
    }
}
