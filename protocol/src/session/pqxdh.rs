//! The handshake as it travels: 1,778 bytes, always inside a seal.
//!
//! ```text
//! gen LE32 ‖ cause u8 ‖ via u8 ‖ account A, account B, device A, device B (32 each)
//!   ‖ IK_A 32 ‖ EK_A 32 ‖ SPK id, OPK id (0), PQPK id (LE32 each) ‖ ct 1,568
//! ```
//! Source: PROTOCOL §6; `spec/session.md#handshake`.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::crypto::{DhPublic, PQ_CIPHERTEXT};
use crate::id::{AccountId, DeviceId};
use crate::wire::Reader;

/// Bytes of a handshake.
pub const PQXDH: usize = 1_778;

/// Why a session is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Cause {
    /// The two devices never spoke.
    FirstContact,
    /// Something that the peer made did not open.
    Desync,
    /// This home is older than it was.
    RolledBack,
    /// The bundle of an unanswered handshake ended.
    StaleBundle,
    /// The peer seems to have forgotten this device.
    Forgotten,
}

/// Where a handshake was made to be deposited; elsewhere it does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Via {
    /// A contact queue: the session brings a queue root.
    Contact,
    /// A queue of this pair.
    Pair,
}

impl Cause {
    /// The byte that stands for it.
    #[must_use]
    pub const fn byte(self) -> u8 {
        match self {
            Self::FirstContact => 0,
            Self::Desync => 1,
            Self::RolledBack => 2,
            Self::StaleBundle => 3,
            Self::Forgotten => 4,
        }
    }

    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::FirstContact),
            1 => Some(Self::Desync),
            2 => Some(Self::RolledBack),
            3 => Some(Self::StaleBundle),
            4 => Some(Self::Forgotten),
            _ => None,
        }
    }
}

impl Via {
    /// The byte that stands for it.
    #[must_use]
    pub const fn byte(self) -> u8 {
        match self {
            Self::Contact => 0,
            Self::Pair => 1,
        }
    }

    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Contact),
            1 => Some(Self::Pair),
            _ => None,
        }
    }
}

/// Which session is begun, why, and where its handshake goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purpose {
    /// The number of the session within its device pair.
    pub generation: u32,
    /// Why it is begun.
    pub cause: Cause,
    /// Where its handshake is deposited.
    pub via: Via,
}

/// Bytes that are no handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a handshake")]
pub struct PqxdhError;

/// The first message's handshake: who begins a session with whom, with which keys.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "serde_bytes::ByteBuf", into = "serde_bytes::ByteBuf")]
pub struct Pqxdh {
    pub(super) purpose: Purpose,
    pub(super) accounts: (AccountId, AccountId),
    pub(super) devices: (DeviceId, DeviceId),
    pub(super) ik: DhPublic,
    pub(super) ek: DhPublic,
    pub(super) signed_id: u32,
    pub(super) quantum_id: u32,
    pub(super) ciphertext: Vec<u8>,
}

impl Pqxdh {
    /// The 1,778 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(PQXDH);
        bytes.extend_from_slice(&self.purpose.generation.to_le_bytes());
        bytes.push(self.purpose.cause.byte());
        bytes.push(self.purpose.via.byte());
        bytes.extend_from_slice(self.accounts.0.as_bytes());
        bytes.extend_from_slice(self.accounts.1.as_bytes());
        bytes.extend_from_slice(self.devices.0.as_bytes());
        bytes.extend_from_slice(self.devices.1.as_bytes());
        bytes.extend_from_slice(&self.ik.0);
        bytes.extend_from_slice(&self.ek.0);
        bytes.extend_from_slice(&self.signed_id.to_le_bytes());
        bytes.extend_from_slice(&0_u32.to_le_bytes());
        bytes.extend_from_slice(&self.quantum_id.to_le_bytes());
        bytes.extend_from_slice(&self.ciphertext);
        bytes
    }

    /// Reads exactly 1,778 bytes.
    ///
    /// # Errors
    /// [`PqxdhError`] if the length is another, a number stands for nothing, or a one-time prekey
    /// is named (there are none yet).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PqxdhError> {
        parse(bytes).ok_or(PqxdhError)
    }

    /// Which session, why, and where it was made for.
    #[must_use]
    pub const fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// The account that begins.
    #[must_use]
    pub const fn initiator_account(&self) -> AccountId {
        self.accounts.0
    }

    /// The device that begins: the caller checks that it belongs to the account and has this IK.
    #[must_use]
    pub const fn initiator_device(&self) -> DeviceId {
        self.devices.0
    }

    /// The identity key of the device that begins.
    #[must_use]
    pub const fn initiator_ik(&self) -> DhPublic {
        self.ik
    }

    /// The account that it is for.
    #[must_use]
    pub const fn recipient_account(&self) -> AccountId {
        self.accounts.1
    }

    /// The device that it is for.
    #[must_use]
    pub const fn recipient_device(&self) -> DeviceId {
        self.devices.1
    }
}

fn parse(bytes: &[u8]) -> Option<Pqxdh> {
    let mut reader = Reader::new(bytes);
    let purpose = Purpose {
        generation: reader.le32()?,
        cause: Cause::from_byte(reader.byte()?)?,
        via: Via::from_byte(reader.byte()?)?,
    };
    let accounts = (AccountId(reader.array()?), AccountId(reader.array()?));
    let devices = (DeviceId(reader.array()?), DeviceId(reader.array()?));
    let (ik, ek) = (DhPublic(reader.array()?), DhPublic(reader.array()?));
    let signed_id = reader.le32()?;
    if reader.le32()? != 0 {
        return None;
    }
    let quantum_id = reader.le32()?;
    let ciphertext = reader.take(PQ_CIPHERTEXT)?.to_vec();
    reader.finished().then_some(Pqxdh {
        purpose,
        accounts,
        devices,
        ik,
        ek,
        signed_id,
        quantum_id,
        ciphertext,
    })
}

impl fmt::Debug for Pqxdh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pqxdh({:?}, {:?})", self.purpose, self.devices.0)
    }
}

impl TryFrom<serde_bytes::ByteBuf> for Pqxdh {
    type Error = PqxdhError;
    fn try_from(bytes: serde_bytes::ByteBuf) -> Result<Self, PqxdhError> {
        Self::from_bytes(&bytes)
    }
}

impl From<Pqxdh> for serde_bytes::ByteBuf {
    fn from(handshake: Pqxdh) -> Self {
        Self::from(handshake.to_bytes())
    }
}
