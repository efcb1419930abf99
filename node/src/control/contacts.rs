//! The routes of the address book.

use axum::Json;
use serde::Deserialize;
use serde_json::{Value, json};

use godwit_protocol::endpoint::{Command, ContactView, Reply, query};

use super::door::Running;
use super::server::{Answer, ask, body, other, own};
use super::{Api, shapes};

#[derive(Deserialize)]
struct Add {
    link: String,
    name: Option<String>,
}

#[derive(Deserialize)]
struct Who {
    who: String,
    name: Option<String>,
}

#[derive(Deserialize)]
struct Verify {
    who: String,
    /// The number was compared, and is the same.
    #[serde(default)]
    matches: bool,
}

pub(super) async fn list(Running(api): Running) -> Answer {
    let all = query::contacts(&api.reader, own(&api)?)?;
    Ok(Json(all.iter().map(shapes::contact).collect()))
}

pub(super) async fn add(Running(api): Running, Json(value): Json<Value>) -> Answer {
    let Add { link, name } = body(value)?;
    changed(&api, Command::AddContact { link, name }).await
}

pub(super) async fn show(Running(api): Running, Json(value): Json<Value>) -> Answer {
    let Who { who, .. } = body(value)?;
    let view = query::contact(&api.reader, own(&api)?, &who)??;
    detailed(&api, &view)
}

pub(super) async fn accept(Running(api): Running, Json(value): Json<Value>) -> Answer {
    let Who { who, name } = body(value)?;
    changed(&api, Command::Accept { who, name }).await
}

pub(super) async fn rename(Running(api): Running, Json(value): Json<Value>) -> Answer {
    let Who { who, name } = body(value)?;
    let name = name.unwrap_or_default();
    changed(&api, Command::Rename { who, name }).await
}

pub(super) async fn remove(Running(api): Running, Json(value): Json<Value>) -> Answer {
    let Who { who, .. } = body(value)?;
    ask(&api, Command::Remove { who }).await?;
    Ok(Json(json!({"state": "removed"})))
}

pub(super) async fn block(Running(api): Running, Json(value): Json<Value>) -> Answer {
    let Who { who, .. } = body(value)?;
    changed(&api, Command::Block { who }).await
}

pub(super) async fn unblock(Running(api): Running, Json(value): Json<Value>) -> Answer {
    let Who { who, .. } = body(value)?;
    changed(&api, Command::Unblock { who }).await
}

pub(super) async fn verify(Running(api): Running, Json(value): Json<Value>) -> Answer {
    let Verify { who, matches } = body(value)?;
    if matches {
        ask(&api, Command::Verify { who: who.clone() }).await?;
    }
    let view = query::contact(&api.reader, own(&api)?, &who)??;
    detailed(&api, &view)
}

/// Carries a command out that shows the contact as it is then.
async fn changed(api: &Api, command: Command) -> Answer {
    match ask(api, command).await? {
        Reply::Contact(view) => Ok(Json(shapes::contact(&view))),
        _ => other(),
    }
}

fn detailed(api: &Api, view: &ContactView) -> Answer {
    let Some(chain) = &api.chain else { return other() };
    let (number, devices) = query::contact_details(&api.reader, chain, view.account)?;
    Ok(Json(shapes::contact_details(view, number, &devices)))
}
