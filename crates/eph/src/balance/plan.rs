//! What a host should do after a scan, with reasons.

use std::fmt;

use eventhubs_protocol::PartitionId;

use crate::owner::OwnerId;

/// What to do now. Takes are independent of each other: one that is lost affects no other.
///
/// # Examples
///
/// ```
/// use eventhubs_eph::balance::Plan;
///
/// assert!(Plan::default().takes.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Partitions to claim through the store.
    pub takes: Vec<Take>,
    /// Partitions to give back, in the order of an orderly hand-over.
    pub releases: Vec<Release>,
    /// Why nothing was planned, when that has a reason of its own.
    pub abstention: Option<Abstention>,
}

impl Plan {
    pub(super) fn abstaining(abstention: Abstention) -> Self {
        Self { abstention: Some(abstention), ..Self::default() }
    }
}

/// A partition to claim.
///
/// # Examples
///
/// ```
/// use eventhubs_eph::balance::{Take, TakeReason};
///
/// let take = Take::new(3.into(), TakeReason::Free);
/// assert_eq!(take.reason.to_string(), "nobody holds it");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Take {
    /// The partition.
    pub partition: PartitionId,
    /// Why.
    pub reason: TakeReason,
}

impl Take {
    /// Puts the two together.
    #[must_use]
    pub fn new(partition: PartitionId, reason: TakeReason) -> Self {
        Self { partition, reason }
    }
}

/// Why a partition is claimed.
///
/// # Examples
///
/// ```
/// use eventhubs_eph::OwnerId;
/// use eventhubs_eph::balance::TakeReason;
///
/// let reason = TakeReason::Surplus { owner: OwnerId::new("a")?, count: 6, share: 4 };
/// assert_eq!(reason.to_string(), "'a' has 6 and a share of 4");
/// # Ok::<(), eventhubs_eph::StoreError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TakeReason {
    /// It was released, or never held.
    Free,
    /// Its lease ended.
    Expired {
        /// Who held it.
        owner: OwnerId,
    },
    /// Its owner has more than its share.
    Surplus {
        /// Who holds it.
        owner: OwnerId,
        /// Partitions the owner has.
        count: usize,
        /// Partitions it should have.
        share: usize,
    },
    /// The store says that this host holds it, and it does not: an answer was lost.
    Own,
    /// Nobody took it, though others have less than their share.
    LeftOver {
        /// For how many scans.
        scans: u32,
    },
}

impl fmt::Display for TakeReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Free => f.write_str("nobody holds it"),
            Self::Expired { owner } => write!(f, "the lease of '{owner}' ended"),
            Self::Surplus { owner, count, share } => {
                write!(f, "'{owner}' has {count} and a share of {share}")
            }
            Self::Own => f.write_str("the store has it as held here, and it is not"),
            Self::LeftOver { scans } => write!(f, "nobody took it for {scans} scans"),
        }
    }
}

/// A partition to give back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// The partition.
    pub partition: PartitionId,
    /// Why.
    pub reason: ReleaseReason,
}

/// Why a partition is given back.
///
/// # Examples
///
/// ```
/// use eventhubs_eph::balance::ReleaseReason;
///
/// assert_eq!(ReleaseReason::Leaving.to_string(), "this host wants no partitions");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReleaseReason {
    /// The weight of this host is 0.
    Leaving,
    /// This host has more than its maximum.
    AboveMaximum,
    /// The hub has no such partition.
    NoSuchPartition,
}

impl fmt::Display for ReleaseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Leaving => "this host wants no partitions",
            Self::AboveMaximum => "this host has more than its maximum",
            Self::NoSuchPartition => "the hub has no such partition",
        })
    }
}

/// Why a scan leads to nothing.
///
/// # Examples
///
/// ```
/// use eventhubs_eph::balance::Abstention;
///
/// assert_eq!(Abstention::FirstScan.to_string(), "the first scan only announces this host");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Abstention {
    /// Not every partition has exactly one lease in the list.
    Incomplete,
    /// Others have to see this host first.
    FirstScan,
}

impl fmt::Display for Abstention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Incomplete => "the list of leases is not complete",
            Self::FirstScan => "the first scan only announces this host",
        })
    }
}
