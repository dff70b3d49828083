//! What a host knows when it plans.

use std::collections::BTreeSet;
use std::time::SystemTime;

use eventhubs_protocol::PartitionId;

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

/// One lease as the store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whose lease it is.
    pub partition: PartitionId,
    /// Who held it last; `None` when it was released or never held.
    pub owner: Option<String>,
    /// The epoch of the last owner, 0 when there was none.
    pub epoch: i64,
    /// When it ends unless it is renewed, on the store's clock: the store's own date of the last
    /// change plus the length of the lease. Never computed from a host's clock.
    pub until: SystemTime,
    /// For how many scans it was seen without an owner; see [`Idle`](super::Idle).
    pub idle_scans: u32,
}

impl Standing {
    /// A lease that nobody ever held.
    ///
    /// # Examples
    ///
    /// ```
    /// use eventhubs_eph::balance::Standing;
    ///
    /// let lease = Standing::free(3.into());
    /// assert_eq!(lease.holder(std::time::UNIX_EPOCH), None);
    /// ```
    #[must_use]
    pub fn free(partition: PartitionId) -> Self {
        Self { partition, owner: None, epoch: 0, until: SystemTime::UNIX_EPOCH, idle_scans: 0 }
    }

    /// A lease that is held until then.
    #[must_use]
    pub fn held(partition: PartitionId, owner: &str, epoch: i64, until: SystemTime) -> Self {
        Self { partition, owner: Some(owner.to_owned()), epoch, until, idle_scans: 0 }
    }

    /// Who holds it at that time of the store's clock: the owner, unless the lease ended.
    #[must_use]
    pub fn holder(&self, now: SystemTime) -> Option<&str> {
        self.owner.as_deref().filter(|_| self.until > now)
    }
}

/// A host's record that it is there, written at each of its scans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence {
    /// Who it is.
    pub owner: String,
    /// When it counts as gone unless it is written again, on the store's clock.
    pub until: SystemTime,
    /// How much of the partitions it wants, against the weights of others. 0 wants none.
    pub weight: u32,
    /// Partitions it has at most.
    pub maximum: Option<u32>,
}

impl Presence {
    /// A host of weight 1 without a maximum.
    ///
    /// # Examples
    ///
    /// ```
    /// use eventhubs_eph::balance::Presence;
    ///
    /// let record = Presence::new("worker-1", std::time::UNIX_EPOCH);
    /// assert_eq!(record.weight, 1);
    /// ```
    #[must_use]
    pub fn new(owner: &str, until: SystemTime) -> Self {
        Self { owner: owner.to_owned(), until, weight: 1, maximum: None }
    }
}

/// What one scan found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// This host's owner id.
    pub own: String,
    /// The store's clock when it made the list.
    pub now: SystemTime,
    /// The hub's partitions, read anew at each scan: some may have been added.
    pub partitions: Vec<PartitionId>,
    /// All leases of the hub and group, in any order.
    pub leases: Vec<Standing>,
    /// Whether the lists were read to their ends. An incomplete list never leads to a claim.
    pub is_complete: bool,
    /// Records of the hosts that are there; `None` when the store offers none.
    pub presence: Option<Vec<Presence>>,
    /// Whether this host scans for the first time since it started or was resumed. With
    /// [`Strategy::Quota`] it claims nothing then, so that all who start together are counted.
    pub is_first_scan: bool,
    /// Partitions whose ownership has not ended on this host, in whatever state.
    pub kept: BTreeSet<PartitionId>,
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
    /// A host of weight 1 without a maximum that has scanned before and holds nothing, and lists
    /// that are still to be filled in.
    #[must_use]
    pub fn new(own: &str, now: SystemTime, partitions: Vec<PartitionId>) -> Self {
        Self {
            own: own.to_owned(),
            now,
            partitions,
            leases: Vec::new(),
            is_complete: true,
            presence: None,
            is_first_scan: false,
            kept: BTreeSet::new(),
            weight: 1,
            maximum: None,
            strategy: Strategy::default(),
            random: 0,
        }
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
