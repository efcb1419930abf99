//! Searching contacts in the DHT: the account record first, then the bundle of its device.
//!
//! Every search runs to its end, and the highest of what it brings counts; the hosts that a record
//! names are asked as well, by their own links. Source: PROTOCOL §3.

use crate::endpoint::links::CARD_AGAIN;
use crate::endpoint::machine::{Cx, Endpoint};
use crate::endpoint::{Change, ContactState, Reason};
use crate::id::{AccountId, DeviceId, HostId, RecordKey};
use crate::limits::{
    LOOKUP_FIRST, LOOKUP_LAST, LOOKUP_PACE, LOOKUP_TIME, MAX_LOOKUPS, PREKEY_ROTATION,
};
use crate::machine::NetworkOutput;
use crate::record::{AccountRecord, account_key, bundle_key};
use crate::rows::RowsError;
use crate::rows::contact::ContactRow;
use crate::session::Bundle;
use crate::time::{Millis, UnixMillis};

/// How often it is looked who is wanted; what begins or ends a search is looked at by itself.
const LOOK_EVERY: Millis = Millis::from_secs(2);

/// One contact that is searched, or was.
#[derive(Debug)]
pub(super) struct Lookup {
    not_before: Millis,
    wait: Millis,
    asked: Option<Asked>,
}

/// A search that is under way.
#[derive(Debug)]
struct Asked {
    key: RecordKey,
    since: Millis,
    /// The account record whose device's bundle is searched.
    record: Option<Box<AccountRecord>>,
}

/// How much a contact's record is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Want {
    /// Nothing waits for it.
    Daily,
    /// Something does.
    Now,
}

impl Lookup {
    const fn new(now: Millis) -> Self {
        Self { not_before: now, wait: LOOKUP_FIRST, asked: None }
    }
}

impl Endpoint {
    pub(super) fn look_up_at_once(&mut self, now: Millis) {
        self.discovery.look_at = now;
        for lookup in self.discovery.lookups.values_mut() {
            (lookup.not_before, lookup.wait) = (now, LOOKUP_FIRST);
        }
    }

    /// A contact was added (again): it is searched without delay.
    pub(in crate::endpoint) fn look_up_soon(&mut self, cx: &Cx<'_>, account: AccountId) {
        let now = cx.now.since_start;
        self.discovery.look_at = now;
        let lookup = self.discovery.lookups.entry(account).or_insert_with(|| Lookup::new(now));
        (lookup.not_before, lookup.wait) = (now, LOOKUP_FIRST);
    }

    /// Publishes and searches what is due, and asks to be woken for the rest.
    pub(in crate::endpoint) fn discover(&mut self, cx: &mut Cx<'_>) -> Option<Millis> {
        if self.fence.two_homes {
            return None;
        }
        if core::mem::take(&mut self.discovery.enter_due) {
            self.enter(cx);
        }
        let published = self.publish(cx);
        self.look_up(cx).into_iter().chain(published).min()
    }

    /// Asks for the peers that the links of unresolved contacts name, once a process.
    fn enter(&mut self, cx: &mut Cx<'_>) {
        let unknown = |account: &AccountId| {
            self.contacts.get(account).is_some_and(|contact| contact.devices.is_empty())
        };
        for (account, row) in self.directory.iter().filter(|(account, _)| unknown(account)) {
            if !row.enter.is_empty() && self.discovery.entered.insert(*account) {
                cx.now(NetworkOutput::Enter { peers: row.enter.clone() });
            }
        }
    }

    fn look_up(&mut self, cx: &mut Cx<'_>) -> Option<Millis> {
        if !self.discovery.reachable {
            return None;
        }
        let (now, wall) = (cx.now.since_start, cx.now.wall);
        if now < self.discovery.look_at {
            return self.discovery.look_next.map(|next| next.max(self.discovery.look_at));
        }
        self.discovery.look_at = now.saturating_add(LOOK_EVERY);
        let mut under_way = 0_usize;
        for lookup in self.discovery.lookups.values_mut() {
            match &lookup.asked {
                Some(asked) if now.saturating_sub(asked.since) >= LOOKUP_TIME => {
                    lookup.asked = None;
                }
                Some(_) => under_way = under_way.saturating_add(1),
                None => {}
            }
        }
        let wanted = self.contacts.iter();
        let wanted = wanted.filter_map(|(account, it)| Some((self.wants(it, wall)?, *account)));
        let mut wanted: Vec<(Want, AccountId)> = wanted.collect();
        wanted.sort_by_key(|(want, _)| core::cmp::Reverse(*want));
        let mut next = None;
        for (want, account) in wanted {
            let lookup = self.discovery.lookups.entry(account).or_insert_with(|| Lookup::new(now));
            let mut not_before = lookup.not_before;
            if want == Want::Daily {
                lookup.wait = LOOKUP_FIRST;
                not_before = not_before.max(self.discovery.daily_at);
            }
            if lookup.asked.is_some() {
                continue;
            }
            if not_before > now {
                next = Some(next.map_or(not_before, |it: Millis| it.min(not_before)));
            } else if under_way < MAX_LOOKUPS {
                if want == Want::Daily {
                    self.discovery.daily_at = now.saturating_add(LOOKUP_PACE);
                }
                under_way = under_way.saturating_add(1);
                let key = account_key(&account);
                lookup.asked = Some(Asked { key, since: now, record: None });
                cx.now(NetworkOutput::Find { key });
            }
        }
        self.discovery.look_next = next;
        next.map(|next| next.max(self.discovery.look_at))
    }

    fn wants(&self, contact: &ContactRow, now: UnixMillis) -> Option<Want> {
        if matches!(contact.state, ContactState::Blocked | ContactState::Pending) {
            return None;
        }
        if contact.devices.is_empty() {
            return Some(Want::Now);
        }
        let requested = contact.state == ContactState::Requested
            && contact.requested_at.is_some_and(|at| now.since(at) >= PREKEY_ROTATION);
        let mut want = None;
        for device in &contact.devices {
            let lately = device.card_at.is_some_and(|at| now.since(at) < CARD_AGAIN);
            let silent = !lately && self.is_silent(device.device, now);
            let stuck = self.is_stuck(device.device);
            if requested || silent || stuck || device.renewal.is_some() {
                want = want.max(Some(Want::Now));
            } else if !lately {
                want = want.max(Some(Want::Daily));
            }
        }
        want
    }

    /// Whether mail waits for a device, and nobody is linked who takes it: its hosts, or its contact
    /// queues, may be others by now.
    pub(in crate::endpoint) fn is_stuck(&self, device: DeviceId) -> bool {
        let Some(lane) = self.lanes.get(&device).filter(|lane| !lane.is_idle()) else {
            return false;
        };
        let hosts: Vec<HostId> = if lane.has_first_contact() {
            self.contact_queues_of(device).into_iter().map(|(host, ..)| host).collect()
        } else {
            let placed = self.peer_manifests.get(&device).map(|(_, hosts)| hosts.as_slice());
            placed.unwrap_or_default().iter().map(|it| it.host).collect()
        };
        let linked = |host: &HostId| self.mailbox_link(*host).is_some();
        self.link_to(device).is_none() && !hosts.iter().any(linked)
    }

    /// A search has ended.
    pub(in crate::endpoint) fn found(
        &mut self,
        cx: &mut Cx<'_>,
        key: RecordKey,
        values: &[(HostId, Vec<u8>)],
    ) -> Result<(), RowsError> {
        let asks = |lookup: &Lookup| lookup.asked.as_ref().is_some_and(|asked| asked.key == key);
        let mut lookups = self.discovery.lookups.iter_mut();
        let Some((account, lookup)) = lookups.find(|(_, lookup)| asks(lookup)) else {
            return Ok(());
        };
        let (account, asked) = (*account, lookup.asked.take());
        self.discovery.look_at = Millis(0);
        match asked.and_then(|asked| asked.record) {
            None => self.record_found(cx, account, values),
            Some(record) => self.bundle_found(cx, account, *record, values),
        }
    }

    fn record_found(
        &mut self,
        cx: &mut Cx<'_>,
        account: AccountId,
        values: &[(HostId, Vec<u8>)],
    ) -> Result<(), RowsError> {
        let Some(contact) = self.contacts.get(&account) else { return Ok(()) };
        let checked = values.iter().filter_map(|(holder, bytes)| {
            Some((holder, self.checked_record(cx, account, contact, bytes)?))
        });
        let best = checked.max_by_key(|(_, record)| record.rank());
        let Some((_, record)) = best else {
            self.search_ended(cx, account);
            return Ok(());
        };
        self.count_strangers(account, &record, values, &record.to_bytes());
        self.record_came(cx, account, &record)?;
        let reachable = !record.hosts().is_empty();
        if let Some(contact) = self.contacts.get_mut(&account)
            && contact.devices.is_empty()
            && contact.link_direct.is_empty()
            && !reachable
            && contact.reason != Some(Reason::NoMailbox)
        {
            contact.reason = Some(Reason::NoMailbox);
            let state = contact.state;
            self.save_contact(cx, account)?;
            self.changed(Change::Contact(account, Some(state)));
        }
        self.ask_for_card(cx, account);
        let Some(device) = record.chain().devices().first() else { return Ok(()) };
        let (key, since) = (bundle_key(&device.id), cx.now.since_start);
        if let Some(lookup) = self.discovery.lookups.get_mut(&account) {
            lookup.asked = Some(Asked { key, since, record: Some(Box::new(record)) });
            cx.now(NetworkOutput::Find { key });
        }
        Ok(())
    }

    fn bundle_found(
        &mut self,
        cx: &mut Cx<'_>,
        account: AccountId,
        record: AccountRecord,
        values: &[(HostId, Vec<u8>)],
    ) -> Result<(), RowsError> {
        let checked = values.iter().filter_map(|(_, it)| self.checked_bundle(cx, &record, it));
        let Some(bundle) = checked.max_by_key(Bundle::seq) else {
            self.search_ended(cx, account);
            return Ok(());
        };
        self.count_strangers(account, &record, values, &bundle.to_bytes());
        self.search_ended(cx, account);
        self.card_read(cx, None, account, &record, &bundle)
    }

    /// The search is repeated later: soon where something waits, else within a quarter of a day.
    fn search_ended(&mut self, cx: &Cx<'_>, account: AccountId) {
        let want = self.contacts.get(&account).and_then(|it| self.wants(it, cx.now.wall));
        let Some(lookup) = self.discovery.lookups.get_mut(&account) else { return };
        let wait = match want {
            Some(Want::Now) => lookup.wait,
            _ => Millis(CARD_AGAIN.0 / 4),
        };
        lookup.not_before = cx.now.since_start.saturating_add(wait);
        lookup.wait = Millis(lookup.wait.saturating_mul(2).0.min(LOOKUP_LAST.0));
    }

    /// Counts a record that a node gave which is neither the contact nor a host of its.
    fn count_strangers(
        &mut self,
        account: AccountId,
        record: &AccountRecord,
        values: &[(HostId, Vec<u8>)],
        taken: &[u8],
    ) {
        let Some(contact) = self.contacts.get(&account) else { return };
        let known = |holder: &HostId| {
            let mut named = contact.link_hosts.iter().chain(&contact.link_direct);
            record.hosts().iter().any(|it| it.host == *holder)
                || named.any(|(host, _)| host == holder)
                || contact.devices.iter().any(|device| device.peer == Some(*holder))
        };
        let stranger = |(holder, value): &(HostId, Vec<u8>)| value == taken && !known(holder);
        if values.iter().any(stranger) {
            let count = self.discovery.found_at_strangers;
            self.discovery.found_at_strangers = count.saturating_add(1);
        }
    }
}
