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
