//! `doctor`: what is wrong with a home, and what to do about it.

use std::path::{Path, PathBuf};

use godwit_node::doctor::{Finding, Verdict, examine};
use serde_json::json;

use crate::exit::{Failure, REFUSED};
use crate::output::{self, Format, safe};
use crate::passphrase;

/// Look at the home from outside, with or without a node: what is wrong, and what to do
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Look at keys and store as well where they are under a passphrase
    #[arg(long, value_name = "FILE", env = "GODWIT_PASSPHRASE_FILE", hide_env_values = true)]
    passphrase_file: Option<PathBuf>,
}

/// Prints what it finds; 1 if anything is broken.
pub(crate) fn run(args: &Args, home: &Path, format: Format) -> Result<(), Failure> {
    let passphrase = args.passphrase_file.as_deref().map(passphrase::from_file).transpose()?;
    let findings = examine(home, passphrase.as_ref());
    for finding in &findings {
        show(finding, format)?;
    }
    if findings.iter().any(|finding| finding.verdict == Verdict::Broken) {
        return Err(Failure::Exit(REFUSED));
    }
    Ok(())
}

fn show(finding: &Finding, format: Format) -> Result<(), Failure> {
    let Finding { check, verdict, detail, help } = finding;
    match format {
        Format::Json => output::object(&json!({
            "check": check, "state": verdict.as_str(), "detail": detail, "help": help,
        }))?,
        Format::Text => {
            let detail = safe::line(detail, 4_096);
            output::line(format!("{check:<14} {:<8} {detail}", verdict.as_str()).trim_end())?;
            if !help.is_empty() {
                output::line(&format!("{:<24}help: {help}", ""))?;
            }
        }
    }
    Ok(())
}
