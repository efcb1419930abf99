//! Identifiers: fixed-size byte strings that cannot be mixed up.
//!
//! Every id prints as lower-case hex ([`core::fmt::Display`]) and hides all but its first four bytes
//! in `Debug`, so that an id never reaches a log by accident.
//!
//! Source: `spec/README.md#identifiers`.

use core::fmt;
use core::str::FromStr;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

/// A text that is not the identifier it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not {expected} lower-case hex digits")]
pub struct IdError {
    /// How many hex digits the identifier has.
    pub expected: usize,
}

macro_rules! identifiers {
    ($($(#[$doc:meta])* $name:ident [$length:literal];)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(#[serde(with = "fixed_bytes")] pub [u8; $length]);

        impl $name {
            /// How many bytes the identifier has.
            pub const LENGTH: usize = $length;
            /// The identifier of zero bytes, which stands for "none" where the format says so.
            pub const ZERO: Self = Self([0; $length]);

            /// Borrows the bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $length] {
                &self.0
            }

            /// Reads the identifier from a slice of exactly its length.
            #[must_use]
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                <[u8; $length]>::try_from(bytes).ok().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&HEXLOWER.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let start: String = HEXLOWER.encode(&self.0).chars().take(8).collect();
                write!(f, "{}({start}…)", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                HEXLOWER
                    .decode(text.as_bytes())
                    .ok()
                    .and_then(|bytes| Self::from_slice(&bytes))
                    .ok_or(IdError { expected: 2 * $length })
            }
        }
    )+};
}

identifiers! {
    /// A person: the hash of the account root key.
    AccountId[32];
    /// An installation: the hash of its device and identity keys.
    DeviceId[32];
    /// A mailbox host, or any node as seen by the network: its 32-byte Ed25519 node key.
    HostId[32];
    /// Where one contact device deposits for one device.
    QueueId[32];
    /// A conversation, bound to its mode and its members.
    ConversationId[32];
    /// The public half of a key under which queues are registered at a host.
    OwnerKey[32];
    /// Where a record stands in the DHT: the hash of what it is about.
    RecordKey[32];
    /// A message, chosen by its sender; a repeat is judged per (sender, conversation, id).
    MessageId[16];
    /// An envelope: the start of the hash of its bytes.
    EnvelopeId[16];
    /// A pairwise session: the start of the hash of its handshake.
    SessionId[16];
    /// The moment a host's store was created, drawn at random.
    Birth[16];
}

/// Fixed arrays as a tuple of bytes: no length prefix in the binary codec.
mod fixed_bytes {
    use serde::de::{Error, SeqAccess, Visitor};
    use serde::ser::SerializeTuple;
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer, const N: usize>(
        bytes: &[u8; N],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(N)?;
        for byte in bytes {
            tuple.serialize_element(byte)?;
        }
        tuple.end()
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>, const N: usize>(
        deserializer: D,
    ) -> Result<[u8; N], D::Error> {
        struct Bytes<const N: usize>;
        impl<'de, const N: usize> Visitor<'de> for Bytes<N> {
            type Value = [u8; N];
            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, "{N} bytes")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<[u8; N], A::Error> {
                let mut bytes = [0; N];
                for (index, slot) in bytes.iter_mut().enumerate() {
                    *slot = seq
                        .next_element()?
                        .ok_or_else(|| A::Error::invalid_length(index, &self))?;
                }
                Ok(bytes)
            }
        }
        deserializer.deserialize_tuple(N, Bytes::<N>)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_what_it_prints() {
        let id = MessageId([0xab; 16]);

        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn upper_case_short_and_long_texts_are_refused() {
        for text in
            ["", "AB", "abababababababababababababababab00", "ABABABABABABABABABABABABABABABAB"]
        {
            assert!(text.parse::<MessageId>().is_err(), "{text}");
        }
    }

    #[test]
    fn debug_shows_only_the_beginning() {
        assert_eq!(format!("{:?}", DeviceId([1; 32])), "DeviceId(01010101…)");
    }
}
