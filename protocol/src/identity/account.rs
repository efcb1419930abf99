//! The account root: what 24 words become.

use core::fmt;

use super::RecoveryPhrase;
use crate::crypto::{Secret, Signer, VerifyKey, hash, hkdf};
use crate::id::AccountId;

/// The keys that only the recovery phrase gives; they live no longer than `init` or a recovery.
pub struct AccountRoot {
    signer: Signer,
    backup: Secret<32>,
}

impl AccountRoot {
    /// Derives the keys of a phrase (PROTOCOL §2, first table).
    #[must_use]
    pub fn from_phrase(phrase: &RecoveryPhrase) -> Self {
        let seed = phrase.seed();
        let root: Secret<32> = hkdf(b"", seed.as_slice(), &[b"godwit/acct/1/root-ed25519"]);
        Self {
            signer: Signer::from_seed(*root.expose()),
            backup: hkdf(b"", seed.as_slice(), &[b"godwit/acct/1/backup-aead"]),
        }
    }

    /// ARK: signs the genesis.
    #[must_use]
    pub const fn signer(&self) -> &Signer {
        &self.signer
    }

    /// The account that this root is the root of.
    #[must_use]
    pub fn account(&self) -> AccountId {
        account_id(&self.signer.verify_key())
    }

    /// BK: encrypts backups.
    #[must_use]
    pub fn backup_key(&self) -> Secret<32> {
        self.backup.clone()
    }
}

impl fmt::Debug for AccountRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccountRoot")
    }
}

/// `H("godwit/account/1" ‖ ARK ‖ 32 zero bytes)`: the last field reserves a post-quantum root.
#[must_use]
pub fn account_id(root: &VerifyKey) -> AccountId {
    AccountId(hash(&[b"godwit/account/1", &root.0, &[0; 32]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_words_give_the_same_account_and_no_key_shows() {
        let words = format!("{}art", "abandon ".repeat(23));
        let phrase = RecoveryPhrase::parse(&words).unwrap();

        let root = AccountRoot::from_phrase(&phrase);

        assert_eq!(
            root.account(),
            AccountRoot::from_phrase(&RecoveryPhrase::parse(&words).unwrap()).account()
        );
        assert_ne!(root.backup_key().expose(), root.signer().expose());
        assert_eq!(format!("{root:?} {phrase:?}"), "AccountRoot RecoveryPhrase");
    }
}
