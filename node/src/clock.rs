//! The real clock and the real source of randomness: the two machines are given both.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use godwit_protocol::time::{Millis, Time, UnixMillis};
use rand_core::CryptoRng;

/// The machine's wall clock, and a monotonic one counted from when this value was made.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// Starts to count.
    #[must_use]
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Both clocks, read once.
    #[must_use]
    pub fn now(&self) -> Time {
        Time { wall: wall(), since_start: self.since_start() }
    }

    /// Milliseconds since [`Clock::start`].
    #[must_use]
    pub fn since_start(&self) -> Millis {
        Millis(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

/// Milliseconds since 1970 by the wall clock; 0 if it stands before that.
#[must_use]
pub fn wall() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// The operating system's randomness; a system without any ends the process.
#[must_use]
pub fn system_rng() -> impl CryptoRng {
    UnwrapErr(SysRng)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_core::Rng as _;

    #[test]
    fn the_monotonic_clock_starts_near_zero_and_the_wall_clock_does_not() {
        let now = Clock::start().now();

        assert!(now.since_start < Millis::from_secs(60));
        assert!(now.wall > UnixMillis(1_700_000_000_000));
    }

    #[test]
    fn the_system_gives_different_bytes_each_time() {
        let mut rng: Box<dyn CryptoRng> = Box::new(system_rng());

        assert_ne!(rng.next_u64(), rng.next_u64());
    }
}
