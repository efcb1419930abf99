//! The newest account record of each contact: what no older one takes the place of.

use serde_bytes::ByteBuf;

use crate::endpoint::machine::{Cx, Endpoint};
use crate::id::{AccountId, DeviceId, HostId};
use crate::machine::Address;
use crate::record::{AccountRecord, ManifestHost, host_at};
use crate::rows::RowsError;
use crate::rows::contact::{DIRECTORY, DirectoryRow, PlacedDevice};
use crate::rows::typed::{load_all, save};

impl Endpoint {
    pub(in crate::endpoint) fn open_directory(&mut self, cx: &mut Cx<'_>) -> Result<(), RowsError> {
        for (key, row) in load_all::<DirectoryRow>(cx.rows, &DIRECTORY, &[])? {
            if let Some(account) = AccountId::from_slice(&key) {
                self.directory.insert(account, row);
            }
        }
        Ok(())
    }

    /// Keeps by which peers a contact's link says that its network is entered.
    pub(in crate::endpoint) fn keep_entrance(
        &mut self,
        cx: &mut Cx<'_>,
        account: AccountId,
        peers: Vec<(HostId, Address)>,
    ) -> Result<(), RowsError> {
        if peers.is_empty() {
            return Ok(());
        }
        self.discovery.entered.remove(&account);
        self.discovery.enter_due = true;
        let row = self.directory.entry(account).or_default();
        row.enter = peers.into_iter().map(|(peer, address)| (peer, vec![address])).collect();
        save(cx.rows, &DIRECTORY, account.as_bytes(), row)
    }

    pub(in crate::endpoint) fn forget_directory(&mut self, cx: &mut Cx<'_>, account: AccountId) {
        self.directory.remove(&account);
        self.discovery.lookups.remove(&account);
        cx.rows.delete(&DIRECTORY, account.as_bytes());
    }

    /// An account record that was checked: if it is the newest, its hosts count from now on.
    pub(in crate::endpoint) fn record_came(
        &mut self,
        cx: &mut Cx<'_>,
        account: AccountId,
        record: &AccountRecord,
    ) -> Result<(), RowsError> {
        let row = self.directory.entry(account).or_default();
        let known = AccountRecord::from_bytes(&row.record, self.me.network.as_str()).ok();
        if known.is_some_and(|known| known.rank() >= record.rank()) {
            return Ok(());
        }
        let hosts = |places: &[u8]| {
            let hosts = places.iter().filter_map(|place| host_at(record, *place));
            hosts.map(|(host, addresses)| (host, addresses.to_vec())).collect()
        };
        row.record = ByteBuf::from(record.to_bytes());
        row.seq = record.seq();
        let devices = record.devices().iter();
        row.devices = devices
            .map(|it| PlacedDevice { device: it.device, k: it.k, hosts: hosts(&it.hosts) })
            .collect();
        save(cx.rows, &DIRECTORY, account.as_bytes(), row)?;
        let devices = self.devices_of(account);
        let Some(contact) = self.contacts.get_mut(&account) else { return Ok(()) };
        // What the account signed takes the place of what the link only said.
        if !record.hosts().is_empty() {
            let hosts = record.hosts().iter();
            contact.link_hosts = hosts.map(|it| (it.host, it.addresses.clone())).collect();
            self.save_contact(cx, account)?;
        }
        for device in devices {
            self.peer_manifests.remove(&device);
            self.to_pump.insert(device);
        }
        Ok(())
    }

    /// Where the newest record says that a device's mail is kept: when it was signed, k, the hosts.
    pub(in crate::endpoint) fn placed_by_record(
        &self,
        device: DeviceId,
    ) -> Option<(u64, u8, Vec<ManifestHost>)> {
        let row = self.directory.get(self.owners.get(&device)?)?;
        let placed = row.devices.iter().find(|placed| placed.device == device)?;
        let hosts = placed.hosts.iter().cloned();
        let hosts = hosts.map(|(host, addresses)| ManifestHost { host, addresses });
        Some((row.seq, placed.k, hosts.collect()))
    }
}
