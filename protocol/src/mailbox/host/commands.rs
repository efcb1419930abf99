//! What the operator of a host asks for.

use super::exchange::{HostCommand, HostEffect, HostReply, HostStatus, OwnerView};
use super::machine::{HostMachine, Hx};
use crate::machine::Output;
use crate::mailbox::HostToken;
use crate::rows::RowsError;
use crate::rows::mailbox::{OwnerRow, trees};
use crate::rows::typed::load_all;
use crate::wire::frame::OwnerRole;

impl HostMachine {
    pub(super) fn command(
        &mut self,
        hx: &mut Hx<'_>,
        request: u64,
        command: HostCommand,
    ) -> Result<(), RowsError> {
        let reply = match command {
            HostCommand::Invite { uses, life } => {
                let expires = hx.now.wall.saturating_add(life);
                let token = HostToken { uses, expires: expires.hours_up() };
                HostReply::Invite(self.tokens.make(token, hx.rng), expires)
            }
            HostCommand::Owners => HostReply::Owners(self.owners(hx)?),
            HostCommand::Remove { owner } => HostReply::Removed(self.end_owner(hx, owner)?),
            HostCommand::Status => HostReply::Status(self.status(hx)?),
        };
        hx.out.push(Output::After(HostEffect::Reply { request, reply }));
        Ok(())
    }

    fn owners(&mut self, hx: &mut Hx<'_>) -> Result<Vec<OwnerView>, RowsError> {
        // What changed in this batch is in memory only.
        self.ledger.flush(hx.rows)?;
        let mut views = Vec::new();
        for role in [OwnerRole::Private, OwnerRole::Public] {
            for (_, row) in load_all::<OwnerRow>(hx.rows, &trees(role).owners, &[])? {
                views.push(OwnerView {
                    owner: row.owner,
                    queues: row.queues,
                    envelopes: row.envelopes,
                    bytes: row.bytes,
                    last_seen: row.last_seen,
                });
            }
        }
        Ok(views)
    }

    fn status(&mut self, hx: &mut Hx<'_>) -> Result<HostStatus, RowsError> {
        let queues = self.owners(hx)?.iter().map(|view| u64::from(view.queues)).sum();
        Ok(HostStatus {
            admit: self.setup.admit,
            owners: self.counters.owners,
            queues,
            envelopes: self.counters.envelopes,
            bytes: self.counters.bytes,
            clock_doubted: self.clock.is_doubted(),
            space_low: self.space_low,
        })
    }
}
