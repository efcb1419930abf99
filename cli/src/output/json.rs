//! JSON for programs: stable names, one object a line, nothing hidden in its strings.

use std::io;

use godwit_protocol::endpoint::Refusal;
use serde::Serialize;

use super::safe;

/// One object on one line.
pub(crate) fn object<T: Serialize>(value: &T) -> io::Result<String> {
    Ok(safe::json(&serde_json::to_string(value)?))
}

/// An error as programs read it.
#[derive(Serialize)]
struct Failed<'a> {
    error: Told<'a>,
}

#[derive(Serialize)]
struct Told<'a> {
    code: &'a str,
    message: &'a str,
    help: &'a str,
}

/// A refusal on one line.
pub(crate) fn refusal(refusal: &Refusal) -> String {
    let Refusal { code, message, help } = refusal;
    let failed = Failed { error: Told { code: code.as_str(), message, help } };
    // Three texts always serialize.
    safe::json(&serde_json::to_string(&failed).unwrap_or_default())
}
