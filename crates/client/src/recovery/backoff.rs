//! How long to wait before the next try: decided without a clock and without a random source.

use std::time::Duration;

/// Waits that double from `base` up to `max`, each cut short at random.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Backoff {
    pub(crate) base: Duration,
    pub(crate) max: Duration,
}

impl Backoff {
    /// The wait after `failures` failures in a row, the first of them being 1.
    ///
    /// Full jitter with a floor: anything from half of `base` up to `base` doubled for each failure
    /// after the first, never above `max`. `random` picks the place; callers that failed together
    /// do not come back together.
    pub(crate) fn delay(self, failures: u32, random: u64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let ceiling = self.base.saturating_mul(1 << doublings).min(self.max);
        let floor = (self.base / 2).min(ceiling);
        floor + scale(ceiling - floor, random)
    }
}

/// A share of `length`: nothing for 0, all of it for `u64::MAX`.
pub(crate) fn scale(length: Duration, random: u64) -> Duration {
    let nanos = length.as_nanos().saturating_mul(u128::from(random)) / u128::from(u64::MAX);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BACKOFF: Backoff =
        Backoff { base: Duration::from_millis(500), max: Duration::from_secs(30) };

    #[test]
    fn waits_double_up_to_the_largest() {
        let longest = |failures| BACKOFF.delay(failures, u64::MAX).as_millis();
        assert_eq!([1, 2, 3, 4].map(longest), [500, 1_000, 2_000, 4_000]);
        assert_eq!([7, 8, 40, u32::MAX].map(longest), [30_000; 4]);
        assert_eq!(longest(0), 500);
    }

    #[test]
    fn a_largest_wait_below_the_base_is_kept() {
        let odd = Backoff { base: Duration::from_secs(4), max: Duration::from_secs(1) };
        assert_eq!(odd.delay(1, 0), Duration::from_secs(1));
        assert_eq!(Backoff { base: Duration::ZERO, ..BACKOFF }.delay(9, u64::MAX), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn a_wait_lies_between_half_the_base_and_the_ceiling(failures in 1_u32..100, random: u64) {
            let wait = BACKOFF.delay(failures, random);
            prop_assert!(wait >= BACKOFF.base / 2);
            prop_assert!(wait <= BACKOFF.max);
            prop_assert!(wait <= BACKOFF.delay(failures, u64::MAX));
        }

        #[test]
        fn the_random_number_moves_the_wait(failures in 1_u32..20, low: u32) {
            let half = BACKOFF.delay(failures, u64::from(low));
            prop_assert!(half < BACKOFF.delay(failures, u64::MAX));
        }
    }
}
