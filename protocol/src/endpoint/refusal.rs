//! Why a command was not carried out: a stable code, one line, and what to type next.

/// The stable codes of errors (CLI, "Exit codes"). Adding is fine, renaming is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are the documentation; `godwit errors` lists them")]
pub enum Code {
    Usage,
    NotRunning,
    Inner,
    NotYet,
    Busy,
    PassphraseNeeded,
    PassphraseWrong,
    Permission,
    NoHome,
    HomeVersion,
    Config,
    HomeExists,
    HomeInUse,
    PortInUse,
    NoAccount,
    OtherNetwork,
    NoContact,
    Ambiguous,
    BadLink,
    OwnLink,
    LinkUsed,
    BadName,
    NameTaken,
    TooLarge,
    Empty,
    NotText,
    IdUsed,
    NoMessage,
    NoMailbox,
    HostRefused,
    Full,
    Unsupported,
    TwoHomes,
    StoreDamaged,
    Io,
    BadProof,
}

impl Code {
    /// Every code, in the order that `godwit errors` prints.
    pub const ALL: &'static [Self] = &[
        Self::Usage,
        Self::NotRunning,
        Self::Inner,
        Self::NotYet,
        Self::Busy,
        Self::PassphraseNeeded,
        Self::PassphraseWrong,
        Self::Permission,
        Self::NoHome,
        Self::HomeVersion,
        Self::Config,
        Self::HomeExists,
        Self::HomeInUse,
        Self::PortInUse,
        Self::NoAccount,
        Self::OtherNetwork,
        Self::NoContact,
        Self::Ambiguous,
        Self::BadLink,
        Self::OwnLink,
        Self::LinkUsed,
        Self::BadName,
        Self::NameTaken,
        Self::TooLarge,
        Self::Empty,
        Self::NotText,
        Self::IdUsed,
        Self::NoMessage,
        Self::NoMailbox,
        Self::HostRefused,
        Self::Full,
        Self::Unsupported,
        Self::TwoHomes,
        Self::StoreDamaged,
        Self::Io,
        Self::BadProof,
    ];

    /// The code as it is printed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Usage => "E_USAGE",
            Self::NotRunning => "E_NOT_RUNNING",
            Self::Inner => "E_INNER",
            Self::NotYet => "E_NOT_YET",
            Self::Busy => "E_BUSY",
            Self::PassphraseNeeded => "E_PASSPHRASE_NEEDED",
            Self::PassphraseWrong => "E_PASSPHRASE_WRONG",
            Self::Permission => "E_PERMISSION",
            Self::NoHome => "E_NO_HOME",
            Self::HomeVersion => "E_HOME_VERSION",
            Self::Config => "E_CONFIG",
            Self::HomeExists => "E_HOME_EXISTS",
            Self::HomeInUse => "E_HOME_IN_USE",
            Self::PortInUse => "E_PORT_IN_USE",
            Self::NoAccount => "E_NO_ACCOUNT",
            Self::OtherNetwork => "E_OTHER_NETWORK",
            Self::NoContact => "E_NO_CONTACT",
            Self::Ambiguous => "E_AMBIGUOUS",
            Self::BadLink => "E_BAD_LINK",
            Self::OwnLink => "E_OWN_LINK",
            Self::LinkUsed => "E_LINK_USED",
            Self::BadName => "E_BAD_NAME",
            Self::NameTaken => "E_NAME_TAKEN",
            Self::TooLarge => "E_TOO_LARGE",
            Self::Empty => "E_EMPTY",
            Self::NotText => "E_NOT_TEXT",
            Self::IdUsed => "E_ID_USED",
            Self::NoMessage => "E_NO_MESSAGE",
            Self::NoMailbox => "E_NO_MAILBOX",
            Self::HostRefused => "E_HOST_REFUSED",
            Self::Full => "E_FULL",
            Self::Unsupported => "E_UNSUPPORTED",
            Self::TwoHomes => "E_TWO_HOMES",
            Self::StoreDamaged => "E_STORE_DAMAGED",
            Self::Io => "E_IO",
            Self::BadProof => "E_BAD_PROOF",
        }
    }

    /// The code of that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == text)
    }
}

/// A command that was not carried out, and nothing half done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", code.as_str())]
pub struct Refusal {
    /// The stable code.
    pub code: Code,
    /// One line.
    pub message: String,
    /// What to type next.
    pub help: String,
}

impl Refusal {
    /// Makes a refusal.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: help.into() }
    }
}
