//! A crash of each node after each single step of a script, in the seeded world: whatever was on disk by
//! then is whole, nothing that was promised is lost, nothing is shown twice. Every third step; with
//! `GODWIT_SEEDS` set, every one.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::indexing_slicing, reason = "the tests know how many nodes there are")]

#[path = "../sim_support/mod.rs"]
mod sim_support;

use std::cell::Cell;

use godwit_protocol::endpoint::{Command, MessageState, OutgoingText, Reply};
use godwit_protocol::id::MessageId;
use godwit_protocol::identity::account_text;
use godwit_protocol::sim::{NodeId, World};
use godwit_protocol::time::Millis;
use sim_support::{MINUTE, friends};

/// Steps of one script at most.
const MOST: u32 = 2_000;

struct Said {
    from: NodeId,
    to: NodeId,
    request: u64,
    id: MessageId,
}

fn say(world: &mut World, from: NodeId, to: NodeId, number: u8) -> Said {
    let id = MessageId([number; 16]);
    let name = account_text(&world.account(to).unwrap());
    let text = OutgoingText { to: name, text: format!("text {number}"), id: Some(id) };
    let request = world.give(from, Command::Send(vec![text]));
    Said { from, to, request, id }
}

/// Both write; by way of the host, or over a direct stream. One node is killed after so many steps and
/// started again. Returns whether the script was over before.
fn crash(host_only: bool, which: usize, steps: u32) -> Result<bool, String> {
    let (mut world, host, [a, b]) = friends(21);
    if host_only {
        world.part(a, b, true);
        world.cut_links(a);
        world.run_for(MINUTE).unwrap();
    }
    let said = [say(&mut world, a, b, 1), say(&mut world, b, a, 2), say(&mut world, a, b, 3)];
    let left = Cell::new(steps);
    let is_next = |_: &World| {
        left.set(left.get().saturating_sub(1));
        left.get() == 0
    };
    let came = world.run_until(Millis::from_secs(30), is_next).unwrap();
    let node = [host, a, b][which];
    world.kill(node);
    world.start(node).unwrap();

    let state = |world: &World, it: &Said| {
        let views = world.inbox(it.from).unwrap();
        views.iter().find(|view| view.id == it.id).map(|view| view.state)
    };
    // Who was killed before it answered has promised nothing, and may have written it.
    let promised = |world: &World, it: &Said| {
        let reply = world.reply(it.from, it.request);
        matches!(reply, Some(Ok(Reply::Sent(sent))) if sent[0].is_ok())
    };
    let done = |world: &World| {
        said.iter().all(|it| match state(world, it) {
            Some(state) => state == MessageState::Delivered,
            None => !promised(world, it),
        })
    };
    if !world.run_until(MINUTE.saturating_mul(10), done).unwrap() {
        return Err(format!("not delivered:\n{}\n{}", world.describe(a), world.describe(b)));
    }
    for it in &said {
        let views = world.inbox(it.to).unwrap();
        let count = views.iter().filter(|view| view.id == it.id).count();
        let wanted = usize::from(state(&world, it).is_some());
        if (count, world.times_shown(it.to, it.id)) != (wanted, u32::from(wanted > 0)) {
            return Err(format!("{count} of {:?}", it.id));
        }
    }
    match world.keys_reused() {
        0 => Ok(!came),
        count => Err(format!("{count} messages under a key that was used before")),
    }
}

#[test]
fn a_crash_after_any_step_loses_and_repeats_nothing() {
    let stride = if std::env::var_os("GODWIT_SEEDS").is_some() { 1 } else { 3 };
    for host_only in [true, false] {
        for which in 0..3 {
            let mut steps = 1 + u32::try_from(which).unwrap();
            while steps < MOST {
                let over = crash(host_only, which, steps);
                let over = over.unwrap_or_else(|why| {
                    panic!("node {which}, step {steps}, host alone {host_only}: {why}")
                });
                if over {
                    break;
                }
                steps += stride;
            }
            println!("node {which}, host alone {host_only}: {steps} steps");
            assert!((20..MOST).contains(&steps), "{steps} steps are no script");
        }
    }
}
