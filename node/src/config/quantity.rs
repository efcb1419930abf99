//! Durations and sizes with their unit, as people type them: `30s`, `14d`, `64KiB`.

use godwit_protocol::time::Millis;

/// A text that is no quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not {expected}")]
pub struct QuantityError {
    /// As typed.
    pub text: String,
    /// What it should be, with an example.
    pub expected: &'static str,
}

const DURATIONS: &[(&str, u64)] =
    &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
const SIZES: &[(&str, u64)] =
    &[("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40), ("B", 1)];

/// Reads a duration: a whole number and `ms`, `s`, `m`, `h` or `d`.
///
/// # Errors
/// [`QuantityError`] without a unit, with another one, or above 2^64 ms.
pub fn parse_duration(text: &str) -> Result<Millis, QuantityError> {
    parse(text, DURATIONS).map(Millis).ok_or_else(|| QuantityError {
        text: text.to_owned(),
        expected: "a duration such as 30s or 14d",
    })
}

/// Reads a size in bytes: a whole number and `B`, `KiB`, `MiB`, `GiB` or `TiB`.
///
/// # Errors
/// [`QuantityError`] without a unit, with another one, or above 2^64 bytes.
pub fn parse_size(text: &str) -> Result<u64, QuantityError> {
    parse(text, SIZES).ok_or_else(|| QuantityError {
        text: text.to_owned(),
        expected: "a size such as 64KiB or 4GiB",
    })
}

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// Writes a size in the largest unit that keeps it whole.
#[must_use]
pub fn format_size(bytes: u64) -> String {
    let fits = |factor: &u64| bytes >= *factor && bytes.is_multiple_of(*factor);
    let whole = SIZES.iter().filter(|(_, factor)| fits(factor)).max_by_key(|(_, factor)| *factor);
    whole.map_or_else(|| format!("{bytes}B"), |(unit, factor)| format!("{}{unit}", bytes / factor))
}

/// Writes a duration in the largest unit that keeps it whole.
#[must_use]
pub fn format_duration(length: Millis) -> String {
    let whole = DURATIONS
        .iter()
        .rev()
        .find(|(_, factor)| length.0 >= *factor && length.0.is_multiple_of(*factor));
    whole.map_or_else(
        || format!("{}ms", length.0),
        |(unit, factor)| format!("{}{unit}", length.0 / factor),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_counts_what_it_says() {
        assert_eq!(parse_duration("30s"), Ok(Millis::from_secs(30)));
        assert_eq!(parse_duration("14d"), Ok(Millis::from_days(14)));
        assert_eq!(parse_size("64KiB"), Ok(65_536));
        assert_eq!(parse_size("4GiB"), Ok(4 << 30));
    }

    #[test]
    fn what_has_no_unit_a_wrong_one_or_overflows_is_refused() {
        for text in [
            "",
            "30",
            "s",
            "-1s",
            "1.5h",
            "30 s",
            "3w",
            "99999999999999999999d",
            "18446744073709551615d",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_duration_reads_back_what_it_prints() {
        for length in [1, 1_000, 90_000, 86_400_000] {
            assert_eq!(parse_duration(&format_duration(Millis(length))), Ok(Millis(length)));
        }
    }
}
