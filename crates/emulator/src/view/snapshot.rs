//! What the hubs look like at one moment, for people who watch.

use std::time::Duration;

use crate::config::hub_config::HubStatus;
use crate::namespace::Namespace;
use crate::namespace::hub::Hub;
use crate::namespace::partition::Partition;

/// One hub at one moment, see [`Emulator::hubs`](crate::Emulator::hubs).
///
/// ```
/// use eventhubs_emulator::HubSnapshot;
///
/// fn stored(hub: &HubSnapshot) -> i64 {
///     hub.partitions.iter().map(|partition| partition.last_sequence + 1).sum()
/// }
/// # let _ = stored;
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct HubSnapshot {
    /// Name as it was created.
    pub name: String,
    /// When it was created, in milliseconds since 1970 by the emulator's clock.
    pub created: i64,
    /// When it or its groups were last changed, in milliseconds since 1970.
    pub updated: i64,
    /// Whether it takes and gives events.
    pub status: HubStatus,
    /// How long events are kept.
    pub retention: Duration,
    /// Consumer groups, `$Default` first.
    pub groups: Vec<GroupSnapshot>,
    /// Partitions in the order of their numbers.
    pub partitions: Vec<PartitionSnapshot>,
}

/// One consumer group at one moment.
///
/// ```
/// use eventhubs_emulator::{GroupSnapshot, HubSnapshot};
///
/// fn newest(hub: &HubSnapshot) -> Option<&GroupSnapshot> {
///     hub.groups.iter().max_by_key(|group| group.created)
/// }
/// # let _ = newest;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupSnapshot {
    /// Name as it was created.
    pub name: String,
    /// When it was created, in milliseconds since 1970.
    pub created: i64,
}

/// One partition at one moment.
///
/// ```
/// use eventhubs_emulator::PartitionSnapshot;
///
/// fn was_trimmed(partition: &PartitionSnapshot) -> bool {
///     partition.begin_sequence > 0
/// }
/// # let _ = was_trimmed;
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionSnapshot {
    /// Its number; the decimal form is its id.
    pub number: u32,
    /// Sequence number of the first retained event, or of the next one when there is none.
    pub begin_sequence: i64,
    /// Sequence number of the newest event ever stored, -1 when there was none.
    pub last_sequence: i64,
    /// Offset of the newest event ever stored, `-1` when there was none.
    pub last_offset: String,
    /// When the newest event was stored, in milliseconds since 1970.
    pub last_enqueued: Option<i64>,
    /// Retained events.
    pub events: usize,
    /// Bytes of the retained events' messages.
    pub bytes: usize,
    /// Events stored per second, averaged over the last 5 whole seconds.
    pub events_per_second: f64,
    /// Live receivers, by group and in the order in which they came.
    pub receivers: Vec<ReceiverSnapshot>,
}

/// One receiver at one moment.
///
/// ```
/// use eventhubs_emulator::{PartitionSnapshot, ReceiverSnapshot};
///
/// fn owner<'a>(partition: &'a PartitionSnapshot, group: &str) -> Option<&'a ReceiverSnapshot> {
///     let mut receivers = partition.receivers.iter();
///     receivers.find(|receiver| receiver.group == group && receiver.epoch.is_some())
/// }
/// # let _ = owner;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiverSnapshot {
    /// Its consumer group.
    pub group: String,
    /// Its name: the property it attached with, or its link's name.
    pub name: String,
    /// Its owner level, if it has one.
    pub epoch: Option<i64>,
}

impl Namespace {
    /// All hubs at `now`, by name in lower case. Hubs and partitions are looked at one after the
    /// other, so that two of them may be some microseconds apart.
    pub(crate) fn snapshot(&self, now: i64) -> Vec<HubSnapshot> {
        self.hubs().iter().map(|hub| snapshot(hub, now)).collect()
    }
}

fn snapshot(hub: &Hub, now: i64) -> HubSnapshot {
    let groups = hub.groups().into_iter();
    let partition = |(number, partition): (u32, &std::sync::Arc<Partition>)| {
        let (log, receivers) = partition.look(now);
        PartitionSnapshot {
            number,
            begin_sequence: log.info.begin_sequence,
            last_sequence: log.info.last_sequence,
            last_offset: log.info.last_offset,
            last_enqueued: log.info.last_enqueued,
            events: log.events,
            bytes: log.bytes,
            events_per_second: log.per_second,
            receivers,
        }
    };
    HubSnapshot {
        name: hub.name.clone(),
        created: hub.created,
        updated: hub.updated(),
        status: hub.status(),
        retention: hub.retention(),
        groups: groups
            .map(|group| GroupSnapshot { name: group.name.clone(), created: group.created })
            .collect(),
        partitions: (0..).zip(hub.partitions().iter()).map(partition).collect(),
    }
}
