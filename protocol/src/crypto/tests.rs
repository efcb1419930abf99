use chacha20::ChaCha20Rng;
use rand_core::SeedableRng;

use super::*;

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::from_seed([7; 32])
}

#[test]
fn no_secret_shows_in_debug() {
    let mut rng = rng();
    let shown = [
        format!("{:?}", Secret::<32>::random(&mut rng)),
        format!("{:?}", DhSecret::random(&mut rng)),
        format!("{:?}", PqSeed::random(&mut rng)),
        format!("{:?}", RatchetSeed::random(&mut rng)),
        format!("{:?}", SealSecret::random(&mut rng)),
        format!("{:?}", Signer::random(&mut rng)),
    ];

    assert_eq!(shown, ["Secret<32>", "DhSecret", "PqSeed", "RatchetSeed", "SealSecret", "Signer"]);
}

#[test]
fn an_all_zero_key_is_refused() {
    let secret = DhSecret::random(&mut rng());

    assert_eq!(secret.agree(&DhPublic([0; 32])).unwrap_err(), DhError);
}

#[test]
fn x25519_agrees_with_rfc_7748_section_5_2() {
    let mut nine = [0; 32];
    nine[0] = 9;
    let (mut scalar, mut point) = (nine, nine);

    for round in 1..=1_000 {
        let next = *DhSecret::from_bytes(scalar).agree(&DhPublic(point)).unwrap().expose();
        point = core::mem::replace(&mut scalar, next);
        if round == 1 {
            assert_eq!(
                hex(&scalar),
                "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"
            );
        }
    }

    assert_eq!(hex(&scalar), "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

#[test]
fn both_kems_carry_a_secret_and_reject_bad_lengths() {
    let mut rng = rng();
    let (handshake, ratchet) = (PqSeed::random(&mut rng), RatchetSeed::random(&mut rng));

    let (ciphertext, sent) = handshake.public().encapsulate(&mut rng).unwrap();
    let (small, small_sent) = ratchet.public().encapsulate(&mut rng).unwrap();

    assert_eq!(handshake.decapsulate(&ciphertext).unwrap(), sent);
    assert_eq!(ratchet.decapsulate(&small).unwrap(), small_sent);
    assert_eq!((ciphertext.len(), small.len()), (PQ_CIPHERTEXT, KEM_CIPHERTEXT));
    assert_eq!(handshake.public().as_bytes().len(), PQ_PUBLIC);
    assert_eq!(ratchet.public().as_bytes().len(), KEM_PUBLIC);
    assert_eq!(handshake.decapsulate(&small).unwrap_err(), KemError);
    assert_eq!(PqPublic::new(&[0xff; PQ_PUBLIC]).unwrap_err(), KemError);
}

#[test]
fn a_seal_opens_under_its_own_info_alone() {
    let mut rng = rng();
    let secret = SealSecret::random(&mut rng);
    let public = secret.public().unwrap();

    let (enc, sealed) = public.seal(b"hello", b"for bob", &mut rng).unwrap();

    assert_eq!(secret.open(&enc, &sealed, b"for bob").unwrap(), b"hello");
    assert_eq!(secret.open(&enc, &sealed, b"for eve").unwrap_err(), SealError);
    assert_eq!((enc.len(), public.as_bytes().len()), (SEAL_ENC, SEAL_PUBLIC));
}

#[test]
fn a_signature_holds_for_its_kind_network_and_bytes_alone() {
    let signer = Signer::random(&mut rng());
    let signature = signer.sign(SignatureKind::Bundle, "main", b"bytes");
    let key = signer.verify_key();

    assert_eq!(key.verify(SignatureKind::Bundle, "main", b"bytes", &signature), Ok(()));
    assert!(key.verify(SignatureKind::Manifest, "main", b"bytes", &signature).is_err());
    assert!(key.verify(SignatureKind::Bundle, "other", b"bytes", &signature).is_err());
    assert!(key.verify(SignatureKind::Bundle, "main", b"byte", &signature).is_err());
    assert!(
        VerifyKey([0; 32]).verify(SignatureKind::Bundle, "main", b"bytes", &signature).is_err()
    );
}

#[test]
fn hkdf_agrees_with_rfc_5869_case_1() {
    let okm: Secret<42> =
        hkdf(&(0..=0x0c).collect::<Vec<u8>>(), &[0x0b; 22], &[&(0xf0..=0xf9).collect::<Vec<u8>>()]);

    assert_eq!(
        data_encoding::HEXLOWER.encode(okm.expose()),
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    );
}

#[test]
fn the_same_seed_draws_the_same_keys() {
    let (mut first, mut second) = (rng(), rng());

    assert_eq!(DhSecret::random(&mut first).public(), DhSecret::random(&mut second).public());
}
