//! What a process that holds keys asks of the system before anything else: its files are private, and
//! its memory never lands in a core dump. It may have as many files as the system lets it have, and one
//! that may not grow any more is an error and not its end.

use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit, umask};
use tokio::signal::unix::{SignalKind, signal};

/// More than any node here has use for.
const MOST_FILES: u64 = 16_384;

/// Asks for it.
pub(crate) fn harden() {
    umask(Mode::RWXG | Mode::RWXO);
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    // A limit that may not be lowered is one that somebody has lowered already.
    let _ = setrlimit(Resource::Core, none);
    let files = getrlimit(Resource::Nofile);
    let most = files.maximum.map_or(MOST_FILES, |most| most.min(MOST_FILES));
    if files.current.is_some_and(|now| now < most) {
        // As many connections as fit are taken, whatever the limit is.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(most), ..files });
    }
    outlive_limited_files();
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        // Core patterns that are pipes ignore the limit above.
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}

/// The system ends whoever writes beyond the size that files may have (`ulimit -f`), unless the signal is
/// heard: then the write fails like every other. It is heard from here on, whatever becomes of the runtime.
fn outlive_limited_files() {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else {
        return;
    };
    let _inside = runtime.enter();
    let _ = signal(SignalKind::from_raw(Signal::XFSZ.as_raw()));
}
