//! What is wrong with a host.

use std::fmt;
use std::time::Duration;

use eventhubs_client::Error;
use eventhubs_protocol::PartitionId;

use crate::error::{StoreError, StoreErrorKind};
use crate::host::HostError;

/// Something that somebody should know or do something about.
///
/// # Examples
///
/// ```
/// use eventhubs_eph::Problem;
///
/// let problem = Problem::PartitionStopped { partition: 3.into() };
/// assert!(problem.to_string().starts_with("partition 3 is not taken again"));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Problem {
    /// The last start ended with this error, because the host was told to fail fast.
    StartFailed {
        /// The error.
        error: HostError,
    },
    /// The hub cannot be reached or refuses; it is asked again.
    Hub {
        /// What it said last.
        error: Error,
    },
    /// The hub does not answer; it is asked again.
    HubSilent,
    /// The store cannot be reached or refuses; it is asked again. A refusal for lack of rights needs
    /// a person.
    Store {
        /// What it said last.
        error: StoreError,
    },
    /// The record of a lease cannot be read. It is made anew.
    CorruptLease {
        /// The partition.
        partition: PartitionId,
        /// What is wrong with it.
        error: StoreError,
    },
    /// All leases were looked at longer ago than three scans should take.
    ScanLate {
        /// How long ago.
        age: Duration,
    },
    /// The lease of a partition was not renewed for longer than two renewals should take.
    RenewalLate {
        /// The partition.
        partition: PartitionId,
        /// How long ago it was.
        ago: Duration,
        /// How long until the partition is given up.
        fence_in: Duration,
    },
    /// A partition fails again and again.
    PartitionFailing {
        /// The partition.
        partition: PartitionId,
        /// How often in a row.
        failures: u32,
    },
    /// A handler has been at one call for longer than a lease lasts.
    HandlerSlow {
        /// The partition.
        partition: PartitionId,
        /// For how long.
        running_for: Duration,
    },
    /// A handler failed for good: this host does not take the partition again until it is started
    /// anew.
    PartitionStopped {
        /// The partition.
        partition: PartitionId,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StartFailed { error } => write!(f, "the start failed: {error}"),
            Self::Hub { error } => write!(f, "the hub: {error}"),
            Self::HubSilent => f.write_str("the hub does not answer"),
            Self::Store { error } => match error.kind() {
                StoreErrorKind::Unauthorized => {
                    write!(f, "the store refuses this program, a person must act: {error}")
                }
                _ => write!(f, "the store: {error}"),
            },
            Self::CorruptLease { partition, error } => {
                write!(f, "the lease of partition {partition} cannot be read: {error}")
            }
            Self::ScanLate { age } => write!(f, "the leases were looked at {age:?} ago"),
            Self::RenewalLate { partition, ago, fence_in } => write!(
                f,
                "the lease of partition {partition} was renewed {ago:?} ago and is given up in \
                 {fence_in:?}"
            ),
            Self::PartitionFailing { partition, failures } => {
                write!(f, "partition {partition} failed {failures} times in a row")
            }
            Self::HandlerSlow { partition, running_for } => {
                write!(f, "a handler of partition {partition} has been at it for {running_for:?}")
            }
            Self::PartitionStopped { partition } => write!(
                f,
                "partition {partition} is not taken again by this host, because a handler failed"
            ),
        }
    }
}
