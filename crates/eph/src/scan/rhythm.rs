//! When to look again: decided without a clock and without a random source.

use std::time::Duration;

/// How far a scan may be early or late, as a part of its interval: hosts that were started together
/// do not go on scanning together.
const SPREAD: u32 = 20;

/// How long to wait after a scan that took `took`, of which the store says to come back after `rest`
/// at the earliest.
pub(crate) fn next_scan(
    interval: Duration,
    took: Duration,
    rest: Option<Duration>,
    random: u64,
) -> Duration {
    let spread = interval / SPREAD;
    let due = (interval - spread + scale(2 * spread, random)).saturating_sub(took);
    due.max(rest.unwrap_or_default())
}

/// Waits that double from `base` up to `max`, each cut short at random.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Backoff {
    pub(crate) base: Duration,
    pub(crate) max: Duration,
}

impl Backoff {
    /// The wait after `failures` failures in a row, the first of them being 1: from half of `base` up
    /// to `base` doubled for each failure after the first, never above `max`.
    pub(crate) fn delay(self, failures: u32, random: u64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let ceiling = self.base.saturating_mul(1 << doublings).min(self.max);
        let floor = (self.base / 2).min(ceiling);
        floor + scale(ceiling - floor, random)
    }
}

/// A share of `length`: nothing for 0, all of it for `u64::MAX`.
fn scale(length: Duration, random: u64) -> Duration {
    let nanos = length.as_nanos().saturating_mul(u128::from(random)) / u128::from(u64::MAX);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn scans_are_a_twentieth_early_or_late() {
        let next = |random| next_scan(10 * SECOND, Duration::ZERO, None, random).as_millis();
        assert_eq!([next(0), next(u64::MAX)], [9_500, 10_500]);
    }

    #[test]
    fn b06_a_store_that_is_busy_is_left_alone_for_as_long_as_it_asked() {
        let next = |rest| next_scan(10 * SECOND, SECOND, rest, 0);
        assert_eq!(next(Some(45 * SECOND)), 45 * SECOND);
        assert_eq!(next(Some(SECOND)), next(None), "it would not have been asked before");
    }

    #[test]
    fn a_scan_that_took_too_long_is_followed_at_once() {
        assert_eq!(next_scan(10 * SECOND, 60 * SECOND, None, 0), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn a_wait_lies_between_half_the_base_and_the_largest(failures in 1_u32..100, random: u64) {
            let backoff = Backoff { base: SECOND, max: 30 * SECOND };
            let wait = backoff.delay(failures, random);
            prop_assert!(wait >= SECOND / 2 && wait <= 30 * SECOND);
            prop_assert!(wait <= backoff.delay(failures + 1, u64::MAX));
        }
    }
}
