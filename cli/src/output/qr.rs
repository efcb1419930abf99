//! A QR code for a terminal: two modules a character, dark on light.

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

/// The code of a text, or nothing if the text is too long for one.
pub(crate) fn code(text: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let mut drawn = code.render::<Dense1x2>();
    Some(drawn.dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).quiet_zone(true).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_becomes_a_square_and_a_book_nothing() {
        let drawn = code("godwit:gw1qqqqqqqqq?n=main&c=0.00").unwrap();

        let widths: Vec<usize> = drawn.lines().map(|line| line.chars().count()).collect();
        assert!(widths.iter().all(|width| *width == widths[0]), "{widths:?}");
        assert_eq!(widths[0].div_ceil(2), widths.len());
        assert_eq!(code(&"x".repeat(10_000)), None);
    }
}
