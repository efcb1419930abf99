//! A device's long-term keys: drawn, never derived, never leaving the device.

use core::fmt;

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use crate::crypto::{DhPublic, DhSecret, Signer, VerifyKey, hash};
use crate::id::DeviceId;

/// DK (Ed25519, signs) and IK (X25519, agrees).
#[derive(Clone, Serialize, Deserialize)]
pub struct DeviceKeys {
    signer: Signer,
    identity: DhSecret,
}

impl DeviceKeys {
    /// Draws the keys of a new device.
    #[must_use]
    pub fn random(rng: &mut dyn CryptoRng) -> Self {
        Self { signer: Signer::random(rng), identity: DhSecret::random(rng) }
    }

    /// DK.
    #[must_use]
    pub const fn signer(&self) -> &Signer {
        &self.signer
    }

    /// IK.
    #[must_use]
    pub const fn identity(&self) -> &DhSecret {
        &self.identity
    }

    /// The device that holds them.
    #[must_use]
    pub fn id(&self) -> DeviceId {
        device_id(&self.signer.verify_key(), &self.identity.public())
    }
}

impl fmt::Debug for DeviceKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceKeys")
    }
}

/// `H("godwit/device/1" ‖ DK ‖ IK)`.
#[must_use]
pub fn device_id(signer: &VerifyKey, identity: &DhPublic) -> DeviceId {
    DeviceId(hash(&[b"godwit/device/1", &signer.0, &identity.0]))
}
