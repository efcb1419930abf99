//! Who is who: recovery phrase, account, device, sigchain, links, names.
//!
//! ```text
//! 24 words ─► account root (ARK, signs the genesis) ─► account id
//!          └► backup key (BK)
//! device: DK (signs) and IK (agrees), drawn at random, never derived ─► device id
//! ```
//! Source: PROTOCOL §2; `spec/identity.md`.

mod account;
mod device;
mod link;
mod name;
mod network;
mod peer_id;
mod phrase;
mod safety;
mod sigchain;
mod text;

pub use account::{AccountRoot, account_id};
pub use device::{DeviceKeys, device_id};
pub use link::{ContactLink, HostLink, LinkError, LinkHead};
pub use name::{Name, NameError};
pub use network::{Network, NetworkError};
pub use peer_id::{peer_id_from_text, peer_id_text};
pub use phrase::{PhraseError, RecoveryPhrase};
pub use safety::safety_number;
pub use sigchain::{Chain, ChainError, Device, Head};
pub use text::{account_text, host_text, parse_account_text, parse_host_text};
