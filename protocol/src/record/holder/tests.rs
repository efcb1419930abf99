use chacha20::ChaCha20Rng;
use rand_core::SeedableRng;

use super::*;
use crate::id::{HostId, QueueId};
use crate::identity::{AccountRoot, Chain, DeviceKeys, RecoveryPhrase};
use crate::limits::{MAX_RECORD, MAX_RECORD_AHEAD, RECORD_LIFE};
use crate::record::{AccountRecord, PublishedError, RecordDevice, account_key, bundle_key};
use crate::session::{Bundle, BundleParts, Prekeys};
use crate::time::Millis;

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

struct Person {
    device: DeviceKeys,
    chain: Chain,
    prekeys: Prekeys,
}

impl Person {
    fn new(seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let root = AccountRoot::from_phrase(&RecoveryPhrase::random(&mut rng));
        let device = DeviceKeys::random(&mut rng);
        let chain = Chain::genesis(&root, &device, NOW);
        Self { device, chain, prekeys: Prekeys::random(NOW, &mut rng) }
    }

    fn record(&self, net: &str, at: UnixMillis) -> AccountRecord {
        let devices = [RecordDevice { device: self.device.id(), k: 1, hosts: vec![] }];
        AccountRecord::sign(self.device.signer(), net, &self.chain, at, (&[], &devices))
    }

    fn bundle(&self, net: &str) -> Bundle {
        let parts = BundleParts {
            net,
            ik: self.device.identity().public(),
            contact_queues: &[(HostId([1; 32]), QueueId([2; 32]))],
            era: [0; 16],
            published: NOW,
            seq: NOW.0 / 1_000,
        };
        Bundle::sign(self.device.signer(), &self.prekeys, &parts).unwrap()
    }

    fn account(&self) -> RecordKey {
        account_key(&self.chain.account())
    }
}

fn read(key: &RecordKey, bytes: &[u8]) -> Result<Published, PublishedError> {
    Published::from_bytes(key, bytes, "main", NOW)
}

fn later(length: Millis) -> UnixMillis {
    NOW.saturating_add(length)
}

#[test]
fn records_and_bundles_are_held_under_their_own_keys() {
    let (alice, mut holder) = (Person::new(1), Holder::new([0; 32]));
    let (record, bundle) = (alice.record("main", NOW).to_bytes(), alice.bundle("main").to_bytes());
    let (account, device) = (alice.account(), bundle_key(&alice.device.id()));

    holder.take(&read(&account, &record).unwrap(), NOW).unwrap();
    holder.take(&read(&device, &bundle).unwrap(), NOW).unwrap();

    assert_eq!(holder.get(&account, NOW), Some(&record[..]));
    assert_eq!(holder.get(&device, NOW), Some(&bundle[..]));
    assert_eq!(holder.len(), 2);
}

#[test]
fn forged_foreign_cut_oversized_and_misplaced_records_are_none() {
    let (alice, mallory) = (Person::new(1), Person::new(2));
    let (account, good) = (alice.account(), alice.record("main", NOW).to_bytes());
    let key = bundle_key(&alice.device.id());
    // Her chain, his signature: as a device that was never hers, or is no more.
    let forged =
        AccountRecord::sign(mallory.device.signer(), "main", &alice.chain, NOW, (&[], &[]));

    assert_eq!(read(&account, &forged.to_bytes()), Err(PublishedError::Malformed));
    assert_eq!(read(&account, &mallory.record("main", NOW).to_bytes()), Err(PublishedError::Key));
    assert_eq!(read(&key, &mallory.bundle("main").to_bytes()), Err(PublishedError::Key));
    assert_eq!(read(&key, &good), Err(PublishedError::Key));
    let foreign = alice.record("alps", NOW).to_bytes();
    assert_eq!(read(&account, &foreign), Err(PublishedError::OtherNetwork));
    assert_eq!(read(&key, &alice.bundle("alps").to_bytes()), Err(PublishedError::Malformed));
    assert_eq!(read(&account, &[0; MAX_RECORD + 1]), Err(PublishedError::TooLarge));
    for length in 0..good.len() {
        assert_eq!(read(&account, &good[..length]), Err(PublishedError::Malformed), "{length}");
    }
    for bit in 0..good.len() * 8 {
        let mut changed = good.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(read(&account, &changed).is_err(), "bit {bit}");
    }
}

#[test]
fn what_is_over_or_ahead_is_none() {
    let alice = Person::new(1);
    let at = |at| read(&alice.account(), &alice.record("main", at).to_bytes()).map(drop);

    assert_eq!(at(NOW), Ok(()));
    assert_eq!(at(later(MAX_RECORD_AHEAD.saturating_mul(2))), Err(PublishedError::Time));
    assert_eq!(at(NOW.saturating_sub(RECORD_LIFE)), Err(PublishedError::Time));
    let bundle = alice.bundle("main").to_bytes();
    let key = bundle_key(&alice.device.id());
    let end = later(Millis::from_days(10));
    assert_eq!(Published::from_bytes(&key, &bundle, "main", end), Err(PublishedError::Time));
}

#[test]
fn a_stale_record_is_refused_and_the_same_one_refreshes() {
    let (alice, mut holder) = (Person::new(1), Holder::new([0; 32]));
    let key = alice.account();
    let old = read(&key, &alice.record("main", NOW.saturating_sub(Millis(9_000))).to_bytes());
    let (old, new) = (old.unwrap(), read(&key, &alice.record("main", NOW).to_bytes()).unwrap());
    holder.take(&new, NOW).unwrap();

    assert_eq!(holder.take(&old, NOW), Err(HoldError::Stale));
    assert_eq!(holder.get(&key, NOW), Some(&new.to_bytes()[..]));
    let half = Millis::from_hours(12);
    holder.take(&new, later(half)).unwrap();

    assert!(holder.get(&key, later(RECORD_HELD)).is_some(), "it was put again");
    assert!(holder.get(&key, later(RECORD_HELD.saturating_add(half))).is_none());
    holder.sweep(later(RECORD_HELD.saturating_add(half)));
    assert!(holder.is_empty());
}

#[test]
fn of_two_chains_of_one_account_the_same_one_counts_for_everybody() {
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    let root = AccountRoot::from_phrase(&RecoveryPhrase::random(&mut rng));
    let of = |seed: u8| {
        let device = DeviceKeys::random(&mut ChaCha20Rng::from_seed([seed; 32]));
        let chain = Chain::genesis(&root, &device, NOW);
        let record = AccountRecord::sign(device.signer(), "main", &chain, NOW, (&[], &[]));
        read(&account_key(&chain.account()), &record.to_bytes()).unwrap()
    };
    let (one, other) = (of(1), of(2));
    let first_of = |first: &Published, second: &Published| {
        let mut holder = Holder::new([0; 32]);
        holder.take(first, NOW).unwrap();
        let _ = holder.take(second, NOW);
        holder.get(&first.key(), NOW).unwrap().to_vec()
    };

    assert_eq!(first_of(&one, &other), first_of(&other, &one));
}

#[test]
fn a_thousand_far_records_do_not_push_out_a_near_one() {
    // Holders that stand at the record's own place, and at the place farthest from it.
    let alice = Person::new(1);
    let record = read(&alice.account(), &alice.record("main", NOW).to_bytes()).unwrap();
    let near = hash(&[alice.account().as_bytes()]);
    let mut holder = Holder::new(near);
    for number in 0..u64::try_from(MAX_HELD_RECORDS).unwrap() {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&number.to_le_bytes());
        let held = Held { rank: record.rank(), until: later(RECORD_HELD), value: vec![1] };
        holder.held.insert(RecordKey(key), held);
    }
    assert_eq!(holder.len(), MAX_HELD_RECORDS);

    holder.take(&record, NOW).unwrap();

    assert_eq!(holder.len(), MAX_HELD_RECORDS);
    assert!(holder.get(&record.key(), NOW).is_some());
    let mut far = Holder { here: near.map(|byte| !byte), held: holder.held };
    far.held.remove(&record.key());
    far.held.insert(
        RecordKey([9; 32]),
        Held { rank: record.rank(), until: later(RECORD_HELD), value: vec![1] },
    );
    assert_eq!(far.take(&record, NOW), Err(HoldError::Full));
}
