//! What own hosts say they had no room for: its sender tries again by itself, its owner should know.

use std::collections::BTreeMap;

use super::register::owner_key;
use crate::endpoint::Change;
use crate::endpoint::machine::{Cx, Endpoint};
use crate::id::{AccountId, HostId, OwnerKey, QueueId};
use crate::machine::LinkId;
use crate::time::{Millis, UnixMillis};

/// How long it is shown.
const SHOWN: Millis = Millis::from_days(1);

/// Whose mail was refused where, and when that was said; `None` for strangers. Of known queues alone,
/// so no more than contacts and hosts.
#[derive(Debug, Default)]
pub(in crate::endpoint) struct FullQueues(BTreeMap<(HostId, Option<AccountId>), UnixMillis>);

impl FullQueues {
    /// What is known of a host.
    fn of(&self, host: HostId, now: UnixMillis) -> Vec<(Option<AccountId>, UnixMillis)> {
        let all = self.0.range((host, None)..).take_while(|((at, _), _)| *at == host);
        let lately = all.filter(|(_, at)| now.since(**at) < SHOWN);
        lately.map(|((_, account), at)| (*account, *at)).collect()
    }

    /// Whether something is shown of any host.
    pub(in crate::endpoint) fn is_any(&self, now: UnixMillis) -> bool {
        self.0.values().any(|at| now.since(*at) < SHOWN)
    }
}

impl Endpoint {
    /// What is shown of a host: nothing of whoever is no contact any more.
    pub(super) fn full_at(
        &self,
        host: HostId,
        now: UnixMillis,
    ) -> Vec<(Option<AccountId>, UnixMillis)> {
        let mut full = self.full.of(host, now);
        full.retain(|(account, _)| account.is_none_or(|it| self.contacts.contains_key(&it)));
        full
    }

    /// An own host had no room in a queue of ours.
    pub(in crate::endpoint) fn hear_full(
        &mut self,
        cx: &Cx<'_>,
        link: LinkId,
        owner: OwnerKey,
        queue: QueueId,
    ) {
        let Some(host) = self.links.get(&link).map(|state| state.peer) else { return };
        let Some(row) = self.hosts.get(&host) else { return };
        let account = if owner == owner_key(&row.public) && queue == row.contact_queue {
            None
        } else if owner == owner_key(&row.private) {
            let device = self.queues.device(&queue);
            let Some(account) = device.and_then(|it| self.owners.get(&it)) else { return };
            Some(*account)
        } else {
            return;
        };
        let was_shown = self.full.is_any(cx.now.wall);
        self.full.0.retain(|_, at| cx.now.wall.since(*at) < SHOWN);
        self.full.0.insert((host, account), cx.now.wall);
        if !was_shown {
            self.changed(Change::Warning("mailbox_full".to_owned()));
        }
    }
}
