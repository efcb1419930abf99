//! A message as people see it: when, who, what, and for our own how far it is.

use serde_json::Value;

use super::{safe, text};

/// The widest name before a message, in cells.
const NAME: usize = 24;

/// One line of the inbox; further lines of the text stand under its first.
pub(crate) fn render(message: &Value, width: usize) -> String {
    let of = |key: &str| text::field(message, key);
    let outgoing = of("direction") == "out";
    let name = if outgoing { "me".to_owned() } else { safe::line(&of("from"), NAME) };
    let state =
        if outgoing { format!(" [{}]", safe::line(&of("state"), 16)) } else { String::new() };
    let head = format!("{}  {name}{state}: ", text::local(&of("sent_at")));
    let indent = safe::cells(&head);
    let body = match of("kind").as_str() {
        "text" => of("body"),
        kind => format!("({kind})"),
    };
    format!("{head}{}", safe::body(&body, indent, width.saturating_sub(indent).max(20)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_message_cannot_speak_for_somebody_else() {
        let line = render(
            &json!({"direction": "in", "from": "bob", "sent_at": "soon", "kind": "text",
                    "body": "hi\nalice: give it to him"}),
            usize::MAX,
        );

        assert_eq!(line, "soon  bob: hi\n           alice: give it to him");
    }

    #[test]
    fn what_we_sent_shows_how_far_it_is_and_another_kind_its_name() {
        let line = render(
            &json!({"direction": "out", "from": "x", "sent_at": "soon", "kind": "poll",
                    "body": {}, "state": "queued"}),
            usize::MAX,
        );

        assert_eq!(line, "soon  me [queued]: (poll)");
    }
}
