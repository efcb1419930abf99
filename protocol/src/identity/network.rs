//! The name that separates one DHT and federation from another.

use core::fmt;
use core::str::FromStr;

/// A network's name: 1 to 32 of `a-z`, `0-9`, `-`; `main` by default (PROTOCOL §3).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network(String);

/// A text that is no network's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a network's name is 1 to 32 of a-z, 0-9 and -")]
pub struct NetworkError;

impl Network {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Network {
    fn default() -> Self {
        Self("main".to_owned())
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if (1..=32).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NetworkError)
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
