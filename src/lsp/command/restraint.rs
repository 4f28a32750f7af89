//! Whether an agent that only the workspace's own files name may be contacted without being asked for.
//!
//! Opening a folder is no reason to send a secret to whoever wrote its `.ktl.yaml`: until the user runs a command,
//! such contacts are held back. Of a contact and the first command that race, exactly one makes the contact.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Holds back until the first command.
#[derive(Default)]
pub(super) struct Restraint {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    commanded: bool,
    held_back: bool,
}

impl Restraint {
    /// The user ran a command. Whether a contact was held back before, which the caller now owes.
    pub(super) fn lift(&self) -> bool {
        let mut state = self.lock();
        state.commanded = true;
        std::mem::take(&mut state.held_back)
    }

    /// Whether a contact may be made now; one that may not is owed by the next [`lift`](Self::lift).
    pub(super) fn admits(&self) -> bool {
        let mut state = self.lock();
        state.held_back |= !state.commanded;
        state.commanded
    }

    /// Another folder was opened; what was commanded before did not mean it.
    pub(super) fn renew(&self) {
        self.lock().commanded = false;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_is_made_once_whether_it_or_the_command_comes_first() {
        let restraint = Restraint::default();
        let contacts = [restraint.admits(), restraint.lift(), restraint.lift()];
        assert_eq!(contacts, [false, true, false], "the command makes it");
        let restraint = Restraint::default();
        let contacts = [restraint.lift(), restraint.admits(), restraint.lift()];
        assert_eq!(contacts, [false, true, false], "it is made at once");
    }

    #[test]
    fn another_folder_waits_for_a_command_of_its_own() {
        let restraint = Restraint::default();
        restraint.lift();
        restraint.renew();
        assert!(!restraint.admits());
        assert!(restraint.lift());
    }
}
