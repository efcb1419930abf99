//! `limits`: every bound that this program keeps, with its reason.

use godwit_protocol::limits;
use serde_json::json;

use crate::exit::Failure;
use crate::output::{self, Format, text};

/// Prints the table.
pub(crate) fn run(format: Format) -> Result<(), Failure> {
    let table = limits::table();
    match format {
        Format::Json => {
            for limit in table {
                output::object(&json!({
                    "name": limit.name, "value": limit.value, "unit": limit.unit, "reason": limit.reason,
                }))?;
            }
        }
        Format::Text => {
            let rows: Vec<Vec<String>> = table
                .into_iter()
                .map(|limit| {
                    let reason = limit.reason.trim().to_owned();
                    vec![
                        limit.name.to_lowercase(),
                        limit.value.to_string(),
                        limit.unit.to_owned(),
                        reason,
                    ]
                })
                .collect();
            output::line(&text::table(&["LIMIT", "VALUE", "UNIT", "REASON"], &rows))?;
        }
    }
    Ok(())
}
