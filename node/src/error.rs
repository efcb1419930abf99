//! What can go wrong in a node, as the library tells it; every error has a stable code.

use godwit_protocol::endpoint::{Code, Refusal};

use crate::config::ConfigError;
use crate::home::HomeError;

/// Why a node does not start, or has ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The home cannot be opened.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The configuration or a flag holds what it may not.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Somebody else listens there.
    #[error("{address} is in use")]
    PortInUse {
        /// The address as it was asked for.
        address: String,
    },
    /// The store does not open, or says that its bytes are damaged.
    #[error("the store is damaged: {0}")]
    StoreDamaged(String),
    /// The store was written by another version of this program.
    #[error("{0}")]
    StoreVersion(String),
    /// The disk, the socket or the network refused.
    #[error("{0}")]
    Io(String),
    /// The store does not write or read while the node runs: a full disk, a broken one.
    #[error("the store does not answer: {0}")]
    Store(String),
    /// Not in this version.
    #[error("{0} is not in this version yet")]
    Unsupported(String),
    /// A part of the node that should run for ever has ended.
    #[error("the node has ended itself: {0}")]
    Inner(String),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::Home(home) => home.into(),
            Error::Config(config) => config.into(),
            Error::PortInUse { .. } => Self::new(
                Code::PortInUse,
                message,
                "end the other program, or choose another --listen",
            ),
            Error::StoreDamaged(_) => Self::new(
                Code::StoreDamaged,
                message,
                "godwit store check --repair   (it keeps the damaged files)",
            ),
            Error::StoreVersion(_) => Self::new(
                Code::HomeVersion,
                message,
                "run the version of godwit that made this home, or choose another --home",
            ),
            Error::Io(_) | Error::Store(_) => {
                Self::new(Code::Io, message, "free space or mend the disk, then repeat")
            }
            Error::Unsupported(_) => Self::new(Code::Unsupported, message, "godwit run"),
            Error::Inner(_) => Self::new(Code::Inner, message, "godwit run"),
        }
    }
}
