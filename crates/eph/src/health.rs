//! How a host is.

mod problem;
mod snapshot;

pub use problem::Problem;
pub(crate) use snapshot::Snapshot;

use std::fmt;
use std::time::Duration;

use eventhubs_protocol::{OwnerLevel, PartitionId};

use crate::host::HostState;

/// How a host is at one moment, from
/// [`EventProcessorHost::health`](crate::EventProcessorHost::health).
///
/// # Examples
///
/// ```no_run
/// # fn example(host: eventhubs_eph::EventProcessorHost) {
/// let health = host.health();
/// if !health.is_ok() {
///     for problem in &health.problems {
///         eprintln!("{problem}");
///     }
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Health {
    /// What the host is doing.
    pub state: HostState,
    /// For how long.
    pub since: Duration,
    /// Each partition it owns, in order.
    pub partitions: Vec<PartitionHealth>,
    /// How long ago all leases were looked at last; `None` before the first time.
    pub scan_age: Option<Duration>,
    /// What somebody should know or do something about.
    pub problems: Vec<Problem>,
}

impl Health {
    /// Whether the host does what it is there for: it runs, or was paused on purpose, and nothing is
    /// wrong.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        matches!(self.state, HostState::Running | HostState::Paused) && self.problems.is_empty()
    }
}

/// How the processing of one partition is.
///
/// # Examples
///
/// ```no_run
/// # fn example(host: eventhubs_eph::EventProcessorHost) {
/// for partition in host.health().partitions {
///     println!("{} {}: {:?} behind", partition.partition, partition.stage, partition.lag_events);
/// }
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionHealth {
    /// The partition.
    pub partition: PartitionId,
    /// The owner level of its receiver.
    pub owner_level: OwnerLevel,
    /// What is done with it.
    pub stage: PartitionStage,
    /// How long ago the store confirmed the lease.
    pub last_renewed_ago: Duration,
    /// How long until the host gives up unless the lease is renewed before.
    pub fence_in: Duration,
    /// Events between the last one that is finished and the last one that the service has; `None`
    /// where that is not known.
    pub lag_events: Option<u64>,
    /// How long ago the service took the last event that is finished, when there are more; `None`
    /// where that is not known.
    pub lag_time: Option<Duration>,
    /// For how long the handler that has run longest has been at it; `None` while none runs.
    pub handler_running_for: Option<Duration>,
    /// Failures in a row: of handlers, of attaching, of renewing, of writing checkpoints.
    pub failures: u32,
}

impl PartitionHealth {
    /// A partition of which nothing is known yet.
    pub(crate) fn new(partition: PartitionId, owner_level: OwnerLevel) -> Self {
        Self {
            partition,
            owner_level,
            stage: PartitionStage::Opening,
            last_renewed_ago: Duration::ZERO,
            fence_in: Duration::ZERO,
            lag_events: None,
            lag_time: None,
            handler_running_for: None,
            failures: 0,
        }
    }
}

/// What is done with a partition.
///
/// # Examples
///
/// ```
/// use eventhubs_eph::PartitionStage;
///
/// assert_eq!(PartitionStage::Receiving.to_string(), "receiving");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PartitionStage {
    /// Its checkpoint is read and its receiver attached.
    #[default]
    Opening,
    /// Its events are handed to the handlers.
    Receiving,
    /// Something failed; it begins again after a while.
    Restarting,
    /// It is given back or was lost.
    Closing,
}

impl fmt::Display for PartitionStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Opening => "opening",
            Self::Receiving => "receiving",
            Self::Restarting => "restarting",
            Self::Closing => "closing",
        })
    }
}
