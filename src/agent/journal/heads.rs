//! Who has to be told that a session has more.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::watch;

use crate::session::SessionId;

/// One `watch` for each session that somebody follows; a session without followers costs nothing.
#[derive(Clone, Default)]
pub(super) struct Heads(Arc<Mutex<HashMap<SessionId, watch::Sender<u64>>>>);

impl Heads {
    /// A receiver that changes with every later write to the session. Take it before the first read: then
    /// nothing falls in between.
    pub(super) fn watch(&self, id: &SessionId) -> watch::Receiver<u64> {
        let mut heads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Senders whose last follower has gone are dropped here, so the map is no larger than it ever had to be.
        heads.retain(|_, head| head.receiver_count() > 0);
        heads.entry(id.clone()).or_insert_with(|| watch::channel(0).0).subscribe()
    }

    /// Wakes the followers of a session.
    pub(super) fn raise(&self, id: &SessionId) {
        let heads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(head) = heads.get(id) {
            head.send_modify(|version| *version += 1);
        }
    }
}
