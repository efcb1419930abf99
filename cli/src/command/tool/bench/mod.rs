//! `bench`: figures of this machine, each beside its raw loop in the same run.

mod idle;

use std::path::Path;
use std::time::{Duration, Instant};

use godwit_node::Kind;
use godwit_node::bench::{
    BenchError, CommitFigures, Depositors, Rivals, StoreFigures, TEXT, deposit_loop, median,
    pipelined_loop, pipelined_stream,
};
use godwit_node::control::{Client, EventStream};
use godwit_node::home::Home;
use serde_json::{Value, json};

use crate::actors::{Actor, Folder, failed};
use crate::exit::Failure;
use crate::output::{self, Format, text};

/// Measure this machine: what a message costs beside what it must cost
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which cases [default: all]
    #[arg(value_name = "CASE")]
    cases: Vec<Case>,
    /// Fewer rounds: rougher figures in a few seconds
    #[arg(long)]
    quick: bool,
    /// Be the node that `idle` is measured beside, connected to this one, until the input ends
    #[arg(long, hide = true, value_name = "ADDRESS")]
    bare: Option<String>,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Case {
    /// From `POST` at the sender to the event at the recipient
    Latency,
    /// Messages a second, sent in arrays, delivered, stored and receipted
    Pipelined,
    /// Deposits a second of 64 senders at one host, durable before the receipt
    Deposit,
    /// What a sender waits for a receipt while another one floods the host
    Flood,
    /// What a minute costs in which nothing happens, and one in which nobody answers
    Idle,
    /// One durable commit of the rows of a text, on either engine
    Commit,
    /// Opening a store with a million rows, and writing it anew when most are deleted (5 GiB of disk)
    Store,
}

/// Texts in one array.
const ARRAY: usize = 250;
/// What a message may take above the sum of its parts.
const ABOVE: Duration = Duration::from_micros(200);
/// What is wanted of the second rate, where half of the engine's loop is not less.
const PIPELINED_AIM: f64 = 10_000.0;
/// How long one case may take.
const PATIENCE: Duration = Duration::from_secs(120);

impl From<BenchError> for Failure {
    fn from(error: BenchError) -> Self {
        failed(&error.to_string())
    }
}

/// One line of the report.
struct Figure {
    case: &'static str,
    value: f64,
    unit: &'static str,
    beside: &'static str,
    rival: f64,
    aim: Option<f64>,
    /// Whether less is better.
    less: bool,
}

/// Runs the cases one after the other.
pub(crate) async fn run(args: &Args, format: Format) -> Result<(), Failure> {
    if let Some(address) = &args.bare {
        return Ok(godwit_node::bench::bare(address).await?);
    }
    let all = [
        Case::Latency,
        Case::Pipelined,
        Case::Deposit,
        Case::Flood,
        Case::Idle,
        Case::Commit,
        Case::Store,
    ];
    let cases = if args.cases.is_empty() { &all[..] } else { &args.cases };
    for case in cases {
        let figures = match case {
            Case::Latency => latency(if args.quick { 50 } else { 500 }).await?,
            Case::Pipelined => pipelined(if args.quick { 2_500 } else { 10_000 }).await?,
            Case::Deposit => deposit(if args.quick { 50 } else { 300 }).await?,
            Case::Flood => flood(if args.quick { 200 } else { 2_000 }).await?,
            Case::Idle => idle::measure(args.quick)?,
            Case::Commit => commit(if args.quick { 50 } else { 500 })?,
            Case::Store => store(if args.quick { 20_000 } else { 1_000_000 })?,
        };
        for figure in &figures {
            figure.print(format)?;
        }
    }
    Ok(())
}

/// What a durable commit may take, in bare syncs.
const COMMIT_AIM: f64 = 1.5;

fn commit(rounds: usize) -> Result<Vec<Figure>, Failure> {
    let folder = Folder::make()?;
    let CommitFigures { sync, engines } = godwit_node::bench::commit(&folder.0, rounds)?;
    let [(_, sled, bare_sled), (_, redb, bare_redb)] = engines;
    let aim = Some(COMMIT_AIM * millis(sync));
    let lines = [
        ("a bare sync: sled", sled, aim),
        ("a bare sync: sled without its journal", bare_sled, None),
        ("a bare sync: redb", redb, aim),
        ("a bare sync: redb without its journal", bare_redb, None),
    ];
    let figure = |(beside, took, aim)| Figure {
        case: "commit",
        value: millis(took),
        unit: "ms",
        beside,
        rival: millis(sync),
        aim,
        less: true,
    };
    Ok(lines.map(figure).into())
}

/// What a store may need until it is open (redb), and what its files may hold beside what is left.
const OPEN_AIM: f64 = 2.0;
const LEFT_AIM: f64 = 2.0;

fn store(rows: u32) -> Result<Vec<Figure>, Failure> {
    let folder = Folder::make()?;
    let redb = godwit_node::bench::store(&folder.0, Kind::Redb, rows)?;
    let sled = godwit_node::bench::store(&folder.0, Kind::Sled, rows)?;
    let seconds = |time: Duration| time.as_secs_f64();
    let mib = |bytes: u64| f64::from(u32::try_from(bytes >> 10).unwrap_or(u32::MAX)) / 1_024.0;
    let figure = |beside, unit, (value, rival): (f64, f64), aim| Figure {
        case: "store",
        value,
        unit,
        beside,
        rival,
        aim,
        less: true,
    };
    let aim = |figures: StoreFigures| Some(LEFT_AIM * mib(figures.left));
    Ok(vec![
        figure("redb opens; sled", "s", (seconds(redb.open), seconds(sled.open)), Some(OPEN_AIM)),
        figure(
            "redb opens after a kill; sled",
            "s",
            (seconds(redb.after_kill), seconds(sled.after_kill)),
            Some(OPEN_AIM),
        ),
        figure("redb's file; sled's", "MiB", (mib(redb.bytes), mib(sled.bytes)), None),
        figure("redb compacts; sled", "s", (seconds(redb.compact), seconds(sled.compact)), None),
        figure(
            "redb's file then; what is left",
            "MiB",
            (mib(redb.bytes_after), mib(redb.left)),
            aim(redb),
        ),
        figure(
            "sled's file then; what is left",
            "MiB",
            (mib(sled.bytes_after), mib(sled.left)),
            aim(sled),
        ),
    ])
}

impl Figure {
    fn print(&self, format: Format) -> Result<(), Failure> {
        let ratio = if self.rival > 0.0 { self.value / self.rival } else { 0.0 };
        let met = self.aim.map(|aim| if self.less { self.value <= aim } else { self.value >= aim });
        match format {
            Format::Json => output::object(&json!({
                "case": self.case, "value": rounded(self.value), "unit": self.unit,
                "beside": self.beside, "rival": rounded(self.rival), "ratio": rounded(ratio),
                "aim": self.aim.map(rounded), "met": met,
            }))?,
            Format::Text => {
                let aim = match (self.aim, met) {
                    (Some(aim), Some(true)) => format!("  aim {aim:.2}: met"),
                    (Some(aim), Some(false)) => format!("  aim {aim:.2}: not met"),
                    _ => String::new(),
                };
                output::line(&format!(
                    "{:<10} {:>10.2} {:<9} {:>6.2} x {:.2} of {}{aim}",
                    self.case, self.value, self.unit, ratio, self.rival, self.beside
                ))?;
            }
        }
        Ok(())
    }
}

fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

fn millis(length: Duration) -> f64 {
    length.as_secs_f64() * 1_000.0
}

fn rate(count: usize, took: Duration) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / took.as_secs_f64().max(1e-9)
}

/// Two friends who run, with a direct stream between them.
struct Friends {
    alice: Actor,
    bob: Actor,
    folder: Folder,
}

impl Friends {
    fn make() -> Result<Self, Failure> {
        let folder = Folder::make()?;
        let named =
            |name: &str| Actor::new(&folder.0, name, &["init", "--no-passphrase", "--name", name]);
        let (mut alice, mut bob) = (named("alice")?, named("bob")?);
        alice.start()?;
        bob.start()?;
        let link = bob.field(&["id", "--here"], "link")?;
        alice.ask(&["contact", "add", &link])?;
        bob.until("Alice asks", |bob| {
            let asking = bob.ask(&["contact", "list", "--requests"])?;
            Ok(asking.iter().any(|contact| text::field(contact, "name") == "alice"))
        })?;
        bob.ask(&["contact", "accept", "alice"])?;
        alice.ask(&["send", "bob", "warm", "--wait", "delivered"])?;
        bob.ask(&["send", "alice", "up", "--wait", "delivered"])?;
        Ok(Self { alice, bob, folder })
    }

    /// The folder of a rival's own.
    fn beside(&self, name: &str) -> std::path::PathBuf {
        self.folder.0.join(name)
    }
}

async fn client(home: &Path) -> Result<Client, Failure> {
    Ok(Client::connect(&Home::socket_path(home)?).await?)
}

async fn next(events: &mut EventStream) -> Result<Value, Failure> {
    match tokio::time::timeout(PATIENCE, events.next()).await {
        Ok(Some((_, event))) => Ok(event),
        _ => Err(failed("no event within two minutes")),
    }
}

async fn latency(rounds: usize) -> Result<Vec<Figure>, Failure> {
    let friends = Friends::make()?;
    let mut events = client(&friends.bob.home).await?.events(None).await?;
    let mut alice = client(&friends.alice.home).await?;
    let body = json!({"to": "bob", "text": "x".repeat(TEXT)});
    let mut took = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let start = Instant::now();
        let sent = alice.post("/v1/messages", &body).await?;
        let id = text::field(&sent, "id");
        loop {
            let event = next(&mut events).await?;
            if text::field(&event, "event") == "message" && text::field(&event, "id") == id {
                break;
            }
        }
        took.push(millis(start.elapsed()));
    }
    let rivals = Rivals::measure(&friends.folder.0, rounds).await?;
    let sum = rivals.echo.saturating_add(rivals.commits);
    let bare = rivals.echo.saturating_add(rivals.syncs);
    let value = median(&took);
    let figure = |beside, rival: Duration, aim| Figure {
        case: "latency",
        value,
        unit: "ms",
        beside,
        rival: millis(rival),
        aim,
        less: true,
    };
    Ok(vec![
        figure("echo + 2 commits", sum, Some(millis(sum.saturating_add(ABOVE)))),
        figure("echo + 2 fdatasync", bare, None),
    ])
}

async fn pipelined(count: usize) -> Result<Vec<Figure>, Failure> {
    let friends = Friends::make()?;
    let mut events = client(&friends.alice.home).await?.events(None).await?;
    let mut alice = client(&friends.alice.home).await?;
    let one = json!({"to": "bob", "text": "x".repeat(TEXT)});
    let start = Instant::now();
    let send = async {
        for _ in 0..count.div_ceil(ARRAY) {
            alice.post("/v1/messages", &Value::Array(vec![one.clone(); ARRAY])).await?;
        }
        Ok::<(), Failure>(())
    };
    let receipts = async {
        let mut delivered = 0;
        while delivered < count {
            let event = next(&mut events).await?;
            let state = text::field(&event, "event") == "state";
            if state && text::field(&event, "state") == "delivered" {
                delivered += 1;
            }
        }
        Ok::<(), Failure>(())
    };
    let (sent, receipted) = tokio::join!(send, receipts);
    sent.and(receipted)?;
    let value = rate(count, start.elapsed());
    let engine = pipelined_loop(&friends.beside("engine"), count, ARRAY)?;
    let engine = rate(count, engine.took);
    let stream = rate(count, pipelined_stream(count).await?);
    let figure = |beside, rival, aim| Figure {
        case: "pipelined",
        value,
        unit: "msg/s",
        beside,
        rival,
        aim,
        less: false,
    };
    Ok(vec![
        figure("the engine's loop, both ends", engine, Some(PIPELINED_AIM.min(engine / 2.0))),
        figure("a raw stream", stream, None),
    ])
}

/// How many times as long a sender may wait beside a flood.
const FLOOD_AIM: f64 = 2.0;

async fn flood(rounds: usize) -> Result<Vec<Figure>, Failure> {
    let folder = Folder::make()?;
    let mut hana = Actor::new(&folder.0, "hana", &["init", "--host"])?;
    hana.start()?;
    let invite = hana.field(&["host", "invite", "--uses", "4"], "link")?;
    let figures = godwit_node::bench::flood(&Value::String(invite), rounds).await?;
    let parts = |all: &[Duration]| {
        let mut all: Vec<f64> = all.iter().copied().map(millis).collect();
        all.sort_by(f64::total_cmp);
        let at = |part: usize| all.get(all.len().saturating_mul(part) / 100).copied();
        (at(50).unwrap_or_default(), at(99).unwrap_or_default())
    };
    let ((half, most), (quiet_half, quiet_most)) = (parts(&figures.flooded), parts(&figures.quiet));
    let figure = |beside, value, rival, aim| Figure {
        case: "flood",
        value,
        unit: "ms",
        beside,
        rival,
        aim,
        less: true,
    };
    let answers = f64::from(u32::try_from(figures.answers).unwrap_or(u32::MAX));
    let waited: Duration = figures.flooded.iter().sum();
    let flooder = answers / waited.as_secs_f64().max(1e-9);
    let calm = rate(rounds, waited);
    Ok(vec![
        figure("half of them, alone", half, quiet_half, None),
        figure("99 of 100, alone", most, quiet_most, Some(FLOOD_AIM * quiet_most)),
        Figure {
            unit: "answers/s",
            ..figure("the calm sender's, beside the flooder", flooder, calm, None)
        },
    ])
}

async fn deposit(each: usize) -> Result<Vec<Figure>, Failure> {
    let folder = Folder::make()?;
    let mut hana = Actor::new(&folder.0, "hana", &["init", "--host"])?;
    hana.start()?;
    let invite = hana.field(&["host", "invite"], "link")?;
    let mut senders = Depositors::connect(&Value::String(invite)).await?;
    senders.deposit(each.div_ceil(10)).await?;
    let took = senders.deposit(each).await?;
    let count = Depositors::count(each);
    let rival = rate(count, deposit_loop(&folder.0.join("engine"), each)?);
    Ok(vec![Figure {
        case: "deposit",
        value: rate(count, took),
        unit: "dep/s",
        beside: "a loop with 64 to a flush",
        rival,
        aim: Some(rival / 2.0),
        less: false,
    }])
}
