//! The exit-code table: which number a stable code ends the process with.
//!
//! | number | when |
//! |---|---|
//! | 0 | done; a reader that went away counts as done |
//! | 1 | refused or failed |
//! | 2 | usage |
//! | 3 | a second signal: forced shutdown |
//! | 69 | the node is not running |
//! | 70 | the node ended itself |
//! | 75 | not yet |
//! | 77 | passphrase, permission |
//! | 78 | configuration, no home, home of another version |
//!
//! Source: CLI, "Exit codes".

use std::io;

use godwit_protocol::endpoint::{Code, Refusal};

/// Done.
pub(crate) const DONE: u8 = 0;
/// Refused or failed, or a warning that was asked about.
pub(crate) const REFUSED: u8 = 1;
/// A second signal, or a node that did not end in time.
pub(crate) const FORCED: u8 = 3;

/// The exit number of a code.
pub(crate) const fn number(code: Code) -> u8 {
    match code {
        Code::Usage => 2,
        Code::NotRunning => 69,
        Code::Inner => 70,
        Code::NotYet | Code::Busy => 75,
        Code::PassphraseNeeded | Code::PassphraseWrong | Code::Permission => 77,
        Code::NoHome | Code::HomeVersion | Code::Config => 78,
        _ => REFUSED,
    }
}

/// Why a command ends otherwise than done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It was refused, or failed.
    Refused(Refusal),
    /// Its output cannot be written.
    Output(io::Error),
    /// It ends with this number and everything was said.
    Exit(u8),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<godwit_node::home::HomeError> for Failure {
    fn from(error: godwit_node::home::HomeError) -> Self {
        Self::Refused(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_the_numbers_of_the_contract() {
        let of = |number_wanted: u8| -> Vec<&str> {
            let codes = Code::ALL.iter().filter(|code| number(**code) == number_wanted);
            codes.map(|code| code.as_str()).collect()
        };

        assert_eq!(of(2), ["E_USAGE"]);
        assert_eq!(of(69), ["E_NOT_RUNNING"]);
        assert_eq!(of(70), ["E_INNER"]);
        assert_eq!(of(75), ["E_NOT_YET", "E_BUSY"]);
        assert_eq!(of(77), ["E_PASSPHRASE_NEEDED", "E_PASSPHRASE_WRONG", "E_PERMISSION"]);
        assert_eq!(of(78), ["E_NO_HOME", "E_HOME_VERSION", "E_CONFIG"]);
        assert_eq!(of(1).len(), Code::ALL.len() - 11);
    }
}
