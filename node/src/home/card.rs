//! The card: what anybody may know of this home, in the clear, so that `id` needs neither node nor
//! passphrase.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::files::{read_file, replace_file};
use super::{Home, HomeError};

/// The largest card in bytes: a link of 2 KiB and the ids, as JSON.
const MAX_CARD: u64 = 16 * 1_024;

/// Who lives here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// The account (`gw1…`); `None` at a host.
    pub account: Option<String>,
    /// The device, in hex; `None` at a host.
    pub device: Option<String>,
    /// The name that the person suggests.
    pub name: Option<String>,
    /// The node key as a peer id.
    pub host: String,
    /// The contact link, or at a host its link without a token.
    pub link: String,
}

/// Reads the card of the home in `path`.
///
/// # Errors
/// [`HomeError::Absent`] without a home, [`HomeError::Damaged`] for what is no card.
pub fn read_card(path: &Path) -> Result<Card, HomeError> {
    let folder = Home::resolve(path)?;
    let file = folder.join("card");
    let damaged = || HomeError::Damaged { path: file.clone() };
    let bytes = read_file(&file, MAX_CARD)?.ok_or_else(damaged)?;
    serde_json::from_slice(&bytes).map_err(|_| damaged())
}

/// Replaces the card in the (resolved) folder.
pub(crate) fn write_card(folder: &Path, card: &Card) -> Result<(), HomeError> {
    let path = folder.join("card");
    let text = serde_json::to_vec_pretty(card)
        .map_err(|error| HomeError::Io { path: path.clone(), message: error.to_string() })?;
    replace_file(&path, &text)
}
