//! What a process that holds keys asks of the system before anything else: its files are private, and
//! its memory never lands in a core dump.

use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, setrlimit, umask};

/// Asks for it.
pub(crate) fn harden() {
    umask(Mode::RWXG | Mode::RWXO);
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    // A limit that may not be lowered is one that somebody has lowered already.
    let _ = setrlimit(Resource::Core, none);
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        // Core patterns that are pipes ignore the limit above.
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}
