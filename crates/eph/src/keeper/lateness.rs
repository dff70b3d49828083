//! When a renewal is late enough to tell. Pure.

use std::time::Duration;

use crate::ownership::Timing;

/// Watches the age of the proof.
#[derive(Clone, Debug)]
pub(super) struct Lateness {
    /// From one renewal to the next.
    renewal: Duration,
    /// An older proof is told of.
    limit: Duration,
    /// When the last call that proved the lease began.
    proven: Duration,
    is_told: bool,
}

impl Lateness {
    /// A third of the lease; more when renewals are that far apart, or each of them would be late.
    pub(super) fn new(timing: Timing, proven: Duration) -> Self {
        let limit = (timing.lease / 3).max(timing.renewal + timing.margin());
        Self { renewal: timing.renewal, limit, proven, is_told: false }
    }

    /// When to look, unless the lease is proven before.
    pub(super) fn tell_at(&self) -> Option<Duration> {
        (!self.is_told).then(|| self.proven + self.limit)
    }

    /// How late the renewal is, if that has to be told now: once until it succeeds.
    pub(super) fn tell(&mut self, now: Duration) -> Option<Duration> {
        let is_due = self.tell_at().is_some_and(|at| now >= at);
        self.is_told |= is_due;
        is_due.then(|| now.saturating_sub(self.proven + self.renewal))
    }

    /// How much later than it is due a renewal begins.
    pub(super) fn begins(&self, now: Duration) -> Duration {
        now.saturating_sub(self.proven + self.renewal)
    }

    /// A renewal that was begun at `asked` succeeded; how late it was, zero unless that is worth
    /// telling.
    pub(super) fn proved(&mut self, asked: Duration, now: Duration) -> Duration {
        let late = match now.saturating_sub(self.proven) > self.limit {
            true => now.saturating_sub(self.proven + self.renewal),
            false => Duration::ZERO,
        };
        self.proven = self.proven.max(asked);
        self.is_told = false;
        late
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn an_old_proof_is_told_once_until_there_is_another() {
        let mut lateness = Lateness::new(Timing::default(), at(0));
        assert_eq!((lateness.tell_at(), lateness.tell(at(19))), (Some(at(20)), None));
        assert_eq!(lateness.tell(at(20)), Some(at(10)));
        assert_eq!((lateness.tell_at(), lateness.tell(at(30))), (None, None));
        assert_eq!(lateness.proved(at(30), at(31)), at(21));
        assert_eq!(lateness.tell_at(), Some(at(50)));
        assert_eq!(lateness.proved(at(40), at(49)), Duration::ZERO, "not worth a word");
    }

    #[test]
    fn renewals_as_far_apart_as_they_may_be_are_not_all_late() {
        let timing = Timing { lease: at(15), renewal: at(5), ..Timing::default() };
        let mut lateness = Lateness::new(timing, at(0));
        assert_eq!(lateness.proved(at(5), at(6)), Duration::ZERO);
        assert_eq!(lateness.proved(at(10), at(13)), at(3));
    }

    #[test]
    fn an_answer_that_is_older_than_another_proves_nothing_new() {
        let mut lateness = Lateness::new(Timing::default(), at(0));
        lateness.proved(at(20), at(20));
        lateness.proved(at(10), at(21));
        assert_eq!(lateness.tell_at(), Some(at(40)));
    }
}
