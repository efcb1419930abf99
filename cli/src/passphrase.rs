//! Where a passphrase comes from: a file, or a terminal that does not echo.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, IsTerminal as _, Read as _, Write as _};
use std::path::Path;

use godwit_node::home::{Home, HomeError, Passphrase, Protection};
use godwit_protocol::endpoint::{Code, Refusal};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// Reads the passphrase of a file.
pub(crate) fn from_file(path: &Path) -> Result<Passphrase, Refusal> {
    let read = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?
            .take(Passphrase::max_bytes().saturating_add(1))
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|error| {
        let code = match error.kind() {
            io::ErrorKind::PermissionDenied => Code::Permission,
            io::ErrorKind::NotFound => Code::PassphraseNeeded,
            _ => Code::Io,
        };
        let message = format!("{}: {error}", path.display());
        Refusal::new(code, message, "check --passphrase-file")
    })?;
    Ok(Passphrase::new(bytes)?)
}

/// The passphrase of the file if one is given, else what the terminal answers.
fn from_file_or_terminal(path: Option<&Path>) -> Result<Passphrase, Refusal> {
    match path {
        Some(path) => from_file(path),
        None if can_ask() => ask("Passphrase: "),
        None => Err(HomeError::PassphraseNeeded.into()),
    }
}

/// The passphrase that a home is opened with; none where it has none.
pub(crate) fn of_home(home: &Path, file: Option<&Path>) -> Result<Option<Passphrase>, Refusal> {
    match Home::protection(home)? {
        Protection::Passphrase => from_file_or_terminal(file).map(Some),
        Protection::File => Ok(None),
    }
}

/// Asks twice on the terminal, for a passphrase that is new.
pub(crate) fn ask_new() -> Result<Passphrase, Refusal> {
    let first = ask("New passphrase: ")?;
    if first != ask("The same again: ")? {
        return Err(Refusal::new(Code::Usage, "the two passphrases differ", "godwit init"));
    }
    Ok(first)
}

/// Whether there is a terminal to ask on.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && terminal().is_ok()
}

fn ask(prompt: &str) -> Result<Passphrase, Refusal> {
    Ok(Passphrase::new(read_hidden(prompt)?)?)
}

fn terminal() -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open("/dev/tty")
}

fn read_hidden(prompt: &str) -> Result<Vec<u8>, Refusal> {
    let needed = |_| Refusal::from(HomeError::PassphraseNeeded);
    let tty = terminal().map_err(needed)?;
    let quiet = Quiet::on(&tty).map_err(|errno| needed(errno.into()))?;
    let read = || -> io::Result<Vec<u8>> {
        (&tty).write_all(prompt.as_bytes())?;
        let mut line = Vec::new();
        BufReader::new((&tty).take(Passphrase::max_bytes())).read_until(b'\n', &mut line)?;
        (&tty).write_all(b"\n")?;
        Ok(line)
    };
    let line = read().map_err(needed);
    drop(quiet);
    line
}

/// A terminal without echo, until this value is dropped.
struct Quiet<'a> {
    tty: &'a File,
    before: Termios,
}

impl<'a> Quiet<'a> {
    fn on(tty: &'a File) -> rustix::io::Result<Self> {
        let before = tcgetattr(tty)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(tty, OptionalActions::Flush, &quiet)?;
        Ok(Self { tty, before })
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        // A terminal that is gone needs no echo.
        let _ = tcsetattr(self.tty, OptionalActions::Flush, &self.before);
    }
}
