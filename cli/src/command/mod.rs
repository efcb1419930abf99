//! The verbs, one file each: arguments, call, both outputs.
//!
//! | folder | verbs |
//! |---|---|
//! | `account` | the home, the account, the node that runs |
//! | `talk` | contacts, and what is written to them |
//! | `keep` | who keeps mail for whom |
//! | `tool` | what looks, prints and measures |

mod account;
mod keep;
mod talk;
mod tool;

use std::path::{Path, PathBuf};

use godwit_node::home::{Home, HomeError};
use godwit_protocol::endpoint::{Code, Refusal};

use self::account::{id, init, run, status, up};
use self::keep::{host, join, mailbox};
use self::talk::{chat, contact, inbox, send, watch, why};
use self::tool::{bench, completions, config, demo, doctor, errors, limits, service, store};
use crate::arguments::Cli;
use crate::exit::Failure;
use crate::node::Node;
use crate::output::Format;
use crate::{passphrase, place};

/// What can be asked for.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    Init(init::Args),
    Run(run::Args),
    Up(up::Args),
    /// End the node that runs
    Down,
    Id(id::Args),
    Status(status::Args),
    Contact(contact::Args),
    Chat(chat::Args),
    Send(send::Args),
    Inbox(inbox::Args),
    Watch(watch::Args),
    Why(why::Args),
    Join(join::Args),
    Mailbox(mailbox::Args),
    Host(host::Args),
    Demo(demo::Args),
    Bench(bench::Args),
    Store(store::Args),
    Doctor(doctor::Args),
    Config(config::Args),
    Service(service::Args),
    Completions(completions::Args),
    /// List every error code with its exit number
    Errors,
    /// List every limit with its reason
    Limits,
}

/// Carries a verb out.
pub(crate) fn run(cli: Cli, format: Format) -> Result<(), Failure> {
    let Some(verb) = cli.verb else { return alone(cli.home, format) };
    match &verb {
        Verb::Errors => return errors::run(format),
        Verb::Limits => return limits::run(format),
        Verb::Demo(args) => return demo::run(args),
        Verb::Bench(args) => return wait_for(bench::run(args, format)),
        Verb::Service(args) => return service::run(args, format),
        Verb::Completions(args) => return completions::run(args),
        Verb::Config(args) if !args.needs_home() => return config::run(None, format),
        _ => {}
    }
    let home = place::home(cli.home)?;
    match verb {
        Verb::Init(args) => init::run(args, &home, format),
        Verb::Run(args) => run::run(args, &home, format),
        Verb::Chat(args) => chat::run(args, &home, format),
        Verb::Store(args) => store::run(&args, &home, format),
        Verb::Doctor(args) => doctor::run(&args, &home, format),
        Verb::Config(_) => config::run(Some(&home), format),
        verb => wait_for(spoken(verb, &home, format)),
    }
}

/// `godwit` without a verb: makes a home if there is none, and talks.
fn alone(home: Option<PathBuf>, format: Format) -> Result<(), Failure> {
    if format == Format::Json || !passphrase::can_ask() {
        return Err(Refusal::new(Code::Usage, "which command?", "godwit --help").into());
    }
    let home = place::home(home)?;
    let made = match Home::resolve(&home) {
        Err(HomeError::Absent { .. }) => Some(init::ask(&home)?),
        Err(error) => return Err(error.into()),
        Ok(_) => None,
    };
    chat::talk(None, &home, made)
}

/// The verbs that speak to the running node.
async fn spoken(verb: Verb, home: &Path, format: Format) -> Result<(), Failure> {
    match verb {
        Verb::Up(args) => up::up(args, home, format).await,
        Verb::Down => up::down(home, format).await,
        Verb::Id(args) => id::run(&args, home, format).await,
        Verb::Join(args) => join::run(&args, home, format).await,
        Verb::Status(args) => status::run(&args, &mut Node::connect(home).await?, format).await,
        Verb::Contact(args) => contact::run(args, &mut Node::connect(home).await?, format).await,
        Verb::Send(args) => send::run(args, home, format).await,
        Verb::Inbox(args) => inbox::run(args, &mut Node::connect(home).await?, format).await,
        Verb::Watch(args) => watch::run(args, home, format).await,
        Verb::Why(args) => why::run(&args, &mut Node::connect(home).await?, format).await,
        Verb::Mailbox(args) => mailbox::run(args, home, format).await,
        Verb::Host(args) => host::run(args, &mut Node::connect(home).await?, format).await,
        Verb::Init(_)
        | Verb::Run(_)
        | Verb::Chat(_)
        | Verb::Store(_)
        | Verb::Doctor(_)
        | Verb::Config(_)
        | Verb::Service(_)
        | Verb::Completions(_)
        | Verb::Demo(_)
        | Verb::Bench(_)
        | Verb::Errors
        | Verb::Limits => Ok(()),
    }
}

/// One thread is enough for one conversation with one node.
fn wait_for(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}
