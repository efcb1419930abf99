//! `store`: the engine's folder, while no node runs.

use std::path::{Path, PathBuf};

use godwit_node::home::{Home, OpenHome};
use godwit_node::{CheckReport, Kind, check_store, repair_store, rewrite_store};
use godwit_protocol::endpoint::{Code, Refusal};
use serde_json::{Value, json};

use crate::exit::Failure;
use crate::output::{self, Format, safe};
use crate::passphrase;

/// The store, while no node runs: check, repair, convert, compact
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
    Check {
        /// Write what opens anew, and keep the damaged files aside
        #[arg(long)]
        repair: bool,
    },
    /// Write the store anew on another engine
    Convert {
        /// Which: sled, or redb for millions of rows
        #[arg(long, value_name = "ENGINE", value_parser = engine)]
        to: Kind,
    },
    /// Write the store anew, so that what was deleted takes no space any more
    Compact,
}

fn engine(name: &str) -> Result<Kind, &'static str> {
    Kind::named(name).ok_or("one of sled, redb")
}

/// Carries it out.
pub(crate) fn run(args: &Args, home: &Path, format: Format) -> Result<(), Failure> {
    let passphrase = passphrase::of_home(home, args.passphrase_file.as_deref())?;
    let open = Home::open(home, passphrase.as_ref())?;
    match args.act {
        Act::Check { repair: false } => check(&open, format),
        Act::Check { repair: true } => repair(&open, format),
        Act::Convert { to } => rewrite(&open, Some(to), format),
        Act::Compact => rewrite(&open, None, format),
    }
}

fn check(home: &OpenHome, format: Format) -> Result<(), Failure> {
    let report = check_store(home).map_err(Refusal::from)?;
    show(&report, None, format)?;
    if report.is_sound() {
        return Ok(());
    }
    let tables = report.tables.len();
    let message = format!("{} rows and {tables} tables are damaged", report.damaged);
    let help = "godwit store check --repair   (it keeps the damaged files)";
    Err(Refusal::new(Code::StoreDamaged, message, help).into())
}

/// Exit 0 means that the store is whole now, whatever was lost.
fn repair(home: &OpenHome, format: Format) -> Result<(), Failure> {
    let Some(saved) = repair_store(home).map_err(Refusal::from)? else {
        return show(&CheckReport::default(), None, format);
    };
    show(&saved.lost, saved.aside.as_deref(), format)
}

fn rewrite(home: &OpenHome, to: Option<Kind>, format: Format) -> Result<(), Failure> {
    let done = rewrite_store(home, to).map_err(Refusal::from)?;
    match format {
        Format::Json => output::object(&json!({
            "engine": done.engine.name(), "rows": done.rows,
            "bytes_before": done.bytes_before, "bytes": done.bytes_after,
        }))?,
        Format::Text => output::line(&format!(
            "{} rows on {}: {} bytes, {} before",
            done.rows,
            done.engine.name(),
            done.bytes_after,
            done.bytes_before,
        ))?,
    }
    Ok(())
}

fn show(report: &CheckReport, aside: Option<&Path>, format: Format) -> Result<(), Failure> {
    match format {
        Format::Json => {
            let rows = report.named.iter().map(|row| json!({"table": row.table, "key": row.key}));
            let tables =
                report.tables.iter().map(|it| json!({"table": it.table, "reason": it.reason}));
            let mut object = json!({
                "rows": report.rows, "damaged": report.damaged,
                "named": rows.collect::<Vec<_>>(), "tables": tables.collect::<Vec<_>>(),
            });
            if let (Some(aside), Some(fields)) = (aside, object.as_object_mut()) {
                fields.insert("aside".to_owned(), Value::from(aside.display().to_string()));
            }
            output::object(&object)?;
        }
        Format::Text => {
            for row in &report.named {
                output::line(&format!("{} {}  does not open", row.table, row.key))?;
            }
            for table in &report.tables {
                output::line(&format!("{}  {}", table.table, table.reason))?;
            }
            output::line(&format!("{} rows, {} damaged", report.rows, report.damaged))?;
            if let Some(aside) = aside {
                let aside = safe::line(&aside.display().to_string(), 4_096);
                output::line(&format!("what opens was written anew; the damaged files: {aside}"))?;
            }
        }
    }
    Ok(())
}
