//! Output that never holds the node up: a full, blocked or closed pipe loses lines, nothing else.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

/// Lines that wait for a slow reader; the next ones are lost, and a reader of events that wants
/// none lost uses `godwit watch`, which has a cursor.
const MAX_WAITING: usize = 256;
/// How long the end waits for the last lines.
const LAST_LINES: Duration = Duration::from_millis(500);

/// An output behind a thread of its own.
#[derive(Debug)]
pub(crate) struct Printer {
    lines: SyncSender<String>,
    done: Receiver<()>,
}

impl Printer {
    /// Starts the thread, which gives each line to `write`.
    pub(crate) fn start(write: impl Fn(&str) + Send + 'static) -> io::Result<Self> {
        let (lines, waiting) = sync_channel::<String>(MAX_WAITING);
        let (ended, done) = sync_channel(1);
        thread::Builder::new().name("printer".to_owned()).spawn(move || {
            while let Ok(line) = waiting.recv() {
                write(&line);
            }
            drop(ended);
        })?;
        Ok(Self { lines, done })
    }

    /// Prints a line, or loses it.
    pub(crate) fn line(&self, text: String) {
        let _ = self.lines.try_send(text);
    }

    /// Waits a moment for what was printed last.
    pub(crate) fn finish(self) {
        drop(self.lines);
        // Both answers, "done" and "not in time", end the wait.
        let _ = self.done.recv_timeout(LAST_LINES);
    }
}
