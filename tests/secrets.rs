//! What prints itself shows no key, no token and no word of anybody.

use core::fmt::Debug;

use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng as _;
use godwit_protocol::content::{Content, Kind};
use godwit_protocol::conversation::Mode;
use godwit_protocol::crypto::{Secret, Signer};
use godwit_protocol::endpoint::{Command, HostState, OutgoingText};
use godwit_protocol::id::{ConversationId, HostId, MessageId, QueueId};
use godwit_protocol::identity::{AccountRoot, DeviceKeys, LinkHead, RecoveryPhrase};
use godwit_protocol::mailbox::TokenKey;
use godwit_protocol::rows::host::OwnHostRow;
use godwit_protocol::rows::session::SessionRow;
use godwit_protocol::session::{
    Bundle, BundleParts, Cause, LocalParty, Pair, Prekeys, Purpose, Via, initiate,
};
use godwit_protocol::time::UnixMillis;

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

/// No list of numbers, no long run of hexadecimal digits, none of these words.
#[track_caller]
fn shows_nothing(value: &impl Debug) {
    for shown in [format!("{value:?}"), format!("{value:#?}")] {
        let numbers = shown.split(|it: char| !it.is_ascii_digit()).filter(|it| !it.is_empty());
        let listed = shown.contains('[') && numbers.count() > 24;
        let longest = shown.split(|it: char| !it.is_ascii_hexdigit()).map(str::len).max();
        assert!(!listed && longest.unwrap_or(0) < 17, "{shown}");
        for word in ["plover", "abandon"] {
            assert!(!shown.contains(word), "{shown}");
        }
    }
}

#[test]
fn keys_and_what_holds_them_print_their_names_alone() {
    let mut rng = ChaCha20Rng::from_seed([5; 32]);
    let phrase = RecoveryPhrase::random(&mut rng);
    let root = AccountRoot::from_phrase(&phrase);
    let (alice, bob) = (DeviceKeys::random(&mut rng), DeviceKeys::random(&mut rng));
    let prekeys = Prekeys::random(NOW, &mut rng);
    let parts = BundleParts {
        net: "main",
        ik: bob.identity().public(),
        contact_queues: &[],
        era: [1; 16],
        published: NOW,
        seq: NOW.0 / 1_000,
    };
    let bundle = Bundle::sign(bob.signer(), &prekeys, &parts).unwrap();
    let local = LocalParty { account: root.account(), device: alice.id(), ik: alice.identity() };
    let purpose = Purpose { generation: 0, cause: Cause::FirstContact, via: Via::Contact };
    let started = initiate(&local, root.account(), &bundle, "main", purpose, &mut rng).unwrap();
    let mut pair = Pair::default();
    pair.add(&started, NOW);
    let row = SessionRow {
        session: started.session.clone(),
        handshake: Some(started.handshake.clone()),
        skipped_ec: 0,
        skipped_pq: 0,
        headers: 0,
        kem_sent: None,
    };
    let host = OwnHostRow {
        addresses: Vec::new(),
        token: Some([0x5A; 16]),
        public: Signer::random(&mut rng),
        private: Signer::random(&mut rng),
        contact_queue: QueueId([2; 32]),
        admitted: true,
        forgot_us: false,
        state: HostState::Ok,
        birth: None,
        seqs: [0; 2],
        acked: 0,
        last_seen: None,
        lost_state_at: None,
        losses: 0,
        left_at: None,
    };

    shows_nothing(&Secret::<32>::random(&mut rng));
    shows_nothing(&phrase);
    shows_nothing(&root);
    shows_nothing(&alice);
    shows_nothing(alice.identity());
    shows_nothing(alice.signer());
    shows_nothing(&prekeys);
    shows_nothing(prekeys.seal());
    shows_nothing(prekeys.quantum());
    shows_nothing(&bundle);
    shows_nothing(&started);
    shows_nothing(&pair);
    shows_nothing(&row);
    shows_nothing(&host);
    shows_nothing(&TokenKey::new(alice.signer()));
}

#[test]
fn what_people_write_does_not_print_itself() {
    let content = Content {
        kind: Kind::TEXT,
        message: MessageId([1; 16]),
        conversation: ConversationId([2; 32]),
        mode: Mode::Sealed,
        sent_at: NOW,
        parents: Vec::new(),
        heads: [LinkHead { seq: 0, hash: [0; 16] }; 2],
        body: b"the plover is here".to_vec(),
    };
    let text = OutgoingText { to: "bob".to_owned(), text: "plover".to_owned(), id: None };

    shows_nothing(&content);
    shows_nothing(&Command::Send(vec![text]));
    shows_nothing(&HostId([3; 32]));
}
