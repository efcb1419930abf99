//! The client of the local API: HTTP/1.1 + JSON over the node's Unix socket.
//!
//! What the node refuses comes back as the [`Refusal`] that it was; a socket without a node is
//! `E_NOT_RUNNING`. Source: CLI, "Rules".

use std::io;
use std::path::Path;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, Response, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;

use godwit_protocol::endpoint::{Code, Refusal};

/// The most that one answer may have, in bytes: 1,000 messages of the longest text and more.
const MAX_ANSWER: usize = 64 << 20;

/// One connection to the node of a home.
pub struct Client {
    sender: SendRequest<Full<Bytes>>,
}

/// What happens in the node, as it happens.
pub struct EventStream {
    body: Incoming,
    buffer: Vec<u8>,
}

impl Client {
    /// Connects to the socket of a running node.
    ///
    /// # Errors
    /// `E_NOT_RUNNING` if nobody listens there, `E_PERMISSION` if it is another user's.
    pub async fn connect(socket: &Path) -> Result<Self, Refusal> {
        let stream = UnixStream::connect(socket).await.map_err(|error| unreachable_node(&error))?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(broken)?;
        tokio::spawn(async move {
            // Its end shows in the next request.
            let _ = connection.await;
        });
        Ok(Self { sender })
    }

    /// Asks for something.
    ///
    /// # Errors
    /// The node's [`Refusal`]; `E_NOT_RUNNING` if the node went away.
    pub async fn get(&mut self, path: &str) -> Result<Value, Refusal> {
        let response = self.request(Method::GET, path, None, &[]).await?;
        read(response).await
    }

    /// Asks for something to be done.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn post(&mut self, path: &str, body: &Value) -> Result<Value, Refusal> {
        let response = self.request(Method::POST, path, Some(body), &[]).await?;
        read(response).await
    }

    /// Everything that happens after a cursor, or from now on.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn events(mut self, cursor: Option<&str>) -> Result<EventStream, Refusal> {
        let headers: Vec<_> = cursor.map(|cursor| ("last-event-id", cursor)).into_iter().collect();
        let response = self.request(Method::GET, "/v1/events", None, &headers).await?;
        if response.status().is_success() {
            Ok(EventStream { body: response.into_body(), buffer: Vec::new() })
        } else {
            match read(response).await {
                Err(refusal) => Err(refusal),
                Ok(_) => Err(inner("the node gave no events")),
            }
        }
    }

    async fn request(
        &mut self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Result<Response<Incoming>, Refusal> {
        let bytes = body.map(Value::to_string).unwrap_or_default();
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "godwit")
            .header(header::CONTENT_TYPE, "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request
            .body(Full::new(Bytes::from(bytes)))
            .map_err(|error| inner(&format!("no such request: {error}")))?;
        self.sender.ready().await.map_err(broken)?;
        self.sender.send_request(request).await.map_err(broken)
    }
}

impl EventStream {
    /// The next event with its cursor, if it has one; `None` when the node has gone away.
    ///
    /// Cancel safety: what was read stays in the buffer.
    pub async fn next(&mut self) -> Option<(Option<String>, Value)> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.buffer.drain(..end.saturating_add(2)).collect();
                if let Some(event) = parse_event(&block) {
                    return Some(event);
                }
                continue;
            }
            let frame = self.body.frame().await?.ok()?;
            if let Ok(data) = frame.into_data() {
                self.buffer.extend_from_slice(&data);
            }
            if self.buffer.len() > MAX_ANSWER {
                return None;
            }
        }
    }
}

/// One block of server-sent events; a comment has no data.
fn parse_event(block: &[u8]) -> Option<(Option<String>, Value)> {
    let text = core::str::from_utf8(block).ok()?;
    let (mut id, mut data) = (None, None);
    for line in text.lines() {
        if let Some(value) = line.strip_prefix("id:") {
            id = Some(value.trim().to_owned());
        } else if let Some(value) = line.strip_prefix("data:") {
            data = serde_json::from_str(value.trim()).ok();
        }
    }
    data.map(|data| (id, data))
}

async fn read(response: Response<Incoming>) -> Result<Value, Refusal> {
    let fine = response.status().is_success();
    let mut bytes = Vec::new();
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(broken)?.into_data() {
            bytes.extend_from_slice(&data);
        }
        if bytes.len() > MAX_ANSWER {
            return Err(inner("the node's answer is too long"));
        }
    }
    let value: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    if fine { Ok(value) } else { Err(refusal(&value)) }
}

/// The refusal that an answer bears.
fn refusal(value: &Value) -> Refusal {
    let error = value.get("error").unwrap_or(value);
    let text = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default();
    match Code::parse(text("code")) {
        Some(code) => Refusal::new(code, text("message"), text("help")),
        None => inner("the node refused the request"),
    }
}

fn unreachable_node(error: &io::Error) -> Refusal {
    match error.kind() {
        io::ErrorKind::PermissionDenied => Refusal::new(
            Code::Permission,
            "the node's socket belongs to another user",
            "run as the user who runs the node",
        ),
        _ => Refusal::new(Code::NotRunning, "the node is not running", "godwit run"),
    }
}

fn broken(_: hyper::Error) -> Refusal {
    Refusal::new(Code::NotRunning, "the node went away", "godwit run")
}

fn inner(message: &str) -> Refusal {
    Refusal::new(Code::Inner, message, "godwit status")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_block_has_its_cursor_and_its_data() {
        let (id, data) = parse_event(b"id: 7\ndata: {\"event\":\"ready\"}\n\n").unwrap();

        assert_eq!((id.as_deref(), data["event"].as_str()), (Some("7"), Some("ready")));
        assert!(parse_event(b": keep-alive\n\n").is_none());
    }

    #[test]
    fn a_refusal_keeps_its_code_over_the_wire() {
        let value = serde_json::json!({"error": {"code": "E_FULL", "message": "m", "help": "h"}});

        assert_eq!(refusal(&value), Refusal::new(Code::Full, "m", "h"));
        assert_eq!(refusal(&Value::Null).code, Code::Inner);
    }
}
