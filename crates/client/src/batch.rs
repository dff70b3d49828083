//! A batch of events for one destination.

use eventhubs_protocol::{Batch, Envelope, EventData, PartitionId, PartitionKey, TryAddError};

/// A batch that is being filled, from [`Hub::create_batch`](crate::Hub::create_batch). It is exactly
/// as large as its link takes; sizes are known by arithmetic, nothing is encoded to be measured.
///
/// The service stores all of a batch or nothing of it.
///
/// ```no_run
/// # async fn example(
/// #     hub: eventhubs_client::Hub,
/// #     lines: Vec<String>,
/// # ) -> Result<(), Box<dyn std::error::Error>> {
/// use eventhubs_client::{PartitionId, TryAddError};
///
/// let producer = hub.producer(PartitionId::from(0));
/// let mut batch = producer.create_batch().await?;
/// for line in lines {
///     match batch.try_add(line) {
///         Ok(()) => {}
///         // There is no room left: this batch goes, and the event begins the next one.
///         Err(TryAddError::Full(event)) => {
///             let full = std::mem::replace(&mut batch, producer.create_batch().await?);
///             producer.send_batch(full).await?;
///             batch.try_add(event)?;
///         }
///         Err(error) => return Err(error.into()),
///     }
/// }
/// producer.send_batch(batch).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct EventBatch {
    envelope: Envelope,
    partition: Option<PartitionId>,
}

impl EventBatch {
    pub(crate) fn new(envelope: Envelope, partition: Option<PartitionId>) -> Self {
        Self { envelope, partition }
    }

    /// Adds an event.
    ///
    /// # Errors
    ///
    /// The event comes back with the error, and the batch is as it was: [`TryAddError::Full`] when
    /// an empty batch would take it, [`TryAddError::TooLarge`] with its size and the limit when none
    /// would, [`TryAddError::OtherKey`] when it has a partition key that is not the batch's.
    #[inline]
    pub fn try_add(&mut self, event: impl Into<EventData>) -> Result<(), TryAddError> {
        self.envelope.try_add(event.into())
    }

    /// Events in it.
    #[must_use]
    pub fn count(&self) -> usize {
        self.envelope.count()
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.envelope.is_empty()
    }

    /// Its size as a message, in bytes.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.envelope.size()
    }

    /// The largest it may become, in bytes.
    #[must_use]
    pub fn limit_bytes(&self) -> usize {
        self.envelope.limit()
    }

    /// The partition it goes to, if one was chosen.
    #[must_use]
    pub fn partition(&self) -> Option<PartitionId> {
        self.partition
    }

    /// The partition key of all its events, if one was chosen.
    #[must_use]
    pub fn partition_key(&self) -> Option<&PartitionKey> {
        self.envelope.partition_key()
    }

    pub(crate) fn finish(self) -> Option<Batch> {
        self.envelope.finish()
    }
}
