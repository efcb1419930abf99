//! `run`: the node, in the foreground.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use godwit_node::Node;
use godwit_node::config::{
    Admit, Config, Flags, PeerAddress, Reachability, parse_address, parse_listen,
};
use godwit_node::error::Error;
use godwit_node::home::{Home, OpenHome};
use godwit_protocol::endpoint::{Code, Refusal};
use godwit_protocol::identity::Network;
use godwit_protocol::machine::Address;
use sd_notify::NotifyState;
use serde_json::Value;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Interval;

use crate::command::talk::watch;
use crate::exit::{FORCED, Failure};
use crate::output::printer::Printer;
use crate::output::{self, Format, json, text};
use crate::{log, passphrase};

/// Run the node here until it is told to end
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    setup: Setup,
    /// Print what happens, one event a line
    #[arg(long)]
    events: bool,
    /// Open the keys with the passphrase in this file
    #[arg(long, value_name = "FILE", env = "GODWIT_PASSPHRASE_FILE", hide_env_values = true)]
    passphrase_file: Option<PathBuf>,
    /// Leave the terminal: what `up` starts.
    #[arg(long, hide = true)]
    detached: bool,
}

/// How the node is set up, over what its configuration says.
#[derive(Debug, clap::Args)]
pub(crate) struct Setup {
    /// Listen here instead of everywhere
    #[arg(long, value_name = "MULTIADDR", value_parser = parse_listen)]
    listen: Vec<Address>,
    /// Tell peers this address instead of those it listens on
    #[arg(long, value_name = "MULTIADDR", value_parser = parse_address)]
    announce: Vec<Address>,
    /// Dial this peer first; ends in /p2p/ID
    #[arg(long, value_name = "MULTIADDR")]
    bootstrap: Vec<PeerAddress>,
    /// Tell where this node is to contacts only, or to everybody (public)
    #[arg(long, value_name = "WHOM", value_parser = parse_reachability)]
    reachability: Option<Reachability>,
    /// Keep mailboxes for others [default with the flag: invited]
    #[arg(long, value_name = "WHOM", num_args = 0..=1, require_equals = true, default_missing_value = "invited", value_parser = parse_admit)]
    host_mailboxes: Option<Admit>,
    /// Live in this network
    #[arg(long, value_name = "NAME")]
    network: Option<Network>,
}

impl From<Setup> for Flags {
    fn from(setup: Setup) -> Self {
        Self {
            network: setup.network,
            listen: setup.listen,
            announce: setup.announce,
            bootstrap: setup.bootstrap,
            reachability: setup.reachability,
            hosting: setup.host_mailboxes,
        }
    }
}

/// Runs it.
pub(crate) fn run(args: Args, home: &Path, format: Format) -> Result<(), Failure> {
    if args.detached {
        // Whoever leads a session already keeps it.
        let _ = rustix::process::setsid();
    }
    log::start()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    // Heard from here on: a signal while the home opens ends the node as soon as it is open.
    let signals = runtime.block_on(async { Signals::listen() })?;
    let file = args.passphrase_file.as_deref();
    let again = Again::read();
    let (open, asked) = match open_home(home, file) {
        Ok(opened) => opened,
        // Once it has run, its disk may have gone as a whole, and come back.
        Err(error) if again.count > 0 && matches!(error.code, Code::NoHome | Code::Io) => {
            return runtime.block_on(again.later(&error, signals));
        }
        Err(error) => return Err(error.into()),
    };
    let config = open.config.clone().with(args.setup.into());
    let print = if args.events { Print::Events } else { Print::Ready };
    // Whoever typed a passphrase is not asked for it again in the middle of the night.
    let again = (!asked).then_some(again);
    let result = runtime.block_on(serve(open, config, signals, (print, format, again)));
    // What still blocks somewhere does not hold up the end.
    runtime.shutdown_background();
    result
}

/// An open home, and whether somebody typed its passphrase.
fn open_home(home: &Path, file: Option<&Path>) -> Result<(OpenHome, bool), Refusal> {
    let passphrase = passphrase::of_home(home, file)?;
    let open = Home::open(home, passphrase.as_ref())?;
    Ok((open, passphrase.is_some() && file.is_none()))
}

/// What is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Print {
    /// The first line.
    Ready,
    /// What happens, too.
    Events,
}

/// How long a node may take to answer: a signal waits no longer for that.
const PATIENCE: Duration = Duration::from_secs(5);
/// The shortest time between two words to a service manager.
const BEAT: Duration = Duration::from_millis(10);
/// How long a node may take to end once it is told to.
const DRAIN: Duration = Duration::from_secs(10);
/// Set in the program that a node whose disk refused becomes: how often that was.
const AGAIN: &str = "GODWIT_AGAIN";
/// When it starts again, at first and at the latest.
const AGAIN_FIRST: Duration = Duration::from_secs(1);
const AGAIN_LAST: Duration = Duration::from_secs(30);
/// A node that has run for so long was well.
const LONG: Duration = Duration::from_secs(60);

/// How a node's life ended.
enum End {
    /// It was told to, and has drained.
    Told,
    /// It was told twice, or did not drain in time.
    Forced,
    /// By itself.
    Fell(Error),
}

/// Runs until a signal: the first drains, a second one (or 10 s) ends at once. A node whose disk refuses
/// begins anew when that may be over: as a new program in the same process, since an engine that met an
/// error holds its files as long as the program lives.
async fn serve(
    open: OpenHome,
    config: Config,
    mut signals: Signals,
    (print, format, again): (Print, Format, Option<Again>),
) -> Result<(), Failure> {
    // The node goes on without a reader.
    let printer = Printer::start(|line| drop(output::line(line)))?;
    let start = Instant::now();
    let end = live(open, config, &mut signals, &printer, (print, format)).await;
    printer.finish();
    let (error, again) = match (end, again) {
        (Ok(End::Told), _) => return Ok(()),
        (Ok(End::Forced), _) => return Err(Failure::Exit(FORCED)),
        (Ok(End::Fell(error @ Error::Store(_))), Some(again)) => {
            (error, if start.elapsed() < LONG { again } else { Again { count: 0 } })
        }
        // Once it has run, a start that fails over the disk is tried again as well.
        (Ok(End::Fell(error @ Error::Io(_))), Some(again)) if again.count > 0 => (error, again),
        (Ok(End::Fell(error)), _) => return Err(Refusal::from(error).into()),
        (Err(failure), _) => return Err(failure),
    };
    again.later(&error, signals).await
}

/// How often a node has begun anew because its disk refused.
#[derive(Debug, Clone, Copy)]
struct Again {
    count: u32,
}

impl Again {
    /// As the program before has left it.
    fn read() -> Self {
        let count = std::env::var(AGAIN).ok().and_then(|count| count.parse().ok());
        Self { count: count.unwrap_or(0) }
    }

    /// Waits, and begins anew, unless it is told to end.
    async fn later(
        self,
        error: &(dyn std::error::Error + Sync),
        mut signals: Signals,
    ) -> Result<(), Failure> {
        tracing::warn!(refused = %error, "the disk refuses: the node starts again later");
        tokio::select! {
            () = tokio::time::sleep(self.wait()) => Err(self.begin().into()),
            () = signals.next() => Ok(()),
        }
    }

    fn wait(self) -> Duration {
        AGAIN_FIRST.saturating_mul(1 << self.count.min(8)).min(AGAIN_LAST)
    }

    /// Becomes the same program with the same arguments; returns only what stands against it.
    fn begin(self) -> io::Error {
        let mut arguments = std::env::args_os();
        let called = arguments.next().unwrap_or_default();
        // A binary that was replaced meanwhile has no path of its own any more: the new one is used.
        let own = std::env::current_exe().ok().filter(|path| path.exists());
        let program = own.map_or(called, PathBuf::into_os_string);
        let count = self.count.saturating_add(1).to_string();
        Command::new(program).args(arguments).env(AGAIN, count).exec()
    }
}

/// Runs one node, from its start to its end.
async fn live(
    open: OpenHome,
    config: Config,
    signals: &mut Signals,
    printer: &Printer,
    (print, format): (Print, Format),
) -> Result<End, Failure> {
    // On a thread of its own: a large store or a slow disk does not keep a signal waiting.
    let starting = tokio::spawn(Node::builder(open, config).start());
    let started = tokio::select! {
        started = starting => started.map_err(fell)?,
        () = signals.next() => return Ok(End::Told),
    };
    let mut handle = match started {
        Ok(handle) => handle,
        Err(error) => return Ok(End::Fell(error)),
    };
    let mut events = handle.events().map_err(Refusal::from)?;
    printer.line(ready(&handle.ready(), format)?);
    tell_manager(NotifyState::Ready);
    tracing::info!("the node is ready");
    let mut watched = Watched::start();
    let ended = loop {
        tokio::select! {
            ended = handle.ended() => break Some(ended),
            Some((_, event)) = events.next(), if print == Print::Events => {
                if let Some(line) = shown(&event, format)? {
                    printer.line(line);
                }
            }
            () = watched.due() => {
                // A node that does not answer says nothing, and is started anew.
                if handle.answers(watched.patience).await {
                    tell_manager(NotifyState::Watchdog);
                }
            }
            () = signals.next() => break None,
        }
    };
    if ended.is_none() {
        tell_manager(NotifyState::Stopping);
    }
    tracing::info!("the node stops");
    let stopped = tokio::select! {
        () = handle.stop() => true,
        () = signals.next() => false,
        () = tokio::time::sleep(DRAIN) => false,
    };
    match ended {
        None if stopped => Ok(End::Told),
        None => Ok(End::Forced),
        Some(error) => Ok(End::Fell(error)),
    }
}

/// A part of the start that did not come to its end.
fn fell(error: tokio::task::JoinError) -> Refusal {
    Error::Inner(format!("the start fell: {error}")).into()
}

/// Tells a service manager that waits for it.
fn tell_manager(state: NotifyState<'_>) {
    // Without one, nobody is told.
    let _ = sd_notify::notify(false, &[state]);
}

/// What a service manager that watches the node wants to hear, and how often.
struct Watched {
    beat: Option<Interval>,
    patience: Duration,
}

impl Watched {
    /// Twice in the time after which it would take the node for dead.
    fn start() -> Self {
        let mut micros = 0;
        let wanted = sd_notify::watchdog_enabled(false, &mut micros) && micros > 0;
        let patience = Duration::from_micros(micros / 4).min(PATIENCE);
        let beat =
            wanted.then(|| tokio::time::interval(Duration::from_micros(micros / 2).max(BEAT)));
        Self { beat, patience }
    }

    /// Cancel safety: as of [`Interval::tick`].
    async fn due(&mut self) {
        match &mut self.beat {
            Some(beat) => drop(beat.tick().await),
            None => std::future::pending().await,
        }
    }
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The next one of either. Cancel safety: as of [`Signal::recv`], none is lost.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// The first line of a node, and what `up` says.
pub(crate) fn ready(ready: &Value, format: Format) -> io::Result<String> {
    match format {
        Format::Json => json::object(ready),
        Format::Text => Ok(text::pairs(&[
            ("ready", text::field(ready, "peer_id")),
            ("listens", text::field(ready, "listen")),
            ("control", text::field(ready, "control")),
        ])),
    }
}

fn shown(event: &Value, format: Format) -> io::Result<Option<String>> {
    match format {
        Format::Json => json::object(event).map(Some),
        Format::Text => Ok(watch::render(event)),
    }
}

fn parse_admit(text: &str) -> Result<Admit, String> {
    Admit::parse(text).ok_or_else(|| format!("\"{text}\" is neither open nor invited"))
}

fn parse_reachability(text: &str) -> Result<Reachability, String> {
    Reachability::parse(text).ok_or_else(|| format!("\"{text}\" is neither contacts nor public"))
}
