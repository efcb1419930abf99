//! The only way to print what somebody else wrote.
//!
//! Rule: nothing that comes out moves the cursor, turns the direction of the text, or is invisible;
//! such characters are shown as `\u{…}`. Marks on one character are bounded, and so is the width;
//! a further line of a message never begins in the sender's column.
//! Source: CLI, "Rules".

use std::fmt::Write as _;

use unicode_width::UnicodeWidthChar as _;

/// Marks that one character may bear before the rest is dropped: Thai and Vietnamese need two or three.
const MAX_MARKS: usize = 4;

/// Whether a character is printed as an escape: it controls, turns the direction, or is not seen.
pub(crate) const fn is_hidden(character: char) -> bool {
    matches!(character,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}'      // C0, DEL, C1
        | '\u{ad}' | '\u{34f}' | '\u{61c}'           // soft hyphen, joiner, Arabic mark
        | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' // zero width, separators, bidi
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// One line of at most `width` cells: a name, a code, a reason. What does not fit ends in `…`.
pub(crate) fn line(text: &str, width: usize) -> String {
    let mut row = Cells::default();
    for character in text.chars() {
        let shown = shown(character);
        if row.column + cells(&shown) > width {
            while row.column + 1 > width && row.pop() {}
            row.push("…");
            break;
        }
        row.push(&shown);
    }
    row.text
}

/// A message of any number of lines: each but the first is indented by `indent` cells, and none is
/// wider than `width` cells from there.
pub(crate) fn body(text: &str, indent: usize, width: usize) -> String {
    let width = width.max(1);
    let mut result = String::with_capacity(text.len());
    let mut row = Cells::default();
    for character in text.chars() {
        if character == '\n' {
            row.flush_into(&mut result, indent);
            continue;
        }
        let shown = if character == '\t' { "    ".to_owned() } else { shown(character) };
        if row.column + cells(&shown) > width && row.column > 0 {
            row.flush_into(&mut result, indent);
        }
        row.push(&shown);
    }
    result.push_str(&row.text);
    result
}

/// JSON text with the same characters as `\u` escapes; they can only stand inside its strings.
pub(crate) fn json(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for character in text.chars() {
        if is_hidden(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                let _ = write!(result, "\\u{unit:04x}");
            }
        } else {
            result.push(character);
        }
    }
    result
}

/// How many cells a text takes that was made safe.
pub(crate) fn cells(text: &str) -> usize {
    text.chars().map(|character| character.width().unwrap_or(0)).sum()
}

fn shown(character: char) -> String {
    if is_hidden(character) {
        format!("\\u{{{:x}}}", u32::from(character))
    } else {
        character.to_string()
    }
}

/// A line under construction.
#[derive(Default)]
struct Cells {
    text: String,
    column: usize,
    marks: usize,
}

impl Cells {
    fn push(&mut self, shown: &str) {
        for character in shown.chars() {
            let width = character.width().unwrap_or(0);
            if width == 0 {
                self.marks += 1;
                if self.marks > MAX_MARKS {
                    continue;
                }
            } else {
                self.marks = 0;
            }
            self.column += width;
            self.text.push(character);
        }
    }

    /// Takes the last character back; `false` if there is none.
    fn pop(&mut self) -> bool {
        self.text.pop().is_some_and(|character| {
            self.column = self.column.saturating_sub(character.width().unwrap_or(0));
            true
        })
    }

    fn flush_into(&mut self, result: &mut String, indent: usize) {
        result.push_str(&self.text);
        result.push('\n');
        result.extend(std::iter::repeat_n(' ', indent));
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_of_a_terminal_are_shown_and_not_obeyed() {
        assert_eq!(line("\u{1b}[2Jbob\u{7}", 80), "\\u{1b}[2Jbob\\u{7}");
        assert_eq!(line("a\u{9b}31mb", 80), "a\\u{9b}31mb");
    }

    #[test]
    fn text_that_turns_or_hides_itself_is_shown() {
        assert_eq!(line("exe\u{202e}gpj", 80), "exe\\u{202e}gpj");
        assert_eq!(line("a\u{200b}b\u{feff}", 80), "a\\u{200b}b\\u{feff}");
    }

    #[test]
    fn marks_on_one_character_are_bounded() {
        let tower = format!("a{}", "\u{301}".repeat(100));

        assert_eq!(line(&tower, 80).chars().count(), 1 + MAX_MARKS);
    }

    #[test]
    fn a_name_is_cut_to_its_width_and_says_so() {
        assert_eq!(line("abcdef", 4), "abc…");
        assert_eq!(line("abcd", 4), "abcd");
        assert_eq!(line("漢字漢字", 5), "漢字…");
        assert_eq!(line("two\nlines", 80), "two\\u{a}lines");
    }

    #[test]
    fn a_further_line_never_begins_in_the_senders_column() {
        assert_eq!(body("one\nbob: two", 4, 80), "one\n    bob: two");
        assert_eq!(body("abcdef", 2, 3), "abc\n  def");
        assert_eq!(body("a\rb", 2, 80), "a\\u{d}b");
    }

    #[test]
    fn json_escapes_the_same_characters() {
        let text = serde_json::to_string("a\u{202e}b\u{7f}\u{e0041}\n").unwrap();

        assert_eq!(json(&text), "\"a\\u202eb\\u007f\\udb40\\udc41\\n\"");
        let back: String = serde_json::from_str(&json(&text)).unwrap();
        assert_eq!(back, "a\u{202e}b\u{7f}\u{e0041}\n");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn nothing_hidden_ever_comes_out_and_the_width_holds(text in any::<String>(), width in 1_usize..60) {
            let line = line(&text, width);
            prop_assert!(!line.chars().any(is_hidden));
            prop_assert!(line.chars().filter_map(|c| c.width()).sum::<usize>() <= width.max(1));

            let body = body(&text, 3, width.max(12));
            for part in body.split('\n') {
                prop_assert!(!part.chars().any(is_hidden));
                prop_assert!(part.chars().filter_map(|c| c.width()).sum::<usize>() <= 3 + width.max(12));
            }
        }

        #[test]
        fn json_reads_back_what_went_in(text in any::<String>()) {
            let safe = json(&serde_json::to_string(&text).unwrap());

            prop_assert!(!safe.chars().any(is_hidden));
            prop_assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), text);
        }
    }
}
