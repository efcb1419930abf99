//! Accounts and host keys as people write them: bech32m, `gw1…` and `gwh1…`.

use bech32::{Bech32m, Hrp};

use crate::id::{AccountId, HostId};

/// The account as `gw1…`, 61 characters.
#[must_use]
pub fn account_text(account: &AccountId) -> String {
    encode("gw", account.as_bytes())
}

/// Reads `gw1…`.
#[must_use]
pub fn parse_account_text(text: &str) -> Option<AccountId> {
    decode("gw", text).map(AccountId)
}

/// A host's node key as `gwh1…`.
#[must_use]
pub fn host_text(host: &HostId) -> String {
    encode("gwh", host.as_bytes())
}

/// Reads `gwh1…`.
#[must_use]
pub fn parse_host_text(text: &str) -> Option<HostId> {
    decode("gwh", text).map(HostId)
}

fn encode(hrp: &str, bytes: &[u8; 32]) -> String {
    // 32 bytes and a short constant prefix are within every bound of bech32.
    Hrp::parse(hrp)
        .ok()
        .and_then(|hrp| bech32::encode::<Bech32m>(hrp, bytes).ok())
        .unwrap_or_default()
}

fn decode(expected: &str, text: &str) -> Option<[u8; 32]> {
    if text.len() > 90 || text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    let checked = bech32::primitives::decode::CheckedHrpstring::new::<Bech32m>(text).ok()?;
    if checked.hrp().as_str() != expected {
        return None;
    }
    checked.byte_iter().collect::<Vec<u8>>().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_read_back_and_a_changed_letter_is_found() {
        let text = account_text(&AccountId([3; 32]));

        assert_eq!(parse_account_text(&text), Some(AccountId([3; 32])));
        assert_eq!(text.len(), 61);
        assert!(text.starts_with("gw1"));
        for (index, _) in text.char_indices().skip(3) {
            let mut changed = text.clone().into_bytes();
            changed[index] = if changed[index] == b'q' { b'p' } else { b'q' };
            assert_eq!(parse_account_text(&String::from_utf8(changed).unwrap()), None);
        }
        assert_eq!(parse_host_text(&text), None);
        assert_eq!(parse_host_text(&host_text(&HostId([9; 32]))), Some(HostId([9; 32])));
    }
}
