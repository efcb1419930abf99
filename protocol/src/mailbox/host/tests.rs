//! One host on rows in memory; a restart is a new machine over the same rows.

use chacha20::ChaCha20Rng;
use proptest::prelude::*;
use rand_core::SeedableRng;
use serde_bytes::ByteBuf;

use super::*;
use crate::crypto::{SignatureBytes, Signer, hash};
use crate::envelope::{Envelope, revoke_hash};
use crate::id::{EnvelopeId, HostId, OwnerKey, QueueId};
use crate::identity::Network;
use crate::limits::{MAX_CONTACT_ENVELOPES, MAX_FETCH_ITEMS, MAX_QUEUE_ENVELOPES, SWEEP_EVERY};
use crate::machine::{LinkId, NetworkInput, NetworkOutput, Opener, Output, StreamKind};
use crate::mailbox::{
    Stamped, check_erasure, check_receipt, host_proof, host_proof_hash, leaf, prove_owner,
    search_stamp, sign_fence, token_hash,
};
use crate::rows::mailbox::trees;
use crate::rows::memory::MemoryRows;
use crate::time::{Millis, Time, UnixHours, UnixMillis};
use crate::wire::frame::{
    Answer, FenceRecord, Frame, Hello, OpenKey, OwnerRole, QueueAccess, Refused, Registration,
    Request,
};

mod beyond;
mod flood;
mod full;

const START: u64 = 1_700_000_000_000;
const TOKEN: [u8; 32] = [5; 32];
const QUEUE: QueueId = QueueId([6; 32]);
const CONTACT: QueueId = QueueId([7; 32]);

struct Bench {
    machine: HostMachine,
    rows: MemoryRows,
    rng: ChaCha20Rng,
    at: u64,
    links: u64,
    hello: Option<Hello>,
    closed: bool,
    replies: Vec<HostReply>,
}

/// A difficulty for tests.
const STAMP_BITS: u8 = 8;

fn setup(admit: Admission) -> HostSetup {
    HostSetup {
        signer: Signer::from_seed([1; 32]),
        network: Network::default(),
        admit,
        owners: 8,
        bytes: 1 << 30,
        stamp_bits: STAMP_BITS,
    }
}

fn host() -> HostId {
    HostId(Signer::from_seed([1; 32]).verify_key().0)
}

fn owner(seed: u8) -> (Signer, OwnerKey) {
    let signer = Signer::from_seed([seed; 32]);
    let key = OwnerKey(signer.verify_key().0);
    (signer, key)
}

fn envelope(queue: QueueId, number: u64) -> Envelope {
    let mut bytes = vec![0; 2_048];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    let expires = UnixMillis(START).saturating_add(Millis::from_days(2)).hours_up();
    Envelope::new(queue, [0; 16], expires, revoke_hash(&[9; 16]), bytes).unwrap()
}

impl Bench {
    fn new(admit: Admission) -> Self {
        let (mut rows, mut rng) = (MemoryRows::default(), ChaCha20Rng::from_seed([3; 32]));
        let now = Time { wall: UnixMillis(START), since_start: Millis(0) };
        let machine = HostMachine::open(setup(admit), now, &mut rng, &mut rows).unwrap();
        let (hello, replies) = (None, Vec::new());
        Self { machine, rows, rng, at: 0, links: 0, hello, closed: false, replies }
    }

    fn restart(&mut self) {
        let now = Time { wall: UnixMillis(START + self.at), since_start: Millis(self.at) };
        let admit = self.machine.setup.admit;
        self.machine = HostMachine::open(setup(admit), now, &mut self.rng, &mut self.rows).unwrap();
    }

    /// One batch; what it sends, decoded.
    fn batch(&mut self, inputs: Vec<HostInput>) -> Vec<Frame> {
        self.at += 1;
        let now = Time { wall: UnixMillis(START + self.at), since_start: Millis(self.at) };
        let mut out = Vec::new();
        let (machine, rng, rows) = (&mut self.machine, &mut self.rng, &mut self.rows);
        for input in inputs {
            machine.handle(input, now, rng, rows, &mut out).unwrap();
        }
        machine.end_batch(now, rng, rows, &mut out).unwrap();
        let mut frames = Vec::new();
        for output in out {
            let (Output::Now(effect) | Output::After(effect)) = output;
            match effect {
                HostEffect::Network(NetworkOutput::Send { bytes, .. }) => {
                    frames.push(Frame::decode(&bytes).unwrap());
                }
                HostEffect::Network(NetworkOutput::Close { .. }) => self.closed = true,
                HostEffect::Reply { reply, .. } => self.replies.push(reply),
                _ => {}
            }
        }
        frames
    }

    fn link(&mut self) -> LinkId {
        self.links += 1;
        let link = LinkId(self.links);
        let (kind, opener) = (StreamKind::Mailbox, Opener::Them);
        let up = NetworkInput::LinkUp { link, peer: HostId([8; 32]), kind, opener, address: None };
        let frames = self.batch(vec![HostInput::Network(up)]);
        let [Frame::Hello(hello)] = frames.as_slice() else { panic!("{frames:?}") };
        self.hello = Some(hello.clone());
        link
    }

    fn frame(link: LinkId, request: Request) -> HostInput {
        let bytes = Frame::Request(1, request).encode().unwrap();
        HostInput::Network(NetworkInput::Frame { link, bytes })
    }

    fn ask_all(&mut self, link: LinkId, request: Request) -> Vec<Frame> {
        self.batch(vec![Self::frame(link, request)])
    }

    fn ask(&mut self, link: LinkId, request: Request) -> Answer {
        let frames = self.ask_all(link, request);
        let answer = frames.into_iter().find_map(|frame| match frame {
            Frame::Answer(1, answer) => Some(answer),
            _ => None,
        });
        answer.expect("an answer")
    }

    fn prove(&mut self, link: LinkId, seed: u8) -> OwnerKey {
        let (signer, owner) = owner(seed);
        let challenge = self.hello.as_ref().unwrap().challenge;
        let signature = prove_owner(&signer, "main", &host(), &challenge);
        assert_eq!(self.ask(link, Request::Prove { owner, signature }), Answer::Done);
        owner
    }

    /// An owner with one queue of its role, on a link of its own.
    fn owner(&mut self, seed: u8, role: OwnerRole) -> (LinkId, OwnerKey) {
        let link = self.link();
        let owner = self.prove(link, seed);
        let admit = Request::Admit { owner, role, token: None };
        assert_eq!(self.ask(link, admit), Answer::Done);
        let (queue, access) = match role {
            OwnerRole::Private => (QUEUE, QueueAccess::Token(token_hash(&TOKEN))),
            OwnerRole::Public => (CONTACT, QueueAccess::Stamp),
        };
        let queues = vec![Registration { queue, access, quota: 0 }];
        assert_eq!(self.ask(link, Request::Register { owner, queues }), Answer::Done);
        (link, owner)
    }

    fn sender(&mut self) -> LinkId {
        let link = self.link();
        let open = Request::Open { queue: QUEUE, key: OpenKey::Token(TOKEN) };
        assert!(matches!(self.ask(link, open), Answer::Opened { .. }));
        link
    }

    fn deposit(link: LinkId, envelope: &Envelope) -> HostInput {
        let envelope = ByteBuf::from(envelope.to_bytes());
        Self::frame(link, Request::Deposit { envelope, stamp: [0; 8] })
    }

    fn ack(&mut self, link: LinkId, owner: OwnerKey, ids: Vec<EnvelopeId>) -> Vec<Frame> {
        self.ask_all(link, Request::Ack { owner, ids, fence: None })
    }

    fn status(&mut self) -> HostStatus {
        let command = HostCommand::Status;
        self.batch(vec![HostInput::Command { request: 1, command }]);
        match self.replies.pop() {
            Some(HostReply::Status(status)) => status,
            other => panic!("{other:?}"),
        }
    }
}

fn items(frames: &[Frame]) -> Vec<Envelope> {
    let items = frames.iter().filter_map(|frame| match frame {
        Frame::Item(item) => Some(Envelope::from_bytes(&item.envelope).unwrap()),
        _ => None,
    });
    items.collect()
}

#[test]
fn all_deposits_of_a_commit_share_one_signature_and_each_has_its_own_path() {
    let mut bench = Bench::new(Admission::Open);
    bench.owner(2, OwnerRole::Private);
    let link = bench.sender();
    let envelopes: Vec<Envelope> = (0..5).map(|number| envelope(QUEUE, number)).collect();

    let frames = bench.batch(envelopes.iter().map(|it| Bench::deposit(link, it)).collect());

    let mut signatures = Vec::new();
    for (frame, envelope) in frames.iter().zip(&envelopes) {
        let Frame::Answer(_, Answer::Deposited { receipt, path, expires, seq }) = frame else {
            panic!("{frame:?}")
        };
        let leaf = leaf(&QUEUE, &hash(&[&envelope.to_bytes()]), *expires, *seq);
        assert_eq!(check_receipt("main", receipt, leaf, path), Ok(()));
        assert_eq!(receipt.host, host());
        signatures.push(receipt.signature.0);
    }
    assert_eq!(frames.len(), 5);
    assert!(signatures.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn mail_is_fetched_in_order_pushed_live_and_gone_once_acknowledged() {
    let mut bench = Bench::new(Admission::Open);
    let (link, owner) = bench.owner(2, OwnerRole::Private);
    let sender = bench.sender();
    let [one, two, three] = [1, 2, 3].map(|number| envelope(QUEUE, number));
    bench.batch(vec![Bench::deposit(sender, &one), Bench::deposit(sender, &two)]);

    let frames = bench.ask_all(link, Request::Fetch { owner, fence: None });
    assert!(matches!(frames[0], Frame::Answer(_, Answer::Fetching { seq: 2, .. })), "{frames:?}");
    assert_eq!(items(&frames), [one.clone(), two.clone()]);
    assert_eq!(frames.last(), Some(&Frame::End(owner)));
    let live = bench.batch(vec![Bench::deposit(sender, &three)]);
    assert_eq!(items(&live), std::slice::from_ref(&three));

    bench.ack(link, owner, vec![one.id(), three.id()]);
    bench.restart();
    let link = bench.link();
    bench.prove(link, 2);
    let frames = bench.ask_all(link, Request::Fetch { owner, fence: None });
    assert_eq!(items(&frames), [two]);
    let status = bench.status();
    assert_eq!((status.envelopes, status.bytes, status.queues), (1, 2_148, 1));
}

#[test]
fn a_fetch_keeps_to_its_window() {
    let mut bench = Bench::new(Admission::Open);
    let (link, owner) = bench.owner(2, OwnerRole::Private);
    let sender = bench.sender();
    let envelopes: Vec<Envelope> = (0..700).map(|number| envelope(QUEUE, number)).collect();
    bench.batch(envelopes.iter().map(|it| Bench::deposit(sender, it)).collect());

    let first = bench.ask_all(link, Request::Fetch { owner, fence: None });
    let first = items(&first);
    assert!(first.len() <= MAX_FETCH_ITEMS && first.len() < 700);
    let mut got = first.clone();
    let mut ids: Vec<EnvelopeId> = first.iter().map(Envelope::id).collect();
    while !ids.is_empty() {
        let more = bench.ack(link, owner, core::mem::take(&mut ids));
        ids = items(&more).iter().map(Envelope::id).collect();
        got.extend(items(&more));
    }
    assert_eq!(got, envelopes);
    assert_eq!(bench.status().envelopes, 0);
    assert_eq!(bench.rows.count(&trees(OwnerRole::Private).mail), 0);
    assert_eq!(bench.rows.count(&trees(OwnerRole::Private).ids), 0);
}

#[test]
fn the_same_envelope_while_held_gets_a_receipt_again_and_is_kept_once() {
    let mut bench = Bench::new(Admission::Open);
    let (link, owner) = bench.owner(2, OwnerRole::Private);
    let sender = bench.sender();
    let one = envelope(QUEUE, 1);
    for _ in 0..3 {
        let frames = bench.batch(vec![Bench::deposit(sender, &one)]);
        assert!(matches!(frames[0], Frame::Answer(_, Answer::Deposited { .. })));
    }
    assert_eq!(bench.status().envelopes, 1);
    bench.ack(link, owner, vec![one.id()]);
    assert_eq!(bench.status().envelopes, 0);
    bench.batch(vec![Bench::deposit(sender, &one)]);
    assert_eq!(bench.status().envelopes, 1);
}

#[test]
fn who_has_no_key_neither_deposits_nor_fetches() {
    let mut bench = Bench::new(Admission::Open);
    let (_, owner) = bench.owner(2, OwnerRole::Private);
    let link = bench.link();
    let bytes = ByteBuf::from(envelope(QUEUE, 1).to_bytes());
    let rejected = Answer::Refused(Refused::Rejected);
    let missing = Answer::Refused(Refused::NotFound);

    let deposit = Request::Deposit { envelope: bytes, stamp: [0; 8] };
    assert_eq!(bench.ask(link, deposit), rejected);
    let open = Request::Open { queue: QUEUE, key: OpenKey::Token([0; 32]) };
    assert_eq!(bench.ask(link, open), rejected);
    let open = Request::Open { queue: QueueId([0; 32]), key: OpenKey::Token(TOKEN) };
    assert_eq!(bench.ask(link, open), missing);
    assert_eq!(bench.ask(link, Request::Fetch { owner, fence: None }), rejected);
    let queues = vec![QUEUE];
    assert_eq!(bench.ask(link, Request::Drop { owner, queues }), rejected);
    bench.prove(link, 4);
    let (_, stranger) = self::owner(4);
    assert_eq!(bench.ask(link, Request::Fetch { owner: stranger, fence: None }), missing);
    let bad = Request::Prove { owner, signature: SignatureBytes([0; 64]) };
    bench.ask_all(link, bad);
    assert!(bench.closed);
}

#[test]
fn a_token_admits_as_many_of_each_role_as_it_says_and_owners_stay() {
    let mut bench = Bench::new(Admission::Invited);
    let command = HostCommand::Invite { uses: 1, life: Millis::from_days(1) };
    bench.batch(vec![HostInput::Command { request: 1, command }]);
    let Some(HostReply::Invite(token, _)) = bench.replies.pop() else { panic!() };
    let link = bench.link();
    let rejected = Answer::Refused(Refused::Rejected);
    let admit = |bench: &mut Bench, seed, role, token| {
        let owner = bench.prove(link, seed);
        bench.ask(link, Request::Admit { owner, role, token })
    };

    assert_eq!(admit(&mut bench, 2, OwnerRole::Private, None), rejected);
    assert_eq!(admit(&mut bench, 2, OwnerRole::Private, Some([1; 16])), rejected);
    assert_eq!(admit(&mut bench, 2, OwnerRole::Private, Some(token)), Answer::Done);
    assert_eq!(admit(&mut bench, 3, OwnerRole::Private, Some(token)), rejected);
    assert_eq!(admit(&mut bench, 3, OwnerRole::Public, Some(token)), Answer::Done);
    assert_eq!(admit(&mut bench, 2, OwnerRole::Private, None), Answer::Done);
    assert_eq!(admit(&mut bench, 2, OwnerRole::Public, None), rejected);
}

#[test]
fn a_full_queue_says_so_and_hurts_no_other() {
    let mut bench = Bench::new(Admission::Open);
    bench.owner(2, OwnerRole::Private);
    let link = bench.sender();
    let most = u64::from(MAX_QUEUE_ENVELOPES);
    bench.batch((0..most).map(|number| Bench::deposit(link, &envelope(QUEUE, number))).collect());
    let full = bench.batch(vec![Bench::deposit(link, &envelope(QUEUE, most))]);
    assert_eq!(full, [Frame::Answer(1, Answer::Refused(Refused::Full))]);

    let other = bench.link();
    let owner = bench.prove(other, 4);
    bench.ask(other, Request::Admit { owner, role: OwnerRole::Private, token: None });
    let queue = QueueId([40; 32]);
    let access = QueueAccess::Token(token_hash(&TOKEN));
    let queues = vec![Registration { queue, access, quota: 4_000 }];
    bench.ask(other, Request::Register { owner, queues });
    bench.ask(other, Request::Open { queue, key: OpenKey::Token(TOKEN) });
    let frames = bench.batch(vec![Bench::deposit(other, &envelope(queue, 1))]);
    assert!(matches!(frames[0], Frame::Answer(_, Answer::Deposited { .. })), "{frames:?}");
    // The quota that its owner granted.
    let frames = bench.batch(vec![Bench::deposit(other, &envelope(queue, 2))]);
    assert_eq!(frames, [Frame::Answer(1, Answer::Refused(Refused::Full))]);
}

#[test]
fn a_queue_belongs_to_whom_it_was_first_registered_by() {
    let mut bench = Bench::new(Admission::Open);
    bench.owner(2, OwnerRole::Private);
    let link = bench.link();
    let owner = bench.prove(link, 4);
    bench.ask(link, Request::Admit { owner, role: OwnerRole::Private, token: None });
    let access = QueueAccess::Token([0; 32]);
    let queues = vec![Registration { queue: QUEUE, access, quota: 0 }];
    let answer = bench.ask(link, Request::Register { owner, queues });
    assert_eq!(answer, Answer::Refused(Refused::Rejected));
}

#[test]
fn strangers_show_work_and_a_contact_queue_holds_fifty() {
    let mut bench = Bench::new(Admission::Open);
    bench.owner(2, OwnerRole::Public);
    let link = bench.link();
    let challenge = bench.hello.as_ref().unwrap().challenge;
    let open = Request::Open { queue: CONTACT, key: OpenKey::Stamp };
    assert!(matches!(bench.ask(link, open), Answer::Opened { .. }));
    let stamped = |number| {
        let envelope = envelope(CONTACT, number);
        let bytes_hash = envelope.bytes_hash();
        let what = Stamped { host: host(), queue: CONTACT, bytes_hash, challenge };
        let stamp = search_stamp(&what, STAMP_BITS, &|| false).unwrap();
        Request::Deposit { envelope: ByteBuf::from(envelope.to_bytes()), stamp }
    };

    let unstamped = bench.batch(vec![Bench::deposit(link, &envelope(CONTACT, 0))]);
    assert_eq!(unstamped, [Frame::Answer(1, Answer::Refused(Refused::Rejected))]);
    // The limit is on the rows, so most of them are put there by the counts alone.
    assert!(matches!(bench.ask(link, stamped(1)), Answer::Deposited { .. }));
    let at = (OwnerRole::Public, owner(2).1, CONTACT);
    let row = bench.machine.ledger.touch(&bench.rows, at).unwrap().unwrap();
    row.envelopes = MAX_CONTACT_ENVELOPES;
    assert_eq!(bench.ask(link, stamped(2)), Answer::Refused(Refused::Full));
}

#[test]
fn an_invite_opens_a_contact_queue_once_without_work() {
    let mut bench = Bench::new(Admission::Open);
    let (owner_link, owner) = bench.owner(2, OwnerRole::Public);
    let proof = host_proof(&[11; 16], &host());
    let expires = UnixMillis(START).saturating_add(Millis::from_days(3)).hours();
    let hash = host_proof_hash(&proof);
    let invite = Request::Invite { owner, queue: CONTACT, hash, expires };
    assert_eq!(bench.ask(owner_link, invite), Answer::Done);

    let link = bench.link();
    let open = |proof| Request::Open { queue: CONTACT, key: OpenKey::Invite(proof) };
    assert_eq!(bench.ask(link, open([0; 32])), Answer::Refused(Refused::Rejected));
    assert!(matches!(bench.ask(link, open(proof)), Answer::Opened { .. }));
    let frames = bench.batch(vec![Bench::deposit(link, &envelope(CONTACT, 1))]);
    assert!(matches!(frames[0], Frame::Answer(_, Answer::Deposited { .. })), "{frames:?}");
    let frames = bench.batch(vec![Bench::deposit(link, &envelope(CONTACT, 2))]);
    assert_eq!(frames, [Frame::Answer(1, Answer::Refused(Refused::Rejected))]);
    assert_eq!(bench.ask(link, open(proof)), Answer::Refused(Refused::Rejected));
}

#[test]
fn whoever_shows_the_secret_takes_an_envelope_back() {
    let mut bench = Bench::new(Admission::Open);
    bench.owner(2, OwnerRole::Private);
    let link = bench.sender();
    let one = envelope(QUEUE, 1);
    bench.batch(vec![Bench::deposit(link, &one)]);
    let revoke = |secret| Request::Revoke { queue: QUEUE, id: one.id(), secret };

    assert_eq!(bench.ask(link, revoke([0; 16])), Answer::Refused(Refused::Rejected));
    assert_eq!(bench.ask(link, revoke([9; 16])), Answer::Done);
    assert_eq!(bench.ask(link, revoke([9; 16])), Answer::Refused(Refused::NotFound));
    assert_eq!(bench.status().bytes, 0);
}

#[test]
fn an_erased_owner_leaves_no_row_and_a_signed_word() {
    let mut bench = Bench::new(Admission::Open);
    let empty: Vec<usize> =
        crate::rows::mailbox::tables().iter().map(|table| bench.rows.count(table)).collect();
    let (link, owner) = bench.owner(2, OwnerRole::Private);
    let sender = bench.sender();
    bench.batch((0..3).map(|number| Bench::deposit(sender, &envelope(QUEUE, number))).collect());

    let Answer::Erased { hour, signature } = bench.ask(link, Request::Erase { owner }) else {
        panic!()
    };
    assert!(check_erasure("main", (&host(), &owner, hour), &signature));
    let status = bench.status();
    assert_eq!((status.owners, status.envelopes, status.bytes), (0, 0, 0));
    // What ends by the hour names nobody any more once it is swept.
    bench.at += 3 * 86_400_000;
    bench.restart();
    bench.at += SWEEP_EVERY.0;
    bench.batch(Vec::new());
    let left: Vec<usize> =
        crate::rows::mailbox::tables().iter().map(|table| bench.rows.count(table)).collect();
    assert_eq!(left[1..], empty[1..]);
}

#[test]
fn what_is_over_is_swept_but_not_on_the_word_of_a_clock_that_jumped() {
    let mut bench = Bench::new(Admission::Open);
    bench.owner(2, OwnerRole::Private);
    let link = bench.sender();
    bench.batch((0..3).map(|number| Bench::deposit(link, &envelope(QUEUE, number))).collect());

    // The wall clock jumps ahead by 40 days, the monotonic one does not.
    let now =
        |at: u64, jump: u64| Time { wall: UnixMillis(START + at + jump), since_start: Millis(at) };
    let jump = 40 * 86_400_000;
    let step = |bench: &mut Bench, now: Time| {
        let mut out = Vec::new();
        let (rng, rows) = (&mut bench.rng, &mut bench.rows);
        bench.machine.end_batch(now, rng, rows, &mut out).unwrap();
    };
    step(&mut bench, now(100_000, jump));
    assert_eq!(bench.rows.count(&trees(OwnerRole::Private).mail), 3);
    // A day of agreement ends the doubt.
    step(&mut bench, now(100_000 + 86_400_000, jump));
    assert_eq!(bench.rows.count(&trees(OwnerRole::Private).mail), 0);
}

#[test]
fn who_was_connected_for_months_has_a_mailbox_when_its_line_drops() {
    let mut bench = Bench::new(Admission::Open);
    let (link, owner) = bench.owner(2, OwnerRole::Private);
    let day = |bench: &mut Bench| {
        bench.at += 86_400_000;
        bench.batch(Vec::new());
    };
    (0..100).for_each(|_| day(&mut bench));
    bench.batch(vec![HostInput::Network(NetworkInput::LinkDown { link })]);
    (0..59).for_each(|_| day(&mut bench));
    assert_eq!(bench.status().owners, 1);
    (0..3).for_each(|_| day(&mut bench));
    assert_eq!(bench.status().owners, 0, "{owner:?} has given no sign for 60 days");
}

#[test]
fn a_host_keeps_the_highest_fence_that_its_owner_signed_and_shows_it() {
    let mut bench = Bench::new(Admission::Open);
    let (link, key) = bench.owner(2, OwnerRole::Private);
    let (signer, _) = owner(2);
    let record = |fence, acked| {
        let signature = SignatureBytes([0; 64]);
        let record =
            FenceRecord { host: host(), owner: key, fence, mark: [1; 16], acked, signature };
        sign_fence(&signer, "main", record)
    };
    let mut fetch = |fence| match bench.ask(link, Request::Fetch { owner: key, fence }) {
        Answer::Fetching { fence, .. } => fence.map(|fence| (fence.fence, fence.acked)),
        other => panic!("{other:?}"),
    };

    assert_eq!(fetch(Some(record(5, 1))), None);
    assert_eq!(fetch(Some(record(4, 9))), Some((5, 1)));
    assert_eq!(fetch(Some(FenceRecord { fence: 9, ..record(5, 2) })), Some((5, 1)));
    assert_eq!(fetch(Some(record(5, 2))), Some((5, 1)));
    assert_eq!(fetch(None), Some((5, 2)));
}

#[test]
fn a_full_disk_takes_nothing_new_and_gives_out_what_it_has() {
    let mut bench = Bench::new(Admission::Open);
    let (link, owner) = bench.owner(2, OwnerRole::Private);
    let sender = bench.sender();
    bench.batch(vec![Bench::deposit(sender, &envelope(QUEUE, 1))]);
    bench.batch(vec![HostInput::Space { low: true }]);

    let frames = bench.batch(vec![Bench::deposit(sender, &envelope(QUEUE, 2))]);
    assert_eq!(frames, [Frame::Answer(1, Answer::Refused(Refused::Full))]);
    let frames = bench.ask_all(link, Request::Fetch { owner, fence: None });
    assert_eq!(items(&frames).len(), 1);
}

#[test]
fn envelopes_that_are_over_or_of_no_size_are_refused() {
    let mut bench = Bench::new(Admission::Open);
    bench.owner(2, OwnerRole::Private);
    let link = bench.sender();
    let old = Envelope::new(QUEUE, [0; 16], UnixHours(1), [0; 32], vec![0; 2_048]).unwrap();
    let frames = bench.batch(vec![Bench::deposit(link, &old)]);
    assert_eq!(frames, [Frame::Answer(1, Answer::Refused(Refused::Rejected))]);
    let envelope = ByteBuf::from(vec![0; 3_000]);
    bench.ask_all(link, Request::Deposit { envelope, stamp: [0; 8] });
    assert!(bench.closed);
}

#[test]
fn invites_that_are_over_make_room_and_queues_may_be_registered_again_at_the_limit() {
    let mut bench = Bench::new(Admission::Open);
    let (link, owner) = bench.owner(2, OwnerRole::Public);
    let invite = |number: u64, hours: u64| Request::Invite {
        owner,
        queue: CONTACT,
        hash: hash(&[&number.to_le_bytes()]),
        expires: UnixMillis(START).saturating_add(Millis::from_hours(hours)).hours_up(),
    };
    for number in 0..64 {
        assert_eq!(bench.ask(link, invite(number, 2)), Answer::Done);
    }
    assert_eq!(bench.ask(link, invite(64, 2)), Answer::Refused(Refused::Full));
    bench.at += 3 * 3_600_000;
    assert_eq!(bench.ask(link, invite(64, 5)), Answer::Done);

    let row = bench.machine.ledger.owner_mut(&bench.rows, owner).unwrap().unwrap();
    row.queues = crate::limits::MAX_OWNER_QUEUES;
    let known = Registration { queue: CONTACT, access: QueueAccess::Stamp, quota: 9 };
    let new = Registration { queue: QueueId([9; 32]), ..known.clone() };
    let mut register = |queues| bench.ask(link, Request::Register { owner, queues });
    assert_eq!(register(vec![known]), Answer::Done);
    assert_eq!(register(vec![new]), Answer::Refused(Refused::Full));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_make_a_host_panic_or_answer_twice(frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..8)) {
        let mut bench = Bench::new(Admission::Open);
        let link = bench.link();
        for bytes in frames {
            let said = bench.batch(vec![HostInput::Network(NetworkInput::Frame { link, bytes })]);
            prop_assert!(said.len() <= 1);
        }
    }

    #[test]
    fn a_changed_request_never_panics(at in 0_usize..400, byte in any::<u8>()) {
        let mut bench = Bench::new(Admission::Open);
        let link = bench.link();
        let (_, owner) = owner(2);
        let access = QueueAccess::Token([1; 32]);
        let queues = vec![Registration { queue: QUEUE, access, quota: 0 }];
        let mut bytes = Frame::Request(1, Request::Register { owner, queues }).encode().unwrap();
        if let Some(slot) = bytes.get_mut(at) { *slot = byte; }
        bench.batch(vec![HostInput::Network(NetworkInput::Frame { link, bytes })]);
    }
}
