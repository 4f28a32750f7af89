//! Which sessions have an open publish stream: those are not silent, however long they say nothing.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::session::SessionId;

/// Open publish streams by session. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub struct Publishers(Arc<Mutex<HashMap<SessionId, usize>>>);

/// One stream that publishes to one session, until it is dropped.
pub struct Publishing {
    publishers: Publishers,
    id: SessionId,
}

impl Publishers {
    /// Notes a stream.
    pub fn enter(&self, id: &SessionId) -> Publishing {
        *self.lock().entry(id.clone()).or_default() += 1;
        Publishing { publishers: self.clone(), id: id.clone() }
    }

    /// Whether a stream is open for this session.
    pub fn has(&self, id: &SessionId) -> bool {
        self.lock().contains_key(id)
    }

    /// The sessions with open streams.
    pub fn sessions(&self) -> Vec<SessionId> {
        self.lock().keys().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Publishing {
    fn drop(&mut self) {
        let mut streams = self.publishers.lock();
        let left = streams.get(&self.id).map_or(0, |open| open - 1);
        if left == 0 {
            streams.remove(&self.id);
        } else {
            streams.insert(self.id.clone(), left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_published_to_until_its_last_stream_ends() {
        let publishers = Publishers::default();
        let id = SessionId::mint();
        let (first, second) = (publishers.enter(&id), publishers.enter(&id));
        drop(first);
        assert!(publishers.has(&id));
        drop(second);
        assert!(!publishers.has(&id) && publishers.sessions().is_empty());
    }
}
