//! `godwit`: what a person types and sees.
//!
//! | module | what it is |
//! |---|---|
//! | `actors` | nodes of our own, for `demo` and `bench` |
//! | `arguments` | the command line: options of every verb, and what is wrong with one |
//! | `command` | one file a verb: its arguments, its call, both of its outputs |
//! | `output` | text, JSON, and the only way to print what somebody else wrote |
//! | `node`, `feed` | the running node: its acts, and its events without an end |
//! | `background` | a node that goes on when the command ends |
//! | `log` | what a node says of itself on stderr |
//! | `guard` | what a process that holds keys asks of the system |
//! | `exit` | the exit-code table |
//! | `terminal` | where a person types |
//! | `passphrase`, `place` | where a passphrase and the home come from |
//!
//! A running node is spoken to through its control API only; without one, `godwit_node::home`.

mod actors;
mod arguments;
mod background;
mod command;
mod exit;
mod feed;
mod guard;
mod log;
mod node;
mod output;
mod passphrase;
mod place;
mod terminal;

use std::io;
use std::process::ExitCode;

use godwit_protocol::endpoint::{Code, Refusal};

use crate::exit::Failure;
use crate::output::Format;

fn main() -> ExitCode {
    guard::harden();
    let (format, result) = match arguments::parse(std::env::args_os()) {
        Ok(arguments::Parsed::Run(cli)) => {
            let format = if cli.json { Format::Json } else { Format::Text };
            (format, command::run(*cli, format))
        }
        Ok(arguments::Parsed::Show(text)) => {
            (Format::Text, output::line(text.trim_end()).map_err(Failure::from))
        }
        Err((format, refusal)) => (format, Err(Failure::Refused(refusal))),
    };
    ExitCode::from(finish(format, result))
}

/// Says what is left to be said, and chooses the exit number.
fn finish(format: Format, result: Result<(), Failure>) -> u8 {
    let refusal = match result {
        Ok(()) => return exit::DONE,
        Err(Failure::Exit(number)) => return number,
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            return exit::DONE;
        }
        Err(Failure::Output(error)) => {
            let message = format!("the output cannot be written: {error}");
            Refusal::new(Code::Io, message, "free space where the output goes, then repeat")
        }
        Err(Failure::Refused(refusal)) => refusal,
    };
    output::refusal(format, &refusal);
    exit::number(refusal.code)
}
