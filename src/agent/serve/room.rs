//! How many connections may be open, and how many more are told that these are too many.

use std::sync::Arc;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections beyond the limit that are answered at a time; further ones are closed without a word.
const ANSWERED: usize = 64;
/// Files that are kept for the store, for helm and for clusters.
const RESERVED: u64 = 256;
/// The least number of connections, whatever the system allows.
const LEAST: u64 = 64;

/// The places of one port.
pub(super) struct Room {
    served: Arc<Semaphore>,
    answered: Arc<Semaphore>,
}

/// A place, until it is dropped.
pub(super) enum Place {
    /// Within the limit.
    Served(#[allow(dead_code)] OwnedSemaphorePermit), // Held for its drop.
    /// Beyond it, and to be told so.
    Refused(#[allow(dead_code)] OwnedSemaphorePermit),
}

impl Room {
    /// Room for so many connections.
    pub(super) fn new(connections: usize) -> Self {
        let places = |count| Arc::new(Semaphore::new(count));
        Self { served: places(connections), answered: places(ANSWERED) }
    }

    /// A place for one more; none when not even the answer has one.
    pub(super) fn take(&self) -> Option<Place> {
        let served = Arc::clone(&self.served).try_acquire_owned().map(Place::Served);
        served.or_else(|_| Arc::clone(&self.answered).try_acquire_owned().map(Place::Refused)).ok()
    }
}

/// How many connections this process can have, at most `most`. Takes as many files as the system lets it: the usual
/// soft limit of 1,024 is for programs that know no better.
pub(super) fn connections(most: usize) -> usize {
    let limits = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limits.maximum, ..limits };
    let files = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => raised.current,
        Err(_) => limits.current,
    };
    let free = files.map_or(u64::MAX, |files| files.saturating_sub(RESERVED).max(LEAST));
    usize::try_from(free).unwrap_or(usize::MAX).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_beyond_the_limit_is_told_until_that_is_too_much_too() {
        let room = Room::new(1);
        let first = room.take();
        assert!(matches!(first, Some(Place::Served(_))));
        let told: Vec<_> = (0..ANSWERED).map(|_| room.take()).collect();
        assert!(told.iter().all(|place| matches!(place, Some(Place::Refused(_)))));
        assert!(room.take().is_none());
        drop(first);
        assert!(matches!(room.take(), Some(Place::Served(_))));
    }

    #[test]
    fn there_is_room_whatever_the_system_says() {
        assert!(connections(usize::MAX) >= usize::try_from(LEAST).unwrap());
        assert_eq!(connections(10), 10);
    }
}
