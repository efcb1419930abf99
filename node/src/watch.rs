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
