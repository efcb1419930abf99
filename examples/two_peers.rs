//! Two people, each with a node of its own, find each other by a link and exchange a text.
//!
//! `cargo run -p godwit-examples --bin two_peers`
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use godwit_examples::{Outcome, Peer, field, next_text};
use serde_json::json;

#[tokio::main]
async fn main() -> Outcome<()> {
    let (mut alice, mut bob) = (Peer::person("Alice").await?, Peer::person("Bob").await?);

    // Each adds the other's link: nobody has to be asked.
    let link = field(&bob.client.get("/v1/link").await?, "link");
    alice.client.post("/v1/contacts", &json!({"link": link, "name": "bob"})).await?;
    let link = field(&alice.client.get("/v1/link").await?, "link");
    bob.client.post("/v1/contacts", &json!({"link": link, "name": "alice"})).await?;

    let (mut to_bob, mut to_alice) = (bob.events().await?, alice.events().await?);
    // What this answers is on Alice's disk.
    alice.client.post("/v1/messages", &json!({"to": "bob", "text": "are you there?"})).await?;
    let (_, question) = next_text(&mut to_bob).await?;
    println!("Bob reads: {question}");
    bob.client.post("/v1/messages", &json!({"to": "alice", "text": "always"})).await?;
    let (_, answer) = next_text(&mut to_alice).await?;
    println!("Alice reads: {answer}");

    alice.stop().await;
    bob.stop().await;
    Ok(())
}
