//! Who follows, and how far each has come: for those who watch the agent, never for the followers themselves.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::session::{Seq, SessionId};

/// All followers of a journal.
#[derive(Clone, Default)]
pub(super) struct Followers {
    next: Arc<AtomicU64>,
    all: Arc<Mutex<HashMap<u64, Following>>>,
}

struct Following {
    session: SessionId,
    taken: Arc<AtomicU64>,
}

impl Followers {
    /// Notes a follower until its [`Place`] is dropped.
    pub(super) fn join(&self, id: &SessionId, after: Seq) -> Place {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let taken = Arc::new(AtomicU64::new(after.0));
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(number, Following { session: id.clone(), taken: Arc::clone(&taken) });
        Place { number, taken, followers: self.clone() }
    }

    /// What each has taken, by session.
    pub(super) fn taken(&self) -> HashMap<SessionId, Vec<Seq>> {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let mut by_session: HashMap<SessionId, Vec<Seq>> = HashMap::new();
        for Following { session, taken } in all.values() {
            by_session.entry(session.clone()).or_default().push(Seq(taken.load(Ordering::Relaxed)));
        }
        by_session
    }
}

/// Where one follower is.
pub(super) struct Place {
    number: u64,
    taken: Arc<AtomicU64>,
    followers: Followers,
}

impl Place {
    /// It has taken everything up to here.
    pub(super) fn took(&self, seq: Seq) {
        self.taken.store(seq.0, Ordering::Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = self.followers.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(&self.number);
    }
}
