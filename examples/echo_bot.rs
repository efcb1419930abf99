//! A bot: answers every text that comes to the running node of a home with the same text.
//!
//! `cargo run -p godwit-examples --bin echo_bot -- HOME`, beside `godwit --home HOME up`
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::path::PathBuf;

use godwit_examples::{Outcome, events_of, next_text};
use godwit_node::control::Client;
use godwit_node::home::Home;
use serde_json::json;

#[tokio::main]
async fn main() -> Outcome<()> {
    let home = PathBuf::from(std::env::args_os().nth(1).ok_or("which home?")?);
    // Listening first: what comes from here on is heard.
    let mut events = events_of(&home).await?;
    let mut client = Client::connect(&Home::socket_path(&home)?).await?;
    println!("listening");
    loop {
        let (from, text) = next_text(&mut events).await?;
        // Durable when it is answered: the node delivers it, today or in a week.
        client.post("/v1/messages", &json!({"to": from, "text": text})).await?;
    }
}
