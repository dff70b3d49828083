//! What a host remembers from scan to scan, and what it intends with a table of leases: pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use eventhubs_protocol::{OwnerLevel, PartitionId};

use super::look::Found;
use crate::balance::{self, Idle, Plan, Strategy, View};
use crate::lease::{EpochMode, Lease, LeaseTable};
use crate::owner::OwnerId;
use crate::ownership::Epochs;

/// See the [module](self). Times are those of the monotonic clock.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    epochs: Epochs,
    idle: Idle,
    /// Partitions that are left to others for a while, and until when.
    held_off: BTreeMap<PartitionId, Duration>,
    /// Partitions that are left to others for good, because a handler stopped them.
    stopped: BTreeSet<PartitionId>,
    /// Partitions this host could have at most while a stopped one waits for another owner.
    cap: Option<u32>,
    /// The weight that this host was announced with last, and when.
    announced: Option<(u32, Duration)>,
}

/// What a host wants when it plans.
#[derive(Clone, Debug)]
pub(crate) struct Intent {
    pub(crate) own: OwnerId,
    pub(crate) weight: u32,
    pub(crate) maximum: Option<u32>,
    pub(crate) strategy: Strategy,
    /// Partitions that are not to be claimed now: owned, on their way out, claimed, held off.
    pub(crate) kept: BTreeSet<PartitionId>,
    pub(crate) random: u64,
}

impl Memory {
    pub(crate) fn new(mode: EpochMode) -> Self {
        Self {
            epochs: Epochs::new(mode),
            idle: Idle::default(),
            held_off: BTreeMap::new(),
            stopped: BTreeSet::new(),
            cap: None,
            announced: None,
        }
    }

    /// An owner level of the partition was heard of.
    pub(crate) fn see(&mut self, partition: PartitionId, level: OwnerLevel) {
        self.epochs.see(partition, level);
    }

    /// The partition is left to others until then.
    pub(crate) fn hold_off(&mut self, partition: PartitionId, until: Duration) {
        self.held_off.insert(partition, until);
    }

    /// The partition is left to others for good.
    pub(crate) fn stop(&mut self, partition: PartitionId) {
        self.stopped.insert(partition);
    }

    pub(crate) fn stopped(&self) -> &BTreeSet<PartitionId> {
        &self.stopped
    }

    /// The level for a claim on `seen`; `None` when there is none that is higher.
    pub(crate) fn next_level(&mut self, seen: &Lease) -> Option<OwnerLevel> {
        self.epochs.next(seen.partition, seen.epoch)
    }

    /// How many partitions this host says that it takes at most.
    pub(crate) fn maximum(&self, option: Option<u32>) -> Option<u32> {
        option.into_iter().chain(self.cap).min()
    }

    /// Decides over a complete look.
    pub(crate) fn plan(&mut self, found: &Found, intent: Intent, now: Duration) -> Plan {
        let Some(table) = found.table.clone() else { return Plan::default() };
        self.idle.scanned(&table);
        for lease in &table.leases {
            self.epochs.see(lease.partition, lease.epoch);
        }
        self.cap = self.cap(&table, &intent.own);
        self.held_off.retain(|_, until| *until > now);
        let mut view = View::new(intent.own, found.partitions.clone(), table);
        view.idle = self.idle.clone();
        view.is_complete = found.is_complete;
        view.presence = found.presence.clone();
        view.is_first_scan = self.is_unknown(found.began.monotonic, found.announced.duration);
        view.kept = intent.kept;
        view.kept.extend(self.held_off.keys());
        view.refused.clone_from(&self.stopped);
        view.weight = intent.weight;
        view.maximum = intent.maximum;
        view.strategy = intent.strategy;
        view.random = intent.random;
        if found.is_complete {
            self.announced = Some((found.announced.weight, found.began.monotonic));
        }
        balance::plan(&view)
    }

    /// Whether other hosts do not count this one: it was not announced yet, or as one that wants
    /// nothing, or so long ago that it has lapsed.
    fn is_unknown(&self, now: Duration, presence: Duration) -> bool {
        self.announced.is_none_or(|(weight, at)| weight == 0 || now.saturating_sub(at) >= presence)
    }

    /// While a partition that this host leaves to others has no owner, others have to see that this
    /// host's share does not hold it: they would leave it to this one.
    fn cap(&self, table: &LeaseTable, own: &OwnerId) -> Option<u32> {
        let is_stopped = |lease: &&Lease| self.stopped.contains(&lease.partition);
        let waiting = table.free().filter(is_stopped).count();
        let owned = table.leases.iter().filter(|lease| lease.holder(table.date) == Some(own));
        let takeable = table.free().count() - waiting;
        (waiting > 0).then(|| u32::try_from(owned.count() + takeable).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests;
