//! `demo`: three real nodes on loopback, spoken to only as a user would.

use std::time::Instant;

use crate::actors::{Actor, Folder, failed};
use crate::exit::Failure;
use crate::output::{self, text};

/// See three nodes on this machine: two people, and a host that keeps what it cannot read
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Leave them running, and show what to type next
    #[arg(long)]
    keep: bool,
}

/// Runs it; fails unless every message arrived exactly once and in order.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let mut steps = Steps { since: Instant::now() };
    let folder = Folder::make()?;
    let mut hana = Actor::new(&folder.0, "hana", &["init", "--host"])?;
    let mut alice =
        Actor::new(&folder.0, "alice", &["init", "--no-passphrase", "--name", "alice"])?;
    let mut bob = Actor::new(&folder.0, "bob", &["init", "--no-passphrase", "--name", "bob"])?;
    steps.done("three homes: Alice, Bob, and Hana's, which has no account")?;
    for actor in [&mut hana, &mut alice, &mut bob] {
        actor.start()?;
    }
    steps.done("three nodes run, each a process of its own")?;
    let invite = hana.field(&["host", "invite"], "link")?;
    for actor in [&alice, &bob] {
        actor.ask(&["mailbox", "use", &invite])?;
    }
    steps.done("Hana invited both; each has a mailbox at her node")?;

    let link = bob.field(&["id"], "link")?;
    alice.ask(&["contact", "add", &link, "--as", "bob"])?;
    bob.until("Alice asks", |bob| {
        let asking = bob.ask(&["contact", "list", "--requests"])?;
        Ok(asking.iter().any(|contact| text::field(contact, "name") == "alice"))
    })?;
    bob.ask(&["contact", "accept", "alice"])?;
    steps.done("Alice added Bob by his link, which names Hana alone; he accepted")?;
    alice.ask(&["send", "bob", "Are you there?", "--wait", "delivered"])?;
    steps.done("\"Are you there?\" is on Bob's disk")?;
    bob.ask(&["send", "alice", "Yes.", "--wait", "delivered"])?;
    steps.done("Bob's \"Yes.\" is on Alice's disk")?;

    bob.stop()?;
    let away = ["One while you sleep.", "Two while you sleep.", "Three while you sleep."];
    for words in away {
        alice.ask(&["send", "bob", words, "--wait", "deposited"])?;
    }
    let held = hana.held()?;
    if held < away.len() {
        return Err(failed(&format!("Hana holds {held} envelopes")));
    }
    steps.done("Bob's node was stopped; Hana signed for three more")?;
    let expected = ["Are you there?", "Yes.", away[0], away[1], away[2]];
    for words in expected {
        folder.holds_nowhere(words)?;
    }
    steps.done("no file of anyone's shows a word of it; Hana holds sealed envelopes of 2 KiB")?;
    alice.stop()?;
    bob.start()?;
    bob.until_inbox_is(&expected)?;
    steps.done("Alice's node was stopped, Bob's is back: he has all of them, once, in order")?;
    alice.start()?;
    hana.until("Hana's disk is empty again", |hana| Ok(hana.held()? == 0))?;
    alice.until_inbox_is(&expected)?;
    steps.done("what Bob has, Hana has deleted; Alice is back")?;
    if args.keep {
        let home = |actor: &Actor| actor.home.display().to_string();
        output::line("All three go on. Try:")?;
        output::line(&format!("  godwit --home {} send bob hello", home(&alice)))?;
        output::line(&format!("  godwit --home {} watch", home(&bob)))?;
        output::line(&format!("  godwit --home {} host list", home(&hana)))?;
        for actor in [hana, alice, bob] {
            actor.leave();
        }
        core::mem::forget(folder);
        return Ok(());
    }
    for actor in [&mut alice, &mut bob, &mut hana] {
        actor.stop()?;
    }
    steps.done("all three ended cleanly")?;
    Ok(())
}

/// Prints what happened and how long it took.
struct Steps {
    since: Instant,
}

impl Steps {
    fn done(&mut self, what: &str) -> Result<(), Failure> {
        let took = self.since.elapsed();
        self.since = Instant::now();
        output::line(&format!("{:>6} ms  {what}", took.as_millis())).map_err(Failure::from)
    }
}
