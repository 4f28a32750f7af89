//! Turns by session id: two who start one id take turns, and nobody else waits for them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::{Mutex as Line, OwnedMutexGuard};

use crate::session::SessionId;

/// A line before each id that somebody starts now. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub(super) struct Turns(Arc<Mutex<HashMap<SessionId, Weak<Line<()>>>>>);

/// The turn of one, until it is dropped.
pub(super) struct Turn {
    turns: Turns,
    held: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    /// Waits for the turn at this id.
    pub(super) async fn take(&self, id: &SessionId) -> Turn {
        let line = self.with(|lines| {
            lines.get(id).and_then(Weak::upgrade).unwrap_or_else(|| {
                let line = Arc::default();
                lines.insert(id.clone(), Arc::downgrade(&line));
                line
            })
        });
        Turn { turns: self.clone(), held: Some(line.lock_owned().await) }
    }

    fn with<T>(&self, change: impl FnOnce(&mut HashMap<SessionId, Weak<Line<()>>>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // Lines in which nobody stands are forgotten, those of callers who left while they waited too.
        self.held = None;
        self.turns.with(|lines| lines.retain(|_, line| line.strong_count() > 0));
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn only_starts_of_one_id_wait_for_each_other() {
        let turns = Turns::default();
        let (a, b) = (SessionId::parse("a").unwrap(), SessionId::parse("b").unwrap());
        let first = turns.take(&a).await;
        assert!(turns.take(&b).now_or_never().is_some(), "another id waited");
        let mut second = Box::pin(turns.take(&a));
        assert!(second.as_mut().now_or_never().is_none(), "the same id did not wait");
        drop(first);
        let second = second.now_or_never().unwrap();
        assert!(turns.take(&a).now_or_never().is_none());
        drop(second);
        assert_eq!(turns.with(|lines| lines.len()), 0, "a line is left behind");
    }
}
