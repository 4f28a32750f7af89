//! Growing, jittered delays between attempts.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::Duration,
};

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);

/// Doubles from 100 ms to 10 s, each by up to a quarter longer or shorter, so that a hundred editors do not knock at
/// an agent that comes back in the same instant.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Backoff {
    attempt: u32,
}

impl Backoff {
    /// The delay before the next attempt.
    pub(super) fn next(&mut self) -> Duration {
        let plain = FIRST.saturating_mul(1 << self.attempt.min(16)).min(LONGEST);
        self.attempt = self.attempt.saturating_add(1);
        plain * (75 + random_below(51)) / 100
    }

    /// It worked: the next delay is the first again.
    pub(super) fn reset(&mut self) {
        self.attempt = 0;
    }
}

/// Every `RandomState` of std has keys of its own; that is random enough to spread attempts.
fn random_below(limit: u32) -> u32 {
    let hash = RandomState::new().build_hasher().finish();
    u32::try_from(hash % u64::from(limit)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_a_ceiling_and_start_again() {
        let mut backoff = Backoff::default();
        let delays: Vec<_> = (0..40).map(|_| backoff.next()).collect();
        assert!(delays[0] <= FIRST * 5 / 4);
        assert!(delays[3] > delays[0]);
        assert!(delays.iter().all(|delay| *delay <= LONGEST * 5 / 4));
        assert!(delays[39] >= LONGEST * 3 / 4);
        backoff.reset();
        assert!(backoff.next() <= FIRST * 5 / 4);
    }
}
