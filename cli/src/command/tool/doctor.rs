//! `doctor`: what is wrong with a home, and what to do about it.

use std::path::{Path, PathBuf};

use godwit_node::doctor::{Finding, Verdict, examine};
use godwit_node::home::{Home, HomeError};
use godwit_node::keep_this_home;
use godwit_protocol::endpoint::Refusal;
use serde_json::{Value, json};

use crate::exit::{Failure, REFUSED};
use crate::node::Node;
use crate::output::{self, Format, safe, text};
use crate::passphrase;

/// Look at the home from outside, with or without a node: what is wrong, and what to do
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Look at keys and store as well where they are under a passphrase
    #[arg(long, value_name = "FILE", env = "GODWIT_PASSPHRASE_FILE", hide_env_values = true)]
    passphrase_file: Option<PathBuf>,
    /// Ask connected peers whether they reach the running node where it says that it is
    #[arg(long)]
    reach: bool,
    /// Of two living copies of this home keep this one, from its next start on; no node may run
    #[arg(long, conflicts_with = "reach")]
    keep_this_home: bool,
}

/// Prints what it finds; 1 if anything is broken.
pub(crate) fn run(args: &Args, home: &Path, format: Format) -> Result<(), Failure> {
    let passphrase = args.passphrase_file.as_deref().map(passphrase::from_file).transpose()?;
    if args.keep_this_home {
        return keep(home, args.passphrase_file.as_deref(), format);
    }
    let mut findings = examine(home, passphrase.as_ref());
    if args.reach {
        findings.extend(reach(home)?);
    }
    for finding in &findings {
        show(finding, format)?;
    }
    if findings.iter().any(|finding| finding.verdict == Verdict::Broken) {
        return Err(Failure::Exit(REFUSED));
    }
    Ok(())
}

/// Marks this copy of the home as the one that goes on.
fn keep(home: &Path, passphrase_file: Option<&Path>, format: Format) -> Result<(), Failure> {
    let passphrase = passphrase::of_home(home, passphrase_file)?;
    let open = Home::open(home, passphrase.as_ref())?;
    if open.account.is_none() {
        return Err(Refusal::from(HomeError::NoAccount).into());
    }
    keep_this_home(&open).map_err(Refusal::from)?;
    match format {
        Format::Json => output::object(&json!({"kept": true}))?,
        Format::Text => output::line(
            "this copy goes on at its next start; another one stands down when it next meets a host",
        )?,
    }
    Ok(())
}

/// What others say of where the node is.
fn reach(home: &Path) -> Result<Vec<Finding>, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answer = runtime.block_on(async { Node::connect(home).await?.reach().await });
    let answer = match answer {
        Ok(answer) => answer,
        Err(refusal) => {
            return Ok(vec![finding(Verdict::Skipped, refusal.message, &refusal.help)]);
        }
    };
    let addresses = answer.get("addresses").and_then(Value::as_array).into_iter().flatten();
    let mut found: Vec<Finding> = addresses.map(judged).collect();
    let relays = answer.get("relays").and_then(Value::as_u64).unwrap_or(0);
    if relays > 0 {
        found.push(finding(Verdict::Fine, format!("reached through {relays} of its hosts"), ""));
    }
    Ok(found)
}

fn judged(address: &Value) -> Finding {
    let (at, by) = (text::field(address, "address"), text::field(address, "by"));
    match text::field(address, "state").as_str() {
        "reached" => finding(Verdict::Fine, format!("{at} answers {by}"), ""),
        "unreached" => finding(
            Verdict::Warning,
            format!("{at} does not answer {by}"),
            "open the port in router and firewall, or --announce another address",
        ),
        _ => finding(
            Verdict::Skipped,
            format!("{at}: nobody could be asked who sees this node there"),
            "a second host in the network, or a public node, could be",
        ),
    }
}

fn finding(verdict: Verdict, detail: String, help: &str) -> Finding {
    Finding { check: "reach", verdict, detail, help: help.to_owned() }
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
