//! The routes of the local API.
//!
//! | route | brings |
//! |---|---|
//! | `GET /v1/status`, `/v1/link` | what the node is doing; the own link with present addresses |
//! | `POST /v1/reach` | others are asked whether they reach this node |
//! | `GET`, `POST /v1/contacts` | the address book |
//! | `POST /v1/contacts/show`, `…/accept …/rename …/remove …/block …/unblock …/verify` | one contact |
//! | `POST /v1/contacts/invite` | a link for one stranger |
//! | `GET`, `POST /v1/hosts`, `POST /v1/hosts/drop` | the hosts that keep this device's mail |
//! | `GET /v1/hosts/{peer}/proofs` | what a host signed for and did not serve |
//! | `POST /v1/hosting/invites`, `GET …/owners`, `POST …/remove` | what an operator does |
//! | `POST /v1/messages` | one text, or an array of at most 256 in one commit |
//! | `POST /v1/inbox`, `GET /v1/messages/{id}/why` | messages in order; the life of one |
//! | `GET /v1/events` | server-sent events, resumable by id |

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures::Stream;
use serde::Deserialize;
use serde_json::{Value, json};

use godwit_protocol::endpoint::query::{self, InboxQuery};
use godwit_protocol::endpoint::{Code, Command, Input, OutgoingText, Refusal, Reply};
use godwit_protocol::id::{AccountId, MessageId};
use godwit_protocol::rows::RowsError;

use super::door::{Door, Running};
use super::events::Events;
use super::{Api, contacts, hosting, proofs, shapes};

/// The most that one request may have, in bytes: 256 texts of the longest kind, escaped.
const MAX_REQUEST: usize = 32 << 20;
/// Texts in one request.
const MAX_TEXTS: usize = 256;
/// Messages in one answer; whoever wants more gets the first page of them, and asks on with `since`.
const MAX_PAGE: usize = 1_000;

pub(super) type Answer = Result<Json<Value>, Failure>;

/// A refusal as an HTTP answer.
pub(super) struct Failure(Refusal);

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl From<RowsError> for Failure {
    fn from(error: RowsError) -> Self {
        let help = "keep a copy of the home before anything else";
        Self(Refusal::new(Code::StoreDamaged, error.to_string(), help))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = match self.0.code {
            Code::NoContact | Code::NoMessage => StatusCode::NOT_FOUND,
            Code::Busy | Code::NotYet => StatusCode::SERVICE_UNAVAILABLE,
            Code::Inner | Code::StoreDamaged | Code::Io => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        };
        (status, Json(shapes::refusal(&self.0))).into_response()
    }
}

pub(super) fn router(door: Arc<Door>) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/link", get(link))
        .route("/v1/reach", post(reach))
        .route("/v1/contacts", get(contacts::list).post(contacts::add))
        .route("/v1/contacts/show", post(contacts::show))
        .route("/v1/contacts/accept", post(contacts::accept))
        .route("/v1/contacts/rename", post(contacts::rename))
        .route("/v1/contacts/remove", post(contacts::remove))
        .route("/v1/contacts/block", post(contacts::block))
        .route("/v1/contacts/unblock", post(contacts::unblock))
        .route("/v1/contacts/verify", post(contacts::verify))
        .route("/v1/contacts/invite", post(hosting::invite_contact))
        .route("/v1/hosts", get(hosting::hosts).post(hosting::use_hosts))
        .route("/v1/hosts/drop", post(hosting::drop_host))
        .route("/v1/hosts/{peer}/proofs", get(proofs::proofs))
        .route("/v1/hosting/invites", post(hosting::invite))
        .route("/v1/hosting/owners", get(hosting::owners))
        .route("/v1/hosting/remove", post(hosting::remove))
        .route("/v1/messages", post(send))
        .route("/v1/messages/{id}/why", get(why))
        .route("/v1/inbox", post(inbox))
        .route("/v1/events", get(events))
        .fallback(unknown)
        .layer(DefaultBodyLimit::max(MAX_REQUEST))
        .with_state(door)
}

async fn unknown() -> Failure {
    let message = "this version of the node does not do that";
    Failure(Refusal::new(Code::Unsupported, message, "godwit --help"))
}

pub(super) async fn ask(api: &Api, command: Command) -> Result<Reply, Failure> {
    let Some(messenger) = &api.messenger else { return Err(no_account()) };
    match messenger.ask(command).await {
        Ok(result) => result.map_err(Failure),
        Err(_) => Err(Refusal::new(Code::Busy, "the node is busy or ending", "try again").into()),
    }
}

/// What needs an account, at a host's home.
fn no_account() -> Failure {
    let message = "this home has no account: it hosts mailboxes";
    Refusal::new(Code::NoAccount, message, "godwit init in another home").into()
}

pub(super) fn own(api: &Api) -> Result<AccountId, Failure> {
    api.own.ok_or_else(no_account)
}

/// The body of a request as a type, with our own error instead of the library's.
pub(super) fn body<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, Failure> {
    serde_json::from_value(value).map_err(|error| {
        Refusal::new(Code::Usage, format!("the request is malformed: {error}"), "docs/api.md")
            .into()
    })
}

async fn status(State(door): State<Arc<Door>>) -> Answer {
    let api = match door.look() {
        Ok(api) => api,
        Err(status) => return Ok(Json(status)),
    };
    let (store, view) = (api.store.stats().ok(), api.network.view());
    let proofs = api.network.proofs();
    let unreached = proofs.iter().any(|proof| proof.reached == Some(false));
    let warnings: Vec<String> = unreached.then(|| "announce".to_owned()).into_iter().collect();
    let mut value = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "state": "running",
        "pid": std::process::id(),
        "account": api.facts.account,
        "device": api.facts.device,
        "peer_id": api.facts.peer_id,
        "network": api.facts.network_name.to_string(),
        "listen": super::texts(&api.network.listen_addresses()),
        "announced": super::texts(&api.network.announced_addresses()),
        "external": shapes::proved(&proofs, true),
        "peers": view.peers,
        "dht": shapes::dht(&view, 0),
        "reach": {
            "relays": view.relays, "relayed": view.relayed,
            "unreached": shapes::proved(&proofs, false),
        },
        "hosts": [],
        "k": null,
        "outbox": null,
        "hosting": hosting::status(&api).await?,
        "keystore": {"protection": api.facts.protection},
        "store": {"engine": api.store.engine(), "bytes": store.map(|stats| stats.bytes)},
        "faults": null,
        "warnings": warnings,
        "uptime_s": api.clock.since_start().0 / 1_000,
    });
    if api.messenger.is_some() {
        let Reply::Status(status) = ask(&api, Command::Status).await? else { return other() };
        let more = [
            ("hosts", status.hosts.iter().map(shapes::host).collect()),
            ("k", json!(status.k)),
            ("dht", shapes::dht(&view, status.found_at_strangers)),
            ("outbox", shapes::outbox(&status)),
            ("faults", shapes::faults(&status)),
            ("state", json!(if status.stood_down { "stood_down" } else { "running" })),
            ("warnings", json!([status.warnings, warnings].concat())),
        ];
        if let Some(object) = value.as_object_mut() {
            object.extend(more.map(|(key, value): (&str, Value)| (key.to_owned(), value)));
        }
    }
    Ok(Json(value))
}

/// Asks others now whether this node is reached where it says that it is.
async fn reach(Running(api): Running) -> Answer {
    let proofs = api.network.prove(api.network.claimed_addresses()).await;
    Ok(Json(json!({
        "addresses": proofs.iter().map(shapes::proof).collect::<Vec<_>>(),
        "relays": api.network.view().relays,
    })))
}

async fn link(Running(api): Running) -> Answer {
    match ask(&api, Command::LinkHere).await? {
        Reply::Link(link) => Ok(Json(json!({"link": link}))),
        _ => other(),
    }
}

#[derive(Deserialize)]
struct Outgoing {
    to: String,
    text: String,
    id: Option<String>,
}

impl Outgoing {
    fn checked(self) -> Result<OutgoingText, Failure> {
        let Self { to, text, id } = self;
        let id = id.map(|id| parse_id(&id)).transpose()?;
        Ok(OutgoingText { to, text, id })
    }
}

fn parse_id(text: &str) -> Result<MessageId, Failure> {
    text.parse().map_err(|error| {
        Refusal::new(Code::Usage, format!("no message id: {error}"), "32 hex digits").into()
    })
}

async fn send(Running(api): Running, Json(value): Json<Value>) -> Answer {
    let many = value.is_array();
    let texts: Vec<Outgoing> = if many { body(value)? } else { vec![body(value)?] };
    if texts.len() > MAX_TEXTS {
        let message = format!("at most {MAX_TEXTS} messages in one request");
        return Err(Refusal::new(Code::TooLarge, message, "send them in parts").into());
    }
    let texts = texts.into_iter().map(Outgoing::checked).collect::<Result<_, _>>()?;
    if let (Some(low), Some(messenger)) = (api.room.changed(), &api.messenger) {
        messenger.give(Input::Space { low });
    }
    let Reply::Sent(results) = ask(&api, Command::Send(texts)).await? else { return other() };
    if many {
        let shown = results.iter().map(|result| match result {
            Ok(sent) => shapes::sent(sent),
            Err(refusal) => shapes::refusal(refusal),
        });
        return Ok(Json(shown.collect()));
    }
    match results.into_iter().next() {
        Some(Ok(sent)) => Ok(Json(shapes::sent(&sent))),
        Some(Err(refusal)) => Err(refusal.into()),
        None => other(),
    }
}

async fn why(Running(api): Running, Path(id): Path<String>) -> Answer {
    let why = query::why(&api.reader, parse_id(&id)?)??;
    Ok(Json(shapes::why(&why)))
}

#[derive(Deserialize)]
struct Inbox {
    with: Option<String>,
    since: Option<String>,
    limit: Option<usize>,
    #[serde(default)]
    unread: bool,
    #[serde(default)]
    peek: bool,
}

async fn inbox(Running(api): Running, Json(value): Json<Value>) -> Answer {
    let wanted: Inbox = body(value)?;
    let with = match &wanted.with {
        Some(who) => Some(query::contact(&api.reader, own(&api)?, who)??.account),
        None => None,
    };
    let limit = wanted.limit.unwrap_or(50);
    let mut query = InboxQuery {
        with,
        since: wanted.since.as_deref().map(parse_id).transpose()?,
        after: None,
        limit: limit.min(MAX_PAGE),
        unread: wanted.unread,
    };
    if limit > MAX_PAGE && query.since.is_none() {
        // The first page of so many; the others follow its last message.
        let newest = if wanted.unread { usize::MAX - 1 } else { limit };
        let place = query::place_of_newest(&api.reader, own(&api)?, &query, newest)?;
        query.after = Some(place);
    }
    let views = query::inbox(&api.reader, own(&api)?, &query)?;
    if let Some(from) = with.filter(|_| !wanted.peek) {
        let unread = views
            .iter()
            .filter(|view| view.state == godwit_protocol::endpoint::MessageState::Received);
        let messages: Vec<MessageId> = unread.map(|view| view.id).collect();
        if !messages.is_empty() {
            ask(&api, Command::MarkRead { from, messages }).await?;
        }
    }
    Ok(Json(views.iter().map(shapes::message).collect()))
}

async fn events(
    Running(api): Running,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Failure> {
    let cursor = headers.get("last-event-id").and_then(|value| value.to_str().ok()?.parse().ok());
    let events = Events::new(api, cursor)?;
    let stream = futures::stream::unfold(events, |mut events| async move {
        let (number, value) = events.next().await?;
        let event = Event::default().id(number.to_string()).data(value.to_string());
        Some((Ok(event), events))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()))
}

pub(super) fn other() -> Answer {
    Err(Refusal::new(Code::Inner, "the node answered something else", "godwit status").into())
}
