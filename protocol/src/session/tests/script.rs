//! The vectors of `spec/vectors/ratchet.json`: forty messages of the session of `wire.json`, opened out
//! of order, over two KEM epochs; with what each side drew, so that a reader can follow both.

use core::convert::Infallible;

use rand_core::{TryCryptoRng, TryRng};

use super::world::End;
use super::*;
use crate::limits::KEM_EPOCH_TIME;
use crate::vectors::Vectors;

const ROUNDS: usize = 8;
/// The order in which the messages of a round arrive.
const ARRIVE: [usize; 5] = [3, 0, 4, 1, 2];

/// A seeded generator that remembers what was drawn.
struct Remembering {
    rng: ChaCha20Rng,
    drawn: Vec<Vec<u8>>,
}

impl TryRng for Remembering {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.rng.try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.rng.try_next_u64()
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.rng.try_fill_bytes(bytes)?;
        self.drawn.push(bytes.to_vec());
        Ok(())
    }
}

impl TryCryptoRng for Remembering {}

/// The two ends of the session of `wire.json`, as it begins.
fn ends() -> [End; 2] {
    let mut rng = rng(2);
    let (alice, bob) = (Device::new(&mut rng), Device::new(&mut rng));
    let begun =
        initiate(&alice.local(), bob.account, &bob.bundle(), NET, purpose(0), &mut rng).unwrap();
    let answered = respond(&bob.local(), &begun.handshake, &bob.prekeys, NET).unwrap();
    [End::new(begun.session), End::new(answered.session)]
}

#[test]
fn the_ratchet_is_that_of_the_specification() {
    let mut vectors = Vectors::default();
    let mut ends = ends();
    let mut rng = Remembering { rng: super::rng(4), drawn: Vec::new() };
    let mut now = NOW;
    for round in 0..ROUNDS {
        let (from, to) = (round % 2, 1 - round % 2);
        let by = if from == 0 { "Alice" } else { "Bob" };
        vectors.part(&format!("round {round}, by {by}"));
        rng.drawn.clear();
        // Epoch 1 is Alice's to offer, epoch 2 Bob's; each a day after its turn came.
        if let 2 | 5 = round {
            now = now.saturating_add(KEM_EPOCH_TIME);
            ends[from].session = ends[from].session.offer_kem(now, &mut rng).unwrap();
            vectors.put(&format!("r{round}.kem"), &rng.drawn[0]);
        }
        let part = ends[from].session.kem_part();
        rng.drawn.clear();
        let mut messages = Vec::new();
        for number in 0..ARRIVE.len() {
            let content = match (&part, number) {
                (Some(part), 0) => part.clone(),
                _ => format!("round {round}, message {number}").into_bytes(),
            };
            let length = if content.len() > 1_000 { 1_400 } else { 200 };
            let (next, message) = ends[from].session.encrypt(&content, length, &mut rng).unwrap();
            ends[from].session = next;
            messages.push((content, message));
        }
        // The initiator's first ratchet key was drawn with the handshake.
        if round > 0 {
            assert_eq!(rng.drawn[0].len(), 32);
            vectors.put(&format!("r{round}.dh"), &rng.drawn[0]);
        }
        for number in ARRIVE {
            let (content, message) = &messages[number];
            assert_eq!(ends[to].receive(message, now).unwrap(), *content);
            vectors.put(&format!("r{round}.m{number}"), message);
        }
        if let Some(part) = part {
            let (next, accepted) = ends[to].session.accept_kem_part(&part, &mut rng);
            assert_ne!(accepted, KemAccept::NotDue);
            ends[to].session = next;
        }
    }

    vectors.are(include_str!("../../../spec/vectors/ratchet.json"));
}
