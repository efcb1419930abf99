//! The checks of what strangers put into this node's part of the DHT: signatures cost time, so that a
//! thread of its own makes them, never the task that owns the network.

use std::sync::mpsc::{SyncSender, sync_channel};

use godwit_protocol::id::RecordKey;
use godwit_protocol::identity::Network;
use godwit_protocol::record::Published;
use tokio::sync::mpsc;

use super::NetworkError;
use crate::clock::wall;

/// Records that wait for their check; what comes above is dropped, its owner puts it again.
const MAX_WAITING: usize = 256;

/// A record as it came.
pub(super) struct ToCheck {
    pub(super) key: RecordKey,
    pub(super) value: Vec<u8>,
}

/// The sending side; the thread ends with it.
pub(super) struct Checker {
    records: SyncSender<ToCheck>,
}

impl Checker {
    /// Starts the thread; what passes comes out of the receiver.
    pub(super) fn start(
        network: Network,
    ) -> Result<(Self, mpsc::Receiver<Published>), NetworkError> {
        let (records, waiting) = sync_channel::<ToCheck>(MAX_WAITING);
        let (good, checked) = mpsc::channel(MAX_WAITING);
        std::thread::Builder::new()
            .name("records".to_owned())
            .spawn(move || {
                for ToCheck { key, value } in waiting {
                    let read = Published::from_bytes(&key, &value, network.as_str(), wall());
                    if let Ok(record) = read
                        && good.blocking_send(record).is_err()
                    {
                        return;
                    }
                }
            })
            .map_err(|error| NetworkError::Io(error.to_string()))?;
        Ok((Self { records }, checked))
    }

    /// Lets a record be checked, if there is room.
    pub(super) fn check(&self, record: ToCheck) {
        let _ = self.records.try_send(record);
    }
}
