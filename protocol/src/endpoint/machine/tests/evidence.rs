//! What a recipient makes of a sender who says that a host does not serve: every reason that excuses
//! the host, each by itself.

use super::*;
use crate::content::{Content, Control, Evidence, Kind};
use crate::crypto::Signer;
use crate::endpoint::links::Link;
use crate::endpoint::query::broken_words;
use crate::id::{Birth, EnvelopeId, QueueId};
use crate::limits::MAX_BROKEN;
use crate::mailbox::{DepositProof, Tree, leaf, sign_receipt};
use crate::rows::Rows;
use crate::rows::evidence::{LEFT, LeftRow, SERVED};
use crate::rows::home::{LOST_ROWS_AT, SeenRow};
use crate::time::UnixHours;

const DAY: Millis = Millis::from_days(1);
const LINK: LinkId = LinkId(77);

/// Bob with a host of his own, and what Alice says of it a day later.
struct Case {
    world: World,
    now: Time,
    host: HostId,
    signer: Signer,
    evidence: Evidence,
    from: (AccountId, DeviceId),
}

impl Case {
    fn new() -> Self {
        let mut world = World::friends();
        let signer = Signer::from_seed([9; 32]);
        let host = HostId(signer.verify_key().0);
        let now = Time { wall: time(0).wall.saturating_add(DAY), since_start: DAY };
        let bob = &mut world.nodes[1];
        let machine = &mut bob.machine;
        let mut out = Vec::new();
        let cx = &mut Cx { now, rng: &mut bob.rng, rows: &mut bob.rows, out: &mut out };
        let choice = crate::endpoint::HostChoice { host, addresses: Vec::new(), token: None };
        machine.use_hosts(cx, vec![choice], None).unwrap().unwrap();
        let (device, account) = machine.owners.first_key_value().map(|(a, b)| (*a, *b)).unwrap();
        let queue = machine.sessions.pair(cx.rows, device).unwrap().receiving_roots()[0]
            .roots
            .receiving
            .queue_id(0);
        let row = machine.hosts.get_mut(&host).unwrap();
        row.admitted = true;
        row.birth = Some(Birth([5; 16]));
        let mut link = Link::new(host, StreamKind::Mailbox, Millis(0));
        link.ready = true;
        link.live.insert(OwnerKey(row.private.verify_key().0));
        machine.links.insert(LINK, link);
        machine.queues.registered(host, queue);
        let until = now.wall.saturating_add(DAY).hours();
        let proof = proof(&signer, queue, time(0).wall.hours(), until);
        let (message, id) = (MessageId([7; 16]), EnvelopeId([8; 16]));
        let evidence = Evidence { message, id, expires: until, proof };
        Self { world, now, host, signer, evidence, from: (account, device) }
    }

    /// Alice says it: whether Bob holds it against the host, and whether he has given a receipt.
    fn judged(&mut self) -> (bool, bool) {
        let (from, now) = (self.from, self.now);
        let bob = &mut self.world.nodes[1];
        let (machine, mut out) = (&mut bob.machine, Vec::new());
        let cx = &mut Cx { now, rng: &mut bob.rng, rows: &mut bob.rows, out: &mut out };
        let body = Control::NotServed(self.evidence.clone()).to_bytes();
        let content: Content = machine.content(cx, from.0, Kind::CONTROL, body);
        machine.control(cx, from, &content).unwrap();
        let receipted =
            machine.receipts.get(&from.1).is_some_and(|it| it.1.contains(&content.message));
        machine.receipts.clear();
        (!broken_words(&bob.rows, None).unwrap().is_empty(), receipted)
    }

    fn seen(&self) -> Vec<u8> {
        [&self.evidence.expires.0.to_be_bytes()[..], self.evidence.id.as_bytes()].concat()
    }
}

fn proof(signer: &Signer, queue: QueueId, hour: UnixHours, until: UnixHours) -> DepositProof {
    let tree = Tree::new(vec![leaf(&queue, &[2; 32], until, 1)]).unwrap();
    let at = (HostId(signer.verify_key().0), hour, Birth([5; 16]));
    let receipt = sign_receipt(signer, Network::default().as_str(), at, tree.root());
    DepositProof { receipt, path: tree.path(0), queue, envelope: [2; 32], until, seq: 1 }
}

#[test]
fn who_has_fetched_everything_and_never_got_it_says_so_once() {
    let mut case = Case::new();
    assert_eq!(case.judged(), (true, true));
    let answers = |case: &Case| {
        let lanes = case.world.nodes[1].machine.lanes.values();
        lanes.flat_map(|lane| lane.lines.values()).filter(|row| row.kind == Kind::CONTROL.0).count()
    };
    assert_eq!(answers(&case), 1);
    assert_eq!(case.judged(), (true, true));
    assert_eq!(answers(&case), 1);
}

#[test]
fn whatever_else_explains_it_excuses_the_host() {
    type Excuse = (&'static str, fn(&mut Case));
    let excuses: [Excuse; 10] = [
        ("it was opened", |case| {
            let row = SeenRow { message: None, receipted_at: case.now.wall };
            let key = case.seen();
            save(&mut case.world.nodes[1].rows, &SEEN, &key, &row).unwrap();
        }),
        ("it was served and of no use", |case| {
            let key = case.seen();
            case.world.nodes[1].rows.put(&SERVED, &key, Vec::new());
        }),
        ("the host was left since", |case| {
            let wall = case.now.wall;
            let row = LeftRow { at: wall, erased: Vec::new() };
            save(&mut case.world.nodes[1].rows, &LEFT, case.host.as_bytes(), &row).unwrap();
        }),
        ("this home lost rows since", |case| {
            let wall = case.now.wall;
            save(&mut case.world.nodes[1].rows, &HOME, LOST_ROWS_AT, &wall).unwrap();
        }),
        ("the host lost state since", |case| {
            let wall = case.now.wall;
            let row = case.world.nodes[1].machine.hosts.get_mut(&case.host).unwrap();
            row.lost_state_at = Some(wall);
        }),
        ("its store is another one", |case| {
            let row = case.world.nodes[1].machine.hosts.get_mut(&case.host).unwrap();
            row.birth = Some(Birth([6; 16]));
        }),
        ("its grant is over", |case| {
            let (queue, hour) = (case.evidence.proof.queue, case.evidence.proof.receipt.hour);
            case.evidence.proof = proof(&case.signer, queue, hour, case.now.wall.hours());
        }),
        ("the queue is not Alice's", |case| {
            let (hour, until) = (case.evidence.proof.receipt.hour, case.evidence.proof.until);
            case.evidence.proof = proof(&case.signer, QueueId([3; 32]), hour, until);
        }),
        ("another has signed it", |case| {
            let Evidence { proof: known, .. } = &case.evidence;
            let (queue, hour, until) = (known.queue, known.receipt.hour, known.until);
            let mut forged = proof(&Signer::from_seed([1; 32]), queue, hour, until);
            forged.receipt.host = case.host;
            case.evidence.proof = forged;
        }),
        ("it is no host of ours", |case| {
            case.world.nodes[1].machine.hosts.remove(&case.host);
        }),
    ];
    for (why, happens) in excuses {
        let mut case = Case::new();
        happens(&mut case);
        assert_eq!(case.judged(), (false, true), "{why}");
    }
}

#[test]
fn who_cannot_judge_now_gives_no_receipt_and_is_asked_again() {
    type Now = (&'static str, fn(&mut Endpoint, HostId));
    let waits: [Now; 3] = [
        ("not everything is fetched", |machine, _| {
            machine.links.get_mut(&LINK).unwrap().live.clear();
        }),
        ("the disk is full", |machine, _| machine.space_low = true),
        ("the host has forgotten us", |machine, host| {
            machine.hosts.get_mut(&host).unwrap().forgot_us = true;
        }),
    ];
    for (why, happens) in waits {
        let mut case = Case::new();
        happens(&mut case.world.nodes[1].machine, case.host);
        assert_eq!(case.judged(), (false, false), "{why}");
    }
}

#[test]
fn a_contact_that_did_not_get_it_from_us_is_not_believed() {
    let mut case = Case::new();
    let (from, now, evidence) = (case.from, case.now, case.evidence.clone());
    let bob = &mut case.world.nodes[1];
    let (machine, mut out) = (&mut bob.machine, Vec::new());
    let cx = &mut Cx { now, rng: &mut bob.rng, rows: &mut bob.rows, out: &mut out };
    // The queue is Bob's own, not one in which he leaves mail for Alice.
    let body = Control::BrokenWord(evidence).to_bytes();
    let content = machine.content(cx, from.0, Kind::CONTROL, body);
    machine.control(cx, from, &content).unwrap();
    assert!(broken_words(&bob.rows, None).unwrap().is_empty());
}

#[test]
fn a_contact_fills_no_disk_with_hosts_that_it_made_up() {
    let mut case = Case::new();
    let (from, now) = (case.from, case.now);
    let until = case.evidence.proof.until;
    let bob = &mut case.world.nodes[1];
    let (machine, mut out) = (&mut bob.machine, Vec::new());
    let cx = &mut Cx { now, rng: &mut bob.rng, rows: &mut bob.rows, out: &mut out };
    let pair = machine.sessions.pair(cx.rows, from.1).unwrap();
    let queue = pair.sending_root().unwrap().roots.sending.queue_id(0);
    for number in 0..2 * u8::try_from(MAX_BROKEN).unwrap() {
        let proof = proof(&Signer::from_seed([number; 32]), queue, time(0).wall.hours(), until);
        let evidence = Evidence { proof, ..case.evidence.clone() };
        let body = Control::BrokenWord(evidence).to_bytes();
        let content = machine.content(cx, from.0, Kind::CONTROL, body);
        machine.control(cx, from, &content).unwrap();
    }
    assert_eq!(broken_words(&bob.rows, None).unwrap().len(), MAX_BROKEN);
}
