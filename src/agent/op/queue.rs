//! One operation at a time changes a release; the others wait in the order in which they came.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use crate::session::SessionId;

/// A release in the world: cluster, namespace, name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ReleaseKey {
    /// The agent's name for the cluster, and its context.
    pub cluster: (String, Option<String>),
    /// The namespace.
    pub namespace: String,
    /// The release.
    pub release: String,
}

#[derive(Default)]
struct Lines {
    lines: HashMap<ReleaseKey, VecDeque<Place>>,
    /// The number of the next place: a session may be in a line twice, so places are told apart by more than it.
    next: u64,
}

struct Place {
    number: u64,
    id: SessionId,
}

/// The lines before all releases. Clones are one queue.
#[derive(Clone)]
pub struct Queue {
    lines: Arc<Mutex<Lines>>,
    changed: watch::Sender<()>,
}

/// A place in a line. Dropping it leaves the line.
pub struct Ticket {
    queue: Queue,
    key: ReleaseKey,
    number: u64,
}

impl Default for Queue {
    fn default() -> Self {
        Self { lines: Arc::default(), changed: watch::Sender::new(()) }
    }
}

impl Queue {
    /// Takes the last place.
    pub fn enter(&self, key: ReleaseKey, id: SessionId) -> Ticket {
        let number = self.lock().push(key.clone(), id);
        Ticket { queue: self.clone(), key, number }
    }

    /// Takes the only place, or says who holds the release.
    pub fn enter_if_free(&self, key: ReleaseKey, id: SessionId) -> Result<Ticket, SessionId> {
        let mut lines = self.lock();
        if let Some(first) = lines.lines.get(&key).and_then(VecDeque::front) {
            return Err(first.id.clone());
        }
        let number = lines.push(key.clone(), id);
        Ok(Ticket { queue: self.clone(), key, number })
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    fn push(&mut self, key: ReleaseKey, id: SessionId) -> u64 {
        let number = self.next;
        self.next += 1;
        self.lines.entry(key).or_default().push_back(Place { number, id });
        number
    }
}

impl Ticket {
    /// The session right before this one; `None` when it is this one's turn.
    pub fn ahead(&self) -> Option<SessionId> {
        let lines = self.queue.lock();
        let line = lines.lines.get(&self.key)?;
        let place = line.iter().position(|place| place.number == self.number)?;
        place.checked_sub(1).map(|before| line[before].id.clone())
    }

    /// The session whose turn it is, when it is another's.
    pub fn holder(&self) -> Option<SessionId> {
        let lines = self.queue.lock();
        let first = lines.lines.get(&self.key)?.front()?;
        (first.number != self.number).then(|| first.id.clone())
    }

    /// Returns when it is this one's turn.
    pub async fn turn(&self) {
        let mut changed = self.queue.changed.subscribe();
        while self.ahead().is_some() {
            // The sender lives in `self`, so it cannot be gone.
            changed.changed().await.ok();
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut lines = self.queue.lock();
        if let Some(line) = lines.lines.get_mut(&self.key) {
            line.retain(|place| place.number != self.number);
            if line.is_empty() {
                lines.lines.remove(&self.key);
            }
        }
        drop(lines);
        self.queue.changed.send_replace(());
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn key(release: &str) -> ReleaseKey {
        ReleaseKey { cluster: ("dev".into(), None), namespace: "shop".into(), release: release.into() }
    }

    fn id(text: &str) -> SessionId {
        SessionId::parse(text).unwrap()
    }

    #[tokio::test]
    async fn sessions_take_turns_in_order() {
        let queue = Queue::default();
        let first = queue.enter(key("web"), id("1"));
        let second = queue.enter(key("web"), id("2"));
        let third = queue.enter(key("web"), id("3"));
        assert_eq!((first.ahead(), second.ahead(), third.ahead()), (None, Some(id("1")), Some(id("2"))));
        assert_eq!((first.holder(), third.holder()), (None, Some(id("1"))));
        assert!(second.turn().now_or_never().is_none());
        drop(first);
        second.turn().await;
        drop(second);
        third.turn().await;
    }

    #[tokio::test]
    async fn one_who_gives_up_does_not_hold_the_others() {
        let queue = Queue::default();
        let first = queue.enter(key("web"), id("1"));
        let second = queue.enter(key("web"), id("2"));
        let third = queue.enter(key("web"), id("3"));
        drop(second);
        assert_eq!(third.ahead(), Some(id("1")));
        drop(first);
        third.turn().await;
    }

    #[test]
    fn a_place_given_up_leaves_the_other_one_of_its_session() {
        let queue = Queue::default();
        let first = queue.enter(key("web"), id("1"));
        let again = queue.enter(key("web"), id("1"));
        let second = queue.enter(key("web"), id("2"));
        drop(again);
        assert_eq!((first.ahead(), second.ahead()), (None, Some(id("1"))));
    }

    #[tokio::test]
    async fn a_turn_wakes_who_waits_for_it() {
        let queue = Queue::default();
        let first = queue.enter(key("web"), id("1"));
        let second = queue.enter(key("web"), id("2"));
        let waits = async { second.turn().await };
        let leaves = async {
            tokio::task::yield_now().await;
            drop(first);
        };
        futures::join!(waits, leaves);
    }

    #[test]
    fn releases_do_not_wait_for_each_other() {
        let queue = Queue::default();
        let web = queue.enter(key("web"), id("1"));
        assert_eq!(queue.enter(key("db"), id("2")).ahead(), None);
        assert_eq!(queue.enter_if_free(key("web"), id("3")).err(), Some(id("1")));
        drop(web);
        assert!(queue.enter_if_free(key("web"), id("3")).is_ok());
    }
}
