//! Secrets on disk under one key: from a passphrase, or from a file that only its owner can read.
//!
//! ```text
//! keystore = "godwit-home" ‖ format u16 ‖ protection u8 ‖ salt 16 ‖ memory u32 ‖ passes u32 ‖ lanes u32 ‖ sealed
//! node.key = sealed                      sealed = nonce 24 ‖ XChaCha20-Poly1305(KEK, plain, ad = label ‖ head)
//! KEK      = Argon2id(passphrase, salt) | the 32 bytes of `kek`
//! ```
//! Rule: the head is authenticated, and its costs are bounded before any memory is taken.
//! Source: PROTOCOL §2, "Keystore".

use std::path::Path;

use argon2::{Algorithm, Argon2, Params, Version};
use godwit_protocol::crypto::{NONCE, Secret, aead_open, aead_seal};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::HomeError;

const MAGIC: &[u8; 11] = b"godwit-home";
/// The format of the homes that this program makes and reads.
pub(crate) const FORMAT: u16 = 1;
/// The most memory that a keystore may ask for: 1 GiB, so that a damaged file cannot exhaust the machine.
const MAX_MEMORY_KIB: u32 = 1 << 20;
/// The most passes, for the same reason.
const MAX_PASSES: u32 = 16;
/// The most lanes, for the same reason.
const MAX_LANES: u32 = 16;

/// What keeps the keystore closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// A passphrase that a person knows.
    Passphrase,
    /// A file beside it: whoever reads the folder reads the keys.
    File,
}

impl Protection {
    /// The word of `status`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passphrase => "passphrase",
            Self::File => "file",
        }
    }
}

/// What a passphrase costs to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Costs {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Default for Costs {
    /// 64 MiB, 3 passes, 4 lanes (PROTOCOL §2): about a tenth of a second on one core.
    fn default() -> Self {
        Self { memory_kib: 64 * 1_024, passes: 3, lanes: 4 }
    }
}

/// The head of a keystore.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    pub(crate) protection: Protection,
    salt: [u8; 16],
    costs: Costs,
}

impl Head {
    pub(crate) fn new(protection: Protection, costs: Costs, rng: &mut dyn CryptoRng) -> Self {
        let mut salt = [0; 16];
        rng.fill_bytes(&mut salt);
        Self { protection, salt, costs }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&FORMAT.to_le_bytes());
        bytes.push(match self.protection {
            Protection::Passphrase => 1,
            Protection::File => 2,
        });
        bytes.extend_from_slice(&self.salt);
        for cost in [self.costs.memory_kib, self.costs.passes, self.costs.lanes] {
            bytes.extend_from_slice(&cost.to_le_bytes());
        }
        bytes
    }

    /// Reads the head of the keystore in `path`, and what follows it.
    pub(crate) fn read<'a>(path: &Path, bytes: &'a [u8]) -> Result<(Self, &'a [u8]), HomeError> {
        let damaged = || HomeError::Damaged { path: path.to_owned() };
        let (magic, rest) = bytes.split_first_chunk::<{ MAGIC.len() }>().ok_or_else(damaged)?;
        let (format, rest) = rest.split_first_chunk::<2>().ok_or_else(damaged)?;
        if magic != MAGIC {
            return Err(damaged());
        }
        let got = u16::from_le_bytes(*format);
        if got != FORMAT {
            return Err(HomeError::Version { path: path.to_owned(), got, known: FORMAT });
        }
        let (protection, rest) = rest.split_first().ok_or_else(damaged)?;
        let protection = match protection {
            1 => Protection::Passphrase,
            2 => Protection::File,
            _ => return Err(damaged()),
        };
        let (salt, rest) = rest.split_first_chunk::<16>().ok_or_else(damaged)?;
        let (memory, rest) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
        let (passes, rest) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
        let (lanes, rest) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
        let costs = Costs {
            memory_kib: u32::from_le_bytes(*memory),
            passes: u32::from_le_bytes(*passes),
            lanes: u32::from_le_bytes(*lanes),
        };
        if costs.memory_kib > MAX_MEMORY_KIB || costs.passes > MAX_PASSES || costs.lanes > MAX_LANES
        {
            return Err(damaged());
        }
        Ok((Self { protection, salt: *salt, costs }, rest))
    }

    /// The key that a passphrase gives under this head.
    pub(crate) fn stretch(&self, passphrase: &[u8]) -> Result<Secret<32>, HomeError> {
        let unfit = |_| HomeError::PassphraseUnfit;
        let Costs { memory_kib, passes, lanes } = self.costs;
        let params = Params::new(memory_kib, passes, lanes, Some(32)).map_err(unfit)?;
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase, &self.salt, key.as_mut_slice())
            .map_err(unfit)?;
        Ok(Secret::new(*key))
    }

    /// The whole keystore file.
    pub(crate) fn seal(&self, kek: &Secret<32>, plain: &[u8], rng: &mut dyn CryptoRng) -> Vec<u8> {
        let head = self.bytes();
        let sealed = seal(kek, Label::Keystore, &head, plain, rng);
        [head, sealed].concat()
    }

    /// Opens what follows the head of a keystore file.
    pub(crate) fn open(&self, kek: &Secret<32>, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        open(kek, Label::Keystore, &self.bytes(), sealed)
    }
}

/// What a sealed file holds: one cannot be put in the place of the other.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Label {
    /// `keystore`.
    Keystore,
    /// `node.key`.
    NodeKey,
}

impl Label {
    const fn bytes(self) -> &'static [u8] {
        match self {
            Self::Keystore => b"godwit/keystore/1",
            Self::NodeKey => b"godwit/node-key/1",
        }
    }
}

/// Seals bytes under the home's key.
pub(crate) fn seal(
    kek: &Secret<32>,
    label: Label,
    head: &[u8],
    plain: &[u8],
    rng: &mut dyn CryptoRng,
) -> Vec<u8> {
    let mut nonce = [0; NONCE];
    rng.fill_bytes(&mut nonce);
    let ad = [label.bytes(), head].concat();
    [nonce.as_slice(), &aead_seal(kek, &nonce, plain, &ad)].concat()
}

/// Opens what [`seal`] made; `None` under another key, label or head.
pub(crate) fn open(
    kek: &Secret<32>,
    label: Label,
    head: &[u8],
    sealed: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
    let ad = [label.bytes(), head].concat();
    aead_open(kek, nonce, sealed, &ad).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::system_rng;

    /// Bytes of a head.
    const HEAD: usize = MAGIC.len() + 2 + 1 + 16 + 12;
    const CHEAP: Costs = Costs { memory_kib: 64, passes: 1, lanes: 1 };

    fn keystore() -> Vec<u8> {
        let head = Head::new(Protection::Passphrase, CHEAP, &mut system_rng());
        let kek = head.stretch(b"right").unwrap();
        head.seal(&kek, b"secret", &mut system_rng())
    }

    #[test]
    fn only_the_same_passphrase_opens() {
        let file = keystore();
        let (head, sealed) = Head::read(Path::new("k"), &file).unwrap();

        let opened = head.open(&head.stretch(b"right").unwrap(), sealed).unwrap();
        assert_eq!(opened.as_slice(), b"secret");
        assert!(head.open(&head.stretch(b"wrong").unwrap(), sealed).is_none());
    }

    #[test]
    fn a_changed_byte_anywhere_never_opens_and_never_panics() {
        let file = keystore();
        for index in 0..file.len() {
            // The cost fields may become expensive but legal: they are covered by the test below.
            if (HEAD - 12..HEAD).contains(&index) {
                continue;
            }
            let mut changed = file.clone();
            changed[index] ^= 1;
            if let Ok((head, sealed)) = Head::read(Path::new("k"), &changed) {
                assert!(
                    head.open(&head.stretch(b"right").unwrap(), sealed).is_none(),
                    "byte {index}"
                );
            }
        }
    }

    #[test]
    fn costs_above_the_bound_are_damage_before_memory_is_taken() {
        let mut file = keystore();
        file[HEAD - 12..HEAD - 8].copy_from_slice(&u32::MAX.to_le_bytes());

        assert!(matches!(Head::read(Path::new("k"), &file), Err(HomeError::Damaged { .. })));
    }

    #[test]
    fn another_format_is_told_by_its_number() {
        let mut file = keystore();
        file[MAGIC.len()] = 9;

        let error = Head::read(Path::new("k"), &file).unwrap_err();
        assert!(matches!(error, HomeError::Version { got: 9, known: FORMAT, .. }));
    }

    #[test]
    fn a_node_key_cannot_stand_in_for_a_keystore() {
        let kek = Secret::new([7; 32]);
        let sealed = seal(&kek, Label::NodeKey, b"", b"key", &mut system_rng());

        assert!(open(&kek, Label::Keystore, b"", &sealed).is_none());
        assert!(open(&kek, Label::NodeKey, b"", &sealed).is_some());
    }
}
