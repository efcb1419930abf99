use chacha20::ChaCha20Rng;
use proptest::prelude::*;
use rand_core::SeedableRng;

use super::*;
use crate::crypto::SealSecret;
use crate::id::{DeviceId, QueueId};
use crate::limits::MAX_CONTENT;
use crate::session::{PQXDH, Pqxdh};
use crate::time::UnixHours;

#[test]
fn sizes_are_those_of_the_specification() {
    assert_eq!(Bucket::for_content(1_906).map(Bucket::bytes), Some(2_048));
    assert_eq!(Bucket::for_content(1_907).map(Bucket::bytes), Some(4_096));
    assert_eq!(Bucket::for_first_contact(0).map(Bucket::bytes), Some(8_192));
    assert_eq!(Bucket::for_first_contact(5_132).map(Bucket::bytes), Some(8_192));
    assert_eq!(Bucket::for_first_contact(5_133).map(Bucket::bytes), Some(16_384));
    assert_eq!(Bucket::for_first_contact(16_384), None);
    assert_eq!(Bucket::for_sealed(MAX_CONTENT).map(Bucket::bytes), Some(65_536));
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::from_seed([8; 32])
}

fn envelope() -> Envelope {
    let bytes = vec![7; 2_048];
    Envelope::new(QueueId([1; 32]), [2; 16], UnixHours(3), revoke_hash(&[4; 16]), bytes).unwrap()
}

#[test]
fn an_envelope_reads_back_as_written() {
    let bytes = envelope().to_bytes();

    let read = Envelope::from_bytes(&bytes).unwrap();

    assert_eq!(bytes.len(), ENVELOPE_HEADER + 2_048);
    assert_eq!(read, envelope());
    assert_eq!(read.to_bytes(), bytes);
    assert_eq!(read.id().as_bytes()[..], read.bytes_hash()[..16]);
}

#[test]
fn an_envelope_of_another_size_or_id_is_refused() {
    let bytes = envelope().to_bytes();

    let mut longer = bytes.clone();
    longer.push(0);
    assert_eq!(Envelope::from_bytes(&longer), Err(EnvelopeError::Size(2_049)));
    let mut altered = bytes.clone();
    altered[ENVELOPE_HEADER] ^= 1;
    assert_eq!(Envelope::from_bytes(&altered), Err(EnvelopeError::Id));
    assert_eq!(Envelope::from_bytes(&bytes[..99]), Err(EnvelopeError::Malformed));
    assert_eq!(Bucket::exact(2_048).map(Bucket::bytes), Some(2_048));
    assert_eq!(Bucket::exact(2_047), None);
}

/// A handshake of nobody: what is inside the seal does not matter to it.
fn handshake() -> Pqxdh {
    let mut bytes = vec![0; PQXDH];
    bytes[206] = 5;
    Pqxdh::from_bytes(&bytes).unwrap()
}

#[test]
fn what_is_sealed_opens_for_its_device_and_key_alone() {
    let mut rng = rng();
    let (secret, device) = (SealSecret::random(&mut rng), DeviceId([9; 32]));
    let public = secret.public().unwrap();
    let target = SealTarget { key_id: 77, key: &public, device };
    let message = vec![6; sealed_message_length(8_192).unwrap()];

    let sealed = seal(target, &handshake(), &message, &mut rng).unwrap();

    assert_eq!((sealed.len(), SEAL_OVERHEAD), (8_192, 2_918));
    assert_eq!(peek_key_id(&sealed), Some(77));
    assert_eq!(unseal(&secret, device, &sealed), Ok((handshake(), message)));
    let elsewhere = DeviceId([8; 32]);
    assert_eq!(unseal(&secret, elsewhere, &sealed), Err(UnsealError::NotSealed));
    let other = SealSecret::random(&mut rng);
    assert_eq!(unseal(&other, device, &sealed), Err(UnsealError::NotSealed));
    for index in [4, 1_123, 1_124, 8_191] {
        let mut altered = sealed.clone();
        altered[index] ^= 1;
        assert_eq!(unseal(&secret, device, &altered), Err(UnsealError::NotSealed));
    }
}

#[test]
fn a_seal_with_something_else_inside_is_no_handshake() {
    let mut rng = rng();
    let (secret, device) = (SealSecret::random(&mut rng), DeviceId([9; 32]));
    let info = [&b"godwit/seal/1"[..], device.as_bytes()].concat();

    let (enc, sealed) = secret.public().unwrap().seal(&[0xff; 4_000], &info, &mut rng).unwrap();
    let bytes = [&[0; 4][..], &enc, &sealed].concat();

    assert_eq!(unseal(&secret, device, &bytes), Err(UnsealError::NoHandshake));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..Default::default() })]

    #[test]
    fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2_200)) {
        let secret = SealSecret::from_bytes([1; 32]);

        prop_assert!(Envelope::from_bytes(&bytes).is_err());
        prop_assert!(unseal(&secret, DeviceId([9; 32]), &bytes).is_err());
    }
}
