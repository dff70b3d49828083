//! Where a partition without a checkpoint begins.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use eventhubs_protocol::{PartitionId, StartPosition};

/// Where partitions begin that have no checkpoint. Where there is one, it counts.
///
/// # Examples
///
/// ```
/// use eventhubs_client::{PartitionId, StartPosition};
/// use eventhubs_eph::StartPositions;
///
/// let three = PartitionId::from(3);
/// let start = StartPositions::from(StartPosition::latest())
///     .with_partition(three, StartPosition::earliest());
/// assert_eq!(start.of(three), StartPosition::earliest());
/// assert_eq!(start.of(PartitionId::from(0)), StartPosition::latest());
///
/// let start = StartPositions::by(|partition| match partition.as_u16() {
///     0 => StartPosition::earliest(),
///     _ => StartPosition::latest(),
/// });
/// assert_eq!(start.of(three), StartPosition::latest());
/// ```
#[derive(Clone, Default)]
pub struct StartPositions {
    all: All,
    partitions: BTreeMap<PartitionId, StartPosition>,
}

#[derive(Clone)]
enum All {
    At(StartPosition),
    By(Arc<dyn Fn(PartitionId) -> StartPosition + Send + Sync>),
}

impl Default for All {
    fn default() -> Self {
        Self::At(StartPosition::default())
    }
}

impl StartPositions {
    /// Asks a function, each time a partition without a checkpoint is opened. It is called in a task
    /// of the host and should return at once.
    #[must_use]
    pub fn by(function: impl Fn(PartitionId) -> StartPosition + Send + Sync + 'static) -> Self {
        Self { all: All::By(Arc::new(function)), partitions: BTreeMap::new() }
    }

    /// The same with another position for one partition.
    #[must_use]
    pub fn with_partition(
        mut self,
        partition: impl Into<PartitionId>,
        position: StartPosition,
    ) -> Self {
        self.partitions.insert(partition.into(), position);
        self
    }

    /// Where that partition begins.
    #[must_use]
    pub fn of(&self, partition: PartitionId) -> StartPosition {
        match (self.partitions.get(&partition), &self.all) {
            (Some(position), _) | (None, All::At(position)) => position.clone(),
            (None, All::By(function)) => function(partition),
        }
    }
}

impl From<StartPosition> for StartPositions {
    fn from(position: StartPosition) -> Self {
        Self { all: All::At(position), partitions: BTreeMap::new() }
    }
}

impl fmt::Debug for StartPositions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: &dyn fmt::Debug = match &self.all {
            All::At(position) => position,
            All::By(_) => &"by a function",
        };
        f.debug_struct("StartPositions")
            .field("all", all)
            .field("partitions", &self.partitions)
            .finish()
    }
}
