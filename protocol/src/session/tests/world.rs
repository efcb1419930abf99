//! Two ends of a session with their stored keys, and a network that loses, repeats and reorders.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::crypto::Secret;

/// One end: the session and the rows beside it.
pub(super) struct End {
    pub(super) session: Session,
    pub(super) headers: Vec<OldHeaderKey>,
    pub(super) skipped: BTreeMap<SkippedAt, Secret<32>>,
}

impl End {
    pub(super) const fn new(session: Session) -> Self {
        Self { session, headers: Vec::new(), skipped: BTreeMap::new() }
    }

    pub(super) fn send(&mut self, content: &[u8], rng: &mut dyn CryptoRng) -> Vec<u8> {
        let (next, message) = self.session.encrypt(content, LENGTH, rng).unwrap();
        self.session = next;
        message
    }

    pub(super) fn receive(&mut self, bytes: &[u8], now: UnixMillis) -> Result<Vec<u8>, OpenError> {
        let position = self.session.locate(&self.headers, bytes).ok_or(OpenError::NoHeader)?;
        let stored = |at: Option<SkippedAt>| at.and_then(|at| self.skipped.get(&at).cloned());
        let keys = SkippedKeys { ec: stored(position.ec_key()), pq: stored(position.pq_key()) };
        let opened = self.session.open(&position, keys, bytes, now)?;
        self.session = opened.session;
        for used in opened.used {
            self.skipped.remove(&used);
        }
        for run in opened.new_skipped {
            for (n, key) in (run.first.n..).zip(run.keys) {
                self.skipped.insert(SkippedAt { n, ..run.first }, key);
            }
        }
        if let Some(header) = opened.retired_header {
            self.headers.insert(0, header);
        }
        Ok(opened.content)
    }
}

/// A message under way.
struct Flying {
    to: usize,
    content: Vec<u8>,
    bytes: Vec<u8>,
}

/// Both ends and everything under way.
pub(super) struct World {
    pub(super) ends: [End; 2],
    flying: Vec<Flying>,
    delivered: BTreeSet<Vec<u8>>,
    sent: u32,
    now: UnixMillis,
    rng: ChaCha20Rng,
    /// Highest KEM epoch that was completed.
    pub(super) completed: u32,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let (alice, bob) = pair_of_sessions(bytes[0]);
        let mut world = Self {
            ends: [End::new(alice), End::new(bob)],
            flying: Vec::new(),
            delivered: BTreeSet::new(),
            sent: 0,
            now: NOW,
            rng: ChaCha20Rng::from_seed(bytes),
            completed: 0,
        };
        world.send_text(0);
        world.deliver(0);
        world
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.below(100) < usize::try_from(percent).unwrap()
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(rand_core::Rng::next_u64(&mut self.rng) % u64::try_from(bound).unwrap())
            .unwrap()
    }

    fn launch(&mut self, from: usize, content: Vec<u8>) {
        let bytes = self.ends[from].send(&content, &mut self.rng);
        self.flying.push(Flying { to: 1 - from, content, bytes });
    }

    fn send_text(&mut self, from: usize) {
        self.sent += 1;
        let text = format!("t{} from {from}", self.sent);
        self.launch(from, text.into_bytes());
    }

    fn send_part(&mut self, from: usize) {
        let offered = self.ends[from].session.offer_kem(self.now, &mut self.rng);
        if let Some(next) = offered {
            self.ends[from].session = next;
        }
        if let Some(part) = self.ends[from].session.kem_part() {
            self.sent += 1;
            // A unique tail tells repeats of one part apart; parts have a fixed length.
            let content = [&b"k"[..], &part, &self.sent.to_le_bytes()].concat();
            self.launch(from, content);
        }
    }

    /// Delivers the message at this place in the air; it must open, or be a repeat and not open.
    fn deliver(&mut self, index: usize) {
        let Flying { to, content, bytes } = self.flying.swap_remove(index);
        let opened = self.ends[to].receive(&bytes, self.now);
        if !self.delivered.insert(content.clone()) {
            assert!(opened.is_err(), "a repeat opened twice");
            return;
        }
        assert_eq!(opened.as_ref(), Ok(&content));
        if let Some(part) = content.strip_prefix(b"k") {
            let part = &part[..part.len() - 4];
            let (next, accepted) = self.ends[to].session.accept_kem_part(part, &mut self.rng);
            self.ends[to].session = next;
            if accepted == KemAccept::Completed {
                self.completed += 1;
            }
        }
    }

    pub(super) fn step(&mut self) {
        let from = self.below(2);
        if self.chance(30) {
            let before = encoded(&self.ends[from].session);
            self.ends[from].session.prepare(&mut self.rng);
            assert_eq!(encoded(&self.ends[from].session), before, "what is stored changed");
        }
        self.now = self.now.saturating_add(crate::time::Millis::from_minutes(20));
        if self.chance(40) {
            self.send_text(from);
        }
        if self.chance(10) {
            self.send_part(from);
        }
        while !self.flying.is_empty() && self.chance(60) {
            let index = self.below(self.flying.len());
            let repeat = &self.flying[index];
            let repeat = Flying {
                to: repeat.to,
                content: repeat.content.clone(),
                bytes: repeat.bytes.clone(),
            };
            if self.chance(15) {
                self.flying.push(repeat);
            }
            if self.chance(20) {
                self.flying.swap_remove(index);
            } else {
                self.deliver(index);
            }
        }
        for end in &self.ends {
            assert!(encoded(&end.session).len() <= MAX_SESSION);
        }
    }

    /// Everything still under way arrives, in any order.
    pub(super) fn land(&mut self) {
        while !self.flying.is_empty() {
            let index = self.below(self.flying.len());
            self.deliver(index);
        }
    }
}
