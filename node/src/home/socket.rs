//! Where the control socket of a home is.

use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use godwit_protocol::crypto::hash;

use super::HomeError;
use super::files::{make_folder, mend_permissions};

/// The longest path that a socket may have on Linux (`sun_path` without its end), in bytes.
const MAX_SOCKET_PATH: usize = 107;

/// The socket of the home in `folder` (resolved): `control.sock` in it, or where that path is too
/// long, one named after the folder in a private folder of the runtime directory.
pub(crate) fn socket_path(folder: &Path) -> Result<PathBuf, HomeError> {
    let own = folder.join("control.sock");
    if own.as_os_str().len() <= MAX_SOCKET_PATH {
        return Ok(own);
    }
    let runtime =
        std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let user = rustix::process::geteuid().as_raw();
    let private = runtime.join(format!("godwit-{user}"));
    make_folder(&private)?;
    mend_permissions(&private)?;
    let digest = hash(&[b"godwit/socket/1", folder.as_os_str().as_encoded_bytes()]);
    let name: String = HEXLOWER.encode(&digest).chars().take(32).collect();
    Ok(private.join(format!("{name}.sock")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_path_keeps_its_socket_in_the_home() {
        assert_eq!(socket_path(Path::new("/h")).unwrap(), Path::new("/h/control.sock"));
    }

    #[test]
    fn a_long_path_gets_a_short_socket_of_its_own() {
        let one = socket_path(Path::new(&format!("/{}1", "x".repeat(120)))).unwrap();
        let two = socket_path(Path::new(&format!("/{}2", "x".repeat(120)))).unwrap();

        assert!(one.as_os_str().len() <= MAX_SOCKET_PATH);
        assert_ne!(one, two);
    }
}
