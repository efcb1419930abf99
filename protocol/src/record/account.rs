//! The account record: which devices an account has, and which hosts keep their mail.
//!
//! ```text
//! v 1 ‖ LP(net) ‖ account 32 ‖ ARK 32 ‖ seq LE64 ‖ expires LE64 (ms) ‖ LP(chain proof)
//!   ‖ count u8 (≤ 8) ‖ (host 32 ‖ count u8 (≤ 2) ‖ LP(address)…)…
//!   ‖ count u8 (≤ 10) ‖ (device 32 ‖ k u8 ‖ count u8 (≤ 4) ‖ index u8…)…
//!   ‖ signer DK 32 ‖ sig 64
//! ```
//! The signature (kind `account-record`) is that of a device that the record's own proof shows
//! active, over everything before it. Of two records the higher `seq` (unix seconds of signing)
//! counts. Source: PROTOCOL §3; `spec/identity.md#account-record`.

use super::ManifestHost;
use crate::crypto::{SignatureBytes, SignatureKind, Signer, VerifyKey, lp_into};
use crate::id::{AccountId, DeviceId, HostId};
use crate::identity::Chain;
use crate::limits::{
    MAX_ACCOUNT_HOSTS, MAX_ADDRESS, MAX_DEVICE_HOSTS, MAX_DEVICES, MAX_HOST_ADDRESSES, MAX_PROOF,
    MAX_RECORD, MAX_RECORD_AHEAD, RECORD_LIFE,
};
use crate::machine::Address;
use crate::time::UnixMillis;
use crate::wire::Reader;

const VERSION: u8 = 1;

/// Bytes that are no account record of this network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Not the canonical bytes, or larger than a record may be.
    #[error("malformed account record")]
    Malformed,
    /// A later version, or a chain of one.
    #[error("an account record of a later version")]
    Unsupported,
    /// For another network.
    #[error("an account record of another network")]
    OtherNetwork,
    /// Its chain does not show that account, or no active device of it signed.
    #[error("the account record's signature does not hold")]
    Signature,
    /// Its end has passed, it lies too far ahead, or it claims to live too long.
    #[error("the account record is not valid at this time")]
    Time,
}

/// One device as the record names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordDevice {
    /// Which.
    pub device: DeviceId,
    /// How many receipts its owner calls *deposited*.
    pub k: u8,
    /// Its hosts, as places in [`AccountRecord::hosts`].
    pub hosts: Vec<u8>,
}

/// A record; exists only with a signature that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRecord {
    bytes: Vec<u8>,
    chain: Chain,
    seq: u64,
    expires: UnixMillis,
    hosts: Vec<ManifestHost>,
    devices: Vec<RecordDevice>,
}

impl AccountRecord {
    /// Signs a record at `now` with the key of a device of the chain; what is above its bounds is
    /// left out.
    #[must_use]
    pub fn sign(
        signer: &Signer,
        net: &str,
        chain: &Chain,
        now: UnixMillis,
        (hosts, devices): (&[ManifestHost], &[RecordDevice]),
    ) -> Self {
        let hosts: Vec<ManifestHost> =
            hosts.iter().take(MAX_ACCOUNT_HOSTS).map(ManifestHost::bounded).collect();
        let devices: Vec<RecordDevice> = devices.iter().take(MAX_DEVICES).cloned().collect();
        let (seq, expires) = (now.0 / 1_000, now.saturating_add(RECORD_LIFE));
        let mut bytes = vec![VERSION];
        lp_into(&mut bytes, net.as_bytes());
        bytes.extend_from_slice(chain.account().as_bytes());
        bytes.extend_from_slice(&chain.root().0);
        bytes.extend_from_slice(&seq.to_le_bytes());
        bytes.extend_from_slice(&expires.0.to_le_bytes());
        lp_into(&mut bytes, &chain.to_bytes());
        super::manifest::write_hosts(&mut bytes, &hosts);
        bytes.push(u8::try_from(devices.len()).unwrap_or(0));
        for device in &devices {
            bytes.extend_from_slice(device.device.as_bytes());
            bytes.push(device.k);
            let places = device.hosts.iter().take(MAX_DEVICE_HOSTS);
            bytes.push(u8::try_from(places.len()).unwrap_or(0));
            bytes.extend(places);
        }
        bytes.extend_from_slice(&signer.verify_key().0);
        let signature = signer.sign(SignatureKind::AccountRecord, net, &bytes);
        bytes.extend_from_slice(&signature.0);
        Self { bytes, chain: chain.clone(), seq, expires, hosts, devices }
    }

    /// Reads and verifies a record of the network `net`.
    ///
    /// # Errors
    /// [`RecordError`]: every case but `Time`.
    pub fn from_bytes(bytes: &[u8], net: &str) -> Result<Self, RecordError> {
        if bytes.len() > MAX_RECORD {
            return Err(RecordError::Malformed);
        }
        let (covered, signature) = bytes.split_last_chunk::<64>().ok_or(RecordError::Malformed)?;
        let (body, signer) = covered.split_last_chunk::<32>().ok_or(RecordError::Malformed)?;
        let mut reader = Reader::new(body);
        match reader.byte() {
            Some(VERSION) => {}
            Some(_) => return Err(RecordError::Unsupported),
            None => return Err(RecordError::Malformed),
        }
        let raw = Raw::read(&mut reader).filter(|_| reader.finished());
        let raw = raw.ok_or(RecordError::Malformed)?;
        if raw.net != net.as_bytes() {
            return Err(RecordError::OtherNetwork);
        }
        let chain = Chain::from_bytes(raw.chain).map_err(|_| RecordError::Unsupported)?;
        let signer = VerifyKey(*signer);
        let known = chain.devices().iter().any(|device| device.signer == signer);
        let shown = chain.account() == raw.account && chain.root().0 == raw.root;
        let signature = SignatureBytes(*signature);
        let holds = signer.verify(SignatureKind::AccountRecord, net, covered, &signature).is_ok();
        if !(known && shown && holds) {
            return Err(RecordError::Signature);
        }
        let Raw { seq, expires, hosts, devices, .. } = raw;
        Ok(Self { bytes: bytes.to_vec(), chain, seq, expires, hosts, devices })
    }

    /// Whether the record may be used at `now`.
    ///
    /// # Errors
    /// [`RecordError::Time`].
    pub fn check_time(&self, now: UnixMillis) -> Result<(), RecordError> {
        let latest = now.saturating_add(MAX_RECORD_AHEAD);
        let signed = UnixMillis(self.seq.saturating_mul(1_000));
        let too_long = self.expires.since(signed) > RECORD_LIFE.saturating_add(MAX_RECORD_AHEAD);
        let bad = signed > latest || self.expires <= now || too_long;
        if bad { Err(RecordError::Time) } else { Ok(()) }
    }

    /// The bytes as signed.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.bytes.clone()
    }

    /// Whose it is.
    #[must_use]
    pub const fn account(&self) -> AccountId {
        self.chain.account()
    }

    /// The account's chain.
    #[must_use]
    pub const fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Of two records of one account the higher counts.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// Until when it is valid.
    #[must_use]
    pub const fn expires(&self) -> UnixMillis {
        self.expires
    }

    /// The account's hosts.
    #[must_use]
    pub fn hosts(&self) -> &[ManifestHost] {
        &self.hosts
    }

    /// The account's devices with their hosts.
    #[must_use]
    pub fn devices(&self) -> &[RecordDevice] {
        &self.devices
    }
}

struct Raw<'a> {
    net: &'a [u8],
    account: AccountId,
    root: [u8; 32],
    seq: u64,
    expires: UnixMillis,
    chain: &'a [u8],
    hosts: Vec<ManifestHost>,
    devices: Vec<RecordDevice>,
}

impl<'a> Raw<'a> {
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let net = reader.lp(32)?;
        let account = AccountId(reader.array()?);
        let root = reader.array()?;
        let seq = reader.le64()?;
        let expires = UnixMillis(reader.le64()?);
        let chain = reader.lp(MAX_PROOF)?;
        let hosts = super::manifest::read_hosts(reader, MAX_ACCOUNT_HOSTS)?;
        let count = usize::from(reader.byte()?);
        if count > MAX_DEVICES {
            return None;
        }
        let mut devices = Vec::with_capacity(count);
        for _ in 0..count {
            let device = DeviceId(reader.array()?);
            let k = reader.byte()?;
            let places = usize::from(reader.byte()?);
            let places = reader.take(places).filter(|_| places <= MAX_DEVICE_HOSTS)?;
            if places.iter().any(|place| usize::from(*place) >= hosts.len()) {
                return None;
            }
            devices.push(RecordDevice { device, k, hosts: places.to_vec() });
        }
        Some(Self { net, account, root, seq, expires, chain, hosts, devices })
    }
}

/// A worst case of everything there is fits a record.
const _: () = assert!(
    1 + 36
        + 32
        + 32
        + 8
        + 8
        + (4 + MAX_PROOF)
        + 1
        + MAX_ACCOUNT_HOSTS * (32 + 1 + MAX_HOST_ADDRESSES * (4 + MAX_ADDRESS))
        + 1
        + MAX_DEVICES * (32 + 2 + MAX_DEVICE_HOSTS)
        + 96
        <= MAX_RECORD
);

/// The host of that number.
#[must_use]
pub fn host_at(record: &AccountRecord, place: u8) -> Option<(HostId, &[Address])> {
    let host = record.hosts().get(usize::from(place))?;
    Some((host.host, &host.addresses))
}

#[cfg(test)]
mod tests {
    use chacha20::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;
    use crate::identity::{AccountRoot, DeviceKeys, RecoveryPhrase};

    const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

    fn person(seed: u8) -> (DeviceKeys, Chain) {
        let mut rng = ChaCha20Rng::from_seed([seed; 32]);
        let root = AccountRoot::from_phrase(&RecoveryPhrase::random(&mut rng));
        let device = DeviceKeys::random(&mut rng);
        let chain = Chain::genesis(&root, &device, NOW);
        (device, chain)
    }

    fn record() -> AccountRecord {
        let (device, chain) = person(1);
        let address = Address::new("/ip4/127.0.0.1/tcp/7447").unwrap();
        let hosts = [ManifestHost { host: HostId([2; 32]), addresses: vec![address] }];
        let devices = [RecordDevice { device: device.id(), k: 1, hosts: vec![0] }];
        AccountRecord::sign(device.signer(), "main", &chain, NOW, (&hosts, &devices))
    }

    #[test]
    fn a_record_reads_back_and_names_its_hosts() {
        let read = AccountRecord::from_bytes(&record().to_bytes(), "main").unwrap();

        assert_eq!(read, record());
        assert_eq!(read.check_time(NOW), Ok(()));
        assert_eq!(host_at(&read, 0).unwrap().0, HostId([2; 32]));
        assert_eq!(host_at(&read, 1), None);
    }

    #[test]
    fn a_record_of_another_network_signer_or_time_is_refused() {
        let (stranger, _) = person(3);
        let (_, chain) = person(1);
        let forged = AccountRecord::sign(stranger.signer(), "main", &chain, NOW, (&[], &[]));
        let bytes = record().to_bytes();

        assert_eq!(AccountRecord::from_bytes(&bytes, "alps"), Err(RecordError::OtherNetwork));
        assert_eq!(
            AccountRecord::from_bytes(&forged.to_bytes(), "main"),
            Err(RecordError::Signature)
        );
        assert_eq!(record().check_time(NOW.saturating_add(RECORD_LIFE)), Err(RecordError::Time));
        assert_eq!(
            record().check_time(NOW.saturating_sub(MAX_RECORD_AHEAD.saturating_mul(2))),
            Err(RecordError::Time)
        );
    }

    #[test]
    fn no_flipped_bit_and_no_cut_is_accepted() {
        let bytes = record().to_bytes();
        for byte in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[byte] ^= 1;
            assert!(AccountRecord::from_bytes(&changed, "main").is_err(), "byte {byte}");
            assert!(AccountRecord::from_bytes(&bytes[..byte], "main").is_err());
        }
    }
}
