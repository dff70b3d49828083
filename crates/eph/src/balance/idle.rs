//! For how many scans a partition had no owner.

use std::collections::BTreeMap;

use eventhubs_protocol::PartitionId;

use crate::lease::LeaseTable;

/// Remembers from scan to scan which partitions nobody held.
///
/// # Examples
///
/// ```
/// use eventhubs_eph::balance::Idle;
/// use eventhubs_eph::{Lease, LeaseTable};
/// use eventhubs_protocol::Timestamp;
///
/// let table = LeaseTable::new(Timestamp::UNIX_EPOCH, vec![Lease::free(0.into())]);
/// let mut idle = Idle::default();
/// idle.scanned(&table);
/// idle.scanned(&table);
/// assert_eq!(idle.scans(0.into()), 2);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Idle(BTreeMap<PartitionId, u32>);

impl Idle {
    /// Takes note of a complete table.
    pub fn scanned(&mut self, table: &LeaseTable) {
        let before = std::mem::take(&mut self.0);
        let scans = |partition| before.get(&partition).copied().unwrap_or(0).saturating_add(1);
        self.0.extend(table.free().map(|lease| (lease.partition, scans(lease.partition))));
    }

    /// For how many scans in a row, the last one included, it was seen without an owner.
    #[must_use]
    pub fn scans(&self, partition: PartitionId) -> u32 {
        self.0.get(&partition).copied().unwrap_or(0)
    }
}
