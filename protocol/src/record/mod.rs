//! What a device publishes of itself, signed: its list of mailbox hosts.
//!
//! Source: PROTOCOL §1, §7, "Placement"; `spec/content.md#manifest`.

mod manifest;

pub use manifest::{Manifest, ManifestError, ManifestHost};
