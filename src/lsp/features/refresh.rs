//! Asks the client to fetch lenses again, at a pace that it can follow.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep_until, timeout};

use crate::{editor::Editor, task};

/// A client is asked at most so often.
const PACE: Duration = Duration::from_millis(500);
const DEADLINE: Duration = Duration::from_secs(5);

/// A handle; clones share the pace.
#[derive(Clone)]
pub(crate) struct Refresh {
    editor: Editor,
    /// When the client was or will be asked last.
    due: Arc<Mutex<Option<Instant>>>,
}

impl Refresh {
    pub(crate) fn new(editor: Editor) -> Self {
        Self { editor, due: Arc::default() }
    }

    /// Lenses say something else now.
    pub(crate) fn lenses(&self) {
        if !self.editor.agreed().lens_refresh {
            return;
        }
        let Some(due) = self.schedule() else { return };
        let client = self.editor.client.clone();
        task::spawn("lenses", async move {
            sleep_until(due).await;
            if let Ok(Err(error)) = timeout(DEADLINE, client.code_lens_refresh()).await {
                tracing::debug!(%error, "the client does not refresh lenses");
            }
        });
    }

    fn schedule(&self) -> Option<Instant> {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let next = next(*due, Instant::now())?;
        *due = Some(next);
        Some(next)
    }
}

/// When to ask; `None` when one that is on its way will bring this too.
fn next(due: Option<Instant>, now: Instant) -> Option<Instant> {
    match due {
        None => Some(now),
        Some(due) if due > now => None,
        Some(due) => Some(now.max(due + PACE)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_asked_at_once_and_then_at_its_pace() {
        let now = Instant::now();
        assert_eq!(next(None, now), Some(now));
        assert_eq!(next(Some(now), now), Some(now + PACE));
        assert_eq!(next(Some(now + PACE), now), None, "one is on its way");
        assert_eq!(next(Some(now), now + PACE * 2), Some(now + PACE * 2));
    }
}
