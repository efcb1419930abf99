//! Text for people: local time with its offset, columns, errors with the next command.

use godwit_protocol::endpoint::Refusal;
use serde_json::Value;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

use super::safe;

/// The widest column of a table, in cells: a name of 64 wide characters, or a reason.
const MAX_COLUMN: usize = 128;

/// An error: one line, then what to do.
pub(crate) fn refusal(refusal: &Refusal) -> String {
    let message = safe::line(&refusal.message, 400);
    let help = safe::line(&refusal.help, 400);
    format!("error[{}]: {message}\nhelp: {help}", refusal.code.as_str())
}

/// A time of the API (RFC 3339) as people read it: local, with its offset.
pub(crate) fn local(time: &str) -> String {
    let Ok(utc) = OffsetDateTime::parse(time, &Rfc3339) else { return safe::line(time, 40) };
    let offset = UtcOffset::local_offset_at(utc).unwrap_or(UtcOffset::UTC);
    let form = format_description!(
        "[year]-[month]-[day] [hour]:[minute]:[second] [offset_hour sign:mandatory]:[offset_minute]"
    );
    utc.to_offset(offset).format(form).unwrap_or_else(|_| safe::line(time, 40))
}

/// A value of the API as one word: a text as it is, nothing for null, a list with commas.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// A field of an object of the API, as [`plain`] shows it; nothing where it is absent.
pub(crate) fn field(object: &Value, key: &str) -> String {
    object.get(key).map(plain).unwrap_or_default()
}

/// Rows under headings, each column as wide as its widest cell; every cell is made safe here.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let safe_rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| safe::line(cell, MAX_COLUMN)).collect())
        .collect();
    let widths: Vec<usize> = (0..head.len())
        .map(|column| {
            let cells =
                safe_rows.iter().filter_map(|row| row.get(column)).map(|cell| safe::cells(cell));
            cells.chain(head.get(column).map(|title| title.len())).max().unwrap_or(0)
        })
        .collect();
    let heading: Vec<String> = head.iter().map(|title| (*title).to_owned()).collect();
    let lines: Vec<String> =
        std::iter::once(&heading).chain(&safe_rows).map(|row| table_line(row, &widths)).collect();
    lines.join("\n")
}

fn table_line(row: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (cell, width) in row.iter().zip(widths) {
        line.push_str(cell);
        line.extend(std::iter::repeat_n(' ', width.saturating_sub(safe::cells(cell)) + 2));
    }
    line.trim_end().to_owned()
}

/// Pairs of a name and a value, one a line.
pub(crate) fn pairs(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name:width$}  {}", safe::line(value, 4_096)))
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use godwit_protocol::endpoint::Code;

    use super::*;

    #[test]
    fn an_error_is_one_line_and_what_to_type_next() {
        let bad =
            Refusal::new(Code::NoContact, "no contact named \"b\u{1b}ob\"", "godwit contact list");

        assert_eq!(
            refusal(&bad),
            "error[E_NO_CONTACT]: no contact named \"b\\u{1b}ob\"\nhelp: godwit contact list"
        );
    }

    #[test]
    fn columns_line_up_by_cells_and_not_by_characters() {
        let rows = [vec!["漢".to_owned(), "x".to_owned()], vec!["abc".to_owned(), "y".to_owned()]];

        assert_eq!(table(&["A", "B"], &rows), "A    B\n漢   x\nabc  y");
    }

    #[test]
    fn a_time_that_is_none_is_shown_as_it_is() {
        assert_eq!(local("soon"), "soon");
        assert!(local("2026-11-25T10:00:00.000Z").starts_with("2026-11-2"));
    }
}
