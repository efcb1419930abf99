//! Where a person types: a line editor on a terminal, plain lines elsewhere.
//!
//! What is printed meanwhile stands above the line that is being typed ([`above`]; the library's own
//! printer lets keys wait that come in one read). History lives in memory only: what people write to
//! each other is in no file but the store.

mod above;

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::Validator;
use rustyline::{Config, Context, Editor, Helper};

use crate::output;

/// What was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Typed {
    /// A line, or several that were pasted at once.
    Line(String),
    /// Ctrl-C: what was being typed is gone.
    Interrupted,
    /// Ctrl-D, or the terminal is closed.
    End,
}

/// Prints whole lines above the one that is being typed.
pub(crate) type Print = Box<dyn FnMut(&str) + Send>;

/// Words that may be completed: names of contacts.
pub(crate) type Words = Arc<Mutex<Vec<String>>>;

/// The commands that begin a line.
const COMMANDS: &[&str] =
    &["/accept ", "/add ", "/help", "/invite", "/join ", "/quit", "/to ", "/who", "/why"];

/// Where lines come from.
pub(crate) enum Terminal {
    /// A terminal, and what stands on it.
    Editor(Box<Editor<Typist, MemHistory>>, Line),
    /// Anything else.
    Plain,
}

/// What is being typed at present: the prompt, the text, the cursor's place in it; `None` while
/// nobody types.
type Line = Arc<Mutex<Option<(String, String, usize)>>>;

/// Completes, and sees what is typed.
pub(crate) struct Typist {
    words: Words,
    line: Line,
}

impl Typist {
    fn sees(&self, text: &str, cursor: usize) {
        if let Some((_, line, at)) = &mut *lock(&self.line) {
            text.clone_into(line);
            *at = cursor;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Terminal {
    /// Takes hold of the terminal, if stdin and stdout are one.
    pub(crate) fn open(words: &Words) -> io::Result<(Self, Print)> {
        let plain: Print = Box::new(|text| drop(output::line(text)));
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return Ok((Self::Plain, plain));
        }
        let config = Config::builder().bracketed_paste(true).build();
        let history = MemHistory::with_config(&config);
        let mut editor = Editor::with_history(config, history).map_err(io::Error::other)?;
        let line = Line::default();
        editor.set_helper(Some(Typist { words: Arc::clone(words), line: Arc::clone(&line) }));
        let typed = Arc::clone(&line);
        let print: Print = Box::new(move |text| {
            // Held while it is written, so that what is redrawn is what stands there.
            let typed = lock(&typed);
            let shown = match &*typed {
                Some((prompt, line, at)) => {
                    above::redrawn(text, (prompt, line, *at), output::width())
                }
                None => format!("{text}\n"),
            };
            let mut out = io::stdout().lock();
            // A terminal that is gone shows nothing.
            let _ = out.write_all(shown.as_bytes()).and_then(|()| out.flush());
        });
        Ok((Self::Editor(Box::new(editor), line), print))
    }

    /// The next line.
    pub(crate) fn read(&mut self, prompt: &str) -> Typed {
        match self {
            Self::Editor(editor, line) => {
                *lock(line) = Some((prompt.to_owned(), String::new(), 0));
                let read = editor.readline(prompt);
                *lock(line) = None;
                match read {
                    Ok(line) => {
                        // A history that is full forgets the oldest.
                        let _ = editor.add_history_entry(&line);
                        Typed::Line(line)
                    }
                    Err(ReadlineError::Interrupted) => Typed::Interrupted,
                    Err(_) => Typed::End,
                }
            }
            Self::Plain => {
                let mut line = String::new();
                match io::stdin().lock().read_line(&mut line) {
                    Ok(0) | Err(_) => Typed::End,
                    Ok(_) => Typed::Line(line.trim_end_matches(['\r', '\n']).to_owned()),
                }
            }
        }
    }
}

impl Completer for Typist {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let typed = line.get(..position).unwrap_or(line);
        Ok(complete(typed, &lock(&self.words)))
    }
}

/// Where the completed word begins, and what it may be.
fn complete(typed: &str, names: &[String]) -> (usize, Vec<String>) {
    if !typed.starts_with('/') {
        return (0, Vec::new());
    }
    match typed.split_once(' ') {
        None => {
            let fits = |command: &&&str| command.starts_with(typed);
            (0, COMMANDS.iter().filter(fits).map(|it| (*it).to_owned()).collect())
        }
        Some((verb, begun)) => {
            let begun = begun.to_lowercase();
            let fits = |name: &&String| name.to_lowercase().starts_with(&begun);
            (verb.len().saturating_add(1), names.iter().filter(fits).cloned().collect())
        }
    }
}

impl Hinter for Typist {
    type Hint = String;

    fn hint(&self, line: &str, position: usize, _: &Context<'_>) -> Option<String> {
        self.sees(line, position);
        None
    }
}

impl Highlighter for Typist {
    fn highlight_char(&self, line: &str, position: usize, _: CmdKind) -> bool {
        self.sees(line, position);
        false
    }
}

impl Validator for Typist {}
impl Helper for Typist {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_names_are_completed_and_texts_are_not() {
        let names = ["Bob".to_owned(), "Bella".to_owned()];

        assert_eq!(complete("/in", &names), (0, vec!["/invite".to_owned()]));
        assert_eq!(complete("/to b", &names).1, names);
        assert_eq!(complete("/to be", &names), (4, vec!["Bella".to_owned()]));
        assert_eq!(complete("bo", &names).1, Vec::<String>::new());
    }
}
