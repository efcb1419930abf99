//! Kademlia on godwit's own protocol name: what this node holds for others, searches and puts.
//!
//! Nothing enters the store that was not checked ([`super::checks`]); libp2p's own caching,
//! replication and publication are off. Whoever is asked is told who asks, never for whom: the
//! publisher of a record is not kept. Source: PROTOCOL §3; NETWORK-NOTES §1.

use std::borrow::Cow;
use std::collections::HashMap;
use std::iter;
use std::num::NonZeroUsize;
use std::time::Duration;

use libp2p::kad::store::{RecordStore, Result as StoreResult};
use libp2p::kad::{
    Behaviour, BucketInserts, Caching, Config, Event, GetClosestPeersError, GetClosestPeersOk,
    GetRecordOk, InboundRequest, Mode, PeerRecord, ProviderRecord, QueryId, QueryResult, Quorum,
    Record, RecordKey as Key, StoreInserts,
};
use libp2p::{Multiaddr, PeerId, StreamProtocol};
use tokio::sync::oneshot;

use godwit_protocol::id::{HostId, RecordKey};
use godwit_protocol::limits::{MAX_FOUND_VALUES, MAX_RECORD};
use godwit_protocol::machine::NetworkInput;
use godwit_protocol::record::{Holder, Published};

use super::checks::{Checker, ToCheck};
use super::translate;
use crate::clock::wall;

/// How long a search or a put may take.
const QUERY_TIME: Duration = Duration::from_secs(60);
/// How long one peer may take to answer.
const ANSWER_TIME: Duration = Duration::from_secs(5);
/// Addresses of one node that a search brings.
const MAX_PLACES: usize = 8;
/// Peers that are asked at once.
const PARALLEL: NonZeroUsize = NonZeroUsize::MIN.saturating_add(5);

/// Kademlia over this node's holder.
pub(super) type Kad = Behaviour<Records>;

/// The records that this node gives to whoever asks.
pub(super) struct Records {
    pub(super) holder: Holder,
}

/// What came, and from whom.
type Values = Vec<(HostId, Vec<u8>)>;

/// Searches and puts that are under way.
#[derive(Default)]
pub(super) struct Queries {
    searches: HashMap<QueryId, (RecordKey, Values)>,
    puts: HashMap<QueryId, RecordKey>,
    places: HashMap<QueryId, (PeerId, oneshot::Sender<Vec<Multiaddr>>)>,
}

/// Kademlia for one network; a server answers others.
pub(super) fn behaviour(peer: PeerId, name: StreamProtocol, server: bool) -> Kad {
    let mut config = Config::new(name);
    config
        .set_query_timeout(QUERY_TIME)
        .set_substreams_timeout(ANSWER_TIME)
        .set_parallelism(PARALLEL)
        .set_record_filtering(StoreInserts::FilterBoth)
        .set_replication_interval(None)
        .set_publication_interval(None)
        .set_provider_publication_interval(None)
        .set_caching(Caching::Disabled)
        .set_kbucket_inserts(BucketInserts::Manual);
    let records = Records { holder: Holder::new(place(&peer)) };
    let mut kad = Behaviour::with_config(peer, records, config);
    kad.set_mode(Some(if server { Mode::Server } else { Mode::Client }));
    kad
}

/// Where a node stands among the keys.
fn place(peer: &PeerId) -> [u8; 32] {
    godwit_protocol::crypto::hash(&[&peer.to_bytes()])
}

impl Queries {
    /// Searches to the search's end.
    pub(super) fn find(&mut self, kad: &mut Kad, key: RecordKey) {
        let query = kad.get_record(Key::from(key.as_bytes().to_vec()));
        self.searches.insert(query, (key, Vec::new()));
    }

    /// Searches where a node of the DHT is: those nearest to it know.
    pub(super) fn locate(
        &mut self,
        kad: &mut Kad,
        peer: PeerId,
        answer: oneshot::Sender<Vec<Multiaddr>>,
    ) {
        // Else it is tried where it was, fails, and is not tried again in this search.
        kad.remove_peer(&peer);
        let query = kad.get_closest_peers(peer);
        self.places.insert(query, (peer, answer));
    }

    /// Gives a record to the nodes nearest to its key; this one keeps it too if it is a server.
    pub(super) fn put(
        &mut self,
        kad: &mut Kad,
        checker: &Checker,
        (key, value): (RecordKey, Vec<u8>),
    ) -> Option<NetworkInput> {
        if kad.mode() == Mode::Server {
            checker.check(ToCheck { key, value: value.clone() });
        }
        let record = Record::new(key.as_bytes().to_vec(), value);
        match kad.put_record(record, Quorum::One) {
            Ok(query) => {
                self.puts.insert(query, key);
                None
            }
            Err(_) => Some(NetworkInput::Stored { key, reached: false }),
        }
    }

    /// Takes an event; returns what is to be told.
    pub(super) fn event(
        &mut self,
        event: Event,
        checker: &Checker,
        (own, server): (HostId, bool),
    ) -> Option<NetworkInput> {
        match event {
            Event::InboundRequest {
                request: InboundRequest::PutRecord { record: Some(record), .. },
            } => {
                let key = RecordKey::from_slice(record.key.as_ref())?;
                if record.value.len() <= MAX_RECORD {
                    checker.check(ToCheck { key, value: record.value });
                }
                None
            }
            Event::OutboundQueryProgressed { id, result, step, .. } => {
                match result {
                    QueryResult::GetRecord(Ok(GetRecordOk::FoundRecord(found))) => {
                        self.found(id, found, own);
                    }
                    QueryResult::PutRecord(result) => {
                        let key = self.puts.remove(&id)?;
                        // What a server puts it holds itself.
                        let reached = server || result.is_ok();
                        return Some(NetworkInput::Stored { key, reached });
                    }
                    QueryResult::GetClosestPeers(result) if step.last => {
                        let (peer, answer) = self.places.remove(&id)?;
                        let near = match result {
                            Ok(GetClosestPeersOk { peers, .. })
                            | Err(GetClosestPeersError::Timeout { peers, .. }) => peers,
                        };
                        let it = near.into_iter().find(|near| near.peer_id == peer);
                        let mut addresses = it.map(|near| near.addrs).unwrap_or_default();
                        addresses.truncate(MAX_PLACES);
                        // Who asked may have given up.
                        let _ = answer.send(addresses);
                        return None;
                    }
                    _ => {}
                }
                let (key, values) = step.last.then(|| self.searches.remove(&id))??;
                Some(NetworkInput::Found { key, values })
            }
            _ => None,
        }
    }

    fn found(&mut self, id: QueryId, PeerRecord { peer, record }: PeerRecord, own: HostId) {
        let holder = peer.map_or(Some(own), |peer| translate::host_id(&peer));
        if let (Some((_, values)), Some(holder)) = (self.searches.get_mut(&id), holder)
            && values.len() < MAX_FOUND_VALUES
            && record.value.len() <= MAX_RECORD
        {
            values.push((holder, record.value));
        }
    }
}

impl Records {
    /// Keeps a record that was checked.
    pub(super) fn take(&mut self, record: &Published) {
        // An older one, or one that finds no room, is not kept: nobody is told why.
        let _ = self.holder.take(record, wall());
    }
}

impl RecordStore for Records {
    type RecordsIter<'a> = iter::Empty<Cow<'a, Record>>;
    type ProvidedIter<'a> = iter::Empty<Cow<'a, ProviderRecord>>;

    fn get(&self, key: &Key) -> Option<Cow<'_, Record>> {
        let known = RecordKey::from_slice(key.as_ref())?;
        let value = self.holder.get(&known, wall())?.to_vec();
        Some(Cow::Owned(Record { key: key.clone(), value, publisher: None, expires: None }))
    }

    /// Keeps nothing: what is kept comes by [`Records::take`].
    fn put(&mut self, _: Record) -> StoreResult<()> {
        Ok(())
    }

    fn remove(&mut self, _: &Key) {}

    fn records(&self) -> Self::RecordsIter<'_> {
        iter::empty()
    }

    fn add_provider(&mut self, _: ProviderRecord) -> StoreResult<()> {
        Ok(())
    }

    fn providers(&self, _: &Key) -> Vec<ProviderRecord> {
        Vec::new()
    }

    fn provided(&self) -> Self::ProvidedIter<'_> {
        iter::empty()
    }

    fn remove_provider(&mut self, _: &Key, _: &PeerId) {}
}

#[cfg(test)]
mod tests;
