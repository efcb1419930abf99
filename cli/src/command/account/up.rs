//! `up` and `down`: the node in the background.

use std::path::{Path, PathBuf};

use godwit_node::config::Flags;
use godwit_node::home::keep_flags;
use serde_json::json;

use super::run::{self, Setup};
use crate::background;
use crate::exit::Failure;
use crate::output::{self, Format};

/// Run the node in the background; the flags are kept for later starts
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    setup: Setup,
    /// Open the keys with the passphrase in this file
    #[arg(long, value_name = "FILE", env = "GODWIT_PASSPHRASE_FILE", hide_env_values = true)]
    passphrase_file: Option<PathBuf>,
}

/// Starts it, unless it runs.
pub(crate) async fn up(args: Args, home: &Path, format: Format) -> Result<(), Failure> {
    let flags = Flags::from(args.setup);
    let changes = keep_flags(home, &flags)?;
    let ready = match background::running(home).await? {
        Some(ready) => {
            let later = if changes { ": the flags are used from its next start on" } else { "" };
            output::talk(&format!("it runs already{later}"));
            ready
        }
        None => background::start(home, None, args.passphrase_file.as_deref())?,
    };
    output::line(&run::ready(&ready, format)?)?;
    Ok(())
}

/// Ends it.
pub(crate) async fn down(home: &Path, format: Format) -> Result<(), Failure> {
    background::end(home).await?;
    match format {
        Format::Json => output::object(&json!({"state": "stopped"}))?,
        Format::Text => output::line("stopped")?,
    }
    Ok(())
}
