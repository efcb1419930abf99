//! The command line as a whole.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, Parser};
use godwit_protocol::endpoint::{Code, Refusal};

use crate::command::Verb;
use crate::output::Format;

/// A federated peer-to-peer messenger, end-to-end encrypted.
#[derive(Debug, Parser)]
#[command(name = "godwit", version, arg_required_else_help = false, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// The folder of keys, messages and settings [default: the platform's folder for data]
    #[arg(long, global = true, env = "GODWIT_HOME", value_name = "DIR", hide_env_values = true)]
    pub(crate) home: Option<PathBuf>,
    /// Write JSON, for programs
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Without one, a person at a terminal is asked and talks.
    #[command(subcommand)]
    pub(crate) verb: Option<Verb>,
}

/// What a command line asks for.
pub(crate) enum Parsed {
    /// A verb.
    Run(Box<Cli>),
    /// A help text or the version.
    Show(String),
}

/// Reads the command line.
pub(crate) fn parse(
    arguments: impl Iterator<Item = OsString>,
) -> Result<Parsed, (Format, Refusal)> {
    let arguments: Vec<OsString> = arguments.collect();
    let options = arguments.iter().skip(1).take_while(|argument| *argument != "--");
    let format = if options.into_iter().any(|argument| argument == "--json") {
        Format::Json
    } else {
        Format::Text
    };
    match Cli::try_parse_from(&arguments) {
        Ok(cli) => Ok(Parsed::Run(Box::new(cli))),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                Ok(Parsed::Show(error.render().to_string()))
            }
            ErrorKind::InvalidUtf8 => Err((format, not_text())),
            _ => Err((format, usage(&error, &arguments))),
        },
    }
}

fn not_text() -> Refusal {
    Refusal::new(
        Code::NotText,
        "an argument is not UTF-8",
        "text and names are UTF-8; paths may be any bytes",
    )
}

fn usage(error: &clap::Error, arguments: &[OsString]) -> Refusal {
    let rendered = error.render().to_string();
    let first = rendered.lines().next().unwrap_or("wrong arguments");
    let mut message = first.strip_prefix("error: ").unwrap_or(first).to_owned();
    let mut help = format!("{} --help", command_named(arguments));
    match error.kind() {
        ErrorKind::MissingRequiredArgument => {
            if let Some(ContextValue::Strings(missing)) = error.get(ContextKind::InvalidArg) {
                message = format!("missing: {}", missing.join(" "));
            }
        }
        ErrorKind::UnknownArgument if arguments.iter().any(|argument| argument == "send") => {
            help =
                "a text that begins with a dash comes after --: godwit send TO -- TEXT".to_owned();
        }
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            message = "a command is missing".to_owned();
        }
        _ => {}
    }
    Refusal::new(Code::Usage, message, help)
}

/// `godwit`, with the verb if there is one.
fn command_named(arguments: &[OsString]) -> String {
    let command = Cli::command();
    let verb = arguments
        .iter()
        .skip(1)
        .filter_map(|argument| argument.to_str())
        .find(|argument| command.find_subcommand(argument).is_some());
    verb.map_or_else(|| "godwit".to_owned(), |verb| format!("godwit {verb}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
