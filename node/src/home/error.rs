//! Why a home cannot be made, opened or changed.

use std::io;
use std::path::{Path, PathBuf};

use godwit_protocol::endpoint::{Code, Refusal};

use crate::config::ConfigError;

/// Why an act on a home failed; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// There is no home in the folder.
    #[error("no home in {}", path.display())]
    Absent {
        /// The folder.
        path: PathBuf,
    },
    /// There is one already.
    #[error("there is a home in {} already", path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// Another process holds the lock.
    #[error("the home {} is in use", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The home was made by another version.
    #[error("the home {} has format {got}, this program reads {known}", path.display())]
    Version {
        /// The folder.
        path: PathBuf,
        /// The format of the home.
        got: u16,
        /// The format that is known here.
        known: u16,
    },
    /// A passphrase is asked for and none was given.
    #[error("the home's passphrase is needed")]
    PassphraseNeeded,
    /// The passphrase does not open the keystore.
    #[error("the passphrase does not open the keystore")]
    PassphraseWrong,
    /// A passphrase of no characters, or one above 1 KiB.
    #[error("a passphrase has 1 to 1024 bytes")]
    PassphraseUnfit,
    /// The operating system says no.
    #[error("no permission for {}", path.display())]
    Permission {
        /// What for.
        path: PathBuf,
    },
    /// The file belongs to another user.
    #[error("{} belongs to the user with number {owner}", path.display())]
    ForeignOwner {
        /// The file.
        path: PathBuf,
        /// Whose.
        owner: u32,
    },
    /// The configuration holds what it may not.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file of the home is not what was written.
    #[error("{} is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The home has no account.
    #[error("this home has no account, only a node key")]
    NoAccount,
    /// The link leads to another network than that of an account that has been used.
    #[error("the link is for the network \"{asked}\", this account lives in \"{own}\"")]
    OtherNetwork {
        /// The link's.
        asked: String,
        /// The account's.
        own: String,
    },
    /// The link is none.
    #[error("not a host link: {0}")]
    BadLink(String),
    /// The words could not be written, so there is no account.
    #[error("the words could not be written, so no account was made: {message}")]
    Unshown {
        /// What the operating system says.
        message: String,
    },
    /// Reading or writing failed.
    #[error("{}: {message}", path.display())]
    Io {
        /// What was read or written.
        path: PathBuf,
        /// What the operating system says.
        message: String,
    },
}

impl HomeError {
    /// The error that the operating system gave for a path.
    pub fn io(path: &Path, error: &io::Error) -> Self {
        if matches!(
            error.kind(),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
        ) {
            Self::Permission { path: path.to_owned() }
        } else {
            Self::Io { path: path.to_owned(), message: error.to_string() }
        }
    }

    const fn code(&self) -> Code {
        match self {
            Self::Absent { .. } => Code::NoHome,
            Self::Exists { .. } => Code::HomeExists,
            Self::InUse { .. } => Code::HomeInUse,
            Self::Version { .. } => Code::HomeVersion,
            Self::PassphraseNeeded => Code::PassphraseNeeded,
            Self::PassphraseWrong => Code::PassphraseWrong,
            Self::PassphraseUnfit => Code::Usage,
            Self::Permission { .. } | Self::ForeignOwner { .. } => Code::Permission,
            Self::Config(_) => Code::Config,
            Self::Damaged { .. } => Code::StoreDamaged,
            Self::NoAccount => Code::NoAccount,
            Self::OtherNetwork { .. } => Code::OtherNetwork,
            Self::BadLink(_) => Code::BadLink,
            Self::Unshown { .. } | Self::Io { .. } => Code::Io,
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Absent { .. } => "godwit init, or check --home".to_owned(),
            Self::Exists { .. } => "godwit id, or choose another --home".to_owned(),
            Self::InUse { .. } => "godwit down ends the node that runs there".to_owned(),
            Self::Version { .. } => "use the version of godwit that made it".to_owned(),
            Self::PassphraseNeeded | Self::PassphraseWrong | Self::PassphraseUnfit => {
                "--passphrase-file FILE, or GODWIT_PASSPHRASE_FILE".to_owned()
            }
            Self::Permission { path } => format!("ls -ld {}", path.display()),
            Self::ForeignOwner { owner, .. } => format!("sudo -u '#{owner}' godwit …"),
            Self::Config(error) => error.help(),
            Self::Damaged { .. } => "keep a copy of the home before anything else".to_owned(),
            Self::NoAccount => "godwit init, in another --home".to_owned(),
            Self::OtherNetwork { .. } => "godwit init, in another --home, then join".to_owned(),
            Self::BadLink(_) => "ask the host's operator for a new link".to_owned(),
            Self::Unshown { .. } => "godwit init, with an output that takes them".to_owned(),
            Self::Io { .. } => "free space or mend the disk, then repeat".to_owned(),
        }
    }
}

impl From<HomeError> for Refusal {
    fn from(error: HomeError) -> Self {
        Self::new(error.code(), error.to_string(), error.help())
    }
}
