//! `init`: a new account with its first device, or a host's home.

use std::io;
use std::path::{Path, PathBuf};

use godwit_node::clock::system_rng;
use godwit_node::config::parse_address;
use godwit_node::home::{self, Home, HomeError, NewAccount, NewHome, Passphrase};
use godwit_protocol::endpoint::{Code, Refusal};
use godwit_protocol::identity::Name;
use godwit_protocol::machine::Address;
use serde_json::json;

use crate::exit::Failure;
use crate::output::{self, Format, safe};
use crate::passphrase;

/// Make an account and its first device here; shows its 24 words once
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The name that contacts are offered for you
    #[arg(long, value_name = "NAME", conflicts_with = "host")]
    name: Option<String>,
    /// Lock the keys with the passphrase in this file
    #[arg(long, value_name = "FILE", env = "GODWIT_PASSPHRASE_FILE", hide_env_values = true)]
    passphrase_file: Option<PathBuf>,
    /// Keep the keys in a file that only you can read, without a passphrase
    #[arg(long)]
    no_passphrase: bool,
    /// Make a host's home instead: a node key, no account, no words
    #[arg(long)]
    host: bool,
    /// With --host: tell peers this address instead of those it listens on
    #[arg(long, value_name = "MULTIADDR", requires = "host", value_parser = parse_address)]
    announce: Vec<Address>,
}

/// Makes an account's home as a person without any flag is asked for it; returns the passphrase, to
/// start the node with.
pub(crate) fn ask(home: &Path) -> Result<Passphrase, Failure> {
    output::talk("There is no account here yet. What name shall your friends see?");
    let mut name = String::new();
    io::stdin().read_line(&mut name)?;
    let name = Some(name.trim().to_owned()).filter(|name| !name.is_empty());
    let name = name.as_deref().map(Name::parse).transpose().map_err(bad_name)?;
    output::talk("A passphrase locks your keys on this device.");
    let passphrase = passphrase::ask_new()?;
    let new = NewHome { name, passphrase: Some(&passphrase), announce: Vec::new() };
    home::init_account(home, &new, &mut system_rng(), |made| show(made, home, Format::Text))?;
    Ok(passphrase)
}

/// Makes the home.
pub(crate) fn run(args: Args, home: &Path, format: Format) -> Result<(), Failure> {
    if Home::resolve(home).is_ok() {
        return Err(HomeError::Exists { path: home.to_owned() }.into());
    }
    let name = args.name.as_deref().map(Name::parse).transpose().map_err(bad_name)?;
    let passphrase = choose_passphrase(&args)?;
    let new = NewHome { name, passphrase: passphrase.as_ref(), announce: args.announce };
    if args.host {
        let card = home::init_host(home, &new, &mut system_rng())?;
        match format {
            Format::Json => {
                output::object(&json!({"account": null, "host": card.host, "link": card.link}))?
            }
            Format::Text => output::line(&format!(
                "A host's home is in {}.\nhost  {}\nnext: godwit run, then godwit host invite",
                safe::line(&home.display().to_string(), 4_096),
                card.host,
            ))?,
        }
        return Ok(());
    }
    home::init_account(home, &new, &mut system_rng(), |made| show(made, home, format))?;
    Ok(())
}

/// `None` means a key file beside the keystore.
fn choose_passphrase(args: &Args) -> Result<Option<Passphrase>, Refusal> {
    if args.no_passphrase {
        return Ok(None);
    }
    match &args.passphrase_file {
        Some(path) => passphrase::from_file(path).map(Some),
        None if args.host => Ok(None),
        None if passphrase::can_ask() => passphrase::ask_new().map(Some),
        None => Err(Refusal::new(
            Code::Usage,
            "there is no terminal to ask for a passphrase",
            "godwit init --passphrase-file FILE, or --no-passphrase",
        )),
    }
}

fn show(made: &NewAccount, home: &Path, format: Format) -> io::Result<()> {
    let account = made.account_text();
    match format {
        Format::Json => output::object(&json!({
            "account": account,
            "device": made.device.to_string(),
            "link": made.link,
            "recovery_phrase": *made.phrase.words(),
        })),
        Format::Text => output::line(&format!(
            "account  {account}\ndevice   {}\nhome     {}\n\n\
             These 24 words are the account. Write them down; they are not shown again.\n\n{}\n\
             next: godwit run, then godwit id",
            made.device,
            safe::line(&home.display().to_string(), 4_096),
            numbered(&made.phrase.words()),
        )),
    }
}

/// The words in rows of six, each with its number.
fn numbered(words: &str) -> String {
    let words: Vec<String> =
        words.split(' ').zip(1..).map(|(word, number)| format!("{number:>4} {word:<8}")).collect();
    let rows: Vec<String> =
        words.chunks(6).map(|row| row.concat().trim_end().to_owned() + "\n").collect();
    rows.concat()
}

/// A name that cannot be one.
pub(crate) fn bad_name<E: ToString>(error: E) -> Refusal {
    Refusal::new(Code::BadName, error.to_string(), "a name has 1 to 64 visible characters")
}
