//! What a host did, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::balance::TakeReason;
use crate::partition::CloseReason;

/// Kinds of [`CloseReason`], the last of which this is.
const REASONS: usize = CloseReason::Unregistered as usize + 1;

/// Numbers of a host, from
/// [`EventProcessorHost::statistics`](crate::EventProcessorHost::statistics). Counts are since the
/// host was made and only grow; what is a state of this moment says so.
///
/// # Examples
///
/// ```no_run
/// # fn example(host: eventhubs_eph::EventProcessorHost) {
/// use eventhubs_eph::CloseReason;
///
/// let statistics = host.statistics();
/// println!("{} owned, {} stolen", statistics.owned, statistics.lost(CloseReason::Stolen));
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostStatistics {
    /// Partitions owned at this moment.
    pub owned: u64,
    /// Events at this moment between the last one that is finished and the last one that the service
    /// has, over all owned partitions where that is known.
    pub lag_events: u64,
    /// The longest time by which an owned partition is behind at this moment, where that is known.
    pub lag_time: Duration,
    /// Partitions acquired that nobody held.
    pub acquired_free: u64,
    /// Partitions acquired whose lease had ended.
    pub acquired_expired: u64,
    /// Partitions acquired from hosts that had more than their share.
    pub acquired_surplus: u64,
    /// Partitions acquired again that the store had as this host's.
    pub acquired_own: u64,
    /// Partitions acquired that nobody else took.
    pub acquired_left_over: u64,
    /// Claims that another host was faster with.
    pub claims_lost: u64,
    /// Renewals of leases.
    pub renewals: u64,
    /// Those that were late.
    pub renewals_late: u64,
    /// By how much the latest of them was.
    pub renewal_lateness_max: Duration,
    /// Checkpoints that were written.
    pub checkpoints_stored: u64,
    /// Checkpoints that were not, because the store had a later one.
    pub checkpoints_behind: u64,
    /// Writes of checkpoints that failed.
    pub checkpoints_failed: u64,
    /// Events that all handlers finished.
    pub events_handled: u64,
    /// Calls of handlers that failed.
    pub handler_failures: u64,
    /// Handlers that did not end in their grace.
    pub handlers_abandoned: u64,
    /// Events that were passed over.
    pub events_skipped: u64,
    /// Looks at all leases.
    pub scans: u64,
    /// Those that came to nothing, because a store failed.
    pub scans_failed: u64,
    lost: [u64; REASONS],
}

impl HostStatistics {
    /// Ownerships that ended for this reason.
    #[must_use]
    pub fn lost(&self, reason: CloseReason) -> u64 {
        self.lost[reason as usize]
    }

    /// Ownerships that ended.
    #[must_use]
    pub fn lost_total(&self) -> u64 {
        self.lost.iter().sum()
    }
}

macro_rules! counters {
    ($($name:ident),+ $(,)?) => {
        /// The counters behind [`HostStatistics`].
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: Counter,)+
            lateness_max: AtomicU64,
            lost: [Counter; REASONS],
        }

        impl Counters {
            /// What was counted; states of this moment are for the caller to fill in.
            pub(crate) fn read(&self) -> HostStatistics {
                HostStatistics {
                    $($name: self.$name.read(),)+
                    renewal_lateness_max:
                        Duration::from_micros(self.lateness_max.load(Ordering::Relaxed)),
                    lost: std::array::from_fn(|at| self.lost[at].read()),
                    ..HostStatistics::default()
                }
            }
        }
    };
}

counters!(
    acquired_free,
    acquired_expired,
    acquired_surplus,
    acquired_own,
    acquired_left_over,
    claims_lost,
    renewals,
    renewals_late,
    checkpoints_stored,
    checkpoints_behind,
    checkpoints_failed,
    events_handled,
    handler_failures,
    handlers_abandoned,
    events_skipped,
    scans,
    scans_failed,
);

impl Counters {
    /// A partition was acquired.
    pub(crate) fn acquired(&self, reason: &TakeReason) {
        let counter = match reason {
            TakeReason::Free => &self.acquired_free,
            TakeReason::Expired { .. } => &self.acquired_expired,
            TakeReason::Surplus { .. } => &self.acquired_surplus,
            TakeReason::Own => &self.acquired_own,
            TakeReason::LeftOver { .. } => &self.acquired_left_over,
        };
        counter.add(1);
    }

    /// An ownership began to end.
    pub(crate) fn lost(&self, reason: CloseReason) {
        self.lost[reason as usize].add(1);
    }

    /// A lease was renewed, `late` after it was due; what is not worth a word is zero.
    pub(crate) fn renewed(&self, late: Duration) {
        self.renewals.add(1);
        if !late.is_zero() {
            self.renewals_late.add(1);
            let micros = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
            self.lateness_max.fetch_max(micros, Ordering::Relaxed);
        }
    }
}

/// One number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        // Nothing is ordered by it.
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_counted_by_itself() {
        let counters = Counters::default();
        let reasons = [CloseReason::Stopping, CloseReason::Stolen, CloseReason::Unregistered];
        for (at, reason) in reasons.into_iter().enumerate() {
            (0..=at).for_each(|_| counters.lost(reason));
        }
        let read = counters.read();
        assert_eq!(reasons.map(|reason| read.lost(reason)), [1, 2, 3]);
        assert_eq!((read.lost(CloseReason::Fenced), read.lost_total()), (0, 6));
    }

    #[test]
    fn the_latest_renewal_is_remembered() {
        let counters = Counters::default();
        for late in [0, 7, 3] {
            counters.renewed(Duration::from_millis(late));
        }
        let read = counters.read();
        assert_eq!((read.renewals, read.renewals_late), (3, 2));
        assert_eq!(read.renewal_lateness_max, Duration::from_millis(7));
    }
}
