//! What the owner of an emulator may do to its hubs, without being a client.

use std::sync::Arc;

use bytes::Bytes;

use super::Emulator;
use crate::config::hub_config::{HubConfig, HubUpdate};
use crate::namespace::Namespace;
use crate::namespace::hub_error::HubError;
use crate::namespace::journal::Damage;
use crate::namespace::log::Stored;
use crate::namespace::partition::Partition;
use crate::rules::event::Incoming;
use crate::view::snapshot::HubSnapshot;

/// One event of a partition as it is stored, see [`Emulator::events`].
///
/// ```
/// use bytes::Bytes;
/// use eventhubs_emulator::{Config, Emulator};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
/// # runtime.block_on(async {
/// let emulator = Emulator::start(Config::default().in_memory()).await.unwrap();
/// emulator.append("hub", 0, Bytes::from_static(b"\x00\x53\x75\xa0\x01x"))?;
/// let event = &emulator.events("hub", 0)?[0];
/// assert_eq!((event.sequence, event.offset.as_str()), (0, "0"));
/// assert!(event.message.ends_with(b"\x00\x53\x75\xa0\x01x"));
/// # Ok::<(), eventhubs_emulator::HubError>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Sequence number in its partition, from 0 on.
    pub sequence: i64,
    /// Offset, opaque to clients.
    pub offset: String,
    /// When it was stored, in milliseconds since 1970 by the emulator's clock.
    pub enqueued: i64,
    /// The encoded message as consumers get it: what was published, with the system's message
    /// annotations put in.
    pub message: Bytes,
}

/// Changes are there for everybody when a call returns. With a data folder they are in it, too: a
/// small file is written and synchronised, which takes some milliseconds.
impl Emulator {
    /// All hubs as they are now, by name in lower case.
    ///
    /// ```
    /// use eventhubs_emulator::{Config, Emulator};
    ///
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    /// # runtime.block_on(async {
    /// let config = Config::default().in_memory().with_hub("orders", 2);
    /// let hubs = Emulator::start(config).await.unwrap().hubs();
    /// assert_eq!((hubs[0].name.as_str(), hubs[0].partitions.len()), ("orders", 2));
    /// assert_eq!(hubs[0].partitions[1].last_sequence, -1);
    /// # });
    /// ```
    pub fn hubs(&self) -> Vec<HubSnapshot> {
        let namespace = &self.shared.namespace;
        namespace.snapshot(namespace.clock.now())
    }

    /// Creates an empty hub; clients may attach to it at once.
    ///
    /// # Errors
    /// [`HubError`] when there is a hub of that name in any case, when the configuration is not
    /// valid, or when a limit is reached.
    pub fn create_hub(&self, hub: HubConfig) -> Result<(), HubError> {
        self.shared.namespace.create_hub(hub).map(|_| ())
    }

    /// Deletes a hub with its events. Links to it are detached with `amqp:not-found`, and later
    /// attaches are refused.
    ///
    /// # Errors
    /// [`HubError::NotFound`].
    pub fn delete_hub(&self, hub: &str) -> Result<(), HubError> {
        self.shared.namespace.delete_hub(hub)
    }

    /// Changes a hub while it is in use. Links that a new status forbids are detached with
    /// `com.microsoft:entity-disabled`; a shorter retention lets events go at once.
    ///
    /// # Errors
    /// [`HubError`] when there is no such hub, a value is not valid, a limit is reached, or
    /// partitions would be taken away; then nothing is changed.
    pub fn update_hub(&self, hub: &str, update: HubUpdate) -> Result<(), HubError> {
        self.shared.namespace.update_hub(hub, update).map(|_| ())
    }

    /// Raises the number of partitions. Those that exist and whoever reads them are not touched;
    /// publications with a key may go to other partitions from now on, as in the service.
    ///
    /// # Errors
    /// As [`update_hub`](Self::update_hub).
    pub fn set_partitions(&self, hub: &str, partitions: u32) -> Result<(), HubError> {
        self.update_hub(hub, HubUpdate { partitions: Some(partitions), ..HubUpdate::default() })
    }

    /// Creates a consumer group.
    ///
    /// # Errors
    /// [`HubError`] when there is no such hub, there is such a group, the name is not valid, or a
    /// limit is reached.
    pub fn create_group(&self, hub: &str, group: &str) -> Result<(), HubError> {
        self.shared.namespace.create_group(hub, group)
    }

    /// Deletes a consumer group. Its receivers are detached with `amqp:not-found`.
    ///
    /// # Errors
    /// [`HubError`] when there is no such hub or group, or when it is `$Default`.
    pub fn delete_group(&self, hub: &str, group: &str) -> Result<(), HubError> {
        self.shared.namespace.delete_group(hub, group)
    }

    /// Lets the events before a sequence number go, as if their retention had ended. Sequence
    /// numbers go on; a partition without events keeps its last one. Receivers in the middle of
    /// what is gone continue with the first event that is left.
    ///
    /// # Errors
    /// [`HubError`] when there is no such hub or partition, or the data folder cannot be written
    /// to.
    pub fn trim(&self, hub: &str, partition: u32, before: i64) -> Result<(), HubError> {
        Ok(self.shared.namespace.partition(hub, partition)?.trim(before)?)
    }

    /// Stores one event as if a producer had published it, whatever the hub's status; the result
    /// is its sequence number. Bytes that cannot be decoded are stored all the same, which no
    /// producer could have done: behind the system annotations if at least one section can be
    /// made out, and as they are if none can.
    ///
    /// # Errors
    /// [`HubError`] when there is no such hub or partition, or the data folder cannot be written
    /// to.
    pub fn append(&self, hub: &str, partition: u32, message: Bytes) -> Result<i64, HubError> {
        self.shared.namespace.append(hub, partition, message)
    }

    /// Every event that a partition retains, oldest first: the truth against which a test can hold
    /// what its clients sent and received.
    ///
    /// Copies one entry of about 100 bytes per event, the messages themselves are shared; the
    /// partition is locked meanwhile, so that producers and consumers wait (of the order of 100 ms
    /// per million events).
    ///
    /// # Errors
    /// [`HubError`] when there is no such hub or partition.
    pub fn events(&self, hub: &str, partition: u32) -> Result<Vec<StoredEvent>, HubError> {
        let namespace = &self.shared.namespace;
        let events = namespace.partition(hub, partition)?.events(namespace.clock.now());
        let event = |stored: Stored| StoredEvent {
            sequence: stored.sequence,
            offset: stored.offset.to_string(),
            enqueued: stored.enqueued,
            message: stored.message,
        };
        Ok(events.into_iter().map(event).collect())
    }

    /// What was found broken in the data folder when the emulator started, in the order of the
    /// hubs' creation. Events that were acknowledged are missing only where it says so.
    pub fn damage(&self) -> &[Damage] {
        &self.shared.namespace.damage
    }
}

impl Namespace {
    /// Stores one event whatever it is; the result is its sequence number.
    pub(crate) fn append(
        &self,
        hub: &str,
        partition: u32,
        message: Bytes,
    ) -> Result<i64, HubError> {
        let partition = self.partition(hub, partition)?;
        Ok(partition.append(&[Incoming::poison(message)], self.clock.now())?)
    }

    /// A partition, or the error that says what is missing.
    pub(crate) fn partition(&self, hub: &str, number: u32) -> Result<Arc<Partition>, HubError> {
        let hub = self.existing(hub)?;
        let missing = || HubError::PartitionNotFound { hub: hub.name.clone(), partition: number };
        hub.partition(number).ok_or_else(missing)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::Config;
    use crate::namespace::journal::Durability;

    async fn start(folder: &tempfile::TempDir, durability: Durability) -> Emulator {
        let config =
            Config::default().in_memory().with_data(folder.path()).with_durability(durability);
        Emulator::start(config).await.unwrap()
    }

    fn is_dirty(emulator: &Emulator) -> bool {
        emulator.shared.namespace.partition("hub", 0).unwrap().is_dirty()
    }

    #[tokio::test(start_paused = true)]
    async fn files_are_synchronised_as_often_as_was_asked() {
        let folder = tempfile::tempdir().unwrap();
        let emulator = start(&folder, Durability::Interval(Duration::from_secs(60))).await;
        for _ in 0..2 {
            emulator.append("hub", 0, Bytes::from_static(b"\x00\x53\x77\x40")).unwrap();
            assert!(is_dirty(&emulator));
            let mut seconds = 0;
            let mut clock = tokio::time::interval(Duration::from_secs(1));
            while is_dirty(&emulator) {
                assert!(seconds <= 61, "nobody synchronises");
                clock.tick().await;
                seconds += 1;
            }
        }
        emulator.append("hub", 0, Bytes::new()).unwrap();
        emulator.shutdown().await;
        assert!(!is_dirty(&emulator), "nor is anything left behind in the end");
    }

    #[tokio::test]
    async fn without_a_wish_nobody_waits_for_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let emulator = start(&folder, Durability::None).await;
        emulator.append("hub", 0, Bytes::new()).unwrap();
        emulator.shutdown().await;
        assert!(is_dirty(&emulator));
    }
}
