//! `errors`: every stable code with its exit number.

use godwit_protocol::endpoint::Code;
use serde_json::json;

use crate::exit::{self, Failure};
use crate::output::{self, Format, text};

/// Prints the table.
pub(crate) fn run(format: Format) -> Result<(), Failure> {
    match format {
        Format::Json => {
            for code in Code::ALL {
                output::object(&json!({"code": code.as_str(), "exit": exit::number(*code)}))?;
            }
        }
        Format::Text => {
            let rows: Vec<Vec<String>> = Code::ALL
                .iter()
                .map(|code| vec![code.as_str().to_owned(), exit::number(*code).to_string()])
                .collect();
            output::line(&text::table(&["CODE", "EXIT"], &rows))?;
        }
    }
    Ok(())
}
