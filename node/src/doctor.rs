//! What is wrong with a home, looked at from outside: nothing is changed.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use godwit_protocol::endpoint::Refusal;
use godwit_protocol::time::UnixMillis;
use godwit_store::space;
use rustix::fs::statfs;

use crate::check_store;
use crate::clock::Clock;
use crate::config::{Config, format_size};
use crate::home::{Home, HomeError, Passphrase, Protection};

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Fine,
    /// It works, and should not stay so.
    Warning,
    /// It does not work.
    Broken,
    /// It could not be looked at.
    Skipped,
}

impl Verdict {
    /// The word that is shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fine => "ok",
            Self::Warning => "warning",
            Self::Broken => "broken",
            Self::Skipped => "skipped",
        }
    }
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// What was found.
    pub detail: String,
    /// What to do about it; empty where nothing is to be done.
    pub help: String,
}

/// No clock is right that shows a time before this program was written: 2026-01-01.
const EARLIEST: UnixMillis = UnixMillis(1_767_225_600_000);
/// File systems over a network, by their magic number (`statfs(2)`): locks and syncs of others.
const REMOTE: &[(u64, &str)] = &[
    (0x6969, "nfs"),
    (0x517b, "smb"),
    (0xff53_4d42, "cifs"),
    (0xfe53_4d42, "smb2"),
    (0x0102_1997, "9p"),
    (0x6573_5546, "fuse"),
];
/// A file system in memory.
const TMPFS: u64 = 0x0102_1994;

/// Looks at a home; with the passphrase, or where there is none, at its keys and its store too.
#[must_use]
pub fn examine(path: &Path, passphrase: Option<&Passphrase>) -> Vec<Finding> {
    let mut found = vec![clock()];
    let folder = match Home::resolve(path) {
        Ok(folder) => folder,
        Err(error) => {
            found.push(broken("home", error.into()));
            return found;
        }
    };
    found.push(fine("home", folder.display().to_string()));
    found.push(files(&folder));
    found.push(file_system(&folder));
    let config = Home::config(&folder);
    found.push(match &config {
        Ok(config) => fine("configuration", format!("network {}", config.network)),
        Err(error) => broken("configuration", refusal(error)),
    });
    found.push(disk(&folder, config.ok().as_ref()));
    found.extend(keys_and_store(&folder, passphrase));
    found
}

fn clock() -> Finding {
    let now = Clock::start().now().wall;
    if now >= EARLIEST {
        return fine("clock", String::new());
    }
    let help = "set the clock; messages and keys live by it".to_owned();
    let detail = "it shows a time before this program was written".to_owned();
    Finding { check: "clock", verdict: Verdict::Broken, detail, help }
}

/// Who owns the files, and who else may read them.
fn files(folder: &Path) -> Finding {
    let own = rustix::process::geteuid().as_raw();
    let names = ["", "config.toml", "keystore", "kek", "node.key", "card", "lock", "store"];
    let mut open = None;
    for name in names {
        let path = folder.join(name);
        let Ok(metadata) = fs::metadata(&path) else { continue };
        if metadata.uid() != own {
            let error = HomeError::ForeignOwner { path, owner: metadata.uid() };
            return broken("files", error.into());
        }
        if metadata.permissions().mode() & 0o077 != 0 {
            open = open.or(Some(path));
        }
    }
    match open {
        None => fine("files", "for their owner only".to_owned()),
        Some(path) => Finding {
            check: "files",
            verdict: Verdict::Warning,
            detail: format!("others may read {}", path.display()),
            help: "the next start of the node mends it".to_owned(),
        },
    }
}

fn file_system(folder: &Path) -> Finding {
    let Ok(kind) = statfs(folder).map(|of| u64::try_from(of.f_type).unwrap_or(0)) else {
        let detail = "the system does not tell".to_owned();
        return Finding { verdict: Verdict::Skipped, detail, ..fine("file system", String::new()) };
    };
    let warning = |detail: String, help: &str| Finding {
        check: "file system",
        verdict: Verdict::Warning,
        detail,
        help: help.to_owned(),
    };
    if kind == TMPFS {
        return warning(
            "it is in memory".to_owned(),
            "a restart loses it: move the home to a disk",
        );
    }
    match REMOTE.iter().find(|(magic, _)| *magic == kind) {
        Some((_, name)) => warning(
            format!("{name}: its locks and syncs are somebody else's"),
            "move the home to a disk of this machine",
        ),
        None => fine("file system", String::new()),
    }
}

fn disk(folder: &Path, config: Option<&Config>) -> Finding {
    let space = match space::of(folder) {
        Ok(space) => space,
        Err(error) => return broken("disk", refusal(&HomeError::io(folder, &error))),
    };
    let floor = config.and_then(|config| config.floor).unwrap_or(32 << 20);
    let detail = format!("{} free", format_size(space.free >> 20 << 20));
    if space.free >= floor {
        return fine("disk", detail);
    }
    let help = format!("below {} nothing new is taken: free space", format_size(floor));
    Finding { check: "disk", verdict: Verdict::Broken, detail, help }
}

fn keys_and_store(folder: &Path, passphrase: Option<&Passphrase>) -> Vec<Finding> {
    let skipped = |check, detail: &str, help: &str| Finding {
        check,
        verdict: Verdict::Skipped,
        detail: detail.to_owned(),
        help: help.to_owned(),
    };
    match Home::protection(folder) {
        Err(error) => return vec![broken("keys", error.into())],
        Ok(Protection::Passphrase) if passphrase.is_none() => {
            return vec![skipped(
                "keys",
                "under a passphrase",
                "godwit doctor --passphrase-file FILE",
            )];
        }
        Ok(_) => {}
    }
    let home = match Home::open(folder, passphrase) {
        Ok(home) => home,
        Err(HomeError::InUse { .. }) => {
            return vec![
                fine("node", "it runs".to_owned()),
                skipped("store", "in use", "godwit status; or godwit down, then again"),
            ];
        }
        Err(error) => return vec![broken("keys", error.into())],
    };
    let store = match check_store(&home) {
        Ok(report) if report.is_sound() => fine("store", format!("{} rows", report.rows)),
        Ok(report) => Finding {
            check: "store",
            verdict: Verdict::Broken,
            detail: format!("{} rows, {} tables damaged", report.damaged, report.tables.len()),
            help: "godwit store check names them; keep a copy of the home first".to_owned(),
        },
        Err(error) => broken("store", error.into()),
    };
    vec![fine("keys", "they open".to_owned()), store]
}

const fn fine(check: &'static str, detail: String) -> Finding {
    Finding { check, verdict: Verdict::Fine, detail, help: String::new() }
}

fn broken(check: &'static str, refusal: Refusal) -> Finding {
    Finding { check, verdict: Verdict::Broken, detail: refusal.message, help: refusal.help }
}

fn refusal(error: &HomeError) -> Refusal {
    Refusal::new(
        godwit_protocol::endpoint::Code::Io,
        error.to_string(),
        "mend it, then godwit doctor",
    )
}
