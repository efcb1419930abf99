//! `config`: what the node is set up with.

use std::path::Path;

use godwit_node::config::{Config, document};
use godwit_node::home::Home;
use serde_json::Value;

use crate::exit::Failure;
use crate::output::{self, Format};

/// What the node is set up with: print
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, clap::Subcommand)]
enum Act {
    /// Print every key with its meaning and its value
    Print {
        /// The values of a new home
        #[arg(long)]
        default: bool,
    },
}

impl Args {
    /// Whether a home is needed.
    pub(crate) const fn needs_home(&self) -> bool {
        let Act::Print { default } = self.act;
        !default
    }
}

/// Prints it.
pub(crate) fn run(home: Option<&Path>, format: Format) -> Result<(), Failure> {
    let config = match home {
        Some(home) => Home::config(&Home::resolve(home)?)?,
        None => Config::default(),
    };
    let text = document(&config);
    match format {
        Format::Json => {
            let value: Value = toml::from_str(&text).map_err(|error| {
                std::io::Error::other(format!("the configuration cannot be shown: {error}"))
            })?;
            output::object(&value)?;
        }
        Format::Text => output::line(text.trim_end())?,
    }
    Ok(())
}
