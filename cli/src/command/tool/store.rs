//! `store`: the engine's folder, while no node runs.

use std::path::{Path, PathBuf};

use godwit_node::home::Home;
use godwit_node::{CheckReport, check_store};
use godwit_protocol::endpoint::{Code, Refusal};
use serde_json::json;

use crate::exit::Failure;
use crate::output::{self, Format};
use crate::passphrase;

/// The store, while no node runs: check
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    act: Act,
    /// Open the keys with the passphrase in this file
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "GODWIT_PASSPHRASE_FILE",
        hide_env_values = true
    )]
    passphrase_file: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum Act {
    /// Read every row and name those that do not open
    Check,
}

/// Carries it out.
pub(crate) fn run(args: &Args, home: &Path, format: Format) -> Result<(), Failure> {
    let Act::Check = args.act;
    let passphrase = passphrase::of_home(home, args.passphrase_file.as_deref())?;
    let open = Home::open(home, passphrase.as_ref())?;
    let report = check_store(&open).map_err(Refusal::from)?;
    show(&report, format)?;
    if report.is_sound() {
        return Ok(());
    }
    let tables = report.tables.len();
    let message = format!("{} rows and {tables} tables are damaged", report.damaged);
    Err(Refusal::new(Code::StoreDamaged, message, "keep a copy of the home before anything else")
        .into())
}

fn show(report: &CheckReport, format: Format) -> Result<(), Failure> {
    match format {
        Format::Json => {
            let rows = report.named.iter().map(|row| json!({"table": row.table, "key": row.key}));
            let tables =
                report.tables.iter().map(|it| json!({"table": it.table, "reason": it.reason}));
            output::object(&json!({
                "rows": report.rows, "damaged": report.damaged,
                "named": rows.collect::<Vec<_>>(), "tables": tables.collect::<Vec<_>>(),
            }))?;
        }
        Format::Text => {
            for row in &report.named {
                output::line(&format!("{} {}  does not open", row.table, row.key))?;
            }
            for table in &report.tables {
                output::line(&format!("{}  {}", table.table, table.reason))?;
            }
            output::line(&format!("{} rows, {} damaged", report.rows, report.damaged))?;
        }
    }
    Ok(())
}
