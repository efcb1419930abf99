//! How rows that an earlier version stored become rows of this one: numbered, one table each.
//!
//! A row begins with the number of its shape ([`super::typed`]): 1, and one more for each step of its
//! table. So a step that is done again does nothing, and a store that is half way is whole.
//!
//! Rule: a step that has landed never changes. A new shape is a step at the end, with the next version
//! of the store where the last one was released, and a fixture of the version before.

use super::{RowsError, Table, mailbox};

/// The version of what is stored that this program writes. 4 has no step: since then a journal stands in
/// front of the engine, and a program that does not know of it would miss what is only there.
pub const VERSION: u32 = 4;
/// The oldest version that it reads.
pub const OLDEST_VERSION: u32 = 2;

/// A change of the shape of one table's rows.
#[derive(Debug)]
pub struct Step {
    /// The first version of the store whose rows have it.
    pub version: u32,
    /// Whose rows.
    pub table: &'static Table,
    /// The shape that they had.
    from: u8,
    /// From the value of a row to that of the next shape.
    change: fn(&[u8]) -> Vec<u8>,
}

/// Every step, in order.
pub static STEPS: [Step; 2] = [
    Step { version: 3, table: &mailbox::PRIVATE.owners, from: 1, change: no_full_queues },
    Step { version: 3, table: &mailbox::PUBLIC.owners, from: 1, change: no_full_queues },
];

/// An owner knows which of its queues were full: none yet, a list of length 0.
fn no_full_queues(owner: &[u8]) -> Vec<u8> {
    [owner, &0_u64.to_le_bytes()].concat()
}

impl Step {
    /// A row as this step leaves it; `None` if it is so already.
    ///
    /// # Errors
    /// [`RowsError`] if the row is older than the step before.
    pub fn apply(&self, row: &[u8]) -> Result<Option<Vec<u8>>, RowsError> {
        match row.split_first() {
            Some((shape, value)) if *shape == self.from => {
                let next = self.from.saturating_add(1);
                Ok(Some([&[next], (self.change)(value).as_slice()].concat()))
            }
            Some((shape, _)) if *shape > self.from => Ok(None),
            _ => Err(RowsError(format!("a row of `{}` has no shape", self.table.name))),
        }
    }
}

/// The shape of a table's rows now.
pub(super) fn shape(table: &'static Table) -> u8 {
    let steps = STEPS.iter().filter(|step| step.table.name == table.name);
    steps.fold(1, |shape, _| shape.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::{OLDEST_VERSION, STEPS, VERSION, shape};
    use crate::rows;

    #[test]
    fn steps_follow_one_another() {
        let mut version = OLDEST_VERSION;
        for (index, step) in STEPS.iter().enumerate() {
            assert!([version, version + 1].contains(&step.version), "step {index}");
            version = step.version;
            let before = STEPS[..index].iter().filter(|it| it.table.name == step.table.name);
            assert_eq!(usize::from(step.from), 1 + before.count(), "step {index}");
        }
        assert_eq!((version, VERSION), (3, 4), "4 has no step");
        let tables = || rows::tables().into_iter().chain(rows::mailbox::tables());
        assert!(STEPS.iter().all(|step| tables().any(|table| table == step.table)));
        assert_eq!(shape(&rows::mailbox::PRIVATE.owners), 2);
        assert_eq!(shape(&rows::message::MESSAGES), 1);
    }

    #[test]
    fn a_step_is_done_once() {
        let step = &STEPS[0];
        let done = step.apply(&[1, 7]).unwrap().unwrap();
        assert_eq!(done, [2, 7, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(step.apply(&done), Ok(None));
        assert!(step.apply(&[]).is_err() && step.apply(&[0]).is_err());
    }
}
