use chacha20::ChaCha20Rng;
use rand_core::{CryptoRng, SeedableRng};

use super::*;
use crate::crypto::{DhPublic, DhSecret, Signer};
use crate::id::{AccountId, DeviceId, HostId, QueueId, SessionId};
use crate::time::UnixMillis;
use crate::wire::codec;

mod bundle;
mod handshake;
mod pair;
mod ratchet;
mod script;
mod world;

pub(crate) const NET: &str = "main";
pub(crate) const NOW: UnixMillis = UnixMillis(1_790_000_000_000);
/// A message that fills the smallest bucket.
pub(crate) const LENGTH: usize = 2_048;

pub(crate) fn rng(seed: u8) -> ChaCha20Rng {
    ChaCha20Rng::from_seed([seed; 32])
}

/// A device with everything that it keeps secret.
pub(crate) struct Device {
    pub(crate) account: AccountId,
    pub(crate) dk: Signer,
    pub(crate) ik: DhSecret,
    pub(crate) prekeys: Vec<Prekeys>,
}

impl Device {
    pub(crate) fn new(rng: &mut dyn CryptoRng) -> Self {
        let mut account = [0; 32];
        rng.fill_bytes(&mut account);
        Self {
            account: AccountId(account),
            dk: Signer::random(rng),
            ik: DhSecret::random(rng),
            prekeys: vec![Prekeys::random(NOW, rng)],
        }
    }

    pub(crate) fn id(&self) -> DeviceId {
        device_id(&self.dk.verify_key(), &self.ik.public())
    }

    pub(crate) fn local(&self) -> LocalParty<'_> {
        LocalParty { account: self.account, device: self.id(), ik: &self.ik }
    }

    pub(crate) fn bundle(&self) -> Bundle {
        let queues = [(HostId([1; 32]), QueueId([2; 32]))];
        Bundle::sign(&self.dk, self.prekeys.last().unwrap(), &parts(&self.ik, &queues)).unwrap()
    }
}

pub(crate) fn parts<'a>(ik: &DhSecret, queues: &'a [(HostId, QueueId)]) -> BundleParts<'a> {
    BundleParts {
        net: NET,
        ik: ik.public(),
        contact_queues: queues,
        era: [3; 16],
        published: NOW,
        seq: NOW.0 / 1_000,
    }
}

pub(crate) fn purpose(generation: u32) -> Purpose {
    Purpose { generation, cause: Cause::FirstContact, via: Via::Contact }
}

/// Alice's and Bob's ends of one session, which Alice began.
pub(crate) fn pair_of_sessions(seed: u8) -> (Session, Session) {
    let mut rng = rng(seed);
    let (alice, bob) = (Device::new(&mut rng), Device::new(&mut rng));
    let begun = initiate(&alice.local(), bob.account, &bob.bundle(), NET, purpose(0), &mut rng);
    let begun = begun.unwrap();
    let answered = respond(&bob.local(), &begun.handshake, &bob.prekeys, NET).unwrap();
    (begun.session, answered.session)
}

/// Opens a message that needs no stored keys.
pub(crate) fn open_plain(session: &Session, bytes: &[u8]) -> Result<Opened, OpenError> {
    let position = session.locate(&[], bytes).ok_or(OpenError::NoHeader)?;
    session.open(&position, SkippedKeys::default(), bytes, NOW)
}

pub(crate) fn encoded(session: &Session) -> Vec<u8> {
    codec::encode(session, codec::MAX_VALUE).unwrap()
}

#[test]
fn no_secret_shows_in_debug() {
    let mut rng = rng(1);
    let (alice, bob) = (Device::new(&mut rng), Device::new(&mut rng));
    let begun = initiate(&alice.local(), bob.account, &bob.bundle(), NET, purpose(0), &mut rng);
    let begun = begun.unwrap();
    let (_, message) = begun.session.encrypt(b"secret", LENGTH, &mut rng).unwrap();
    let answered = respond(&bob.local(), &begun.handshake, &bob.prekeys, NET).unwrap();
    let opened = open_plain(&answered.session, &message).unwrap();
    let key = crate::crypto::Secret::new([1; 32]);
    let first = SkippedAt { kind: KeyKind::Ec, chain: 0, n: 0 };

    let shown = [
        format!("{:?}", bob.prekeys),
        format!("{:?}", begun.queue_roots),
        format!("{:?}", begun.queue_roots.sending),
        format!("{:?}", begun.session),
        format!("{begun:?}"),
        format!("{opened:?}"),
        format!("{:?}", SkippedKeys { ec: Some(key.clone()), pq: None }),
        format!("{:?}", OldHeaderKey { chain: 1, key: key.clone() }),
        format!("{:?}", SkippedRun { first, keys: vec![key] }),
    ];

    insta::assert_snapshot!(shown.join(" "), @"[Prekeys] QueueRoots QueueRoot Session Started Opened SkippedKeys OldHeaderKey SkippedRun");
}

#[test]
fn queue_ids_tokens_and_marks_agree_at_both_ends() {
    let mut rng = rng(2);
    let (alice, bob) = (Device::new(&mut rng), Device::new(&mut rng));
    let begun = initiate(&alice.local(), bob.account, &bob.bundle(), NET, purpose(0), &mut rng);
    let begun = begun.unwrap();
    let answered = respond(&bob.local(), &begun.handshake, &bob.prekeys, NET).unwrap();
    let (ours, theirs) = (&begun.queue_roots.sending, &answered.queue_roots.receiving);
    let (host, queue) = (HostId([4; 32]), ours.queue_id(3));

    assert!(ours == theirs && begun.queue_roots.receiving == answered.queue_roots.sending);
    assert_ne!(queue, ours.queue_id(4));
    assert_ne!(queue, begun.queue_roots.receiving.queue_id(3));
    assert_eq!(ours.token(3, NET, &host), theirs.token(3, NET, &host));
    assert_ne!(ours.token(3, NET, &host), theirs.token(3, "other", &host));
    let hours = NOW.hours();
    assert_eq!(ours.made(1, &queue, hours, &[5; 32]), theirs.made(1, &queue, hours, &[5; 32]));
    assert_ne!(ours.made(1, &queue, hours, &[5; 32]), theirs.made(2, &queue, hours, &[5; 32]));
}

#[test]
fn an_all_zero_ratchet_key_aborts() {
    let mut rng = rng(3);
    let secret = crate::crypto::Secret::new([1; 32]);
    let own = DhSecret::random(&mut rng);

    let made =
        ec::EcRatchet::initiator(secret.clone(), secret.clone(), secret, DhPublic([0; 32]), own);

    assert!(made.is_err());
}
