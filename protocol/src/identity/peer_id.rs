//! A node key as libp2p writes it: base58 of the identity multihash, `12D3KooW…`.
//!
//! Source: the libp2p specification "Peer Ids and Keys".

use crate::id::HostId;

/// Identity multihash (0x00), 36 bytes: a protobuf with key type Ed25519 (1) and 32 bytes of key.
const PREFIX: [u8; 6] = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20];

/// The node key as a PeerId.
#[must_use]
pub fn peer_id_text(host: &HostId) -> String {
    bs58::encode([PREFIX.as_slice(), host.as_bytes()].concat()).into_string()
}

/// Reads a PeerId of an Ed25519 key.
#[must_use]
pub fn peer_id_from_text(text: &str) -> Option<HostId> {
    if text.len() > 60 {
        return None;
    }
    let bytes = bs58::decode(text).into_vec().ok()?;
    HostId::from_slice(bytes.strip_prefix(PREFIX.as_slice())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_id_reads_back_and_looks_like_one() {
        let text = peer_id_text(&HostId([5; 32]));

        assert!(text.starts_with("12D3KooW"), "{text}");
        assert_eq!(peer_id_from_text(&text), Some(HostId([5; 32])));
        assert_eq!(peer_id_from_text("QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"), None);
        assert_eq!(peer_id_from_text(&"1".repeat(10_000)), None);
    }
}
