//! Delays that vary, from a seed.

use std::time::Duration;

/// Gives out the same delays for the same seed.
#[derive(Debug, Clone)]
pub(crate) struct Jitter {
    most: Duration,
    seed: u64,
    state: u64,
}

impl Jitter {
    /// Delays from nothing to `most`.
    pub(crate) fn new(most: Duration, seed: u64) -> Self {
        Self { most, seed, state: seed }
    }

    /// What it was made of.
    pub(crate) fn origin(&self) -> (Duration, u64) {
        (self.most, self.seed)
    }

    /// The next delay.
    pub(crate) fn delay(&mut self) -> Duration {
        if self.most.is_zero() {
            return Duration::ZERO;
        }
        // SplitMix64.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let most = u64::try_from(self.most.as_nanos()).unwrap_or(u64::MAX);
        // The upper half of the product is even over 0..=most.
        let nanos = (u128::from(mixed) * (u128::from(most) + 1)) >> 64;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_within_bounds_differ_and_come_again() {
        let most = Duration::from_millis(100);
        let delays = |seed| {
            let mut jitter = Jitter::new(most, seed);
            (0..1000).map(|_| jitter.delay()).collect::<Vec<_>>()
        };
        for seed in [0, 1, u64::MAX] {
            let all = delays(seed);
            assert_eq!(all, delays(seed), "seed {seed}");
            assert!(all.iter().all(|delay| *delay <= most), "seed {seed}");
            let mean = all.iter().sum::<Duration>() / 1000;
            assert!(mean > most / 3 && mean < most * 2 / 3, "seed {seed}: {mean:?}");
        }
        assert_ne!(delays(0), delays(1));
        assert_eq!(Jitter::new(Duration::ZERO, 7).delay(), Duration::ZERO);
    }
}
