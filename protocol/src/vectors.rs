//! The vectors of `spec/vectors/wire.json`: what Bob has, what comes to him, and what he must find.
//!
//! They stand for every byte of the handshake, the ratchets' first messages, the seal, the queue, the
//! envelope and a deposit's receipt. Wire formats are frozen: a change here is a new version.
//! A test that fails prints the whole file as it would be.

mod frames;

use data_encoding::HEXLOWER;

use crate::content::{Content, Control, Evidence, Kind, Text};
use crate::conversation::Mode;
use crate::crypto::{Signer, hash};
use crate::envelope::{Bucket, Envelope, revoke_hash, seal, unseal};
use crate::id::{Birth, ConversationId, EnvelopeId, HostId, MessageId};
use crate::identity::{AccountRoot, Chain, DeviceKeys, LinkHead, RecoveryPhrase};
use crate::machine::Address;
use crate::mailbox::{
    DepositProof, Tree, check_receipt, host_proof, leaf, sign_receipt, token_hash,
};
use crate::record::{AccountRecord, ManifestHost, RecordDevice, account_key, bundle_key};
use crate::session::tests::{Device, LENGTH, NET, NOW, open_plain, purpose, rng};
use crate::session::{initiate, respond};
use crate::time::UnixHours;

/// A file of vectors: in each part names and bytes in hexadecimal, in this order.
#[derive(Default)]
pub(crate) struct Vectors(Vec<(String, Vec<(String, String)>)>);

impl Vectors {
    /// Begins a part.
    pub(crate) fn part(&mut self, what: &str) {
        self.0.push((what.to_owned(), Vec::new()));
    }

    pub(crate) fn put(&mut self, name: &str, bytes: &[u8]) {
        self.text(name, &HEXLOWER.encode(bytes));
    }

    pub(crate) fn text(&mut self, name: &str, value: &str) {
        self.0.last_mut().unwrap().1.push((name.to_owned(), value.to_owned()));
    }

    /// Fails if they are not those of a file, and shows what it would be.
    #[track_caller]
    pub(crate) fn are(&self, file: &str) {
        let json = self.to_json();
        assert!(json == file, "the wire has changed, and it is frozen:\n{json}");
    }

    /// Names and values need no escapes: words, digits, hexadecimal.
    fn to_json(&self) -> String {
        let parts = self.0.iter().map(|(what, values)| {
            let values = values.iter().map(|(name, value)| format!("    \"{name}\": \"{value}\""));
            format!("  \"{what}\": {{\n{}\n  }}", values.collect::<Vec<_>>().join(",\n"))
        });
        format!("{{\n{}\n}}\n", parts.collect::<Vec<_>>().join(",\n"))
    }
}

/// One of the vectors of `wire.json`.
pub(crate) fn vector(name: &str) -> Vec<u8> {
    let file = include_str!("../spec/vectors/wire.json");
    let (_, rest) = file.split_once(&format!("\"{name}\": \"")).unwrap();
    let (hex, _) = rest.split_once('"').unwrap();
    HEXLOWER.decode(hex.as_bytes()).unwrap()
}

fn identity(vectors: &mut Vectors) {
    let mut rng = rng(1);
    let phrase = RecoveryPhrase::random(&mut rng);
    let root = AccountRoot::from_phrase(&phrase);
    let keys = DeviceKeys::random(&mut rng);
    vectors.part("identity.md: 24 words, their account, a device's keys, the genesis entry");
    vectors.text("words", &phrase.words());
    vectors.put("account", root.account().as_bytes());
    vectors.put("device.dk.seed", keys.signer().expose());
    vectors.put("device.ik.secret", keys.identity().expose());
    vectors.put("device", keys.id().as_bytes());
    vectors.put("genesis", &Chain::genesis(&root, &keys, NOW).to_bytes());
}

fn head(byte: u8) -> LinkHead {
    LinkHead { seq: 0, hash: [byte; 16] }
}

fn session(vectors: &mut Vectors) {
    let mut rng = rng(2);
    let (alice, bob) = (Device::new(&mut rng), Device::new(&mut rng));
    let prekeys = bob.prekeys.last().unwrap();
    let bundle = bob.bundle();
    vectors.part("session.md: Bob's secrets and his bundle");
    vectors.put("bob.account", bob.account.as_bytes());
    vectors.put("bob.dk.seed", bob.dk.expose());
    vectors.put("bob.ik.secret", bob.ik.expose());
    vectors.put("bob.spk.secret", prekeys.signed().expose());
    vectors.put("bob.pqpk.seed", prekeys.quantum().expose());
    vectors.put("bob.seal.seed", prekeys.seal().expose());
    vectors.put("bob.device", bob.id().as_bytes());
    vectors.put("bob.bundle", &bundle.to_bytes());
    vectors.put("alice.account", alice.account.as_bytes());
    vectors.put("alice.device", alice.id().as_bytes());

    let begun = initiate(&alice.local(), bob.account, &bundle, NET, purpose(0), &mut rng).unwrap();
    let content = Content {
        kind: Kind::TEXT,
        message: MessageId([7; 16]),
        conversation: ConversationId([8; 32]),
        mode: Mode::Sealed,
        sent_at: NOW,
        parents: vec![MessageId([6; 16])],
        heads: [head(1), head(2)],
        body: Text::new("hello".to_owned()).unwrap().to_bytes(),
    };
    let content = content.to_bytes().unwrap();
    let (next, first) = begun.session.encrypt(&content, LENGTH, &mut rng).unwrap();
    let (_, second) = next.encrypt(&content, LENGTH, &mut rng).unwrap();
    let sealed = seal((&bundle).into(), &begun.handshake, &first, &mut rng).unwrap();
    let (handshake, message) = unseal(prekeys.seal(), bob.id(), &sealed).unwrap();
    let answered = respond(&bob.local(), &handshake, &bob.prekeys, NET).unwrap();
    let opened = open_plain(&answered.session, &message).unwrap();
    assert_eq!(opened.content, content);
    assert_eq!(open_plain(&opened.session, &second).unwrap().content, content);
    vectors.part("session.md, content.md, envelope.md: what Alice sends, and what Bob finds in it");
    vectors.put("content", &content);
    vectors.put("handshake", &handshake.to_bytes());
    vectors.put("session_id", answered.session.id().as_bytes());
    vectors.put("message.0", &first);
    vectors.put("message.1", &second);
    vectors.put("sealed", &sealed);

    let root = &answered.queue_roots.receiving;
    let (queue, expires, host) = (root.queue_id(0), UnixHours(500_000), HostId([9; 32]));
    let made = root.made(0, &queue, expires, &hash(&[&second]));
    let revoke = revoke_hash(&[5; 16]);
    let envelope = Envelope::new(queue, made, expires, revoke, second).unwrap();
    assert_eq!(Some(Bucket::for_content(content.len()).unwrap().bytes()), Some(LENGTH));
    vectors.part("session.md, mailbox.md: Bob's queue of that session at a host of bytes 9");
    vectors.put("queue.0", queue.as_bytes());
    vectors.put("token", &root.token(0, NET, &host));
    vectors.put("token.hash", &token_hash(&root.token(0, NET, &host)));
    vectors.put("envelope", &envelope.to_bytes());
    vectors.put("envelope.id", envelope.id().as_bytes());
}

fn mailbox(vectors: &mut Vectors) {
    let host = Signer::from_seed([4; 32]);
    let queue = crate::id::QueueId([2; 32]);
    let leaves: Vec<_> =
        (0..3_u8).map(|it| leaf(&queue, &[it; 32], UnixHours(500_000), u64::from(it))).collect();
    let tree = Tree::new(leaves.clone()).unwrap();
    let what = (HostId(host.verify_key().0), UnixHours(499_000), Birth([3; 16]));
    let signed = sign_receipt(&host, NET, what, tree.root());
    check_receipt(NET, &signed, leaves[1], &tree.path(1)).unwrap();
    vectors.part("mailbox.md: three envelopes in one receipt of the host with that seed");
    vectors.put("host.seed", host.expose());
    vectors.put("leaf.1", &leaves[1]);
    vectors.put("root", &tree.root());
    vectors.put("receipt.signature", &signed.signature.0);
    let (path, envelope, until) = (tree.path(1), [1; 32], UnixHours(500_000));
    let proof = DepositProof { receipt: signed, path, queue, envelope, until, seq: 1 };
    proof.check(NET).unwrap();
    vectors.put("proof.1", &proof.to_bytes());
    let (message, id) = (MessageId([7; 16]), EnvelopeId([8; 16]));
    let evidence = Evidence { message, id, expires: UnixHours(500_001), proof };
    vectors.put("not_served", &Control::NotServed(evidence).to_bytes());
    vectors.put("invite.host_proof", &host_proof(&[1; 16], &HostId([9; 32])));
}

#[test]
fn the_vectors_are_those_of_the_specification() {
    let mut vectors = Vectors::default();
    identity(&mut vectors);
    session(&mut vectors);
    mailbox(&mut vectors);

    vectors.are(include_str!("../spec/vectors/wire.json"));
}

#[test]
fn the_records_are_those_of_the_specification() {
    let mut vectors = Vectors::default();
    vectors.part("records.md: an account record, and where it and the bundle of its device stand");
    let mut rng = rng(3);
    let root = AccountRoot::from_phrase(&RecoveryPhrase::random(&mut rng));
    let keys = DeviceKeys::random(&mut rng);
    let chain = Chain::genesis(&root, &keys, NOW);
    let address = Address::new("/ip4/203.0.113.7/tcp/7447").unwrap();
    let hosts = [ManifestHost { host: HostId([2; 32]), addresses: vec![address] }];
    let devices = [RecordDevice { device: keys.id(), k: 1, hosts: vec![0] }];
    let record = AccountRecord::sign(keys.signer(), NET, &chain, NOW, (&hosts, &devices));
    vectors.put("record", &record.to_bytes());
    vectors.put("record.key", account_key(&root.account()).as_bytes());
    vectors.put("bundle.key", bundle_key(&keys.id()).as_bytes());

    vectors.are(include_str!("../spec/vectors/records.json"));
}
