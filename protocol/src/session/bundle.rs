//! The public prekeys of a device, signed by it: what a stranger needs to write to it.
//!
//! Rule: a [`Bundle`] exists only with a signature that holds, keys that are keys, and the network
//! it was asked for; whether it is *current* is a question of time, asked apart
//! ([`Bundle::check_time`]). Source: PROTOCOL §3; `spec/session.md#bundle`.

use core::fmt;

use super::prekeys::Prekeys;
use crate::crypto::{
    DhPublic, PQ_PUBLIC, PqPublic, SEAL_PUBLIC, SealPublic, SignatureBytes, SignatureKind, Signer,
    VerifyKey, hash, lp_into,
};
use crate::id::{DeviceId, HostId, QueueId};
use crate::limits::{BUNDLE_LIFE, MAX_DEVICE_HOSTS, MAX_RECORD_AHEAD};
use crate::time::UnixMillis;
use crate::wire::Reader;

const VERSION: u8 = 1;
/// The longest name of a network, in bytes (PROTOCOL §3).
const MAX_NET: usize = 32;

/// Bytes that are no bundle of this network, or parts that make none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// Not the canonical bytes of a bundle, or a key that is none.
    #[error("malformed bundle")]
    Malformed,
    /// A bundle of another network.
    #[error("a bundle of another network")]
    OtherNetwork,
    /// Valid for longer than ten days.
    #[error("the bundle is valid for too long")]
    TooLong,
    /// The signature does not hold.
    #[error("the bundle's signature does not hold")]
    Signature,
}

/// Why a bundle must not be used now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BundleTimeError {
    /// Its end has passed.
    #[error("the bundle has expired")]
    Expired,
    /// It was signed more than ten minutes ahead of this clock.
    #[error("the bundle is from the future")]
    Ahead,
}

/// What a bundle says besides the prekeys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleParts<'a> {
    /// The network.
    pub net: &'a str,
    /// The device's identity key, IK.
    pub ik: DhPublic,
    /// Where strangers deposit: at most [`MAX_DEVICE_HOSTS`].
    pub contact_queues: &'a [(HostId, QueueId)],
    /// Drawn anew when the home was restored.
    pub era: [u8; 16],
    /// When its prekeys were made.
    pub published: UnixMillis,
    /// Seconds since 1970 of signing; higher than any earlier bundle's.
    pub seq: u64,
}

/// The public prekeys of a device.
#[derive(Clone, PartialEq, Eq)]
pub struct Bundle {
    bytes: Vec<u8>,
    device_key: VerifyKey,
    ik: DhPublic,
    signed: DhPublic,
    signed_id: u32,
    quantum: PqPublic,
    quantum_id: u32,
    seal: SealPublic,
    seal_id: u32,
    contact_queues: Vec<(HostId, QueueId)>,
    era: [u8; 16],
    published: UnixMillis,
    expires: UnixMillis,
    seq: u64,
}

impl Bundle {
    /// Signs a bundle; it ends when its prekeys do.
    ///
    /// # Errors
    /// [`BundleError`] if the parts make no bundle: too many queues, a name of a network that is
    /// none, or prekeys that outlive ten days from `published`.
    pub fn sign(
        dk: &Signer,
        prekeys: &Prekeys,
        parts: &BundleParts<'_>,
    ) -> Result<Self, BundleError> {
        let seal = prekeys.seal().public().map_err(|_| BundleError::Malformed)?;
        let queues =
            u8::try_from(parts.contact_queues.len()).map_err(|_| BundleError::Malformed)?;
        let mut bytes = vec![VERSION];
        lp_into(&mut bytes, parts.net.as_bytes());
        bytes.extend_from_slice(&dk.verify_key().0);
        bytes.extend_from_slice(&parts.ik.0);
        bytes.extend_from_slice(&prekeys.signed().public().0);
        bytes.extend_from_slice(prekeys.quantum().public().as_bytes());
        bytes.extend_from_slice(seal.as_bytes());
        bytes.extend_from_slice(&prekeys.signed_id().to_le_bytes());
        bytes.extend_from_slice(&prekeys.quantum_id().to_le_bytes());
        bytes.extend_from_slice(&prekeys.seal_id().to_le_bytes());
        bytes.push(queues);
        for (host, queue) in parts.contact_queues {
            bytes.extend_from_slice(host.as_bytes());
            bytes.extend_from_slice(queue.as_bytes());
        }
        bytes.extend_from_slice(&parts.era);
        bytes.extend_from_slice(&parts.published.0.to_le_bytes());
        bytes.extend_from_slice(&prekeys.expires().0.to_le_bytes());
        bytes.extend_from_slice(&parts.seq.to_le_bytes());
        let signature = dk.sign(SignatureKind::Bundle, parts.net, &bytes);
        bytes.extend_from_slice(&signature.0);
        Self::from_bytes(&bytes, parts.net)
    }

    /// Reads and verifies a bundle of the network `net`.
    ///
    /// # Errors
    /// [`BundleError`]: every case.
    pub fn from_bytes(bytes: &[u8], net: &str) -> Result<Self, BundleError> {
        let (signed_part, signature) =
            bytes.split_last_chunk::<64>().ok_or(BundleError::Malformed)?;
        let bundle = parse(bytes, signed_part, net)?;
        let life = bundle.expires.since(bundle.published);
        if life > BUNDLE_LIFE {
            return Err(BundleError::TooLong);
        }
        bundle
            .device_key
            .verify(SignatureKind::Bundle, net, signed_part, &SignatureBytes(*signature))
            .map_err(|_| BundleError::Signature)?;
        Ok(bundle)
    }

    /// Reads what was checked when it came, and kept since: nothing is checked again.
    pub(crate) fn from_stored(bytes: &[u8], net: &str) -> Option<Self> {
        let (signed_part, _) = bytes.split_last_chunk::<64>()?;
        parse(bytes, signed_part, net).ok()
    }

    /// The bytes as signed.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.bytes.clone()
    }

    /// Whether the bundle may be used at `now`.
    ///
    /// # Errors
    /// [`BundleTimeError`] if it has ended, or was signed more than ten minutes ahead of `now`.
    pub fn check_time(&self, now: UnixMillis) -> Result<(), BundleTimeError> {
        let latest = now.saturating_add(MAX_RECORD_AHEAD);
        if self.published > latest || self.seq > latest.0 / 1_000 {
            return Err(BundleTimeError::Ahead);
        }
        if self.expires <= now { Err(BundleTimeError::Expired) } else { Ok(()) }
    }

    /// Whose bundle it is: the hash of the two keys that it contains.
    #[must_use]
    pub fn device_id(&self) -> DeviceId {
        device_id(&self.device_key, &self.ik)
    }

    /// The device's signing key, DK.
    #[must_use]
    pub const fn device_key(&self) -> VerifyKey {
        self.device_key
    }

    /// The device's identity key, IK.
    #[must_use]
    pub const fn ik(&self) -> DhPublic {
        self.ik
    }

    /// The X25519 prekey, SPK, with its id.
    #[must_use]
    pub const fn signed(&self) -> (DhPublic, u32) {
        (self.signed, self.signed_id)
    }

    /// The ML-KEM-1024 prekey, PQPK, with its id.
    #[must_use]
    pub const fn quantum(&self) -> (&PqPublic, u32) {
        (&self.quantum, self.quantum_id)
    }

    /// The seal key with its id.
    #[must_use]
    pub const fn seal(&self) -> (&SealPublic, u32) {
        (&self.seal, self.seal_id)
    }

    /// Where strangers deposit.
    #[must_use]
    pub fn contact_queues(&self) -> &[(HostId, QueueId)] {
        &self.contact_queues
    }

    /// Changes when the device's home was restored.
    #[must_use]
    pub const fn era(&self) -> [u8; 16] {
        self.era
    }

    /// When it was signed.
    #[must_use]
    pub const fn published(&self) -> UnixMillis {
        self.published
    }

    /// When it ends.
    #[must_use]
    pub const fn expires(&self) -> UnixMillis {
        self.expires
    }

    /// Of two bundles of one device the higher counts.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }
}

impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bundle({:?}, seq {})", self.device_id(), self.seq)
    }
}

/// `device_id = H("godwit/device/1" ‖ DK ‖ IK)`.
#[must_use]
pub fn device_id(device_key: &VerifyKey, ik: &DhPublic) -> DeviceId {
    DeviceId(hash(&[b"godwit/device/1", &device_key.0, &ik.0]))
}

fn parse(bytes: &[u8], signed_part: &[u8], net: &str) -> Result<Bundle, BundleError> {
    let mut reader = Reader::new(signed_part);
    let version = reader.byte().ok_or(BundleError::Malformed)?;
    let name = reader.lp(MAX_NET).ok_or(BundleError::Malformed)?;
    if version != VERSION {
        return Err(BundleError::Malformed);
    }
    if name != net.as_bytes() {
        return Err(BundleError::OtherNetwork);
    }
    let bundle = parse_keys(bytes, &mut reader).ok_or(BundleError::Malformed)?;
    if reader.finished() { Ok(bundle) } else { Err(BundleError::Malformed) }
}

fn parse_keys(bytes: &[u8], reader: &mut Reader<'_>) -> Option<Bundle> {
    let device_key = VerifyKey(reader.array()?);
    let ik = DhPublic(reader.array()?);
    let signed = DhPublic(reader.array()?);
    let quantum = PqPublic::new(reader.take(PQ_PUBLIC)?).ok()?;
    let seal = SealPublic::new(reader.take(SEAL_PUBLIC)?).ok()?;
    let (signed_id, quantum_id, seal_id) = (reader.le32()?, reader.le32()?, reader.le32()?);
    let count = usize::from(reader.byte()?);
    if count > MAX_DEVICE_HOSTS {
        return None;
    }
    let mut contact_queues = Vec::with_capacity(count);
    for _ in 0..count {
        contact_queues.push((HostId(reader.array()?), QueueId(reader.array()?)));
    }
    Some(Bundle {
        bytes: bytes.to_vec(),
        device_key,
        ik,
        signed,
        signed_id,
        quantum,
        quantum_id,
        seal,
        seal_id,
        contact_queues,
        era: reader.array()?,
        published: UnixMillis(reader.le64()?),
        expires: UnixMillis(reader.le64()?),
        seq: reader.le64()?,
    })
}
