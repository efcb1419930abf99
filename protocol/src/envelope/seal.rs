//! The seal: what has no answered session yet is encrypted to the device, handshake and all.
//!
//! ```text
//! seal key id LE32 ‖ X-Wing enc 1,120 ‖ AEAD( PQXDH 1,778 ‖ message )
//! ```
//! Nobody but the device learns who writes. HPKE base mode, `info = "godwit/seal/1" ‖ device_id`.

use rand_core::CryptoRng;

use crate::crypto::{SEAL_ENC, SealError, SealPublic, SealSecret, TAG};
use crate::id::DeviceId;
use crate::session::{Bundle, PQXDH, Pqxdh};
use crate::wire::Reader;

/// Bytes that the seal adds to a message: key id, encapsulated key, tag, handshake.
pub const SEAL_OVERHEAD: usize = 4 + SEAL_ENC + TAG + PQXDH;

/// Whom something is sealed to.
#[derive(Debug, Clone, Copy)]
pub struct SealTarget<'a> {
    /// The id of the key.
    pub key_id: u32,
    /// The key.
    pub key: &'a SealPublic,
    /// The device.
    pub device: DeviceId,
}

impl<'a> From<&'a Bundle> for SealTarget<'a> {
    fn from(bundle: &'a Bundle) -> Self {
        let (key, key_id) = bundle.seal();
        Self { key_id, key, device: bundle.device_id() }
    }
}

/// Why something sealed does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnsealError {
    /// Not sealed to this key and device, or altered.
    #[error("not sealed to this key")]
    NotSealed,
    /// Sealed to us, but no handshake inside.
    #[error("no handshake inside the seal")]
    NoHandshake,
}

/// The length of the message that fills a sealed envelope of `total` bytes.
#[must_use]
pub const fn sealed_message_length(total: usize) -> Option<usize> {
    total.checked_sub(SEAL_OVERHEAD)
}

/// Seals a handshake and the message of its session; [`SEAL_OVERHEAD`] bytes longer than `message`.
///
/// # Errors
/// [`SealError`] never for a key that was checked.
pub fn seal(
    target: SealTarget<'_>,
    handshake: &Pqxdh,
    message: &[u8],
    rng: &mut dyn CryptoRng,
) -> Result<Vec<u8>, SealError> {
    let mut plain = handshake.to_bytes();
    plain.extend_from_slice(message);
    let (enc, sealed) = target.key.seal(&plain, &info(target.device), rng)?;
    Ok([&target.key_id.to_le_bytes()[..], &enc, &sealed].concat())
}

/// The id of the key that something may be sealed to: its first four bytes.
#[must_use]
pub fn peek_key_id(bytes: &[u8]) -> Option<u32> {
    Reader::new(bytes).le32()
}

/// Opens what was sealed to `device` under the key of that id.
///
/// # Errors
/// [`UnsealError`]: every case.
pub fn unseal(
    secret: &SealSecret,
    device: DeviceId,
    bytes: &[u8],
) -> Result<(Pqxdh, Vec<u8>), UnsealError> {
    let mut reader = Reader::new(bytes);
    let enc = reader.le32().and_then(|_| reader.take(SEAL_ENC)).ok_or(UnsealError::NotSealed)?;
    let sealed = bytes.get(4 + SEAL_ENC..).ok_or(UnsealError::NotSealed)?;
    let plain = secret.open(enc, sealed, &info(device)).map_err(|_| UnsealError::NotSealed)?;
    let (handshake, message) = plain.split_at_checked(PQXDH).ok_or(UnsealError::NoHandshake)?;
    let handshake = Pqxdh::from_bytes(handshake).map_err(|_| UnsealError::NoHandshake)?;
    Ok((handshake, message.to_vec()))
}

fn info(device: DeviceId) -> Vec<u8> {
    [&b"godwit/seal/1"[..], device.as_bytes()].concat()
}
