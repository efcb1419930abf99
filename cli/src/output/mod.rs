//! What goes to a person's eyes or a program's parser.
//!
//! Rule: stdout carries results, stderr carries talk and errors; a stream that cannot be written
//! never panics: the error is returned and decided on in one place.

pub(crate) mod json;
pub(crate) mod message;
pub(crate) mod printer;
pub(crate) mod qr;
pub(crate) mod safe;
pub(crate) mod text;

use std::io::{self, IsTerminal as _, Write as _};

use godwit_protocol::endpoint::Refusal;
use serde::Serialize;

/// For whom the output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// People.
    Text,
    /// Programs: one object, or one object a line.
    Json,
}

/// Writes one result line to stdout.
pub(crate) fn line(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Writes one object as a line to stdout.
pub(crate) fn object<T: Serialize>(value: &T) -> io::Result<()> {
    line(&json::object(value)?)
}

/// Writes talk to stderr, where it is best effort.
pub(crate) fn talk(text: &str) {
    let mut err = io::stderr().lock();
    // Nobody is left to be told.
    let _ = err.write_all(format!("{text}\n").as_bytes());
}

/// Writes a refusal to stderr: what, and what to type next.
pub(crate) fn refusal(format: Format, refusal: &Refusal) {
    match format {
        Format::Text => talk(&text::refusal(refusal)),
        Format::Json => talk(&json::refusal(refusal)),
    }
}

/// How wide a line of stdout may be: the terminal's width, or without one no bound.
pub(crate) fn width() -> usize {
    let out = io::stdout();
    if !out.is_terminal() {
        return usize::MAX;
    }
    rustix::termios::tcgetwinsize(&out).map_or(80, |size| usize::from(size.ws_col).max(20))
}
