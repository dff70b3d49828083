//! Which epoch the next owner gets.

use std::collections::BTreeMap;

use eventhubs_protocol::{OwnerLevel, PartitionId};

use crate::lease::EpochMode;

/// Remembers the highest epoch of each partition that this host has seen, and gives the next.
///
/// # Examples
///
/// ```
/// use eventhubs_eph::ownership::{EpochMode, Epochs};
/// use eventhubs_protocol::OwnerLevel;
///
/// let four = OwnerLevel::new(4)?;
/// let mut epochs = Epochs::new(EpochMode::Rising);
/// assert_eq!(epochs.next(0.into(), four), Some(four.next()));
/// // The store lost the lease and has a new one: epochs go on rising all the same.
/// assert_eq!(epochs.next(0.into(), OwnerLevel::ZERO), Some(four.next().next()));
/// # Ok::<(), eventhubs_protocol::InvalidValue>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Epochs {
    mode: EpochMode,
    seen: BTreeMap<PartitionId, OwnerLevel>,
}

impl Epochs {
    /// Nothing was seen yet.
    #[must_use]
    pub fn new(mode: EpochMode) -> Self {
        Self { mode, seen: BTreeMap::new() }
    }

    /// An epoch of the partition was seen, in the store or at the broker.
    pub fn see(&mut self, partition: PartitionId, epoch: OwnerLevel) {
        let seen = self.seen.entry(partition).or_insert(epoch);
        *seen = epoch.max(*seen);
    }

    /// The epoch of a claim on a lease that has the epoch `stored`. It counts as seen, whatever
    /// comes of the claim. `None` when there is no higher one.
    pub fn next(&mut self, partition: PartitionId, stored: OwnerLevel) -> Option<OwnerLevel> {
        if self.mode == EpochMode::Zero {
            return Some(OwnerLevel::ZERO);
        }
        self.see(partition, stored);
        let seen = self.seen.get_mut(&partition)?;
        let next = seen.next();
        // Above the highest there is none.
        if next == *seen {
            return None;
        }
        *seen = next;
        Some(next)
    }
}
