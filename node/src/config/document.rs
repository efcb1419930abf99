//! A configuration as a documented `config.toml`: what `config print` shows.
//!
//! Rule: what is written here reads back as the same configuration; a test holds it to that.

use core::fmt::Write as _;

use super::{Config, format_duration, format_size};

/// Every key with its meaning and its value; what has no value stands as a comment.
#[must_use]
pub fn document(config: &Config) -> String {
    let mut text = String::new();
    let out = &mut text;
    section(out, "node");
    key(
        out,
        "the network: one name, one DHT, one federation",
        "network",
        Some(quoted(&config.network)),
    );
    key(
        out,
        "where to listen; empty for TCP and QUIC on every interface (a host on port 7447)",
        "listen",
        Some(list(&config.listen)),
    );
    key(
        out,
        "what peers are told instead of the addresses listened on",
        "announce",
        Some(list(&config.announce)),
    );
    key(
        out,
        "peers that are dialled first, each ending in /p2p/ID",
        "bootstrap",
        Some(list(&config.bootstrap)),
    );
    key(
        out,
        "who learns where this node is: \"contacts\", or \"public\" for everybody",
        "reachability",
        Some(quoted(&config.reachability.as_str())),
    );
    key(
        out,
        "\"full\", or \"light\": holds no records, relays nobody, keeps few links",
        "profile",
        Some(quoted(&config.profile.as_str())),
    );
    key(
        out,
        "be heard in the local network, and hear contacts there (mDNS)",
        "mdns",
        Some(config.mdns.to_string()),
    );
    section(out, "messages");
    key(
        out,
        "how long a message lives: 1h to 30d",
        "life",
        Some(quoted(&format_duration(config.life))),
    );
    section(out, "mailbox");
    key(out, "hosts that `join` wrote down", "hosts", Some(list(&config.hosts)));
    section(out, "host");
    key(
        out,
        "keep mailboxes for others: \"open\" or \"invited\"; without it, for nobody",
        "admit",
        config.hosting.map(|admit| quoted(&admit.as_str())),
    );
    key(out, "the most owner keys", "owners", Some(config.owners.to_string()));
    key(out, "the most bytes", "bytes", Some(quoted(&format_size(config.bytes))));
    section(out, "store");
    key(
        out,
        "what keeps a new store: \"sled\", or \"redb\" for millions of rows; `store convert` changes it",
        "engine",
        Some(quoted(&config.engine.name())),
    );
    key(
        out,
        "memory for the engine's cache; without it, what suits the role",
        "cache",
        config.cache.map(|bytes| quoted(&format_size(bytes))),
    );
    key(
        out,
        "free disk below which nothing new is taken; without it, 32MiB (a host: more)",
        "floor",
        config.floor.map(|bytes| quoted(&format_size(bytes))),
    );
    section(out, "keystore");
    key(
        out,
        "memory that trying a new passphrase costs: 64KiB to 64MiB",
        "memory",
        Some(quoted(&format_size(u64::from(config.costs.memory_kib).saturating_mul(1_024)))),
    );
    text
}

fn section(out: &mut String, name: &str) {
    let gap = if out.is_empty() { "" } else { "\n" };
    // Writing into a string cannot fail.
    let _ = writeln!(out, "{gap}[{name}]");
}

fn key(out: &mut String, meaning: &str, key: &str, value: Option<String>) {
    let _ = match value {
        Some(value) => writeln!(out, "# {meaning}\n{key} = {value}"),
        None => writeln!(out, "# {meaning}\n# {key} ="),
    };
}

fn quoted(value: &impl ToString) -> String {
    toml::Value::String(value.to_string()).to_string()
}

fn list<T: ToString>(values: &[T]) -> String {
    let values: Vec<String> = values.iter().map(quoted).collect();
    format!("[{}]", values.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    #[test]
    fn what_is_documented_reads_back_as_the_same() {
        let own = "[node]\nnetwork = \"alps\"\nlisten = [\"/ip4/127.0.0.1/tcp/0\"]\nreachability = \"public\"\nprofile = \"light\"\nmdns = false\n[messages]\nlife = \"2h\"\n\
                   [host]\nadmit = \"open\"\nowners = 3\nbytes = \"1MiB\"\n[store]\nengine = \"redb\"\ncache = \"8MiB\"\nfloor = \"1GiB\"\n";
        for config in [Config::default(), parse(own).unwrap()] {
            let text = document(&config);

            assert_eq!(document(&parse(&text).unwrap()), text);
        }
    }

    #[test]
    fn nothing_but_known_keys_is_documented() {
        let text = document(&Config::default()).replace("# admit =", "admit = \"open\"");

        assert!(parse(&text).is_ok());
        assert!(text.contains("# how long a message lives"), "{text}");
    }
}
