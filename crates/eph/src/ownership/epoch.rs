//! Which epoch the next owner gets.

use std::collections::BTreeMap;

use eventhubs_protocol::PartitionId;

use crate::lease::EpochMode;

/// Remembers the highest epoch of each partition that this host has seen, and gives the next.
///
/// # Examples
///
/// ```
/// use eventhubs_eph::ownership::{EpochMode, Epochs};
///
/// let mut epochs = Epochs::new(EpochMode::Rising);
/// assert_eq!(epochs.next(0.into(), 4), Some(5));
/// // The store lost the lease and has a new one: epochs go on rising all the same.
/// assert_eq!(epochs.next(0.into(), 0), Some(6));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Epochs {
    mode: EpochMode,
    seen: BTreeMap<PartitionId, i64>,
}

impl Epochs {
    /// Nothing was seen yet.
    #[must_use]
    pub fn new(mode: EpochMode) -> Self {
        Self { mode, seen: BTreeMap::new() }
    }

    /// An epoch of the partition was seen, in the store or at the broker.
    pub fn see(&mut self, partition: PartitionId, epoch: i64) {
        let seen = self.seen.entry(partition).or_insert(epoch);
        *seen = epoch.max(*seen);
    }

    /// The epoch of a claim on a lease that has the epoch `stored`. It counts as seen, whatever
    /// comes of the claim. `None` when there is no higher one.
    pub fn next(&mut self, partition: PartitionId, stored: i64) -> Option<i64> {
        if self.mode == EpochMode::Zero {
            return Some(0);
        }
        self.see(partition, stored.max(0));
        let seen = self.seen.get_mut(&partition)?;
        *seen = seen.checked_add(1)?;
        Some(*seen)
    }
}
