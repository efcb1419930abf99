//! What stands around every act of an engine on disk: a panic is damage, and after damage nothing more
//! is trusted.

use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::EngineError;

/// Whether an engine may go on.
#[derive(Default)]
pub(super) struct Guard {
    broken: AtomicBool,
}

impl Guard {
    /// Runs one act, and stops for good when it fails over the disk.
    pub(super) fn run<T>(
        &self,
        act: impl FnOnce() -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        if self.broken.load(Ordering::Acquire) {
            return Err(EngineError::Broken);
        }
        let done = catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(panicked);
        if matches!(done, Err(EngineError::Io(_) | EngineError::Damaged(_))) {
            self.broken.store(true, Ordering::Release);
        }
        done
    }
}

/// Opens an engine on a thread of its own, where a panic is an error.
pub(super) fn apart<T: Send + 'static>(
    open: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
) -> Result<T, EngineError> {
    let opening = thread::Builder::new()
        .name("store-open".into())
        .spawn(move || catch_unwind(AssertUnwindSafe(open)).unwrap_or_else(panicked))?;
    opening.join().unwrap_or_else(panicked)
}

/// Makes the names in a folder durable, and the folder's own.
pub(crate) fn sync_names(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()?;
    match folder.parent().filter(|path| !path.as_os_str().is_empty()) {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// What a panic comes to.
pub(super) fn panicked<T>(payload: Box<dyn core::any::Any + Send>) -> Result<T, EngineError> {
    let said = payload.downcast_ref::<String>().map(String::as_str);
    let said = said.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no reason");
    Err(EngineError::Damaged(format!("the engine panicked: {said}")))
}
