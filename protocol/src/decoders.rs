//! Every decoder of remote bytes under random, cut and altered input: none panics, and what is
//! accepted is what was written, byte for byte.

use chacha20::ChaCha20Rng;
use proptest::prelude::*;
use rand_core::SeedableRng as _;

use crate::content::{
    ContactRequest, Content, Control, Hello, Profile, Reachability, Receipt, Resend, Text,
};
use crate::envelope::Envelope;
use crate::id::{DeviceId, HostId, RecordKey};
use crate::identity::{Chain, ContactLink, HostLink};
use crate::machine::Address;
use crate::record::{AccountRecord, Manifest, ManifestHost, Published, RecordDevice};
use crate::session::tests::{NET, NOW};
use crate::session::{Bundle, Pqxdh};
use crate::vectors::vector;
use crate::wire::frame::Frame;

/// A decoder: what it makes of bytes, written again; `None` where it refuses them.
type Decoder = fn(&[u8]) -> Option<Vec<u8>>;

const DECODERS: [(&str, Decoder); 19] = [
    ("frame", |bytes| Frame::decode(bytes).ok()?.encode().ok()),
    ("envelope", |bytes| Some(Envelope::from_bytes(bytes).ok()?.to_bytes())),
    ("content", |bytes| Content::from_bytes(bytes).ok()?.to_bytes().ok()),
    ("text", |bytes| Some(Text::from_bytes(bytes).ok()?.to_bytes())),
    ("profile", |bytes| Some(Profile::from_bytes(bytes).ok()?.to_bytes())),
    ("hello", |bytes| Some(Hello::from_bytes(bytes).ok()?.to_bytes())),
    ("receipt", |bytes| Some(Receipt::from_bytes(bytes).ok()?.to_bytes())),
    ("resend", |bytes| Some(Resend::from_bytes(bytes).ok()?.to_bytes())),
    ("control", |bytes| Some(Control::from_bytes(bytes).ok()??.to_bytes())),
    ("reachability", |bytes| Some(Reachability::from_bytes(bytes).ok()?.to_bytes())),
    ("contact request", |bytes| Some(ContactRequest::from_bytes(bytes).ok()?.to_bytes())),
    ("handshake", |bytes| Some(Pqxdh::from_bytes(bytes).ok()?.to_bytes())),
    ("bundle", |bytes| Some(Bundle::from_bytes(bytes, NET).ok()?.to_bytes())),
    ("account record", |bytes| Some(AccountRecord::from_bytes(bytes, NET).ok()?.to_bytes())),
    ("manifest", |bytes| {
        let signer = crate::crypto::Signer::from_seed([5; 32]).verify_key();
        Some(Manifest::from_bytes(bytes, &signer, NET, DeviceId([1; 32])).ok()?.to_bytes())
    }),
    ("published", |bytes| {
        Some(Published::from_bytes(&RecordKey([0; 32]), bytes, NET, NOW).ok()?.to_bytes())
    }),
    ("chain", |bytes| Some(Chain::from_bytes(bytes).ok()?.to_bytes())),
    ("contact link", |bytes| {
        let link: ContactLink = core::str::from_utf8(bytes).ok()?.parse().ok()?;
        Some(link.to_string().parse::<ContactLink>().ok()?.to_string().into_bytes())
    }),
    ("host link", |bytes| {
        let link: HostLink = core::str::from_utf8(bytes).ok()?.parse().ok()?;
        Some(link.to_string().parse::<HostLink>().ok()?.to_string().into_bytes())
    }),
];

/// Decoders of text: people may write one thing in several ways.
const LENIENT: [&str; 2] = ["contact link", "host link"];

/// What is known to be right, by the name of the decoder that takes it.
fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let signer = crate::crypto::Signer::from_seed([5; 32]);
    let address = Address::new("/ip4/127.0.0.1/tcp/7447").unwrap();
    let hosts = [ManifestHost { host: HostId([2; 32]), addresses: vec![address.clone()] }];
    let chain = Chain::from_bytes(&vector("genesis")).unwrap();
    let seed: [u8; 32] = vector("device.dk.seed").try_into().unwrap();
    let devices = [RecordDevice { device: DeviceId([1; 32]), k: 1, hosts: vec![0] }];
    let record = AccountRecord::sign(
        &crate::crypto::Signer::from_seed(seed),
        NET,
        &chain,
        NOW,
        (&hosts, &devices),
    );
    let manifest = Manifest::sign(&signer, NET, DeviceId([1; 32]), 9, 1, &hosts);
    let request = ContactRequest {
        name: "Alice".to_owned(),
        invite: Some([1; 32]),
        chain: chain.to_bytes(),
        manifest: manifest.to_bytes(),
        text: "hello".to_owned(),
    };
    let reachability = Reachability {
        manifest: manifest.to_bytes(),
        peer: HostId([2; 32]),
        addresses: vec![address.clone()],
        queues: Vec::new(),
    };
    let link = HostLink {
        host: HostId(signer.verify_key().0),
        network: NET.parse().unwrap(),
        addresses: vec![address],
        token: Some([3; 16]),
    };
    let account = crate::identity::account_text(&chain.account());
    let contact = format!("godwit:{account}?n={NET}&c=0.{}", "0".repeat(32));
    let ask = crate::wire::frame::Request::GetCard { account: chain.account() };
    vec![
        ("frame", Frame::Request(7, ask).encode().unwrap()),
        ("envelope", vector("envelope")),
        ("content", vector("content")),
        ("text", Text::new("hello".to_owned()).unwrap().to_bytes()),
        ("profile", Profile { name: "Bob".to_owned() }.to_bytes()),
        ("hello", Hello::Plain.to_bytes()),
        ("receipt", Receipt(vec![crate::id::MessageId([1; 16])]).to_bytes()),
        ("resend", Resend(vec![crate::id::MessageId([1; 16])]).to_bytes()),
        ("control", vector("not_served")),
        ("reachability", reachability.to_bytes()),
        ("contact request", request.to_bytes()),
        ("handshake", vector("handshake")),
        ("bundle", vector("bob.bundle")),
        ("account record", record.to_bytes()),
        ("manifest", manifest.to_bytes()),
        ("chain", chain.to_bytes()),
        ("contact link", contact.into_bytes()),
        ("host link", link.to_string().into_bytes()),
    ]
}

/// Gives bytes to every decoder.
fn decode(bytes: &[u8]) {
    for (name, decoder) in DECODERS {
        if let Some(again) = decoder(bytes)
            && !LENIENT.contains(&name)
        {
            assert_eq!(again, bytes, "{name}: two encodings of one thing");
        }
    }
}

#[test]
fn each_decoder_takes_what_it_should() {
    for (name, bytes) in samples() {
        let (_, decoder) = DECODERS.iter().find(|(known, _)| *known == name).unwrap();
        assert_eq!(decoder(&bytes).as_deref(), Some(&bytes[..]), "{name}");
        for length in 0..bytes.len().min(200) {
            decode(&bytes[..length]);
        }
    }
}

/// How many inputs each decoder is given; `GODWIT_CASES` gives more.
fn cases() -> u32 {
    let asked = std::env::var("GODWIT_CASES").ok().and_then(|text| text.parse().ok());
    asked.unwrap_or(100_000)
}

fn below(rng: &mut ChaCha20Rng, end: usize) -> usize {
    usize::try_from(rng.next_u32()).unwrap() % end.max(1)
}

/// Noise, or something that was right: with bits flipped, cut, with more behind it, with a length that
/// lies, or one half of it and one of another.
fn spoilt(rng: &mut ChaCha20Rng, right: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = right.to_vec();
    match below(rng, 6) {
        0 => {
            bytes = vec![0; below(rng, 600)];
            rng.fill_bytes(&mut bytes);
        }
        1 => bytes.truncate(below(rng, right.len())),
        2 => {
            let mut tail = vec![0; 1 + below(rng, 40)];
            rng.fill_bytes(&mut tail);
            bytes.extend(tail);
        }
        3 if bytes.len() >= 8 => {
            let at = below(rng, bytes.len() - 7);
            let lies = [u64::MAX, u64::MAX >> 1, u64::from(u32::MAX), 1 << 32, 0];
            bytes[at..at + 8].copy_from_slice(&lies[below(rng, lies.len())].to_le_bytes());
        }
        4 => {
            bytes.truncate(below(rng, right.len()));
            bytes.extend(&other[below(rng, other.len())..]);
        }
        _ => {
            for _ in 0..=below(rng, 4) {
                let bit = below(rng, bytes.len() * 8);
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }
    bytes
}

#[test]
fn each_decoder_stands_a_hundred_thousand_spoilt_inputs() {
    let samples = samples();
    let worker = |first: usize| {
        for (number, (name, right)) in samples.iter().enumerate().skip(first).step_by(2) {
            let (_, decoder) = DECODERS.iter().find(|(known, _)| known == name).unwrap();
            let mut rng = ChaCha20Rng::from_seed([u8::try_from(number).unwrap(); 32]);
            for case in 0..cases() {
                let other = &samples[usize::try_from(case).unwrap() % samples.len()].1;
                let bytes = spoilt(&mut rng, right, other);
                if let Some(again) = decoder(&bytes)
                    && !LENIENT.contains(name)
                {
                    assert_eq!(again, bytes, "{name}: two encodings of one thing");
                }
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| worker(0));
        scope.spawn(|| worker(1));
    });
}

proptest! {
    #[test]
    fn random_bytes_never_break_a_decoder(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        decode(&bytes);
    }

    #[test]
    fn altered_bytes_never_break_a_decoder(
        which in any::<prop::sample::Index>(),
        flips in proptest::collection::vec(any::<prop::sample::Index>(), 1..4),
        cut in any::<prop::sample::Index>(),
        tail in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let samples = samples();
        let (_, mut bytes) = samples[which.index(samples.len())].clone();
        for flip in &flips {
            let bit = flip.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        decode(&bytes);
        bytes.truncate(cut.index(bytes.len()));
        decode(&bytes);
        bytes.extend(tail);
        decode(&bytes);
    }

    /// A length that claims more than there is takes no memory for it.
    #[test]
    fn a_length_that_lies_is_refused(at in any::<prop::sample::Index>(), which in any::<prop::sample::Index>()) {
        let samples = samples();
        let (_, mut bytes) = samples[which.index(samples.len())].clone();
        if bytes.len() >= 8 {
            let at = at.index(bytes.len() - 7);
            bytes[at..at + 8].copy_from_slice(&[0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0x7f]);
        }
        decode(&bytes);
    }
}
