//! The signed list of a device's mailbox hosts, as contacts keep it.
//!
//! ```text
//! v 1 ‖ LP(net) ‖ device 32 ‖ seq LE64 ‖ k u8 ‖ count u8 (≤ 4) ‖ (host 32 ‖ count u8 (≤ 2) ‖ LP(address)…)… ‖ sig 64
//! ```
//! The signature (kind `manifest`) is the device's, over everything before it. Of two manifests of
//! one device the higher `seq` (unix seconds of signing) counts.

use crate::crypto::{SignatureBytes, SignatureKind, Signer, VerifyKey, lp_into};
use crate::id::{DeviceId, HostId};
use crate::limits::{MAX_ADDRESS, MAX_DEVICE_HOSTS, MAX_HOST_ADDRESSES};
use crate::machine::Address;
use crate::wire::Reader;

const VERSION: u8 = 1;

/// Bytes that are no manifest of that device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Not the canonical bytes.
    #[error("malformed manifest")]
    Malformed,
    /// A later version.
    #[error("a manifest of a later version")]
    Unsupported,
    /// For another network or device.
    #[error("a manifest of another network or device")]
    Other,
    /// Not signed by the device.
    #[error("the manifest's signature does not hold")]
    Signature,
}

/// A host with its addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestHost {
    /// Its node key.
    pub host: HostId,
    /// Where it listens: at most [`MAX_HOST_ADDRESSES`].
    pub addresses: Vec<Address>,
}

impl ManifestHost {
    /// With no more addresses than may be signed.
    #[must_use]
    pub fn bounded(&self) -> Self {
        let addresses = self.addresses.iter().take(MAX_HOST_ADDRESSES).cloned().collect();
        Self { host: self.host, addresses }
    }
}

/// A device's hosts; exists only with a signature that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    bytes: Vec<u8>,
    seq: u64,
    k: u8,
    hosts: Vec<ManifestHost>,
}

impl Manifest {
    /// Signs a list; hosts and addresses above their bounds are left out.
    #[must_use]
    pub fn sign(
        signer: &Signer,
        net: &str,
        device: DeviceId,
        seq: u64,
        k: u8,
        hosts: &[ManifestHost],
    ) -> Self {
        let hosts: Vec<ManifestHost> =
            hosts.iter().take(MAX_DEVICE_HOSTS).map(ManifestHost::bounded).collect();
        let mut bytes = vec![VERSION];
        lp_into(&mut bytes, net.as_bytes());
        bytes.extend_from_slice(device.as_bytes());
        bytes.extend_from_slice(&seq.to_le_bytes());
        bytes.push(k);
        write_hosts(&mut bytes, &hosts);
        let signature = signer.sign(SignatureKind::Manifest, net, &bytes);
        bytes.extend_from_slice(&signature.0);
        Self { bytes, seq, k, hosts }
    }

    /// Reads a manifest of the device that holds `signer`.
    ///
    /// # Errors
    /// [`ManifestError`]: every case.
    pub fn from_bytes(
        bytes: &[u8],
        signer: &VerifyKey,
        net: &str,
        device: DeviceId,
    ) -> Result<Self, ManifestError> {
        let (covered, signature) =
            bytes.split_last_chunk::<64>().ok_or(ManifestError::Malformed)?;
        let mut reader = Reader::new(covered);
        match reader.byte() {
            Some(VERSION) => {}
            Some(_) => return Err(ManifestError::Unsupported),
            None => return Err(ManifestError::Malformed),
        }
        let raw = read(&mut reader).filter(|_| reader.finished());
        let (network, named, seq, k, hosts) = raw.ok_or(ManifestError::Malformed)?;
        if network != net.as_bytes() || named != device {
            return Err(ManifestError::Other);
        }
        signer
            .verify(SignatureKind::Manifest, net, covered, &SignatureBytes(*signature))
            .map_err(|_| ManifestError::Signature)?;
        Ok(Self { bytes: bytes.to_vec(), seq, k, hosts })
    }

    /// The bytes as signed.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.bytes.clone()
    }

    /// Of two manifests of one device the higher counts.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// How many receipts the owner calls *deposited*.
    #[must_use]
    pub const fn k(&self) -> u8 {
        self.k
    }

    /// The hosts.
    #[must_use]
    pub fn hosts(&self) -> &[ManifestHost] {
        &self.hosts
    }
}

/// `count u8 ‖ (host 32 ‖ count u8 ‖ LP(address)…)…`
pub(super) fn write_hosts(bytes: &mut Vec<u8>, hosts: &[ManifestHost]) {
    bytes.push(u8::try_from(hosts.len()).unwrap_or(0));
    for host in hosts {
        bytes.extend_from_slice(host.host.as_bytes());
        bytes.push(u8::try_from(host.addresses.len()).unwrap_or(0));
        for address in &host.addresses {
            lp_into(bytes, address.as_str().as_bytes());
        }
    }
}

type Raw<'a> = (&'a [u8], DeviceId, u64, u8, Vec<ManifestHost>);

fn read<'a>(reader: &mut Reader<'a>) -> Option<Raw<'a>> {
    let network = reader.lp(32)?;
    let device = DeviceId(reader.array()?);
    let seq = reader.le64()?;
    let k = reader.byte()?;
    let hosts = read_hosts(reader, MAX_DEVICE_HOSTS)?;
    Some((network, device, seq, k, hosts))
}

pub(super) fn read_hosts(reader: &mut Reader<'_>, most: usize) -> Option<Vec<ManifestHost>> {
    let count = usize::from(reader.byte()?);
    if count > most {
        return None;
    }
    let mut hosts = Vec::with_capacity(count);
    for _ in 0..count {
        let host = HostId(reader.array()?);
        let count = usize::from(reader.byte()?);
        if count > MAX_HOST_ADDRESSES {
            return None;
        }
        let mut addresses = Vec::with_capacity(count);
        for _ in 0..count {
            let text = core::str::from_utf8(reader.lp(MAX_ADDRESS)?).ok()?;
            addresses.push(Address::new(text).ok()?);
        }
        hosts.push(ManifestHost { host, addresses });
    }
    Some(hosts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer() -> Signer {
        Signer::from_seed([5; 32])
    }

    fn manifest() -> Manifest {
        let address = Address::new("/ip4/127.0.0.1/tcp/7447").unwrap();
        let hosts = [ManifestHost { host: HostId([2; 32]), addresses: vec![address; 3] }];
        Manifest::sign(&signer(), "main", DeviceId([1; 32]), 9, 1, &hosts)
    }

    fn read(bytes: &[u8], net: &str, device: u8) -> Result<Manifest, ManifestError> {
        Manifest::from_bytes(bytes, &signer().verify_key(), net, DeviceId([device; 32]))
    }

    #[test]
    fn a_manifest_reads_back_with_two_addresses_a_host() {
        let read = read(&manifest().to_bytes(), "main", 1).unwrap();

        assert_eq!(read, manifest());
        assert_eq!(read.hosts()[0].addresses.len(), MAX_HOST_ADDRESSES);
    }

    #[test]
    fn no_flipped_bit_no_other_network_and_no_other_device_is_accepted() {
        let bytes = manifest().to_bytes();

        assert_eq!(read(&bytes, "alps", 1), Err(ManifestError::Other));
        assert_eq!(read(&bytes, "main", 2), Err(ManifestError::Other));
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&changed, "main", 1).is_err(), "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert!(read(&bytes[..length], "main", 1).is_err());
        }
    }
}
