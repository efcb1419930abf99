//! One message of a session, as bytes.
//!
//! ```text
//! ver 1 ‖ hnonce 24 ‖ AEAD(HK, hnonce, header 52) 68 ‖ commit 32 ‖ AEAD(enc_key, nonce, body)
//! header = dh 32 ‖ pn 4 ‖ n 4 ‖ pq_epoch 4 ‖ pq_pn 4 ‖ pq_n 4
//! body   = content ‖ 0x80 ‖ 00…
//! ```
//! Rule: `commit` is compared in constant time before the body is opened, so that a message has one
//! key only. Source: PROTOCOL §4; `spec/session.md#message`.

use subtle::ConstantTimeEq;

use super::ec::EcHeader;
use super::kem::KemHeader;
use super::transcript::VERSION;
use crate::crypto::{DhPublic, NONCE, Secret, TAG, aead_open, aead_seal, hkdf};
use crate::wire::Reader;

/// Bytes of a header.
const HEADER: usize = 52;
/// Bytes before the body: version, nonce, sealed header, commitment.
const PREFIX: usize = 125;
/// Bytes of a message besides its content: prefix, tag, and the first byte of the padding.
pub const MESSAGE_OVERHEAD: usize = PREFIX + TAG + 1;
const PAD: u8 = 0x80;

/// Both halves of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) ec: EcHeader,
    pub(super) kem: KemHeader,
}

impl Header {
    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = self.ec.dh.0.to_vec();
        for number in [self.ec.pn, self.ec.n, self.kem.epoch, self.kem.pn, self.kem.n] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let header = Self {
            ec: EcHeader { dh: DhPublic(reader.array()?), pn: reader.le32()?, n: reader.le32()? },
            kem: KemHeader { epoch: reader.le32()?, pn: reader.le32()?, n: reader.le32()? },
        };
        reader.finished().then_some(header)
    }
}

/// Everything that encrypting or opening one body needs.
pub(super) struct MessageKeys {
    key: Secret<32>,
    nonce: Secret<24>,
    commit: Secret<32>,
}

impl MessageKeys {
    /// `enc_key ‖ nonce ‖ commit` from both ratchets' message keys.
    pub(super) fn derive(
        ec: &Secret<32>,
        pq: &Secret<32>,
        th: &[u8; 32],
        header_nonce: &[u8; NONCE],
    ) -> Option<Self> {
        let okm: Secret<88> =
            hkdf(pq.expose(), ec.expose(), &[b"godwit/gw1/msg", th, header_nonce]);
        let mut reader = Reader::new(okm.expose());
        Some(Self {
            key: Secret::new(reader.array()?),
            nonce: Secret::new(reader.array()?),
            commit: Secret::new(reader.array()?),
        })
    }
}

fn header_data() -> [u8; 15] {
    *b"godwit/gw1/hdr\x01"
}

/// Writes a message of exactly `length` bytes, or nothing if the content does not fit.
pub(super) fn write(
    header: Header,
    header_key: &Secret<32>,
    header_nonce: &[u8; NONCE],
    keys: &MessageKeys,
    th: &[u8; 32],
    content: &[u8],
    length: usize,
) -> Option<Vec<u8>> {
    let body_length = length.checked_sub(PREFIX + TAG)?;
    if content.len() >= body_length {
        return None;
    }
    let mut body = Vec::with_capacity(body_length);
    body.extend_from_slice(content);
    body.push(PAD);
    body.resize(body_length, 0);

    let mut message = Vec::with_capacity(length);
    message.push(VERSION);
    message.extend_from_slice(header_nonce);
    message.extend_from_slice(&aead_seal(
        header_key,
        header_nonce,
        &header.to_bytes(),
        &header_data(),
    ));
    message.extend_from_slice(keys.commit.expose());
    let ad = [th, message.as_slice()].concat();
    message.extend_from_slice(&aead_seal(&keys.key, keys.nonce.expose(), &body, &ad));
    zeroize::Zeroize::zeroize(&mut body);
    Some(message)
}

/// A message cut into its parts; nothing is opened yet.
pub(super) struct Parts<'a> {
    pub(super) header_nonce: [u8; NONCE],
    sealed_header: &'a [u8],
    prefix: &'a [u8],
    commit: [u8; 32],
    body: &'a [u8],
}

impl<'a> Parts<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        if reader.byte()? != VERSION {
            return None;
        }
        let header_nonce = reader.array()?;
        let sealed_header = reader.take(HEADER + TAG)?;
        let commit = reader.array()?;
        let (prefix, body) = bytes.split_at_checked(PREFIX)?;
        (body.len() > TAG).then_some(Self { header_nonce, sealed_header, prefix, commit, body })
    }

    /// The header, if it is under this key.
    pub(super) fn open_header(&self, key: &Secret<32>) -> Option<Header> {
        let header = aead_open(key, &self.header_nonce, self.sealed_header, &header_data()).ok()?;
        Header::parse(&header)
    }

    /// The content, if the body is under these keys.
    pub(super) fn open_body(&self, keys: &MessageKeys, th: &[u8; 32]) -> Option<Vec<u8>> {
        if !bool::from(keys.commit.expose().ct_eq(&self.commit)) {
            return None;
        }
        let ad = [th, self.prefix].concat();
        let mut content = aead_open(&keys.key, keys.nonce.expose(), self.body, &ad).ok()?;
        let end = content.iter().rposition(|byte| *byte != 0)?;
        if content.get(end) != Some(&PAD) {
            return None;
        }
        content.truncate(end);
        Some(content)
    }
}
