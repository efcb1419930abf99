use super::*;
use crate::limits::{MAX_SESSIONS, MAX_SESSIONS_A_DAY, SESSION_GRACE};
use crate::time::Millis;

const HOUR: Millis = Millis::from_hours(1);

/// Two devices that begin sessions with each other, each with its view of the pair.
struct Two {
    rng: ChaCha20Rng,
    devices: [Device; 2],
    pairs: [Pair; 2],
}

impl Two {
    fn new(seed: u8) -> Self {
        let mut rng = rng(seed);
        let devices = [Device::new(&mut rng), Device::new(&mut rng)];
        Self { rng, devices, pairs: [Pair::default(), Pair::default()] }
    }

    fn begin(&mut self, from: usize, purpose: Purpose, now: UnixMillis) -> Started {
        let (local, peer) = (&self.devices[from], &self.devices[1 - from]);
        let bundle = peer.bundle();
        let started =
            initiate(&local.local(), peer.account, &bundle, NET, purpose, &mut self.rng).unwrap();
        self.pairs[from].add(&started, now);
        started
    }

    fn answer(&mut self, at: usize, begun: &Started, now: UnixMillis) {
        let local = &self.devices[at];
        let started = respond(&local.local(), &begun.handshake, &local.prekeys, NET).unwrap();
        self.pairs[at].add(&started, now);
        self.pairs[at].heard(started.session.id(), now);
    }
}

fn with(generation: u32, cause: Cause, via: Via) -> Purpose {
    Purpose { generation, cause, via }
}

fn after(hours: u64) -> UnixMillis {
    NOW.saturating_add(HOUR.saturating_mul(hours))
}

#[test]
fn two_sessions_begun_at_once_end_in_the_same_one() {
    for seed in 0..8 {
        let mut two = Two::new(seed);
        let (ours, theirs) = (two.begin(0, purpose(0), NOW), two.begin(1, purpose(0), NOW));
        let lowest = ours.session.id().min(theirs.session.id());

        two.answer(1, &ours, NOW);
        two.answer(0, &theirs, NOW);
        for pair in &mut two.pairs {
            pair.heard(ours.session.id(), NOW);
            pair.heard(theirs.session.id(), NOW);
        }

        for pair in &two.pairs {
            assert_eq!(pair.sending(), Some(lowest));
            assert_eq!(pair.sending_root().map(|root| root.session), Some(lowest));
            assert_eq!(pair.receiving_roots().len(), 2);
        }
    }
}

#[test]
fn the_highest_generation_is_sent_on_then_one_that_was_heard() {
    let mut two = Two::new(50);
    let first = two.begin(0, purpose(0), NOW);
    let other = two.begin(0, purpose(0), NOW);
    let lower = first.session.id().max(other.session.id());

    two.pairs[0].heard(lower, NOW);
    assert_eq!(two.pairs[0].sending(), Some(lower), "heard before lowest id");

    let newest = two.begin(0, with(1, Cause::Desync, Via::Pair), NOW);
    assert_eq!(two.pairs[0].sending(), Some(newest.session.id()));
    two.pairs[0].retire_all(NOW);
    assert_eq!(two.pairs[0].sending(), None, "a retired session encrypts no more");
}

#[test]
fn generations_far_ahead_known_sessions_and_floods_are_refused() {
    let mut two = Two::new(51);
    let mut pair = Pair::default();
    let id = SessionId([1; 16]);
    assert_eq!(pair.admit(id, 1 << 30, NOW), Ok(()));
    assert!(matches!(pair.admit(id, (1 << 30) + 1, NOW), Err(AdmitError::TooHigh { .. })));

    let begun = two.begin(0, purpose(0), NOW);
    two.answer(1, &begun, NOW);
    pair = two.pairs[1].clone();
    assert_eq!(pair.admit(begun.session.id(), 0, NOW), Err(AdmitError::Known));
    assert_eq!(pair.admit(id, 65_536, NOW), Ok(()));
    assert!(matches!(pair.admit(id, 65_537, NOW), Err(AdmitError::TooHigh { .. })));

    for generation in 1..MAX_SESSIONS_A_DAY {
        let begun = two.begin(0, with(generation, Cause::Desync, Via::Pair), NOW);
        two.answer(1, &begun, NOW);
    }
    assert_eq!(two.pairs[1].admit(id, 40, NOW), Err(AdmitError::TooMany));
    assert_eq!(two.pairs[1].admit(id, 40, after(24)), Ok(()));
}

#[test]
fn four_sessions_live_and_replaced_ones_go_after_35_days() {
    let mut two = Two::new(52);
    for generation in 0..6 {
        two.begin(0, with(generation, Cause::Desync, Via::Pair), NOW);
    }
    let pair = &mut two.pairs[0];

    assert_eq!((pair.expire(NOW).len(), pair.crowd_out().len()), (0, 2));
    assert_eq!(pair.sessions().len(), MAX_SESSIONS);
    assert_eq!(pair.sessions().iter().map(|session| session.generation).min(), Some(2));
    let late = NOW.saturating_add(SESSION_GRACE);
    assert_eq!(pair.expire(late).len(), 3);
    assert_eq!(pair.sending(), pair.sessions().first().map(|session| session.id));
}

#[test]
fn a_forgotten_pair_remembers_generation_and_ids() {
    let mut two = Two::new(53);
    let begun = two.begin(0, purpose(0), NOW);
    two.answer(1, &begun, NOW);
    let pair = &mut two.pairs[1];

    assert_eq!(pair.forget(), [begun.session.id()]);

    assert_eq!(pair.next_generation(), Some(1));
    assert_eq!(pair.admit(begun.session.id(), 0, NOW), Err(AdmitError::Known));
    assert!(pair.receiving_roots().is_empty());
    pair.expire(begun.remember_until);
    assert_eq!(pair.admit(begun.session.id(), 0, NOW), Ok(()));
}

#[test]
fn at_most_three_roots_are_kept_and_the_heard_one_stays() {
    let mut two = Two::new(54);
    let heard = two.begin(0, purpose(0), NOW);
    two.pairs[0].heard(heard.session.id(), NOW);
    for generation in 1..5 {
        two.begin(0, with(generation, Cause::Forgotten, Via::Contact), NOW);
    }
    let newest = two.pairs[0].sending().unwrap();

    let kept: Vec<u32> =
        two.pairs[0].receiving_roots().iter().map(|root| root.generation).collect();
    assert_eq!(kept, [0, 4, 3]);
    two.pairs[0].heard(newest, NOW);
    assert_eq!(two.pairs[0].sending_root().map(|root| root.generation), Some(4));
    two.pairs[0].expire(NOW.saturating_add(SESSION_GRACE));
    assert!(two.pairs[0].receiving_roots().iter().all(|root| root.generation != 0));
}

fn claim(pair: &Pair, root: &QueueRoots, generation: u32) -> Made {
    let (queue, expires) = (root.sending.queue_id(0), NOW.hours());
    let made = root.sending.made(generation, &queue, expires, &[7; 32]);
    pair.judge_made(&MadeClaim { queue, expires, bytes_hash: [7; 32], made })
}

#[test]
fn a_mark_tells_the_generation_within_eight_and_noise_apart() {
    let mut two = Two::new(55);
    let begun = two.begin(0, purpose(20), NOW);
    two.answer(1, &begun, NOW);
    let (pair, root) = (&two.pairs[1], begun.session.id());

    for (generation, relation) in [
        (12, Relation::Below),
        (19, Relation::Below),
        (20, Relation::Highest),
        (21, Relation::Above),
        (28, Relation::Above),
    ] {
        let judged = claim(pair, &begun.queue_roots, generation);
        assert_eq!(judged, Made::Fits { generation, relation, root });
    }
    assert_eq!(claim(pair, &begun.queue_roots, 11), Made::NoneFits);
    assert_eq!(claim(pair, &begun.queue_roots, 29), Made::NoneFits);
    let (queue, expires) = (begun.queue_roots.sending.queue_id(0), NOW.hours());
    let noise = MadeClaim { queue, expires, bytes_hash: [7; 32], made: [0; 16] };
    assert_eq!(pair.judge_made(&noise), Made::NoneFits);
}

#[test]
fn the_remedy_is_bounded_by_the_hour_and_the_day() {
    let mut two = Two::new(56);
    let begun = two.begin(0, purpose(0), NOW);
    two.answer(1, &begun, NOW);

    let mut vias = Vec::new();
    for half_hours in 0..48_u64 {
        let now = NOW.saturating_add(Millis::from_minutes(30 * half_hours));
        let highest = two.pairs[1].highest().unwrap();
        if let Remedy::Open(purpose) = two.pairs[1].remedy(highest, Relation::Highest, now) {
            assert_eq!((purpose.generation, purpose.cause), (highest + 1, Cause::Desync));
            vias.push(purpose.via);
            let opened = two.begin(1, purpose, now);
            assert_eq!(
                two.pairs[1].remedy(highest + 1, Relation::Highest, after(100)),
                Remedy::Nothing,
                "an answer is under way"
            );
            two.pairs[1].heard(opened.session.id(), now);
        }
    }

    assert_eq!(vias, [Via::Pair, Via::Pair, Via::Pair, Via::Contact]);
    let highest = two.pairs[1].highest().unwrap();
    let later = Remedy::Later { above: highest, cause: Cause::Desync };
    assert_eq!(two.pairs[1].remedy(highest, Relation::Highest, after(24)), later);
    let next_day = two.pairs[1].remedy(highest, Relation::Highest, after(28));
    assert!(matches!(next_day, Remedy::Open(_)));
}

#[test]
fn a_generation_above_means_that_this_home_is_older() {
    let mut two = Two::new(57);
    let begun = two.begin(0, purpose(0), NOW);
    two.answer(1, &begun, NOW);

    let remedy = two.pairs[1].remedy(1, Relation::Above, NOW);

    assert_eq!(remedy, Remedy::Open(with(2, Cause::RolledBack, Via::Pair)));
}

#[test]
fn leftovers_bring_one_hello_a_day() {
    let mut two = Two::new(58);
    let begun = two.begin(0, purpose(1), NOW);
    two.answer(1, &begun, NOW);
    let pair = &mut two.pairs[1];

    assert_eq!(pair.remedy(0, Relation::Below, NOW), Remedy::Hello);
    pair.hello_sent(NOW);

    assert_eq!(pair.remedy(0, Relation::Below, after(23)), Remedy::Nothing);
    assert_eq!(pair.remedy(0, Relation::Below, after(24)), Remedy::Hello);
}

#[test]
fn a_rolled_back_peer_below_the_highest_is_outbid() {
    let mut two = Two::new(59);
    let begun = two.begin(0, purpose(4), NOW);
    two.answer(1, &begun, NOW);
    let pair = &two.pairs[1];

    let outbid = pair.answer_to(with(3, Cause::RolledBack, Via::Pair), NOW);

    assert_eq!(outbid, Remedy::Open(with(5, Cause::Desync, Via::Pair)));
    assert_eq!(pair.answer_to(with(5, Cause::RolledBack, Via::Pair), NOW), Remedy::Hello);
    assert_eq!(pair.answer_to(with(4, Cause::Desync, Via::Pair), NOW), Remedy::Nothing);
}

#[test]
fn an_unanswered_handshake_is_made_anew_when_its_bundle_has_ended() {
    let mut two = Two::new(60);
    let begun = two.begin(0, purpose(0), NOW);
    let end = NOW.saturating_add(crate::limits::BUNDLE_LIFE);
    let pair = &mut two.pairs[0];

    let newer = end.saturating_add(Millis::from_days(7));

    assert_eq!(pair.stale_handshake(newer, after(1)), None);
    assert_eq!(pair.stale_handshake(end, end), None, "no newer bundle is here");
    assert_eq!(pair.stale_handshake(newer, end), Some(with(1, Cause::StaleBundle, Via::Contact)));
    pair.heard(begun.session.id(), NOW);
    assert_eq!(pair.stale_handshake(newer, end), None);
}

#[test]
fn keys_skipped_in_a_day_are_bounded() {
    let mut pair = Pair::default();
    pair.skip(15_000, NOW);

    assert!(pair.may_skip(5_000, NOW) && !pair.may_skip(5_001, NOW));
    assert!(pair.may_skip(0, NOW) && pair.may_skip(20_000, after(24)));
}
