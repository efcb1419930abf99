//! What a running node looks at by itself: where it is reached, and the room on its disk.

use std::sync::Arc;
use std::time::Duration;

use godwit_protocol::endpoint::Input;

use crate::control::{self, Facts};
use crate::home::{Card, OpenHome};
use crate::network::Network;
use crate::room::Room;
use crate::service::{Mailbox, Messenger};

/// How long addresses are given to come to rest.
const ADDRESSES_SETTLE: Duration = Duration::from_secs(1);
/// How long after a start, or a change, this node asks whether it is reached; and again.
const PROVE_FIRST: Duration = Duration::from_secs(20);
const PROVE_AGAIN: Duration = Duration::from_secs(3_600);
const PROVE_LATER: Duration = Duration::from_secs(6 * 3_600);
/// How often the room on the disk is looked at.
const LOOK: Duration = Duration::from_secs(10);

/// Writes a new link to the card, for `id`; a card that cannot be written keeps the old one.
pub(crate) fn keep_link(home: Arc<OpenHome>) -> Box<dyn Fn(&str) + Send> {
    Box::new(move |link| {
        let written = home
            .read_card()
            .and_then(|card| home.write_card(&Card { link: link.to_owned(), ..card }));
        if written.is_err() {
            tracing::warn!("the card of this home cannot be written");
        }
    })
}

pub(crate) type KeepCard = Box<dyn Fn(&Network) + Send>;

/// What is done with the link of a host without an account: it stands on the card.
pub(crate) fn host_card(home: &Arc<OpenHome>, facts: &Facts, hosts: bool) -> Option<KeepCard> {
    let keep = (hosts && home.account.is_none()).then(|| keep_link(Arc::clone(home)))?;
    let name = facts.network_name.clone();
    Some(Box::new(move |network| keep(&control::host_link(network, &name).to_string())))
}

/// Tells everybody whom it concerns when this node is reached elsewhere: a cable, another network, a
/// machine that had none when it started.
pub(crate) async fn addresses(
    network: Network,
    messenger: Option<Arc<Messenger>>,
    card: Option<KeepCard>,
) {
    let mut listening = network.listening();
    while listening.changed().await.is_ok() {
        // Addresses come and go in groups.
        tokio::time::sleep(ADDRESSES_SETTLE).await;
        let _ = listening.borrow_and_update();
        if let Some(keep) = &card {
            keep(&network);
        }
        if let Some(messenger) = &messenger {
            messenger.give(Input::Addresses(network.announced_addresses()));
        }
    }
}

/// Asks others whether this node is reached where it says that it is: soon after a start, when its
/// addresses have changed, by the hour as long as somebody says no, else four times a day.
pub(crate) async fn reach(network: Network) {
    let mut listening = network.listening();
    let mut wait = PROVE_FIRST;
    loop {
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            changed = listening.changed() => match changed {
                Ok(()) => {
                    wait = PROVE_FIRST;
                    continue;
                }
                Err(_) => return,
            }
        }
        let proofs = network.prove(network.claimed_addresses()).await;
        wait = if proofs.iter().all(|proof| proof.reached == Some(true)) {
            PROVE_LATER
        } else if proofs.iter().any(|proof| proof.reached.is_some()) {
            PROVE_AGAIN
        } else {
            PROVE_FIRST.max(wait.saturating_mul(2)).min(PROVE_AGAIN)
        };
        if proofs.iter().any(|proof| proof.reached == Some(false)) {
            tracing::warn!(
                "nobody answers at an address that this node tells: godwit doctor --reach"
            );
        }
    }
}

/// Looks at the room on the disk; nothing new is taken below the floor.
pub(crate) async fn space(
    room: Arc<Room>,
    messenger: Option<Arc<Messenger>>,
    mailbox: Option<Arc<Mailbox>>,
) {
    let mut ticks = tokio::time::interval(LOOK);
    let mut was_low = false;
    loop {
        ticks.tick().await;
        if let (Some(low), Some(messenger)) = (room.changed(), &messenger) {
            messenger.give(Input::Space { low });
        }
        if let (Some(low), Some(mailbox)) = (room.is_low_for_a_host(), &mailbox)
            && low != was_low
        {
            was_low = low;
            mailbox.space(low);
        }
    }
}
