//! At an own host: both keys, the queues, the records, the invites; again after it lost state.

use serde_bytes::ByteBuf;

use crate::crypto::Signer;
use crate::endpoint::HostState;
use crate::endpoint::links::Asked;
use crate::endpoint::machine::{Cx, Endpoint};
use crate::id::{HostId, OwnerKey, QueueId};
use crate::limits::{MAX_REGISTER, SESSION_GRACE};
use crate::machine::{LinkId, NetworkOutput};
use crate::mailbox::{host_proof, host_proof_hash, prove_owner, token_hash};
use crate::rows::RowsError;
use crate::rows::evidence::ErasedWord;
use crate::rows::home::{INVITES, InviteRow};
use crate::rows::host::{OWN_HOSTS, OwnHostRow, REGISTERED};
use crate::rows::typed::{load_all, save};
use crate::session::PairRoot;
use crate::time::UnixMillis;
use crate::wire::frame::{Answer, OwnerRole, QueueAccess, Refused, Registration, Request};

pub(super) fn owner_key(signer: &Signer) -> OwnerKey {
    OwnerKey(signer.verify_key().0)
}

impl Endpoint {
    /// Shows both keys on a new stream to an own host, registers what is missing, and fetches.
    pub(in crate::endpoint) fn register_at(
        &mut self,
        cx: &mut Cx<'_>,
        link: LinkId,
        host: HostId,
    ) -> Result<(), RowsError> {
        let hello = self.links.get(&link).and_then(|state| state.hello.clone());
        let (Some(hello), Some(row)) = (hello, self.hosts.get(&host)) else { return Ok(()) };
        if row.birth.is_some_and(|birth| birth != hello.birth) {
            self.lost_state(cx, (link, host), true)?;
        }
        let Some(row) = self.hosts.get_mut(&host) else { return Ok(()) };
        row.birth = Some(hello.birth);
        row.last_seen = Some(cx.now.wall);
        save(cx.rows, &OWN_HOSTS, host.as_bytes(), row)?;
        let row = row.clone();
        // A host that lost a little may have caught up with its count: what fits one frame is said
        // again on every stream.
        if self.queues.count(host) <= MAX_REGISTER {
            self.queues.register_again(host, row.contact_queue);
        }
        let keys = [(OwnerRole::Public, &row.public), (OwnerRole::Private, &row.private)];
        for (role, signer) in keys {
            let owner = owner_key(signer);
            let signature = prove_owner(signer, self.net(), &host, &hello.challenge);
            self.ask(cx, link, Asked::Nothing, Request::Prove { owner, signature }, true);
            if !row.admitted || row.forgot_us {
                let token = row.token;
                let admit = Request::Admit { owner, role, token };
                self.ask(cx, link, Asked::Admit(host, role), admit, true);
            }
        }
        self.register_queues(cx, link, host)?;
        if self.has_hosts() {
            self.publish_at(cx, link);
        }
        for (role, signer) in keys {
            let owner = owner_key(signer);
            let private = role == OwnerRole::Private;
            let fence = if private { Some(self.fence_record(host, &row)) } else { None };
            self.ask(cx, link, Asked::Fetch(host, role), Request::Fetch { owner, fence }, true);
        }
        Ok(())
    }

    /// Registers invites that nobody has used, once everything that lay there is here: one that was used
    /// is not good again.
    pub(super) fn register_invites(
        &mut self,
        cx: &mut Cx<'_>,
        link: LinkId,
        host: HostId,
    ) -> Result<(), RowsError> {
        for (key, invite) in load_all::<InviteRow>(cx.rows, &INVITES, &[])? {
            let good = !invite.used && invite.expires > cx.now.wall;
            if let Ok(key) = <[u8; 16]>::try_from(key.as_slice())
                && good
            {
                self.register_invite(cx, link, host, (key, invite.expires));
            }
        }
        Ok(())
    }

    /// Registers what is missing and drops what is ours no more.
    pub(in crate::endpoint) fn sync_queues(&mut self, cx: &mut Cx<'_>) -> Result<(), RowsError> {
        if !core::mem::take(&mut self.queues_changed) {
            return Ok(());
        }
        let hosts: Vec<HostId> = self.hosts.keys().copied().collect();
        for host in hosts {
            let link = self.mailbox_link(host).filter(|link| {
                // Else the keys were not shown yet, and what is missing is registered with them.
                self.links.get(link).is_some_and(|state| state.shown)
            });
            if let Some(link) = link {
                self.register_queues(cx, link, host)?;
            }
        }
        Ok(())
    }

    fn register_queues(
        &mut self,
        cx: &mut Cx<'_>,
        link: LinkId,
        host: HostId,
    ) -> Result<(), RowsError> {
        let Some(row) = self.hosts.get(&host).cloned() else { return Ok(()) };
        let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
        state.shown = true;
        let asked = state.registering.clone();
        let known = self.queues.is_known(host, &row.contact_queue);
        if !known && !asked.contains(&row.contact_queue) {
            let queue = row.contact_queue;
            let registration = Registration { queue, access: QueueAccess::Stamp, quota: 0 };
            self.register(cx, link, host, (&row.public, vec![registration]));
        }
        let lacking = self.queues.lacking(host).filter(|(queue, _)| !asked.contains(queue));
        let lacking: Vec<(QueueId, crate::id::DeviceId)> = lacking.collect();
        let mut queues = Vec::new();
        for (queue, device) in lacking {
            let net = self.me.network.as_str();
            let pair = self.sessions.pair(cx.rows, device)?;
            let known = |root: &PairRoot| {
                let mut queues = self.numbers.receiving(device, root).into_iter();
                queues.find(|(_, known)| *known == queue).map(|(n, _)| n)
            };
            let mut roots = pair.receiving_roots().iter();
            if let Some((root, n)) = roots.find_map(|root| Some((root, known(root)?))) {
                let token = root.roots.receiving.token(n, net, &host);
                let access = QueueAccess::Token(token_hash(&token));
                queues.push(Registration { queue, access, quota: 0 });
            }
        }
        for page in queues.chunks(MAX_REGISTER) {
            self.register(cx, link, host, (&row.private, page.to_vec()));
        }
        let gone = self.queues.gone(host, row.contact_queue);
        for page in gone.chunks(MAX_REGISTER) {
            let (owner, queues) = (owner_key(&row.private), page.to_vec());
            self.ask(cx, link, Asked::Nothing, Request::Drop { owner, queues }, true);
            for queue in page {
                self.unregistered(cx, host, *queue);
            }
        }
        Ok(())
    }

    fn register(
        &mut self,
        cx: &mut Cx<'_>,
        link: LinkId,
        host: HostId,
        (signer, queues): (&Signer, Vec<Registration>),
    ) {
        let ids: Vec<QueueId> = queues.iter().map(|it| it.queue).collect();
        if let Some(state) = self.links.get_mut(&link) {
            state.registering.extend(ids.iter().copied());
        }
        let owner = owner_key(signer);
        self.ask(cx, link, Asked::Register(host, ids), Request::Register { owner, queues }, true);
    }

    fn unregistered(&mut self, cx: &mut Cx<'_>, host: HostId, queue: QueueId) {
        self.queues.unregistered(host, queue);
        cx.rows.delete(&REGISTERED, &[&host.as_bytes()[..], queue.as_bytes()].concat());
    }

    /// Leaves account record and bundle with an own host.
    pub(super) fn publish_at(&mut self, cx: &mut Cx<'_>, link: LinkId) {
        let host = self.links.get(&link).map(|state| state.peer);
        let row = host.and_then(|host| self.hosts.get(&host));
        let Some(owner) = row.map(|row| owner_key(&row.public)) else { return };
        let record = ByteBuf::from(self.account_record(cx).to_bytes());
        let records = vec![record, ByteBuf::from(self.bundle.clone())];
        let publish = Request::Publish { owner, account: self.me.account, records };
        self.ask(cx, link, Asked::Nothing, publish, true);
    }

    pub(super) fn register_invite(
        &mut self,
        cx: &mut Cx<'_>,
        link: LinkId,
        host: HostId,
        (invite, expires): ([u8; 16], UnixMillis),
    ) {
        let Some(row) = self.hosts.get(&host) else { return };
        let request = Request::Invite {
            owner: owner_key(&row.public),
            queue: row.contact_queue,
            hash: host_proof_hash(&host_proof(&invite, &host)),
            expires: expires.hours_up(),
        };
        self.ask(cx, link, Asked::Nothing, request, true);
    }

    pub(super) fn erase_at(&mut self, cx: &mut Cx<'_>, link: LinkId, host: HostId) {
        let Some(row) = self.hosts.get(&host) else { return };
        let owners = [&row.public, &row.private].map(owner_key);
        let asked = self.links.get(&link).is_some_and(|state| state.leaving);
        if let Some(state) = self.links.get_mut(&link) {
            state.leaving = true;
        }
        for (last, owner) in [(false, owners[0]), (true, owners[1])] {
            if !asked {
                self.ask(cx, link, Asked::Erase(host, owner, last), Request::Erase { owner }, true);
            }
        }
    }

    /// The host has less than it had: everything is registered again, senders are told.
    fn lost_state(
        &mut self,
        cx: &mut Cx<'_>,
        (link, host): (LinkId, HostId),
        forgot_us: bool,
    ) -> Result<(), RowsError> {
        let Some(row) = self.hosts.get_mut(&host) else { return Ok(()) };
        let old = row.lost_state_at.is_none_or(|at| cx.now.wall.since(at) >= SESSION_GRACE);
        row.losses = if old { 1 } else { row.losses.saturating_add(1) };
        row.lost_state_at = Some(cx.now.wall);
        row.seqs = [0; 2];
        row.forgot_us |= forgot_us;
        save(cx.rows, &OWN_HOSTS, host.as_bytes(), row)?;
        for queue in self.queues.known(host).collect::<Vec<QueueId>>() {
            self.unregistered(cx, host, queue);
        }
        self.queues_changed = true;
        let [own, _] = &mut self.losses;
        if own.is_due(host, link, cx.now.since_start) { self.tell_everybody(cx) } else { Ok(()) }
    }

    /// What is owed since hosts lost something: contacts are told where we are, and hosts of contacts
    /// are heard anew.
    pub(in crate::endpoint) fn make_good(&mut self, cx: &mut Cx<'_>) -> Result<(), RowsError> {
        let [own, peers] = &mut self.losses;
        let now = cx.now.since_start;
        let (owed, peers) = (own.take_owed(now), peers.take_owed(now));
        for host in peers {
            if let Some(link) = self.mailbox_link(host) {
                self.close(cx, link);
            }
        }
        if owed.is_empty() { Ok(()) } else { self.tell_everybody(cx) }
    }

    /// An own host has answered.
    pub(in crate::endpoint) fn host_answered(
        &mut self,
        cx: &mut Cx<'_>,
        link: LinkId,
        asked: Asked,
        answer: &Answer,
    ) -> Result<(), RowsError> {
        match (asked, answer) {
            (Asked::Admit(host, OwnerRole::Private), Answer::Done) => self.admitted(cx, host),
            (Asked::Admit(host, _), Answer::Refused(_)) => {
                let Some(row) = self.hosts.get_mut(&host) else { return Ok(()) };
                let told = row.admitted && row.state != HostState::Refused;
                if row.state != HostState::Draining {
                    row.state = HostState::Refused;
                }
                save(cx.rows, &OWN_HOSTS, host.as_bytes(), row)?;
                if told { self.hosts_changed(cx) } else { Ok(()) }
            }
            (Asked::Register(host, queues), answer) => {
                for queue in queues {
                    if let Some(state) = self.links.get_mut(&link) {
                        state.registering.remove(&queue);
                    }
                    if *answer == Answer::Done {
                        self.queues.registered(host, queue);
                        let key = [&host.as_bytes()[..], queue.as_bytes()].concat();
                        save(cx.rows, &REGISTERED, &key, &())?;
                        self.to_pump.extend(self.queues.device(&queue));
                    }
                }
                Ok(())
            }
            (Asked::Fetch(host, role), Answer::Fetching { seq, fence }) => {
                self.fetching(cx, link, (host, role), *seq)?;
                match fence {
                    Some(fence) => self.fence_shown(cx, host, fence),
                    None => Ok(()),
                }
            }
            (Asked::Fetch(host, _), Answer::Refused(Refused::NotFound)) => {
                let known = self.hosts.get(&host).is_some_and(|row| row.admitted && !row.forgot_us);
                if known {
                    // It forgot us although its birth is the same: a disk of an earlier day.
                    self.lost_state(cx, (link, host), true)?;
                    let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
                    // Whoever forgets twice on one stream is asked no faster than it is dialled.
                    if core::mem::replace(&mut state.forgot_us, true) {
                        self.close(cx, link);
                        return Ok(());
                    }
                    state.registering.clear();
                    self.register_at(cx, link, host)?;
                }
                Ok(())
            }
            (Asked::Erase(host, owner, last), Answer::Erased { hour, signature }) => {
                let word = ErasedWord { owner, hour: *hour, signature: *signature };
                self.erased(cx, host, word)?;
                if last { self.forget_erased(cx, link, host) } else { Ok(()) }
            }
            (Asked::Erase(host, _, true), Answer::Refused(_)) => self.forget_erased(cx, link, host),
            _ => Ok(()),
        }
    }

    fn forget_erased(
        &mut self,
        cx: &mut Cx<'_>,
        link: LinkId,
        host: HostId,
    ) -> Result<(), RowsError> {
        self.forget_host(cx, host)?;
        self.close(cx, link);
        Ok(())
    }

    fn admitted(&mut self, cx: &mut Cx<'_>, host: HostId) -> Result<(), RowsError> {
        let Some(row) = self.hosts.get_mut(&host) else { return Ok(()) };
        let first = !row.admitted || row.state == HostState::Refused;
        row.admitted = true;
        row.forgot_us = false;
        if row.state == HostState::Refused {
            row.state = HostState::Registering;
        }
        save(cx.rows, &OWN_HOSTS, host.as_bytes(), row)?;
        if first { self.hosts_changed(cx) } else { Ok(()) }
    }

    fn fetching(
        &mut self,
        cx: &mut Cx<'_>,
        link: LinkId,
        (host, role): (HostId, OwnerRole),
        seq: u64,
    ) -> Result<(), RowsError> {
        if let Some(state) = self.links.get_mut(&link) {
            state.fetching.insert(role);
        }
        if role == OwnerRole::Private {
            cx.now(NetworkOutput::Reserve { relay: host });
        }
        let Some(row) = self.hosts.get_mut(&host) else { return Ok(()) };
        let [public, private] = &mut row.seqs;
        let known = if role == OwnerRole::Public { public } else { private };
        let less = seq < *known;
        *known = seq;
        row.last_seen = Some(cx.now.wall);
        save(cx.rows, &OWN_HOSTS, host.as_bytes(), row)?;
        if less {
            self.lost_state(cx, (link, host), false)?;
        }
        Ok(())
    }

    pub(in crate::endpoint) fn fence_record(
        &self,
        host: HostId,
        row: &OwnHostRow,
    ) -> crate::wire::frame::FenceRecord {
        let record = crate::wire::frame::FenceRecord {
            host,
            owner: owner_key(&row.private),
            fence: self.fence.fence,
            mark: self.fence.mark,
            acked: row.acked,
            signature: crate::crypto::SignatureBytes([0; 64]),
        };
        crate::mailbox::sign_fence(&row.private, self.net(), record)
    }
}
