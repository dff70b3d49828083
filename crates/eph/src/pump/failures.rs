//! What follows a failure of a handler.

use std::time::Duration;

use crate::handler::Verdict;
use crate::options::FailurePolicy;

/// Waits of a restart that an error asks for where the policy has none.
const DELAYS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The failures of one partition in a row.
#[derive(Clone, Debug)]
pub(crate) struct Failures {
    policy: FailurePolicy,
    /// The event they were at; none when the partition could not even be opened.
    at: Option<i64>,
    count: u32,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Restart { after: Duration },
    Skip,
    Stop,
}

impl Failures {
    pub(crate) fn new(policy: FailurePolicy) -> Self {
        Self { policy, at: None, count: 0 }
    }

    /// Failures in a row.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// A handler failed at the event `at`, and everything up to `done` is finished. What the error
    /// itself says counts more than the policy.
    pub(crate) fn failed(&mut self, at: Option<i64>, done: i64, verdict: Option<Verdict>) -> Next {
        self.went_on(done);
        self.at = match (self.at, at) {
            // Of several lanes that fail by turns the earliest one is waited for.
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        let policy = match self.policy {
            FailurePolicy::Restart { .. } => Verdict::Restart,
            FailurePolicy::Skip => Verdict::Skip,
            FailurePolicy::Stop => Verdict::Stop,
        };
        match verdict.unwrap_or(policy) {
            Verdict::Restart => {
                self.count = self.count.saturating_add(1);
                Next::Restart { after: self.delay() }
            }
            Verdict::Skip => Next::Skip,
            Verdict::Stop => Next::Stop,
        }
    }

    /// Everything up to this event is finished: when that is beyond the one that failed, it is
    /// forgotten.
    pub(crate) fn went_on(&mut self, done: i64) {
        if self.at.is_some_and(|at| done >= at) {
            (self.at, self.count) = (None, 0);
        }
    }

    /// What could not be opened was.
    pub(crate) fn opened(&mut self) {
        if self.at.is_none() {
            self.count = 0;
        }
    }

    /// The first wait, twice as long after each failure in a row, up to the longest.
    fn delay(&self) -> Duration {
        let (delay, longest) = match self.policy {
            FailurePolicy::Restart { delay, delay_max } => (delay, delay_max),
            FailurePolicy::Skip | FailurePolicy::Stop => DELAYS,
        };
        let doublings = self.count.saturating_sub(1).min(31);
        delay.saturating_mul(1 << doublings).min(longest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn restart(delay: u64, longest: u64) -> FailurePolicy {
        let (delay, delay_max) = (Duration::from_secs(delay), Duration::from_secs(longest));
        FailurePolicy::Restart { delay, delay_max }
    }

    #[test]
    fn waits_double_up_to_the_longest_and_begin_anew_after_a_success() {
        let mut failures = Failures::new(restart(1, 10));
        let mut waits = Vec::new();
        for _ in 0..6 {
            let Next::Restart { after } = failures.failed(Some(7), 6, None) else { panic!() };
            waits.push(after.as_secs());
        }
        assert_eq!(waits, [1, 2, 4, 8, 10, 10]);
        assert_eq!(failures.count(), 6);
        failures.went_on(6);
        assert_eq!(failures.count(), 6, "the event itself is not done");
        let again = failures.failed(Some(8), 7, None);
        assert_eq!(again, Next::Restart { after: SECOND });
    }

    #[test]
    fn what_the_error_says_beats_the_policy() {
        for policy in [restart(1, 10), FailurePolicy::Skip, FailurePolicy::Stop] {
            let mut failures = Failures::new(policy);
            assert_eq!(failures.failed(Some(0), -1, Some(Verdict::Skip)), Next::Skip);
            assert_eq!(failures.failed(Some(0), -1, Some(Verdict::Stop)), Next::Stop);
            let next = failures.failed(Some(0), -1, Some(Verdict::Restart));
            assert_eq!(next, Next::Restart { after: SECOND });
        }
        assert_eq!(Failures::new(FailurePolicy::Skip).failed(Some(0), -1, None), Next::Skip);
        assert_eq!(Failures::new(FailurePolicy::Stop).failed(Some(0), -1, None), Next::Stop);
    }

    #[test]
    fn a_partition_that_cannot_be_opened_waits_longer_and_longer() {
        let mut failures = Failures::new(restart(1, 10));
        failures.failed(None, -1, None);
        assert_eq!(failures.failed(None, -1, None), Next::Restart { after: 2 * SECOND });
        failures.opened();
        assert_eq!(failures.failed(Some(3), 2, None), Next::Restart { after: SECOND });
    }

    proptest! {
        /// Lanes that fail by turns do not reset each other's wait while the earliest is stuck.
        #[test]
        fn waits_never_fall_while_the_earliest_event_fails(
            others in proptest::collection::vec(proptest::option::of(10_i64..20), 1..40),
        ) {
            let mut failures = Failures::new(restart(1, 60));
            let mut last = Duration::ZERO;
            for at in others {
                let at = at.unwrap_or(9);
                let Next::Restart { after } = failures.failed(Some(at), 8, None) else { panic!() };
                prop_assert!(after >= last && after <= 60 * SECOND);
                last = after;
            }
        }
    }
}
