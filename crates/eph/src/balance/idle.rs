//! For how many scans a partition had no owner.

use std::collections::BTreeMap;
use std::time::SystemTime;

use eventhubs_protocol::PartitionId;

use super::view::Standing;

/// Remembers from scan to scan which partitions nobody held.
///
/// # Examples
///
/// ```
/// use std::time::UNIX_EPOCH;
/// use eventhubs_eph::balance::{Idle, Standing};
///
/// let mut idle = Idle::default();
/// let mut leases = [Standing::free(0.into())];
/// idle.scanned(&mut leases, UNIX_EPOCH);
/// idle.scanned(&mut leases, UNIX_EPOCH);
/// assert_eq!(leases[0].idle_scans, 2);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Idle(BTreeMap<PartitionId, u32>);

impl Idle {
    /// Takes note of a complete list and writes into each lease for how many scans in a row, this
    /// one included, it was seen without an owner.
    pub fn scanned(&mut self, leases: &mut [Standing], now: SystemTime) {
        let before = std::mem::take(&mut self.0);
        for lease in leases {
            lease.idle_scans = match lease.holder(now) {
                Some(_) => 0,
                None => before.get(&lease.partition).copied().unwrap_or(0).saturating_add(1),
            };
            self.0.insert(lease.partition, lease.idle_scans);
        }
    }
}
