//! Which folder is the home.

use std::env;
use std::path::PathBuf;

use godwit_protocol::endpoint::{Code, Refusal};

/// What `--home` or `GODWIT_HOME` says, else `godwit` in the platform's folder for data.
pub(crate) fn home(given: Option<PathBuf>) -> Result<PathBuf, Refusal> {
    if let Some(path) = given {
        return Ok(path);
    }
    platform_data().map(|folder| folder.join("godwit")).ok_or_else(|| {
        Refusal::new(Code::NoHome, "no folder for data is known here", "give --home DIR")
    })
}

#[cfg(not(target_os = "macos"))]
fn platform_data() -> Option<PathBuf> {
    let absolute =
        |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_DATA_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/share")))
}

#[cfg(target_os = "macos")]
fn platform_data() -> Option<PathBuf> {
    env::var_os("HOME").map(|home| PathBuf::from(home).join("Library/Application Support"))
}
