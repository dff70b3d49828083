//! Numbers from a seed: the same seed is the same run.

use std::time::Duration;

/// SplitMix64.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub(crate) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from `low` up to and including `high`.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.draw() % (high - low + 1)
    }

    /// Whether something happens that does in `permille` of a thousand cases.
    pub(crate) fn chance(&mut self, permille: u64) -> bool {
        self.draw() % 1_000 < permille
    }

    /// Milliseconds from `low` up to and including `high`.
    pub(crate) fn millis(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.between(low, high))
    }

    /// A latency with a heavy tail: mostly below 30 ms, one of thirty above 0.3 s, one of a thousand
    /// above 10 s.
    pub(crate) fn latency(&mut self) -> Duration {
        match self.draw() % 1_000 {
            0 => self.millis(10_000, 90_000),
            1..=30 => self.millis(300, 10_000),
            _ => self.millis(3, 30),
        }
    }
}
