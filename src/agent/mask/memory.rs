//! What sessions are known to hold, in memory only and as long as there is room: the frames of a session, its
//! metadata, its end and the agent's own log hide the same values.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use super::{
    MarkKey, Masker,
    known::{self, Known},
    span::{Hidden, merge},
};
use crate::session::SessionId;

/// The most sessions whose values are remembered. The one that was asked for the longest ago is forgotten first.
const MOST: usize = 1024;

/// The values of one session.
#[derive(Default)]
pub(super) struct Held(RwLock<Arc<Known>>);

impl Held {
    pub(super) fn get(&self) -> Arc<Known> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn learn(&self, values: impl IntoIterator<Item = String>) {
        let known = self.get();
        let new = values.into_iter().map(|value| value.trim().to_owned());
        let new: Vec<String> =
            new.filter(|value| !known.contains(value) && known::is_worth_hiding(value)).collect();
        if new.is_empty() || known.is_full() {
            return;
        }
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let all = held.values().iter().cloned().chain(new);
        *held = Arc::new(Known::new(all));
    }

    /// Learns what a text gives away by its structure.
    pub(super) fn learn_from(&self, text: &str, found: &[Hidden]) {
        if !found.is_empty() {
            self.learn_distinctive(found.iter().flat_map(|hidden| known::values_of(text, hidden)).collect());
        }
    }

    /// Learns values out of ordinary text, where `password: wrong` is said too: no plain words.
    pub(super) fn learn_distinctive(&self, values: Vec<String>) {
        self.learn(values.into_iter().filter(|value| known::is_distinctive(value)));
    }
}

/// The values of all sessions. Cheap to clone; all clones are one memory.
#[derive(Clone, Default)]
pub struct Memory(Arc<Mutex<Sessions>>);

#[derive(Default)]
struct Sessions {
    held: HashMap<SessionId, (u64, Arc<Held>)>,
    asked: u64,
}

impl Memory {
    /// The masker of a session, which knows what every other masker of the same session learned, and `known`.
    pub fn masker(
        &self,
        key: &MarkKey,
        session: &SessionId,
        known: impl IntoIterator<Item = String>,
    ) -> Masker {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let held = sessions.of(session);
        drop(sessions);
        Masker::with(key.of_session(session), held, known)
    }

    /// A text of the agent itself, which may speak of any session. Nothing is learned from it.
    pub fn mask_log(&self, text: &str) -> String {
        let sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: Vec<Arc<Held>> = sessions.held.values().map(|(_, held)| Arc::clone(held)).collect();
        drop(sessions);
        let mut found = super::rules::find(text);
        found.extend(all.iter().flat_map(|held| held.get().find(text)));
        super::rewrite(text, &merge(text, found), |out, _, _| out.push_str("«secret»"))
    }
}

impl Sessions {
    fn of(&mut self, session: &SessionId) -> Arc<Held> {
        self.asked += 1;
        let asked = self.asked;
        if let Some((last, held)) = self.held.get_mut(session) {
            *last = asked;
            return Arc::clone(held);
        }
        if self.held.len() >= MOST {
            let oldest = self.held.iter().min_by_key(|(_, (last, _))| *last).map(|(id, _)| id.clone());
            oldest.map(|id| self.held.remove(&id));
        }
        let held = Arc::<Held>::default();
        self.held.insert(session.clone(), (asked, Arc::clone(&held)));
        held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_masker_of_a_session_learned_all_of_them_know() {
        let (memory, key, id) = (Memory::default(), MarkKey::random(), SessionId::mint());
        let first = memory.masker(&key, &id, []);
        let second = memory.masker(&key, &id, []);
        first.mask("password: hunter-two".to_owned());
        assert!(!second.mask("it was hunter-two".to_owned()).get().contains("hunter-two"));
        assert!(!memory.mask_log("it was hunter-two").contains("hunter-two"));
        let other = memory.masker(&key, &SessionId::mint(), []);
        assert!(other.mask("it was hunter-two".to_owned()).get().contains("hunter-two"));
    }

    #[test]
    fn plain_words_are_not_learned_from_texts() {
        let masker = Masker::new([]);
        masker.mask("password: incorrect".to_owned());
        assert_eq!(masker.mask("incorrect".to_owned()).get(), "incorrect");
    }

    #[test]
    fn the_session_of_longest_ago_is_forgotten() {
        let (memory, key) = (Memory::default(), MarkKey::random());
        let first = SessionId::mint();
        memory.masker(&key, &first, ["hunter-two".to_owned()]);
        for _ in 0..MOST {
            memory.masker(&key, &SessionId::mint(), []);
        }
        assert!(memory.mask_log("hunter-two").contains("hunter-two"));
    }
}
