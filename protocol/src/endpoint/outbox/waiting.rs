//! What a message says of its way while nobody has it: tried, in vain, on its way again.
//!
//! Rule: the first dial that finds nobody is written into each message that waits for it, later ones
//! are not: an hour without a network writes nothing more.
//! Source: CLI, "why"; issue "Reach", point 5.

use super::note_step;
use crate::endpoint::machine::{Cx, Endpoint};
use crate::endpoint::{Change, MessageState, Reason, StepKind};
use crate::id::{DeviceId, HostId};
use crate::machine::StreamKind;
use crate::rows::RowsError;
use crate::rows::message::{MESSAGES, MessageKey, MessageRow};
use crate::rows::outbox::Carried;
use crate::rows::typed::{load, save};

/// Messages of one device that are told of one failed dial; the next one tells the next.
const MAX_TOLD: usize = 256;

/// Reasons that end when a message leaves.
const fn is_of_the_way(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Resolving | Reason::Dialling | Reason::NoMailbox | Reason::HostUnreachable
    )
}

impl Endpoint {
    /// Nobody answered at a peer: what waits for it says so.
    pub(in crate::endpoint) fn nobody_there(
        &mut self,
        cx: &mut Cx<'_>,
        (peer, kind): (HostId, StreamKind),
    ) -> Result<(), RowsError> {
        let waits = |lane: &super::Lane| !lane.waiting.is_empty();
        let lanes = self.lanes.iter().filter(|(_, lane)| waits(lane));
        let devices: Vec<DeviceId> = lanes.map(|(device, _)| *device).collect();
        for device in devices {
            let (_, hosts) = self.hosts_of(device);
            let (has_hosts, is_host) =
                (!hosts.is_empty(), hosts.iter().any(|host| host.host == peer));
            let reason = match kind {
                StreamKind::Mailbox if is_host => Reason::HostUnreachable,
                StreamKind::Direct if !has_hosts && self.is_at(device, peer) => Reason::NoMailbox,
                _ => continue,
            };
            let host = (kind == StreamKind::Mailbox).then_some(peer);
            for key in self.untold(device) {
                self.note_dialled(cx, key, (host, reason))?;
            }
            if self.lanes.get(&device).is_some_and(super::Lane::request_waits) {
                self.request_waits(cx, device, reason)?;
            }
        }
        Ok(())
    }

    fn is_at(&self, device: DeviceId, peer: HostId) -> bool {
        self.device_row(device).is_some_and(|(_, row)| row.peer == Some(peer))
    }

    /// Messages that wait and have not been told so.
    fn untold(&mut self, device: DeviceId) -> Vec<MessageKey> {
        let Some(lane) = self.lanes.get_mut(&device) else { return Vec::new() };
        let new = lane.waiting.iter().filter(|number| !lane.told.contains(number));
        let new: Vec<u64> = new.take(MAX_TOLD).copied().collect();
        lane.told.extend(&new);
        let carried = new.iter().filter_map(|number| Some(&lane.lines.get(number)?.carried));
        let messages = carried.filter_map(|carried| match carried {
            Carried::Message(key) => Some(*key),
            _ => None,
        });
        messages.collect()
    }

    fn note_dialled(
        &mut self,
        cx: &mut Cx<'_>,
        key: MessageKey,
        (host, reason): (Option<HostId>, Reason),
    ) -> Result<(), RowsError> {
        let row: Option<MessageRow> = load(cx.rows, &MESSAGES, &key.bytes())?;
        let Some(mut row) = row.filter(|row| row.state == MessageState::Queued) else {
            return Ok(());
        };
        if row.reason == Some(reason) || row.reason.is_some_and(|known| !is_of_the_way(known)) {
            return Ok(());
        }
        note_step(&mut row, (StepKind::Dialled, host, "unreachable"), cx.now.wall);
        row.reason = Some(reason);
        self.changed(Change::State(key.id, row.state, row.reason));
        save(cx.rows, &MESSAGES, &key.bytes(), &row)
    }

    /// A line leaves on a direct stream.
    pub(in crate::endpoint) fn left_direct(
        &mut self,
        cx: &mut Cx<'_>,
        (device, number): (DeviceId, u64),
    ) -> Result<(), RowsError> {
        let Some(lane) = self.lanes.get_mut(&device) else { return Ok(()) };
        lane.told.remove(&number);
        let carried = lane.lines.get(&number).map(|row| &row.carried);
        let Some(Carried::Message(key)) = carried else { return Ok(()) };
        let key = *key;
        let Some(mut row) = load::<MessageRow>(cx.rows, &MESSAGES, &key.bytes())? else {
            return Ok(());
        };
        note_step(&mut row, (StepKind::SentDirect, None, "ok"), cx.now.wall);
        if row.reason.is_some_and(is_of_the_way) {
            row.reason = None;
            self.changed(Change::State(key.id, row.state, None));
        }
        save(cx.rows, &MESSAGES, &key.bytes(), &row)
    }
}
