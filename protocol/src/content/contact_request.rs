//! `contact_request`: a stranger asks, with all that the answer needs.
//!
//! ```text
//! LP(name) ‖ invite 0 | 1 ‖ proof 32 ‖ LP(chain proof) ‖ LP(manifest) ‖ LP(text, ≤ 512)
//! ```

use super::ContentError;
use super::profile::read_name;
use crate::crypto::lp_into;
use crate::limits::{MAX_PROOF, MAX_RECORD, MAX_REQUEST_TEXT};
use crate::wire::Reader;

/// A request; its chain and manifest are still to be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactRequest {
    /// The name that the stranger suggests; may be empty.
    pub name: String,
    /// `HMAC(invite, "godwit/invite/accept/1" ‖ session_id)`.
    pub invite: Option<[u8; 32]>,
    /// The stranger's sigchain.
    pub chain: Vec<u8>,
    /// The stranger's manifest.
    pub manifest: Vec<u8>,
    /// A first line; may be empty.
    pub text: String,
}

impl ContactRequest {
    /// The body.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        lp_into(&mut bytes, self.name.as_bytes());
        match &self.invite {
            Some(proof) => {
                bytes.push(1);
                bytes.extend_from_slice(proof);
            }
            None => bytes.push(0),
        }
        lp_into(&mut bytes, &self.chain);
        lp_into(&mut bytes, &self.manifest);
        lp_into(&mut bytes, self.text.as_bytes());
        bytes
    }

    /// Reads a body.
    ///
    /// # Errors
    /// [`ContentError::Malformed`] if it is none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ContentError> {
        let mut reader = Reader::new(bytes);
        let request = read(&mut reader).filter(|_| reader.finished());
        request.ok_or(ContentError::Malformed)
    }
}

fn read(reader: &mut Reader<'_>) -> Option<ContactRequest> {
    let name = read_name(reader)?;
    let invite = match reader.byte()? {
        0 => None,
        1 => Some(reader.array()?),
        _ => return None,
    };
    let chain = reader.lp(MAX_PROOF)?.to_vec();
    let manifest = reader.lp(MAX_RECORD)?.to_vec();
    let text = core::str::from_utf8(reader.lp(MAX_REQUEST_TEXT)?).ok()?.to_owned();
    Some(ContactRequest { name, invite, chain, manifest, text })
}
