//! A node in the background: our own executable, in a session of its own.
//!
//! What it says goes to `node.log` in the home, which each start begins anew.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use godwit_node::home::{Home, HomeError, Passphrase};
use godwit_protocol::endpoint::{Code, Refusal};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::exit::Failure;
use crate::node::Node;
use crate::output::text;
use crate::passphrase;

/// How long a node may take to end: it drains for 10 s at most.
const END: Duration = Duration::from_secs(15);
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// What the running node of a home says of itself, as in its first line; `None` if none runs. One
/// that starts is waited for until it is ready, one that stops until it is gone.
pub(crate) async fn running(home: &Path) -> Result<Option<Value>, Failure> {
    loop {
        let status = match status(home).await {
            Ok(status) => status,
            Err(refusal) if refusal.code == Code::NotRunning => return Ok(None),
            Err(refusal) => return Err(refusal.into()),
        };
        if !matches!(text::field(&status, "state").as_str(), "starting" | "stopping") {
            let control = Home::socket_path(home)?;
            return Ok(Some(json!({
                "event": "ready", "peer_id": status.get("peer_id"), "listen": status.get("listen"),
                "control": control.display().to_string(),
            })));
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn status(home: &Path) -> Result<Value, Refusal> {
    Node::connect(home).await?.status().await
}

/// Starts a node that goes on when this process ends; returns its first line when it is ready. A
/// passphrase that is not known comes from the file, or is asked for.
pub(crate) fn start(
    home: &Path,
    known: Option<Passphrase>,
    passphrase_file: Option<&Path>,
) -> Result<Value, Failure> {
    let passphrase = match known {
        Some(known) => Some(known),
        None => passphrase::of_home(home, passphrase_file)?,
    };
    let folder = Home::resolve(home)?;
    let log_path = folder.join("node.log");
    let failed = |error: std::io::Error| HomeError::io(&log_path, &error);
    let log = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&log_path)
        .map_err(failed)?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--home").arg(&folder).args(["--json", "run", "--detached"]);
    command.env_remove("GODWIT_PASSPHRASE_FILE");
    if passphrase.is_some() {
        command.args(["--passphrase-file", "/dev/stdin"]);
    }
    let stdin = if passphrase.is_some() { Stdio::piped() } else { Stdio::null() };
    let mut child = command.stdin(stdin).stdout(Stdio::piped()).stderr(log).spawn()?;
    give(child.stdin.take(), passphrase.as_ref());
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut line)?;
    }
    match serde_json::from_str::<Value>(&line) {
        Ok(ready) => Ok(ready),
        Err(_) => {
            let status = child.wait()?;
            Err(what_it_said(&log_path, status.code()).into())
        }
    }
}

/// Ends the running node of a home and waits until the home is free.
pub(crate) async fn end(home: &Path) -> Result<(), Failure> {
    let status = status(home).await?;
    let pid = status.get("pid").and_then(Value::as_i64).and_then(|pid| i32::try_from(pid).ok());
    let Some(pid) = pid.and_then(Pid::from_raw) else {
        return Err(
            Refusal::new(Code::Inner, "the node does not tell its pid", "godwit status").into()
        );
    };
    kill_process(pid, Signal::TERM).map_err(std::io::Error::from)?;
    let start = Instant::now();
    while Home::is_in_use(home)? {
        if start.elapsed() > END {
            let message = "the node has not ended yet";
            return Err(Refusal::new(Code::NotYet, message, "godwit down, once more").into());
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// A node that ends before it reads its passphrase tells why itself.
fn give(stdin: Option<std::process::ChildStdin>, passphrase: Option<&Passphrase>) {
    if let (Some(mut stdin), Some(passphrase)) = (stdin, passphrase) {
        let _ = stdin.write_all(passphrase.expose());
    }
}

/// The refusal that a node has written before it ended.
fn what_it_said(log: &Path, exit: Option<i32>) -> Refusal {
    let lines = File::open(log).map(|file| BufReader::new(file).lines().map_while(Result::ok));
    let refusal = lines.ok().and_then(|mut lines| {
        lines.find_map(|line| {
            let value: Value = serde_json::from_str(&line).ok()?;
            let error = value.get("error")?;
            let code = text::field(error, "code");
            let code = Code::ALL.iter().find(|known| known.as_str() == code)?;
            Some(Refusal::new(*code, text::field(error, "message"), text::field(error, "help")))
        })
    });
    refusal.unwrap_or_else(|| {
        let message = format!("the node ended before it was ready (exit {exit:?})");
        Refusal::new(Code::Inner, message, "godwit run shows why")
    })
}
