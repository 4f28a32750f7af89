//! Numbers that only look random.

use crate::session::Status;

/// A xorshift generator: the same numbers for the same seed, on every machine.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    pub(super) fn at(&mut self, length: u64) -> usize {
        usize::try_from(self.below(length)).unwrap()
    }

    pub(super) fn flip(&mut self) -> bool {
        self.below(2) == 0
    }

    pub(super) fn status(&mut self) -> Status {
        Status::ALL[self.at(5)]
    }

    pub(super) fn team(&mut self) -> &'static str {
        ["a", "b"][self.at(2)]
    }
}
