//! What a host knows when it plans.

use std::collections::BTreeSet;

use eventhubs_protocol::{PartitionId, Timestamp};

use super::idle::Idle;
use crate::lease::LeaseTable;
use crate::owner::OwnerId;
use crate::presence::PresenceTable;

/// How partitions are shared.
///
/// A share is what a host should have of all partitions: floor(P/N) or one more. `cargo xtask sim`
/// prints how long each strategy takes.
///
/// # Examples
///
/// ```
/// use eventhubs_eph::balance::Strategy;
///
/// assert_eq!(Strategy::default(), Strategy::Quota);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// One partition in a scan. Hosts are counted by the leases they hold. The slowest to settle,
    /// and what a store without presence records gets.
    Balanced,
    /// All that is missing in one scan. Hosts are counted by the leases they hold, so hosts that
    /// start together take too much first and lose it again.
    Greedy,
    /// All that is missing in one scan, and hosts are counted by their presence records. The first
    /// scan of a host only announces it. Without presence records it is `Balanced`. The default.
    #[default]
    Quota,
}

/// What one scan found.
#[derive(Clone, Debug)]
pub struct View {
    /// This host.
    pub own: OwnerId,
    /// The hub's partitions, read anew at each scan: some may have been added.
    pub partitions: Vec<PartitionId>,
    /// All leases of the hub and group. Its date says which of them ended. Partitions whose records
    /// are corrupt are neither taken nor counted.
    pub table: LeaseTable,
    /// For how many scans partitions had no owner, this one included.
    pub idle: Idle,
    /// Whether the lists were read to their ends. An incomplete list never leads to a claim.
    pub is_complete: bool,
    /// The hosts that are there; `None` when the store keeps no presences.
    pub presence: Option<PresenceTable>,
    /// Whether this host scans for the first time since it started or was resumed. With
    /// [`Strategy::Quota`] it claims nothing then, so that all who start together are counted.
    pub is_first_scan: bool,
    /// Partitions whose ownership has not ended on this host, in whatever state.
    pub kept: BTreeSet<PartitionId>,
    /// Partitions that this host leaves to others for good. It takes others in their place.
    pub refused: BTreeSet<PartitionId>,
    /// This host's weight. 0 holds nothing and gives back what it has. Other weights than 1 need
    /// [`Strategy::Quota`], because others have to know them.
    pub weight: u32,
    /// Partitions this host has at most. Others know of it with [`Strategy::Quota`] only; else they
    /// take what it leaves when it was left for [`PATIENCE_SCANS`](super::PATIENCE_SCANS).
    pub maximum: Option<u32>,
    /// How to share.
    pub strategy: Strategy,
    /// A random number, to spread the choices of hosts that cannot agree.
    pub random: u64,
}

impl View {
    /// A host of weight 1 without a maximum that has scanned before and holds nothing, with a store
    /// that keeps no presences.
    #[must_use]
    pub fn new(own: OwnerId, partitions: Vec<PartitionId>, table: LeaseTable) -> Self {
        Self {
            own,
            partitions,
            table,
            idle: Idle::default(),
            is_complete: true,
            presence: None,
            is_first_scan: false,
            kept: BTreeSet::new(),
            refused: BTreeSet::new(),
            weight: 1,
            maximum: None,
            strategy: Strategy::default(),
            random: 0,
        }
    }

    /// When the store made the table.
    pub(super) fn date(&self) -> Timestamp {
        self.table.date
    }

    /// The strategy that the store allows.
    pub(super) fn effective_strategy(&self) -> Strategy {
        match (self.strategy, &self.presence) {
            (Strategy::Quota, None) => Strategy::Balanced,
            (strategy, _) => strategy,
        }
    }

    /// The weight others count this host with.
    pub(super) fn weight_in(&self, strategy: Strategy) -> u32 {
        match strategy {
            Strategy::Quota => self.weight,
            Strategy::Balanced | Strategy::Greedy => self.weight.min(1),
        }
    }
}
