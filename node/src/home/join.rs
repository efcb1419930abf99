//! `join`: writing a host, its network and its addresses into the configuration.
//!
//! Rule: an account that may have contacts never changes its network; nothing else of the
//! configuration changes.

use std::fs;
use std::path::Path;

use godwit_protocol::id::HostId;
use godwit_protocol::identity::{ContactLink, HostLink, Network};

use super::card::{read_card, write_card};
use super::files::{make_folder, mend_permissions, replace_file};
use super::open::config_text;
use super::{Home, HomeError};
use crate::config::{self, Config, Flags, PeerAddress, Setting};

/// What `join` wrote.
#[derive(Debug, Clone)]
pub struct Joined {
    /// The network of the home from now on.
    pub network: Network,
    /// The host.
    pub host: HostId,
}

/// Writes the host of a link into the configuration in `path`; the folder may not be a home yet.
/// The node uses it from its next start on.
///
/// # Errors
/// [`HomeError::OtherNetwork`] if an account here has run in another network; a refused
/// configuration; what the disk says.
pub fn join(path: &Path, link: &HostLink) -> Result<Joined, HomeError> {
    make_folder(path)?;
    let folder = fs::canonicalize(path).map_err(|error| HomeError::io(path, &error))?;
    mend_permissions(&folder)?;
    let text = config_text(&folder)?;
    let config = config::parse(&text)?;
    let moved = config.network != link.network;
    // Contacts are rows, and rows begin with the first run.
    if moved && Home::resolve(&folder).is_ok() && folder.join("store").exists() {
        return Err(HomeError::OtherNetwork {
            asked: link.network.to_string(),
            own: config.network.to_string(),
        });
    }
    let (text, config) = config::set(&text, &settings(config, link, moved))?;
    replace_file(&folder.join("config.toml"), text.as_bytes())?;
    if moved && Home::resolve(&folder).is_ok() {
        move_card(&folder, &config.network)?;
    }
    Ok(Joined { network: config.network, host: link.host })
}

/// Writes flags into the configuration, to be used from the next start on; whether there were any.
///
/// # Errors
/// As [`join`].
pub fn keep_flags(path: &Path, flags: &Flags) -> Result<bool, HomeError> {
    let settings = flags.settings();
    let folder = Home::resolve(path)?;
    if settings.is_empty() {
        return Ok(false);
    }
    let text = config_text(&folder)?;
    let config = config::parse(&text)?;
    let moved = flags.network.as_ref().filter(|network| **network != config.network);
    if let Some(network) = moved {
        if folder.join("store").exists() {
            return Err(HomeError::OtherNetwork {
                asked: network.to_string(),
                own: config.network.to_string(),
            });
        }
        move_card(&folder, network)?;
    }
    let (text, _) = config::set(&text, &settings)?;
    replace_file(&folder.join("config.toml"), text.as_bytes())?;
    Ok(true)
}

/// Takes a host out of the configuration, so that the next start does not register there again.
///
/// # Errors
/// [`HomeError::Absent`]; a refused configuration; what the disk says.
pub fn forget_host(path: &Path, host: &HostId) -> Result<(), HomeError> {
    let folder = Home::resolve(path)?;
    let text = config_text(&folder)?;
    let mut config = config::parse(&text)?;
    let before = config.hosts.len();
    config.hosts.retain(|link| link.host != *host);
    if config.hosts.len() == before {
        return Ok(());
    }
    let (text, _) = config::set(&text, &[Setting::list("mailbox", "hosts", &config.hosts)])?;
    replace_file(&folder.join("config.toml"), text.as_bytes())
}

fn settings(config: Config, link: &HostLink, moved: bool) -> Vec<Setting> {
    let (mut bootstrap, mut hosts) =
        if moved { (Vec::new(), Vec::new()) } else { (config.bootstrap, config.hosts) };
    bootstrap.retain(|peer: &PeerAddress| peer.host != link.host);
    bootstrap.extend(
        link.addresses
            .iter()
            .map(|address| PeerAddress { host: link.host, address: address.clone() }),
    );
    hosts.retain(|known: &HostLink| known.host != link.host);
    hosts.push(link.clone());
    vec![
        Setting::text("node", "network", link.network.as_str()),
        Setting::list("node", "bootstrap", &bootstrap),
        Setting::list("mailbox", "hosts", &hosts),
    ]
}

/// Gives the own link on the card its new network.
fn move_card(folder: &Path, network: &Network) -> Result<(), HomeError> {
    let mut card = read_card(folder)?;
    let damaged = || HomeError::Damaged { path: folder.join("card") };
    card.link = if card.account.is_some() {
        let mut link: ContactLink = card.link.parse().map_err(|_| damaged())?;
        link.network = network.clone();
        link.to_string()
    } else {
        let mut link: HostLink = card.link.parse().map_err(|_| damaged())?;
        link.network = network.clone();
        link.to_string()
    };
    write_card(folder, &card)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::system_rng;
    use crate::home::{NewHome, init_account, init_host};

    fn host_link(network: &str) -> HostLink {
        HostLink {
            host: HostId([7; 32]),
            network: network.parse().unwrap(),
            addresses: vec![config::parse_address("/ip4/127.0.0.1/tcp/7447").unwrap()],
            token: None,
        }
    }

    #[test]
    fn join_before_init_is_kept_by_init() {
        let folder = tempfile::tempdir().unwrap();

        join(folder.path(), &host_link("alps")).unwrap();
        assert!(matches!(Home::resolve(folder.path()), Err(HomeError::Absent { .. })));
        let mut shown = String::new();
        init_account(folder.path(), &NewHome::default(), &mut system_rng(), |made| {
            shown.clone_from(&made.link);
            Ok(())
        })
        .unwrap();

        let home = Home::open(folder.path(), None).unwrap();
        assert_eq!(home.config.network.as_str(), "alps");
        assert_eq!(home.config.hosts.len(), 1);
        assert_eq!(home.config.bootstrap.len(), 1);
        assert!(shown.contains("n=alps"), "{shown}");
    }

    #[test]
    fn joining_twice_changes_nothing_and_forgetting_takes_the_host_out() {
        let folder = tempfile::tempdir().unwrap();
        init_host(folder.path(), &NewHome::default(), &mut system_rng()).unwrap();

        join(folder.path(), &host_link("main")).unwrap();
        let once = config_text(folder.path()).unwrap();
        join(folder.path(), &host_link("main")).unwrap();

        assert_eq!(config_text(folder.path()).unwrap(), once);
        forget_host(folder.path(), &HostId([7; 32])).unwrap();
        assert!(Home::config(folder.path()).unwrap().hosts.is_empty());
    }

    #[test]
    fn an_account_that_has_run_keeps_its_network_and_one_that_has_not_moves_with_its_link() {
        let folder = tempfile::tempdir().unwrap();
        init_account(folder.path(), &NewHome::default(), &mut system_rng(), |_| Ok(())).unwrap();

        join(folder.path(), &host_link("alps")).unwrap();
        assert!(read_card(folder.path()).unwrap().link.contains("n=alps"));
        fs::create_dir(folder.path().join("store")).unwrap();

        let refused = join(folder.path(), &host_link("andes"));
        assert!(matches!(refused, Err(HomeError::OtherNetwork { .. })));
        assert_eq!(Home::config(folder.path()).unwrap().network.as_str(), "alps");
    }
}
