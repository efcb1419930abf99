//! Time as the machines see it: a wall clock that may lie, and a monotonic one that does not.
//!
//! All arithmetic is checked or saturating; nothing from the network is ever added to a native
//! instant. Source: PROTOCOL §7, last rule.

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970 by somebody's wall clock.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct UnixMillis(pub u64);

/// Hours since 1970: the only granularity of time that travels in the clear.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct UnixHours(pub u32);

/// A length of time in milliseconds.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Millis(pub u64);

/// The time of one `handle`: both clocks, read once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time {
    /// The wall clock.
    pub wall: UnixMillis,
    /// Milliseconds since the machine was opened; never goes back.
    pub since_start: Millis,
}

impl Millis {
    /// A number of seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1_000))
    }
    /// A number of minutes.
    #[must_use]
    pub const fn from_minutes(minutes: u64) -> Self {
        Self::from_secs(minutes.saturating_mul(60))
    }
    /// A number of hours.
    #[must_use]
    pub const fn from_hours(hours: u64) -> Self {
        Self::from_minutes(hours.saturating_mul(60))
    }
    /// A number of days.
    #[must_use]
    pub const fn from_days(days: u64) -> Self {
        Self::from_hours(days.saturating_mul(24))
    }
    /// The sum, or the largest length there is.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
    /// The product, or the largest length there is.
    #[must_use]
    pub const fn saturating_mul(self, factor: u64) -> Self {
        Self(self.0.saturating_mul(factor))
    }
    /// The difference, or zero.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl UnixMillis {
    /// This time plus a length, or the latest time there is.
    #[must_use]
    pub const fn saturating_add(self, length: Millis) -> Self {
        Self(self.0.saturating_add(length.0))
    }
    /// This time minus a length, or 1970.
    #[must_use]
    pub const fn saturating_sub(self, length: Millis) -> Self {
        Self(self.0.saturating_sub(length.0))
    }
    /// How long ago `earlier` was; zero if it lies ahead.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Millis {
        Millis(self.0.saturating_sub(earlier.0))
    }
    /// The hour this time lies in, rounded down.
    #[must_use]
    pub fn hours(self) -> UnixHours {
        UnixHours(u32::try_from(self.0 / 3_600_000).unwrap_or(u32::MAX))
    }
    /// The first hour that does not lie before this time.
    #[must_use]
    pub fn hours_up(self) -> UnixHours {
        UnixHours(u32::try_from(self.0.div_ceil(3_600_000)).unwrap_or(u32::MAX))
    }
}

impl UnixHours {
    /// The first millisecond of the hour.
    #[must_use]
    pub fn start(self) -> UnixMillis {
        UnixMillis(u64::from(self.0).saturating_mul(3_600_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_round_down_and_up() {
        assert_eq!(UnixMillis(3_600_001).hours(), UnixHours(1));
        assert_eq!(UnixMillis(3_600_001).hours_up(), UnixHours(2));
        assert_eq!(UnixMillis(u64::MAX).hours(), UnixHours(u32::MAX));
    }

    #[test]
    fn arithmetic_never_wraps() {
        assert_eq!(UnixMillis(u64::MAX).saturating_add(Millis(1)), UnixMillis(u64::MAX));
        assert_eq!(UnixMillis(0).saturating_sub(Millis(1)), UnixMillis(0));
        assert_eq!(UnixMillis(1).since(UnixMillis(2)), Millis(0));
    }
}
