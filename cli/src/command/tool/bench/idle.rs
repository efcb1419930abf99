//! `bench idle`: what a minute costs in which nothing happens, of a full and a light node beside a
//! bare libp2p node, and one in which nobody answers.
//!
//! Each has a host of its own, behind a meter: what goes to it and comes from it is all of its traffic.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use godwit_node::bench::{Meter, Usage};

use super::{Failure, Figure};
use crate::actors::{Actor, Folder, failed};

/// Bytes a second that a light node may need (README, "Figures").
const LIGHT_BYTES: f64 = 1_024.0;
/// Share of one core while nobody answers, in per cent.
const LOST_SHARE: f64 = 1.0;

/// A host behind a meter.
struct Metered {
    meter: Meter,
    host: Actor,
}

/// What one process used in the time that was watched.
#[derive(Clone, Copy)]
struct Spent {
    bytes: f64,
    wakeups: f64,
    resident: f64,
    share: f64,
}

/// A node that is not ours, gone with this value.
struct Bare(Child);

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Metered {
    fn new(folder: &Folder, name: &str) -> Result<Self, Failure> {
        let meter = Meter::open()?;
        let announce = format!("/ip4/127.0.0.1/tcp/{}", meter.port());
        let mut host =
            Actor::new(&folder.0, name, &["init", "--host", "--announce", announce.as_str()])?;
        host.start()?;
        let port = host.listens().rsplit('/').next().and_then(|port| port.parse().ok());
        let port = port.ok_or_else(|| failed("a host listens nowhere"))?;
        meter.lead_to(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        Ok(Self { meter, host })
    }

    /// A person who keeps mail there.
    fn person(&self, folder: &Folder, name: &str, profile: &str) -> Result<Actor, Failure> {
        let mut person = Actor::new(&folder.0, name, &["init", "--no-passphrase", "--name", name])?;
        person.configure(&format!("[node]\nprofile = \"{profile}\"\n"))?;
        person.start()?;
        person.ask(&["mailbox", "use", &self.host.field(&["host", "invite"], "link")?])?;
        person.until("a host", |person| Ok(state_of_host(person)? == "ok"))?;
        Ok(person)
    }

    fn bare(&self) -> Result<Bare, Failure> {
        let peer = self.host.field(&["status"], "peer_id")?;
        let address = format!("/ip4/127.0.0.1/tcp/{}/p2p/{peer}", self.meter.port());
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["bench", "--bare", address.as_str()]);
        Ok(Bare(command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?))
    }
}

fn state_of_host(person: &Actor) -> Result<String, Failure> {
    let said = person.ask(&["mailbox", "status"])?;
    let state = said.first().and_then(|it| it.pointer("/hosts/0/state")).cloned();
    Ok(state.and_then(|it| it.as_str().map(str::to_owned)).unwrap_or_default())
}

/// Watches processes for a while, each with the meter that it is behind.
fn watch(length: Duration, watched: &[(u32, Option<&Meter>)]) -> Result<Vec<Spent>, Failure> {
    let look = || {
        let of = |(pid, meter): &(u32, Option<&Meter>)| {
            Ok((Usage::of(*pid)?, meter.map_or(0, Meter::bytes)))
        };
        watched.iter().map(of).collect::<Result<Vec<(Usage, u64)>, Failure>>()
    };
    let (start, before) = (Instant::now(), look()?);
    sleep(length);
    let (took, after) = (start.elapsed().as_secs_f64(), look()?);
    let spent = before.into_iter().zip(after).map(|((usage, bytes), (later, more))| Spent {
        bytes: count(more.saturating_sub(bytes)) / took,
        wakeups: count(later.wakeups.saturating_sub(usage.wakeups)) / took * 60.0,
        resident: count(later.resident) / f64::from(1 << 20),
        share: later.cpu.saturating_sub(usage.cpu).as_secs_f64() / took * 100.0,
    });
    Ok(spent.collect())
}

fn count(number: u64) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

fn pid(actor: &Actor) -> Result<u32, Failure> {
    actor.pid().ok_or_else(|| failed("a node does not run"))
}

/// Runs both minutes.
pub(super) fn measure(quick: bool) -> Result<Vec<Figure>, Failure> {
    let (settle, length) = if quick { (5, 10) } else { (60, 60) };
    let (settle, length) = (Duration::from_secs(settle), Duration::from_secs(length));
    let folder = Folder::make()?;
    let [mut first, mut second, third] =
        [Metered::new(&folder, "h1")?, Metered::new(&folder, "h2")?, Metered::new(&folder, "h3")?];
    let full = first.person(&folder, "full", "full")?;
    let mut light = second.person(&folder, "light", "light")?;
    let bare = third.bare()?;
    sleep(settle);
    let spent = watch(
        length,
        &[
            (pid(&full)?, Some(&first.meter)),
            (pid(&light)?, Some(&second.meter)),
            (bare.0.id(), Some(&third.meter)),
        ],
    )?;
    let [full_spent, light_spent, bare_spent] =
        <[Spent; 3]>::try_from(spent).map_err(|_| failed("not everything was measured"))?;

    let link = light.field(&["contact", "invite"], "link")?;
    full.ask(&["contact", "add", &link, "--as", "light"])?;
    full.ask(&["send", "light", "so that there is a session", "--wait", "delivered"])?;
    for gone in [&mut first.host, &mut second.host, &mut light] {
        gone.kill();
    }
    full.ask(&["send", "light", "is anybody there?"])?;
    sleep(settle);
    let lost = watch(length, &[(pid(&full)?, None)])?;
    let lost = lost.first().map_or(0.0, |spent| spent.share);

    let figure = |case, value, unit, rival, aim| Figure {
        case,
        value,
        unit,
        beside: "a bare libp2p node",
        rival,
        aim,
        less: true,
    };
    let mut figures = Vec::new();
    for (case, it, aim) in
        [("idle full", full_spent, None), ("idle light", light_spent, Some(LIGHT_BYTES))]
    {
        figures.push(figure(case, it.bytes, "B/s", bare_spent.bytes, aim));
        figures.push(figure(case, it.wakeups, "wakes/min", bare_spent.wakeups, None));
        figures.push(figure(case, it.resident, "MiB", bare_spent.resident, None));
        figures.push(figure(case, it.share, "% of core", bare_spent.share, None));
    }
    figures.push(Figure {
        beside: "its idle minute",
        ..figure("idle lost", lost, "% of core", full_spent.share, Some(LOST_SHARE))
    });
    Ok(figures)
}
