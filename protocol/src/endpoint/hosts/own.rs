//! Own hosts: chosen by the person, told to contacts once they keep mail.

use crate::crypto::Signer;
use crate::endpoint::machine::{Cx, Endpoint};
use crate::endpoint::{Change, Code, Effect, HostChoice, HostState, HostView, Refusal, Reply};
use crate::id::{DeviceId, HostId, QueueId};
use crate::identity::{ContactLink, LinkHead};
use crate::limits::{INVITE_LIFE, MAX_DEVICE_HOSTS, SESSION_GRACE};
use crate::machine::{Address, LinkId, Output, StreamKind};
use crate::record::ManifestHost;
use crate::rows::RowsError;
use crate::rows::home::{INVITES, InviteRow};
use crate::rows::host::{OWN_HOSTS, OwnHostRow, PEER_HOSTS, PeerHostRow, REGISTERED};
use crate::rows::typed::{load_all, save};
use crate::time::Millis;

/// Addresses of this device that its link names.
const MAX_LINK_ADDRESSES: usize = 4;
/// Bootstrap peers that the own link names.
const MAX_LINK_ENTRANCES: usize = 2;
/// How long a loss is shown as the host's state.
const LOSS_SHOWN: Millis = Millis::from_days(1);

impl Endpoint {
    /// Reads the own hosts.
    pub(in crate::endpoint) fn open_hosts(&mut self, cx: &mut Cx<'_>) -> Result<(), RowsError> {
        for (key, row) in load_all::<OwnHostRow>(cx.rows, &OWN_HOSTS, &[])? {
            if let Some(host) = HostId::from_slice(&key) {
                self.hosts.insert(host, row);
            }
        }
        for host in self.hosts.keys() {
            self.queues.add_host(*host);
            for (key, ()) in load_all::<()>(cx.rows, &REGISTERED, host.as_bytes())? {
                if let Some(queue) = key.get(HostId::LENGTH..).and_then(QueueId::from_slice) {
                    self.queues.registered(*host, queue);
                }
            }
        }
        Ok(())
    }

    /// Uses hosts as well; each is registered at by itself from now on.
    pub(in crate::endpoint) fn use_hosts(
        &mut self,
        cx: &mut Cx<'_>,
        hosts: Vec<HostChoice>,
        k: Option<u8>,
    ) -> Result<Result<Reply, Refusal>, RowsError> {
        let new = hosts.iter().filter(|choice| !self.hosts.contains_key(&choice.host)).count();
        if self.hosts.len().saturating_add(new) > MAX_DEVICE_HOSTS {
            let message = format!("a device has at most {MAX_DEVICE_HOSTS} hosts");
            return Ok(Err(Refusal::new(Code::Full, message, "godwit mailbox drop PEER")));
        }
        let mut returned = false;
        for choice in &hosts {
            returned |= self.forgive(cx, choice.host)?;
        }
        for choice in hosts {
            let HostChoice { host, addresses, token } = choice;
            let row = self.hosts.entry(host).or_insert_with(|| OwnHostRow {
                addresses: Vec::new(),
                token: None,
                public: Signer::random(cx.rng),
                private: Signer::random(cx.rng),
                contact_queue: QueueId(cx.random()),
                admitted: false,
                forgot_us: false,
                state: HostState::Registering,
                birth: None,
                seqs: [0; 2],
                acked: 0,
                last_seen: None,
                lost_state_at: None,
                losses: 0,
                left_at: None,
            });
            returned |= row.left_at.take().is_some();
            if !addresses.is_empty() {
                row.addresses = addresses;
            }
            row.token = token.or(row.token);
            row.state = HostState::Registering;
            save(cx.rows, &OWN_HOSTS, host.as_bytes(), row)?;
            self.queues.add_host(host);
            self.dials.remove(&(host, StreamKind::Mailbox));
            let link = self
                .mailbox_link(host)
                .filter(|link| self.links.get(link).is_some_and(|state| state.fetching.is_empty()));
            if let Some(link) = link {
                self.register_at(cx, link, host)?;
            }
        }
        let new_k = k.filter(|k| *k != self.counters.k);
        if let Some(k) = new_k {
            self.counters.k = k;
            self.counters_changed = true;
        }
        if new_k.is_some() || returned {
            self.hosts_changed(cx)?;
        }
        Ok(Ok(self.hosts_reply(cx)))
    }

    /// Leaves a host: it is kept until every contact knows, or no longer than it takes.
    pub(in crate::endpoint) fn drop_host(
        &mut self,
        cx: &mut Cx<'_>,
        host: HostId,
        now: bool,
    ) -> Result<Result<Reply, Refusal>, RowsError> {
        let Some(row) = self.hosts.get_mut(&host) else {
            let message = "this is none of your hosts";
            return Ok(Err(Refusal::new(Code::NoMailbox, message, "godwit mailbox list")));
        };
        row.state = HostState::Draining;
        row.left_at = row.left_at.or(Some(cx.now.wall));
        save(cx.rows, &OWN_HOSTS, host.as_bytes(), row)?;
        let admitted = row.admitted;
        if admitted {
            self.hosts_changed(cx)?;
        }
        if !admitted || (now && self.mailbox_link(host).is_none()) {
            self.forget_host(cx, host)?;
        } else if now {
            self.leaving_now.insert(host);
        }
        Ok(Ok(self.hosts_reply(cx)))
    }

    pub(super) fn forget_host(&mut self, cx: &mut Cx<'_>, host: HostId) -> Result<(), RowsError> {
        self.hosts.remove(&host);
        self.leaving_now.remove(&host);
        self.clock.forget(&host);
        Self::note_left(cx, host)?;
        cx.rows.delete(&OWN_HOSTS, host.as_bytes());
        for queue in self.queues.remove_host(host) {
            cx.rows.delete(&REGISTERED, &[&host.as_bytes()[..], queue.as_bytes()].concat());
        }
        Ok(())
    }

    pub(in crate::endpoint) fn hosts_reply(&self, cx: &Cx<'_>) -> Reply {
        Reply::Hosts(self.host_views(cx), self.k())
    }

    pub(in crate::endpoint) fn host_views(&self, cx: &Cx<'_>) -> Vec<HostView> {
        let view = |(host, row): (&HostId, &OwnHostRow)| HostView {
            host: *host,
            addresses: row.addresses.clone(),
            state: self.host_state(cx, *host, row),
            last_seen: row.last_seen,
            lost_state_at: row.lost_state_at,
            broken_word_at: self.words.broken_at(host),
            full: self.full_at(*host, cx.now.wall),
        };
        self.hosts.iter().map(view).collect()
    }

    /// How an own host does now.
    fn host_state(&self, cx: &Cx<'_>, host: HostId, row: &OwnHostRow) -> HostState {
        if matches!(row.state, HostState::Draining | HostState::Refused) {
            return row.state;
        }
        if self.words.is_broken(&host) {
            return HostState::BrokenWord;
        }
        let link = self.mailbox_link(host).and_then(|link| self.links.get(&link));
        let Some(link) = link else {
            let tried = self.dials.get(&(host, StreamKind::Mailbox)).is_some_and(|it| it.failed());
            let never = !row.admitted && !tried;
            return if never { HostState::Registering } else { HostState::Unreachable };
        };
        let complete =
            self.queues.is_known(host, &row.contact_queue) && self.queues.is_complete(host);
        if !row.admitted || row.forgot_us || !complete || link.fetching.len() < 2 {
            return HostState::Registering;
        }
        let lost = row.lost_state_at.is_some_and(|at| cx.now.wall.since(at) < LOSS_SHOWN);
        match (lost, row.losses) {
            (true, 2..) => HostState::Unsteady,
            (true, _) => HostState::LostState,
            (false, _) => HostState::Ok,
        }
    }

    /// Tells whoever reads events how the hosts do, where that has changed.
    pub(in crate::endpoint) fn tell_host_states(&mut self, cx: &Cx<'_>) {
        for view in self.host_views(cx) {
            if self.host_states.insert(view.host, view.state) != Some(view.state) {
                self.changed(Change::Host(view.host, view.state));
            }
        }
    }

    /// Receipts that make a message to this device deposited.
    pub(in crate::endpoint) fn k(&self) -> u8 {
        let hosts = u8::try_from(self.kept_at().count()).unwrap_or(u8::MAX);
        let wanted = if self.counters.k == 0 { 2 } else { self.counters.k };
        wanted.min(hosts).max(1)
    }

    /// The hosts that contacts may be told: they have admitted us, and we stay. One that broke its
    /// word is among them only while there is no other.
    fn kept_at(&self) -> impl Iterator<Item = (&HostId, &OwnHostRow)> {
        let stays =
            |row: &OwnHostRow| !matches!(row.state, HostState::Draining | HostState::Refused);
        let stays = move |row: &OwnHostRow| row.admitted && stays(row);
        let good =
            move |(host, row): &(&HostId, &OwnHostRow)| stays(row) && !self.words.is_broken(host);
        let any = self.hosts.iter().any(|it| good(&it));
        self.hosts.iter().filter(move |it| if any { good(it) } else { stays(it.1) })
    }

    /// Where this device is, for a link that tells it.
    pub(in crate::endpoint) fn at_hand(&self) -> Vec<(HostId, Address)> {
        let addresses = self.addresses.iter().take(MAX_LINK_ADDRESSES);
        addresses.map(|address| (self.me.host, address.clone())).collect()
    }

    /// Whether contacts find a host of ours in our records.
    pub(in crate::endpoint) fn has_hosts(&self) -> bool {
        self.kept_at().next().is_some()
    }

    /// Whether every host that is linked has registered a queue.
    pub(super) fn is_registered(&self, queue: QueueId) -> bool {
        let mut linked = self.kept_at().filter(|(host, _)| self.mailbox_link(**host).is_some());
        linked.all(|(host, _)| self.queues.is_known(*host, &queue))
    }

    /// Whether such a host is linked, and knows us.
    pub(in crate::endpoint) fn is_host_at_hand(&self) -> bool {
        self.kept_at().any(|(host, _)| {
            let link = self.mailbox_link(*host).and_then(|link| self.links.get(&link));
            link.is_some_and(|link| link.shown)
        })
    }

    pub(in crate::endpoint) fn manifest_hosts(&self) -> Vec<ManifestHost> {
        self.kept_at()
            .map(|(host, row)| ManifestHost { host: *host, addresses: row.addresses.clone() })
            .collect()
    }

    pub(in crate::endpoint) fn contact_queues(&self) -> Vec<(HostId, QueueId)> {
        self.kept_at().map(|(host, row)| (*host, row.contact_queue)).collect()
    }

    /// The own link, with the present hosts as hints.
    pub(in crate::endpoint) fn contact_link(&self) -> ContactLink {
        let head = self.me.chain.head();
        let hosts = self
            .kept_at()
            .flat_map(|(host, row)| row.addresses.iter().map(|address| (*host, address.clone())));
        ContactLink {
            account: self.me.account,
            network: self.me.network.clone(),
            head: LinkHead { seq: head.seq, hash: head.short() },
            hosts: hosts.collect(),
            bootstrap: self.me.bootstrap.iter().take(MAX_LINK_ENTRANCES).cloned().collect(),
            direct: if self.me.is_public { self.at_hand() } else { Vec::new() },
            invite: None,
        }
    }

    /// Where mail is kept has changed: bundle, records, link and every contact learn of it.
    pub(in crate::endpoint) fn hosts_changed(&mut self, cx: &mut Cx<'_>) -> Result<(), RowsError> {
        self.sign_bundle(cx)?;
        self.publish_soon(cx);
        cx.out.push(Output::After(Effect::Link(self.contact_link().to_string())));
        self.tell_everybody(cx)
    }

    /// Leaves the newest account record and bundle with every own host that is at hand.
    pub(in crate::endpoint) fn publish_everywhere(&mut self, cx: &mut Cx<'_>) {
        let links: Vec<_> = self.hosts.keys().filter_map(|host| self.mailbox_link(*host)).collect();
        for link in links {
            self.publish_at(cx, link);
        }
    }

    /// Whether everything that lay at the own hosts when this node started is here.
    pub(in crate::endpoint) fn has_fetched(&self) -> bool {
        self.hosts.keys().all(|host| {
            let link = self.mailbox_link(*host).and_then(|link| self.links.get(&link));
            link.is_some_and(|link| link.live.len() >= 2)
        })
    }

    /// Makes a link that is good for one stranger.
    pub(in crate::endpoint) fn make_invite(&mut self, cx: &mut Cx<'_>) -> Result<Reply, RowsError> {
        let invite: [u8; 16] = cx.random();
        let expires = cx.now.wall.saturating_add(INVITE_LIFE);
        save(cx.rows, &INVITES, &invite, &InviteRow { expires, used: false })?;
        let links: Vec<_> =
            self.hosts.keys().filter_map(|host| Some((self.mailbox_link(*host)?, *host))).collect();
        for (link, host) in links {
            self.register_invite(cx, link, host, (invite, expires));
        }
        let mut link = ContactLink { invite: Some(invite), ..self.contact_link() };
        if link.hosts.is_empty() {
            link.direct = self.at_hand();
        }
        Ok(Reply::Invite(link.to_string(), expires))
    }

    /// Forgets invites that are over, and hosts of contacts that were not used for 35 days.
    pub(in crate::endpoint) fn sweep_hosts(&mut self, cx: &mut Cx<'_>) -> Result<(), RowsError> {
        let now = cx.now.wall;
        for (key, row) in load_all::<InviteRow>(cx.rows, &INVITES, &[])? {
            if row.expires <= now {
                cx.rows.delete(&INVITES, &key);
            }
        }
        let lanes = &self.lanes;
        let held = |host: &[u8]| {
            let mut rows = lanes.values().flat_map(|lane| lane.lines.values());
            rows.any(|row| row.words.iter().any(|word| word.host.as_bytes() == host))
        };
        for (key, row) in load_all::<PeerHostRow>(cx.rows, &PEER_HOSTS, &[])? {
            if let Some(host) = HostId::from_slice(&key) {
                self.words.look(host, &row, now);
            }
            if now.since(row.last_used) >= SESSION_GRACE && !held(&key) {
                cx.rows.delete(&PEER_HOSTS, &key);
            }
        }
        Ok(())
    }

    /// A host that was left goes once every contact knows, or after 35 days.
    pub(in crate::endpoint) fn drain(&mut self, cx: &mut Cx<'_>) -> Result<(), RowsError> {
        let draining: Vec<HostId> = self
            .hosts
            .iter()
            .filter(|(_, row)| row.state == HostState::Draining)
            .map(|(host, _)| *host)
            .collect();
        if draining.is_empty() {
            return Ok(());
        }
        let accepted = |row: &&crate::rows::contact::ContactRow| {
            row.state == crate::endpoint::ContactState::Accepted
        };
        let everybody_knows = self
            .contacts
            .values()
            .filter(accepted)
            .all(|contact| contact.devices.iter().all(|device| device.knows_us));
        for host in draining {
            let left_at = self.hosts.get(&host).and_then(|row| row.left_at);
            let over = left_at.is_some_and(|at| cx.now.wall.since(at) >= SESSION_GRACE)
                && !self.clock.is_doubted();
            let over = over || self.leaving_now.contains(&host);
            let fetched =
                |link: &LinkId| self.links.get(link).is_some_and(|state| state.live.len() >= 2);
            match self.mailbox_link(host) {
                // What lies there is fetched first.
                Some(link) if (everybody_knows || over) && fetched(&link) => {
                    self.erase_at(cx, link, host);
                }
                None if over => self.forget_host(cx, host)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether a device can answer: its queues are registered where we say that we are.
    pub(super) fn can_be_answered(&self, device: DeviceId) -> bool {
        let mut hosts = self.kept_at();
        self.hosts.is_empty() || hosts.any(|(host, _)| self.queues.has_all_of(*host, device))
    }
}
