//! `completions`: what a shell wants to know, and the manual page.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::arguments::Cli;
use crate::exit::Failure;
use crate::output;

/// Print a shell's completions, or the manual page (`man`)
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// For what
    shell: For,
}

/// What they are for.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum For {
    Bash,
    Zsh,
    Fish,
    Elvish,
    #[value(name = "powershell")]
    PowerShell,
    /// The manual page, as roff
    Man,
}

/// Prints them.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let mut command = Cli::command();
    let mut bytes = Vec::new();
    let shell = match args.shell {
        For::Bash => Shell::Bash,
        For::Zsh => Shell::Zsh,
        For::Fish => Shell::Fish,
        For::Elvish => Shell::Elvish,
        For::PowerShell => Shell::PowerShell,
        For::Man => {
            clap_mangen::Man::new(command).render(&mut bytes)?;
            return Ok(output::line(String::from_utf8_lossy(&bytes).trim_end())?);
        }
    };
    clap_complete::generate(shell, &mut command, "godwit", &mut bytes);
    Ok(output::line(String::from_utf8_lossy(&bytes).trim_end())?)
}
