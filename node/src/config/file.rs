//! Reading `config.toml`: every value is checked where it stands, and a fault names its line.

use serde::Deserialize;
use toml::Spanned;

use godwit_protocol::endpoint::{Code, Refusal};
use godwit_protocol::identity::{HostLink, Network};
use godwit_protocol::limits::{MAX_MESSAGE_LIFE, MIN_MESSAGE_LIFE};
use godwit_protocol::time::Millis;
use godwit_store::Kind;

use super::{
    Admit, Config, PeerAddress, Profile, Reachability, parse_address, parse_duration, parse_listen,
    parse_size,
};
use crate::home::Costs;

/// A configuration that is refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("config.toml, line {line}: {message}")]
pub struct ConfigError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there; names the key.
    pub message: String,
}

impl ConfigError {
    pub(crate) fn help(&self) -> String {
        format!("mend line {} of config.toml in the home", self.line)
    }
}

impl From<ConfigError> for Refusal {
    fn from(error: ConfigError) -> Self {
        Self::new(Code::Config, error.to_string(), error.help())
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct File {
    node: Node,
    messages: Messages,
    mailbox: Mailbox,
    host: Host,
    store: Store,
    keystore: Keystore,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Node {
    network: Option<Spanned<String>>,
    listen: Vec<Spanned<String>>,
    announce: Vec<Spanned<String>>,
    bootstrap: Vec<Spanned<String>>,
    reachability: Option<Spanned<String>>,
    profile: Option<Spanned<String>>,
    mdns: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Messages {
    life: Option<Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Mailbox {
    hosts: Vec<Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Host {
    admit: Option<Spanned<String>>,
    owners: Option<u32>,
    bytes: Option<Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Store {
    engine: Option<Spanned<String>>,
    cache: Option<Spanned<String>>,
    floor: Option<Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Keystore {
    memory: Option<Spanned<String>>,
}

/// Reads a configuration.
///
/// # Errors
/// [`ConfigError`] for what is no TOML, an unknown key, or a value that its key may not have.
pub fn parse(text: &str) -> Result<Config, ConfigError> {
    let file: File = toml::from_str(text).map_err(|error| ConfigError {
        line: line_of(text, error.span().map_or(0, |span| span.start)),
        message: error.message().lines().next().unwrap_or_default().to_owned(),
    })?;
    let reader = Reader { text };
    let mut config = Config::default();
    if let Some(network) = &file.node.network {
        config.network = reader.read("network", network, |text| text.parse::<Network>())?;
    }
    config.listen = reader.list("listen", &file.node.listen, parse_listen)?;
    config.announce = reader.list("announce", &file.node.announce, parse_address)?;
    config.bootstrap =
        reader.list("bootstrap", &file.node.bootstrap, |text| text.parse::<PeerAddress>())?;
    if let Some(word) = &file.node.reachability {
        let read = |text: &str| Reachability::parse(text).ok_or("one of contacts, public");
        config.reachability = reader.read("reachability", word, read)?;
    }
    if let Some(word) = &file.node.profile {
        let read = |text: &str| Profile::parse(text).ok_or("one of full, light");
        config.profile = reader.read("profile", word, read)?;
    }
    config.mdns = file.node.mdns.unwrap_or(config.mdns);
    config.hosts = reader.list("hosts", &file.mailbox.hosts, |text| text.parse::<HostLink>())?;
    if let Some(life) = &file.messages.life {
        config.life = reader.read("life", life, message_life)?;
    }
    read_host(&reader, &file, &mut config)?;
    if let Some(word) = &file.store.engine {
        let read = |text: &str| Kind::named(text).ok_or("one of sled, redb");
        config.engine = reader.read("engine", word, read)?;
    }
    config.cache =
        file.store.cache.map(|text| reader.read("cache", &text, parse_size)).transpose()?;
    config.floor =
        file.store.floor.map(|text| reader.read("floor", &text, parse_size)).transpose()?;
    if let Some(memory) = &file.keystore.memory {
        config.costs.memory_kib = reader.read("memory", memory, keystore_memory)?;
    }
    Ok(config)
}

fn read_host(reader: &Reader<'_>, file: &File, config: &mut Config) -> Result<(), ConfigError> {
    if let Some(admit) = &file.host.admit {
        let read = |text: &str| Admit::parse(text).ok_or("one of open, invited");
        config.hosting = Some(reader.read("admit", admit, read)?);
    }
    config.owners = file.host.owners.unwrap_or(config.owners);
    if let Some(bytes) = &file.host.bytes {
        config.bytes = reader.read("bytes", bytes, parse_size)?;
    }
    Ok(())
}

fn message_life(text: &str) -> Result<Millis, String> {
    let life = parse_duration(text).map_err(|error| error.to_string())?;
    if life < MIN_MESSAGE_LIFE || life > MAX_MESSAGE_LIFE {
        return Err(format!("{text} is not between 1h and 30d"));
    }
    Ok(life)
}

/// At least 64 KiB, at most what new keystores use by default.
fn keystore_memory(text: &str) -> Result<u32, String> {
    let bytes = parse_size(text).map_err(|error| error.to_string())?;
    let kib = u32::try_from(bytes / 1_024).unwrap_or(u32::MAX);
    if (64..=Costs::default().memory_kib).contains(&kib) {
        Ok(kib)
    } else {
        Err(format!("{text} is not between 64KiB and 64MiB"))
    }
}

struct Reader<'a> {
    text: &'a str,
}

impl Reader<'_> {
    fn read<T, E: ToString>(
        &self,
        key: &str,
        value: &Spanned<String>,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Result<T, ConfigError> {
        read(value.as_ref()).map_err(|error| ConfigError {
            line: line_of(self.text, value.span().start),
            message: format!("{key}: {}", error.to_string()),
        })
    }

    fn list<T, E: ToString>(
        &self,
        key: &str,
        values: &[Spanned<String>],
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Vec<T>, ConfigError> {
        values.iter().map(|value| self.read(key, value, &read)).collect()
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_the_defaults() {
        let config = parse("").unwrap();

        assert_eq!(config.network.as_str(), "main");
        assert_eq!(config.hosting, None);
        assert_eq!(config.listeners().len(), 4);
    }

    #[test]
    fn every_known_key_is_read() {
        let config = parse(
            "[node]\nnetwork = \"alps\"\nlisten = [\"/ip4/127.0.0.1/tcp/0\"]\nannounce = [\"/dns/a.example/tcp/7447\"]\n\
             [messages]\nlife = \"2h\"\n[host]\nadmit = \"open\"\nowners = 3\nbytes = \"1MiB\"\n\
             [store]\nengine = \"redb\"\ncache = \"8MiB\"\nfloor = \"1GiB\"\n[keystore]\nmemory = \"64KiB\"\n",
        )
        .unwrap();

        assert_eq!(config.network.as_str(), "alps");
        assert_eq!(config.listeners().len(), 1);
        assert_eq!(config.life, Millis::from_hours(2));
        assert_eq!((config.hosting, config.owners, config.bytes), (Some(Admit::Open), 3, 1 << 20));
        assert_eq!(config.engine, Kind::Redb);
        assert_eq!((config.cache, config.floor), (Some(8 << 20), Some(1 << 30)));
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_name_and_line() {
        let error = parse("[node]\nnetwork = \"main\"\nlisten_on = []\n").unwrap_err();

        assert_eq!(error.line, 3);
        assert!(error.message.contains("listen_on"), "{error}");
    }

    #[test]
    fn a_wrong_value_is_refused_with_its_key_and_line() {
        for (text, key) in [
            ("\n[node]\nnetwork = \"No Such\"", "network"),
            ("\n[node]\nlisten = [\"nowhere\"]", "listen"),
            ("\n[node]\nreachability = \"nobody\"", "reachability"),
            ("\n[messages]\nlife = \"31d\"", "life"),
            ("\n[messages]\nlife = \"30\"", "life"),
            ("\n[host]\nadmit = \"nobody\"", "admit"),
            ("\n[host]\nbytes = \"4 gigs\"", "bytes"),
        ] {
            let error = parse(text).unwrap_err();

            assert_eq!(error.line, 3, "{text}");
            assert!(error.message.starts_with(key), "{error}");
        }
    }

    #[test]
    fn flags_win_over_the_file() {
        let config = parse("[node]\nnetwork = \"alps\"\n[host]\nadmit = \"open\"\n").unwrap();

        let flags = crate::config::Flags { hosting: Some(Admit::Invited), ..Default::default() };
        let config = config.with(flags);

        assert_eq!(config.network.as_str(), "alps");
        assert_eq!(config.hosting, Some(Admit::Invited));
    }
}
