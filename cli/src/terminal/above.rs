//! Printing above a line that is being typed: it is cleared, and drawn again below.

use unicode_width::UnicodeWidthChar as _;

/// What to write so that `text` stands above the line, which is then as it was: prompt, typed text,
/// and the cursor's place in it in bytes. `width` is the terminal's, in cells.
pub(super) fn redrawn(
    text: &str,
    (prompt, line, cursor): (&str, &str, usize),
    width: usize,
) -> String {
    let before = line.get(..cursor).unwrap_or(line);
    let here = place(prompt.chars().chain(before.chars()), width);
    let end = place(prompt.chars().chain(line.chars()), width);
    let mut out = String::new();
    up(&mut out, here.0);
    out.push_str("\r\u{1b}[J");
    for row in text.lines() {
        out.push_str(row);
        out.push_str("\r\n");
    }
    out.push_str(&format!("{prompt}{line}").replace('\n', "\r\n"));
    if end.1 == 0 && end.0 > 0 && !line.ends_with('\n') {
        // A full row: the terminal waits with the next one until something is written there.
        out.push_str("\r\n");
    }
    up(&mut out, end.0.saturating_sub(here.0));
    out.push('\r');
    if here.1 > 0 {
        out.push_str(&format!("\u{1b}[{}C", here.1));
    }
    out
}

fn up(out: &mut String, rows: usize) {
    if rows > 0 {
        out.push_str(&format!("\u{1b}[{rows}A"));
    }
}

/// Row and column after these characters.
fn place(characters: impl Iterator<Item = char>, width: usize) -> (usize, usize) {
    let (mut row, mut column) = (0_usize, 0_usize);
    for character in characters {
        if character == '\n' {
            (row, column) = (row.saturating_add(1), 0);
            continue;
        }
        let cells = character.width().unwrap_or(0);
        column = column.saturating_add(cells);
        if column > width {
            (row, column) = (row.saturating_add(1), cells);
        }
    }
    if column == width {
        (row, column) = (row.saturating_add(1), 0);
    }
    (row, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_line_is_cleared_and_drawn_again_with_the_cursor_where_it_was() {
        let out = redrawn("hello", ("bob> ", "half", 2), 40);

        assert_eq!(out, "\r\u{1b}[Jhello\r\nbob> half\r\u{1b}[7C");
    }

    #[test]
    fn a_line_of_several_rows_is_cleared_from_its_first() {
        let line = "x".repeat(20);

        let out = redrawn("a\nb", ("> ", &line, 20), 10);

        assert!(out.starts_with("\u{1b}[2A\r\u{1b}[Ja\r\nb\r\n> xx"), "{out:?}");
        assert!(out.ends_with("x\r\u{1b}[2C"), "{out:?}");
    }

    #[test]
    fn wide_characters_full_rows_and_pasted_lines_count_as_they_stand() {
        assert_eq!(place("a\u{4f60}\u{597d}".chars(), 40), (0, 5));
        assert_eq!(place("abcd".chars(), 4), (1, 0));
        assert_eq!(place("abc\u{4f60}".chars(), 4), (1, 2));
        assert_eq!(place("ab\ncd".chars(), 40), (1, 2));
        assert_eq!(place("e\u{301}e\u{301}".chars(), 40), (0, 2));
    }
}
