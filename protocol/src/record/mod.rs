//! What an account and a device publish of themselves, signed.
//!
//! Source: PROTOCOL §1, §3, §7, "Placement"; `spec/identity.md`, `spec/content.md#manifest`.

mod account;
mod holder;
mod manifest;
mod published;

pub use account::{AccountRecord, RecordDevice, RecordError, host_at};
pub use holder::{HoldError, Holder};
pub use manifest::{Manifest, ManifestError, ManifestHost};
pub use published::{Published, PublishedError, Rank, account_key, bundle_key};
