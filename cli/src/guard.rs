//! What a process that holds keys asks of the system before anything else: its files are private, and
//! its memory never lands in a core dump. And it may have as many files as the system lets it have.

use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, umask};

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
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        // Core patterns that are pipes ignore the limit above.
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}
