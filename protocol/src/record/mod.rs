//! What an account and a device publish of themselves, signed.
//!
//! Source: PROTOCOL §1, §3, §7, "Placement"; `spec/identity.md`, `spec/content.md#manifest`.

mod account;
mod manifest;

pub use account::{AccountRecord, RecordDevice, RecordError, host_at};
pub use manifest::{Manifest, ManifestError, ManifestHost};
