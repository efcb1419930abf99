//! A host keeps sealed mail for Bob, who is away: Alice writes, leaves, and Bob reads it later.
//!
//! `cargo run -p godwit-examples --bin offline_mailbox`
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use godwit_examples::{Outcome, Peer, field, next_text};
use serde_json::json;

#[tokio::main]
async fn main() -> Outcome<()> {
    let mut host = Peer::host().await?;
    let (mut alice, mut bob) = (Peer::person("Alice").await?, Peer::person("Bob").await?);
    let month = 30_u64 * 24 * 3_600 * 1_000;
    let invite = json!({"uses": 2, "expires_ms": month});
    let invite = field(&host.client.post("/v1/hosting/invites", &invite).await?, "link");
    let mut ready = alice.events().await?;
    for person in [&mut alice, &mut bob] {
        person.client.post("/v1/hosts", &json!({"hosts": [invite]})).await?;
    }

    // An invite is good for one friend: both sides are accepted at once, by way of the host.
    let link = loop {
        let made = bob.client.post("/v1/contacts/invite", &json!({})).await?;
        // It names the host as soon as the host has admitted Bob.
        let link = field(&made, "link");
        if link.contains("&h=") {
            break link;
        }
        tokio::task::yield_now().await;
    };
    alice.client.post("/v1/contacts", &json!({"link": link, "name": "bob"})).await?;
    while let Some((_, event)) = ready.next().await {
        if field(&event, "event") == "contact" && field(&event, "state") == "accepted" {
            break;
        }
    }

    let home = bob.stop().await;
    let sent = json!({"to": "bob", "text": "read this when you are back"});
    let id = field(&alice.client.post("/v1/messages", &sent).await?, "id");
    while let Some((_, event)) = ready.next().await {
        if field(&event, "id") == id && field(&event, "state") == "deposited" {
            println!("deposited: the host has signed for it, and cannot read it");
            break;
        }
    }
    alice.stop().await;

    let mut bob = Peer::start(home).await?;
    let mut events = bob.events().await?;
    // What came before we listened is in the inbox.
    let unread = bob.client.post("/v1/inbox", &json!({"unread": true})).await?;
    let text = match unread.get(0) {
        Some(message) => field(message, "body"),
        None => next_text(&mut events).await?.1,
    };
    println!("Bob reads: {text}");
    bob.stop().await;
    host.stop().await;
    Ok(())
}
