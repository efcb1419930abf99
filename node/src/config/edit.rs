//! Changing single keys of `config.toml` and nothing else: comments and order stay.
//!
//! Rule: the result is read again before it is used; a file so written that a key cannot be
//! changed in place is refused, not guessed at.

use toml::de::DeTable;

use super::{Config, ConfigError, parse};

/// One key and its new value, as TOML.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    section: &'static str,
    key: &'static str,
    value: String,
}

impl Setting {
    /// A text.
    pub(crate) fn text(section: &'static str, key: &'static str, value: &str) -> Self {
        Self { section, key, value: quoted(value) }
    }

    /// A list of texts.
    pub(crate) fn list<T: ToString>(
        section: &'static str,
        key: &'static str,
        values: &[T],
    ) -> Self {
        let values: Vec<String> = values.iter().map(|value| quoted(&value.to_string())).collect();
        Self { section, key, value: format!("[{}]", values.join(", ")) }
    }
}

/// The text of the configuration with these keys set, and what it now means.
pub(crate) fn set(text: &str, settings: &[Setting]) -> Result<(String, Config), ConfigError> {
    let mut text = text.to_owned();
    for setting in settings {
        text = set_one(&text, setting)?;
    }
    let config = parse(&text)?;
    Ok((text, config))
}

fn set_one(text: &str, setting: &Setting) -> Result<String, ConfigError> {
    let fault =
        |error: toml::de::Error| ConfigError { line: 1, message: error.message().to_owned() };
    let Setting { section, key, value } = setting;
    let document = DeTable::parse(text).map_err(fault)?;
    let found = document.get_ref().get(*section);
    let old = found.and_then(|table| table.get_ref().as_table()).and_then(|table| table.get(*key));
    if let Some(old) = old {
        let span = old.span();
        let (before, rest) = text.split_at_checked(span.start).unwrap_or((text, ""));
        let (_, after) = rest.split_at_checked(span.len()).unwrap_or(("", ""));
        return Ok(format!("{before}{value}{after}"));
    }
    let line = format!("{key} = {value}\n");
    let header = format!("[{section}]");
    let mut result = String::with_capacity(text.len() + line.len() + header.len() + 2);
    let mut placed = false;
    for old in text.split_inclusive('\n') {
        result.push_str(old);
        let is_header = old.trim() == header || old.trim().starts_with(&format!("{header} "));
        if is_header && !placed {
            if !old.ends_with('\n') {
                result.push('\n');
            }
            result.push_str(&line);
            placed = true;
        }
    }
    if !placed {
        if !result.is_empty() && !result.ends_with('\n') {
            result.push('\n');
        }
        result.push_str(&format!("{header}\n{line}"));
    }
    Ok(result)
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_set_in_an_empty_file_and_replaced_the_next_time() {
        let (text, _) = set("", &[Setting::text("node", "network", "alps")]).unwrap();
        let (text, config) = set(&text, &[Setting::text("node", "network", "andes")]).unwrap();

        assert_eq!(text, "[node]\nnetwork = \"andes\"\n");
        assert_eq!(config.network.as_str(), "andes");
    }

    #[test]
    fn comments_and_other_keys_stay() {
        let before = "# mine\n[host] # hosts\nowners = 3\n\n[node]\nlisten = [\n  # home\n  \"/ip4/127.0.0.1/tcp/1\",\n]\n";

        let settings = [
            Setting::text("host", "admit", "open"),
            Setting::list("node", "listen", &["/ip4/127.0.0.1/tcp/2"]),
        ];
        let (after, config) = set(before, &settings).unwrap();

        assert!(
            after.starts_with("# mine\n[host] # hosts\nadmit = \"open\"\nowners = 3\n"),
            "{after}"
        );
        assert_eq!(config.listen.len(), 1);
        assert_eq!(config.owners, 3);
    }

    #[test]
    fn a_file_that_cannot_be_changed_in_place_is_refused() {
        assert!(set("host.owners = 3\n", &[Setting::text("host", "admit", "open")]).is_err());
        assert!(set("not toml", &[Setting::text("host", "admit", "open")]).is_err());
    }
}
