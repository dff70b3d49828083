//! Options of a host.

mod checkpoints;
mod failures;
mod start;

pub use checkpoints::CheckpointPolicy;
pub use failures::FailurePolicy;
pub use start::StartPositions;

use std::time::Duration;

use eventhubs_protocol::ConsumerGroup;

use crate::balance::Strategy;
use crate::host::{HostError, HostErrorKind};
use crate::lease::EpochMode;
use crate::owner::MAX_ID;
use crate::ownership::Timing;

/// Longest time that an option may name: 24 hours.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Options of an [`EventProcessorHost`](crate::EventProcessorHost). What is out of the range that a
/// field states is refused when the host is made, by an error of kind
/// [`InvalidOptions`](HostErrorKind::InvalidOptions) that names the field.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use eventhubs_client::StartPosition;
/// use eventhubs_eph::{CheckpointPolicy, HostOptions};
///
/// let options = HostOptions::default()
///     .with_name("worker-3")
///     .with_start(StartPosition::latest())
///     .with_checkpoints(CheckpointPolicy::AfterBatch);
/// assert!(options.check().is_ok());
///
/// let options = options.with_scan(Duration::ZERO);
/// assert!(options.check().unwrap_err().to_string().contains("scan"));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HostOptions {
    /// The consumer group. Default `$Default`.
    pub consumer_group: ConsumerGroup,
    /// What people call this host: in events, spans and health, never to decide who owns what. 1 to
    /// 256 bytes without control characters. Default: the owner id, which is unique.
    pub name: Option<String>,
    /// Lease, renewal and grace. The lease has 15 s to 60 s and room for three renewals; the grace
    /// is 24 h at most. Default 60 s, 10 s, 10 s.
    pub timing: Timing,
    /// From one look at all leases to the next, give or take a twentieth. 1 s up to the lease.
    /// Default 10 s.
    pub scan: Duration,
    /// How partitions are shared. Default [`Strategy::Quota`].
    pub strategy: Strategy,
    /// How much of the partitions this host wants, against the weights of others; 0 wants none and
    /// stands by. Other weights than 0 and 1 need [`Strategy::Quota`]. At most 1 000 000. Default 1.
    pub weight: u32,
    /// Partitions this host has at most; 1 or more. Default: no limit.
    pub partitions_max: Option<u32>,
    /// How owner levels are chosen. Default [`EpochMode::Rising`].
    pub epochs: EpochMode,
    /// Where a partition without a checkpoint begins. Default: at its oldest event.
    pub start: StartPositions,
    /// Events of one partition that may wait here or be on their way. 1 to 100 000. Default 300.
    pub prefetch: u32,
    /// When checkpoints are written. Default: after each event, at most every 5 s.
    pub checkpoints: CheckpointPolicy,
    /// What happens when a handler fails. Default: the partition begins again at that event, after
    /// 1 s up to 60 s.
    pub failures: FailurePolicy,
    /// Time for one call of a handler that has no time-out of its own; `None` never ends one. 1 ms
    /// to 24 h. Default `None`.
    pub handler_timeout: Option<Duration>,
    /// Whether a start ends with an error when hub or store cannot be reached, instead of trying
    /// until they can. Default false.
    pub fail_fast: bool,
    /// How long a host that is paused keeps its partitions before it gives them to others; `None`
    /// keeps them for as long as it is paused. 0 to 24 h. Default 60 s, one lease.
    pub pause_max: Option<Duration>,
}

impl Default for HostOptions {
    fn default() -> Self {
        let timing = Timing::default();
        Self {
            consumer_group: ConsumerGroup::default(),
            name: None,
            timing,
            scan: Duration::from_secs(10),
            strategy: Strategy::default(),
            weight: 1,
            partitions_max: None,
            epochs: EpochMode::default(),
            start: StartPositions::default(),
            prefetch: 300,
            checkpoints: CheckpointPolicy::default(),
            failures: FailurePolicy::default(),
            handler_timeout: None,
            fail_fast: false,
            pause_max: Some(timing.lease),
        }
    }
}

impl HostOptions {
    /// Reads as a member of another consumer group.
    #[must_use]
    pub fn with_consumer_group(mut self, group: ConsumerGroup) -> Self {
        self.consumer_group = group;
        self
    }

    /// Names the host.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Changes lease, renewal and grace.
    #[must_use]
    pub fn with_timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// Changes the time from one look at all leases to the next.
    #[must_use]
    pub fn with_scan(mut self, scan: Duration) -> Self {
        self.scan = scan;
        self
    }

    /// Shares partitions in another way.
    #[must_use]
    pub fn with_strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// Wants more or less of the partitions than others.
    #[must_use]
    pub fn with_weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// Has so many partitions at most.
    #[must_use]
    pub fn with_partitions_max(mut self, partitions: u32) -> Self {
        self.partitions_max = Some(partitions);
        self
    }

    /// Chooses owner levels in another way.
    #[must_use]
    pub fn with_epochs(mut self, epochs: EpochMode) -> Self {
        self.epochs = epochs;
        self
    }

    /// Begins elsewhere where there is no checkpoint.
    #[must_use]
    pub fn with_start(mut self, start: impl Into<StartPositions>) -> Self {
        self.start = start.into();
        self
    }

    /// Changes how many events of a partition may wait here or be on their way.
    #[must_use]
    pub fn with_prefetch(mut self, events: u32) -> Self {
        self.prefetch = events;
        self
    }

    /// Changes when checkpoints are written.
    #[must_use]
    pub fn with_checkpoints(mut self, policy: CheckpointPolicy) -> Self {
        self.checkpoints = policy;
        self
    }

    /// Changes what happens when a handler fails.
    #[must_use]
    pub fn with_failures(mut self, policy: FailurePolicy) -> Self {
        self.failures = policy;
        self
    }

    /// Changes the time for one call of a handler.
    #[must_use]
    pub fn with_handler_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.handler_timeout = timeout;
        self
    }

    /// Ends a start with an error when hub or store cannot be reached.
    #[must_use]
    pub fn with_fail_fast(mut self) -> Self {
        self.fail_fast = true;
        self
    }

    /// Changes how long a paused host keeps its partitions.
    #[must_use]
    pub fn with_pause_max(mut self, pause: Option<Duration>) -> Self {
        self.pause_max = pause;
        self
    }

    /// Whether all options are in their range and fit together; the same check that
    /// [`EventProcessorHost::new`](crate::EventProcessorHost::new) makes.
    ///
    /// # Errors
    ///
    /// [`InvalidOptions`](HostErrorKind::InvalidOptions), naming the first field that is wrong.
    pub fn check(&self) -> Result<(), HostError> {
        let is_name = |name: &String| {
            !name.is_empty() && name.len() <= MAX_ID && !name.chars().any(char::is_control)
        };
        require(
            self.name.as_ref().is_none_or(is_name),
            "name",
            "1 to 256 bytes without control characters are allowed",
        )?;
        if let Err(problem) = self.timing.check() {
            return Err(invalid("timing", &problem.to_string()));
        }
        require(self.timing.grace <= LONGEST, "timing", "a grace of 24 h at most is allowed")?;
        require(
            self.scan >= Duration::from_secs(1) && self.scan <= self.timing.lease,
            "scan",
            "1 s up to the lease is allowed",
        )?;
        require(self.weight <= 1_000_000, "weight", "1 000 000 at most is allowed")?;
        require(
            self.weight <= 1 || self.strategy == Strategy::Quota,
            "weight",
            "other weights than 0 and 1 need the strategy Quota: others have to know them",
        )?;
        require(self.partitions_max != Some(0), "partitions_max", "to have none, use weight 0")?;
        require((1..=100_000).contains(&self.prefetch), "prefetch", "1 to 100 000 is allowed")?;
        self.checkpoints.check()?;
        self.failures.check()?;
        require(
            self.handler_timeout.is_none_or(is_span),
            "handler_timeout",
            "1 ms to 24 h is allowed",
        )?;
        require(
            self.pause_max.is_none_or(|pause| pause <= LONGEST),
            "pause_max",
            "24 h at most is allowed",
        )
    }
}

fn is_span(span: Duration) -> bool {
    (Duration::from_millis(1)..=LONGEST).contains(&span)
}

fn require(holds: bool, field: &str, problem: &str) -> Result<(), HostError> {
    match holds {
        true => Ok(()),
        false => Err(invalid(field, problem)),
    }
}

fn invalid(field: &str, problem: &str) -> HostError {
    HostError::new(HostErrorKind::InvalidOptions, format!("{field}: {problem}"))
}

#[cfg(test)]
mod tests;
