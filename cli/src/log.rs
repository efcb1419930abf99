//! The log of a node: on stderr, where it is best effort, and bounded.
//!
//! Rules: only what this program says is logged, never what its libraries say (they name addresses);
//! what is said again within the hour is counted, and the count is written when the hour is over; a
//! day has at most 1 MiB. Source: CLI, "run".

use std::collections::BTreeMap;
use std::env;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use godwit_protocol::endpoint::{Code, Refusal};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::exit::Failure;
use crate::output;
use crate::output::printer::Printer;

/// Says how much is logged: `off`, `error`, `warn`, `info`, `debug` or `trace`.
const LEVEL: &str = "GODWIT_LOG";
/// How the names of the program's own parts begin.
const OWN: &str = "godwit";
/// Bytes of a day.
const DAY_BYTES: usize = 1 << 20;
/// Different lines that are counted within an hour; more are counted as one.
const MAX_COUNTED: usize = 256;
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// Starts the log of this process.
pub(crate) fn start() -> Result<(), Failure> {
    let level = match env::var(LEVEL) {
        Ok(level) => level.parse::<LevelFilter>().map_err(|_| {
            let message = format!("{LEVEL} is none of off, error, warn, info, debug, trace");
            Refusal::new(Code::Usage, message, "GODWIT_LOG=warn godwit run")
        })?,
        Err(_) => LevelFilter::WARN,
    };
    let printer = Printer::start(output::talk)?;
    let print = Box::new(move |line| printer.line(line));
    let lines = Arc::new(Mutex::new(Lines::new(print, Instant::now())));
    let own = Targets::new().with_target(OWN, level);
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_target(false)
        .without_time()
        .with_writer(move || Line(Arc::clone(&lines)))
        .with_filter(own);
    // A log that runs already goes on.
    let _ = tracing_subscriber::registry().with(layer).try_init();
    Ok(())
}

/// Takes one line of the subscriber's.
struct Line(Arc<Mutex<Lines>>);

impl io::Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.take(text.trim_end(), Instant::now());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What was logged within the hour and the day.
struct Lines {
    print: Box<dyn FnMut(String) + Send>,
    counted: BTreeMap<String, u64>,
    hour: Instant,
    day: Instant,
    spent: usize,
}

impl Lines {
    fn new(print: Box<dyn FnMut(String) + Send>, now: Instant) -> Self {
        Self { print, counted: BTreeMap::new(), hour: now, day: now, spent: 0 }
    }

    fn take(&mut self, text: &str, now: Instant) {
        if now.duration_since(self.day) >= DAY {
            (self.day, self.spent) = (now, 0);
        }
        if now.duration_since(self.hour) >= HOUR {
            self.hour = now;
            for (text, count) in std::mem::take(&mut self.counted) {
                if count > 0 {
                    self.print(&format!("{count} times more within an hour: {text}"));
                }
            }
        }
        if let Some(count) = self.counted.get_mut(text) {
            *count = count.saturating_add(1);
            return;
        }
        if self.counted.len() < MAX_COUNTED {
            self.counted.insert(text.to_owned(), 0);
        }
        self.print(text);
    }

    fn print(&mut self, text: &str) {
        let time = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
        let line = format!("{time} {text}");
        let left = DAY_BYTES.saturating_sub(self.spent);
        let length = line.len().saturating_add(1);
        // Something is left for the last word.
        if length < left {
            self.spent = self.spent.saturating_add(length);
            (self.print)(line);
        } else if left > 0 {
            self.spent = DAY_BYTES;
            (self.print)(format!("{time} the log of this day is full"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(start: Instant) -> (Lines, Arc<Mutex<Vec<String>>>) {
        let printed = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&printed);
        let print = move |line: String| {
            let (_, text) = line.split_once(' ').unwrap();
            seen.lock().unwrap().push(text.to_owned());
        };
        (Lines::new(Box::new(print), start), printed)
    }

    #[test]
    fn what_is_said_again_is_counted_and_the_count_comes_after_the_hour() {
        let start = Instant::now();
        let (mut lines, printed) = lines(start);

        for _ in 0..5 {
            lines.take("WARN the disk is slow", start);
            lines.take("WARN another", start);
        }
        lines.take("WARN a third", start + HOUR);

        let seen = printed.lock().unwrap();
        assert_eq!(seen.len(), 5, "{seen:?}");
        assert_eq!(seen[3], "4 times more within an hour: WARN the disk is slow");
    }

    #[test]
    fn a_day_has_a_mebibyte_whatever_happens() {
        let start = Instant::now();
        let (mut lines, printed) = lines(start);

        for number in 0..40_000 {
            lines.take(&format!("WARN something that is new every time, number {number}"), start);
        }

        let seen = printed.lock().unwrap();
        assert!(seen.iter().map(String::len).sum::<usize>() < DAY_BYTES);
        assert_eq!(seen.last().unwrap(), "the log of this day is full");
    }
}
