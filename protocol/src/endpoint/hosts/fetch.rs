//! What an own host brings: opened like anything else, acknowledged once it is on disk.

use super::register::owner_key;
use crate::endpoint::links::{Asked, Link};
use crate::endpoint::machine::{Cx, Endpoint};
use crate::endpoint::receive::Taken;
use crate::envelope::Envelope;
use crate::id::OwnerKey;
use crate::limits::{MAX_ACK_IDS, RECEIPT_WAITS};
use crate::machine::LinkId;
use crate::rows::RowsError;
use crate::rows::host::{OWN_HOSTS, OwnHostRow};
use crate::rows::typed::save;
use crate::time::Millis;
use crate::wire::frame::{Item, Request};

/// How an envelope came; a receipt's delay hides from hosts when it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::endpoint) enum Arrival {
    /// On a direct stream.
    Direct(LinkId),
    /// Pushed by a host as it came.
    Pushed,
    /// Fetched from a host after an absence.
    Fetched,
}

impl Arrival {
    /// The longest delay of a receipt. On a direct stream it waits only for company: it tells when a
    /// message came in any case.
    pub(in crate::endpoint) const fn receipt_delay(self) -> Millis {
        match self {
            Self::Direct(_) => RECEIPT_WAITS,
            Self::Pushed => Millis::from_secs(3),
            Self::Fetched => Millis::from_secs(60),
        }
    }
}

impl Endpoint {
    /// One envelope of an own host.
    pub(in crate::endpoint) fn item(
        &mut self,
        cx: &mut Cx<'_>,
        link: LinkId,
        item: &Item,
    ) -> Result<(), RowsError> {
        if self.space_low {
            // It stays where it is, and is fetched again.
            return Ok(());
        }
        let Some(state) = self.links.get(&link) else { return Ok(()) };
        let Some(row) = self.hosts.get(&state.peer) else {
            self.close(cx, link);
            return Ok(());
        };
        let public = item.owner == owner_key(&row.public);
        let ours = public || item.owner == owner_key(&row.private);
        let Ok(envelope) = Envelope::from_bytes(&item.envelope) else { return Ok(()) };
        if !ours {
            self.close(cx, link);
            return Ok(());
        }
        let live = state.live.contains(&item.owner);
        self.arrival = if live { Arrival::Pushed } else { Arrival::Fetched };
        let contact_queue = row.contact_queue;
        let taken = match public {
            true if envelope.queue() == contact_queue => self.sealed(cx, &envelope)?,
            true => Taken::Foreign,
            false => self.in_queue_of_today(cx, &envelope)?,
        };
        if !public {
            Self::note_served(cx, &envelope)?;
        }
        match taken {
            Taken::Later => {}
            // What is noise or nobody's need not lie there any longer either.
            Taken::Done | Taken::Unknown | Taken::Foreign => {
                self.acks.entry((link, item.owner)).or_default().push(envelope.id());
            }
        }
        Ok(())
    }

    /// The disk has little room, or enough again: then what was left at the hosts is fetched anew.
    pub(in crate::endpoint) fn space(&mut self, cx: &mut Cx<'_>, low: bool) {
        let again = core::mem::replace(&mut self.space_low, low) && !low;
        let fetching = |link: &Link| !link.fetching.is_empty();
        let links = self.links.iter().filter(|(_, link)| again && fetching(link));
        for link in links.map(|(id, _)| *id).collect::<Vec<LinkId>>() {
            self.close(cx, link);
        }
    }

    /// Lets the hosts delete what this batch recorded.
    pub(in crate::endpoint) fn acknowledge(&mut self, cx: &mut Cx<'_>) -> Result<(), RowsError> {
        for ((link, owner), ids) in core::mem::take(&mut self.acks) {
            let Some(host) = self.links.get(&link).map(|state| state.peer) else { continue };
            let private = |row: &&OwnHostRow| owner_key(&row.private) == owner;
            if let Some(row) = self.hosts.get_mut(&host) {
                let count = u64::try_from(ids.len()).unwrap_or(u64::MAX);
                row.acked = row.acked.saturating_add(count);
                row.last_seen = Some(cx.now.wall);
                save(cx.rows, &OWN_HOSTS, host.as_bytes(), row)?;
            }
            let row = self.hosts.get(&host).filter(private).cloned();
            for page in ids.chunks(MAX_ACK_IDS) {
                let fence = row.as_ref().map(|row| self.fence_record(host, row));
                let ack = Request::Ack { owner, ids: page.to_vec(), fence };
                self.ask(cx, link, Asked::Nothing, ack, true);
            }
        }
        Ok(())
    }

    /// Everything that was there is here; what follows comes as it is deposited.
    pub(in crate::endpoint) fn fetched(
        &mut self,
        cx: &mut Cx<'_>,
        link: LinkId,
        owner: OwnerKey,
    ) -> Result<(), RowsError> {
        let Some(state) = self.links.get_mut(&link) else { return Ok(()) };
        let host = state.peer;
        let Some(row) = self.hosts.get(&host) else { return Ok(()) };
        let is_public = owner == owner_key(&row.public);
        let ours = is_public || owner == owner_key(&row.private);
        if !ours || !state.live.insert(owner) || !is_public {
            return Ok(());
        }
        self.register_invites(cx, link, host)
    }
}
