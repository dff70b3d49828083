//! What a handler knows of the partition its events come from, and what it may ask of it.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;

use async_trait::async_trait;
use eventhubs_protocol::{
    ConsumerGroup, HubName, Offset, OwnerLevel, PartitionId, ReceivedEvent, SequenceNumber,
    Timestamp,
};

use crate::checkpoint::Checkpoint;
use crate::error::StoreError;

/// One partition as one handler has it, for as long as this host owns the partition.
///
/// A cheap clone, which may be kept and used from other tasks. After the ownership has ended it can
/// do nothing any more, also when the same host owns the partition again later: then there is
/// another one.
///
/// # Examples
///
/// ```
/// use eventhubs_eph::Handler;
///
/// let handler = Handler::batch(|events, partition| async move {
///     for event in &events {
///         if partition.is_ended() {
///             break;
///         }
///         println!("{}/{}: {:?}", partition.hub(), partition.id(), event.body());
///         // Whatever becomes of the rest of the batch, this one does not come again.
///         partition.mark(event);
///     }
///     partition.checkpoint().await?;
///     Ok(())
/// });
/// # let _ = handler;
/// ```
#[derive(Clone)]
pub struct Partition {
    desk: Arc<dyn Desk>,
}

/// What stands behind a [`Partition`].
#[async_trait]
pub(crate) trait Desk: Send + Sync {
    fn place(&self) -> &Place;
    fn owner_level(&self) -> OwnerLevel;
    fn close_reason(&self) -> Option<CloseReason>;
    async fn closing(&self) -> CloseReason;
    fn mark(&self, event: &ReceivedEvent);
    async fn checkpoint(&self) -> Result<Committed, CheckpointError>;
}

/// What does not change while a host has a partition.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) id: PartitionId,
    pub(crate) hub: HubName,
    pub(crate) consumer_group: ConsumerGroup,
    pub(crate) host: Arc<str>,
}

impl Partition {
    pub(crate) fn new(desk: Arc<dyn Desk>) -> Self {
        Self { desk }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> PartitionId {
        self.desk.place().id
    }

    /// Name of its hub.
    #[must_use]
    pub fn hub(&self) -> &HubName {
        &self.desk.place().hub
    }

    /// The consumer group that the host reads as.
    #[must_use]
    pub fn consumer_group(&self) -> &ConsumerGroup {
        &self.desk.place().consumer_group
    }

    /// Name of the host.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.desk.place().host
    }

    /// Owner level of the receiver. It may rise during an ownership, when the hub turns out to know
    /// a higher one than the store.
    #[must_use]
    pub fn owner_level(&self) -> OwnerLevel {
        self.desk.owner_level()
    }

    /// Says that this handler is done with an event and with all before it, before the handler
    /// returns. Should it fail afterwards, it is called again with what follows the event.
    ///
    /// Under [`CheckpointPolicy::Manual`](crate::CheckpointPolicy) nothing else counts as done for a
    /// checkpoint: a handler that returns without a mark only goes on. A handler whose calls
    /// [run at the same time](crate::Concurrency::PerKey) marks single events.
    ///
    /// A mark costs a lock and says nothing to the store; see [`checkpoint`](Self::checkpoint). One
    /// that is behind an earlier mark, or of an event this handler was not given, changes nothing.
    pub fn mark(&self, event: &ReceivedEvent) {
        self.desk.mark(event);
    }

    /// Stores how far all handlers are done without a gap, and returns when the store has it. The
    /// host does this by itself, as [`CheckpointPolicy`](crate::CheckpointPolicy) says; a call is for
    /// those who need to know.
    ///
    /// What a handler is given counts as done when it has returned, so an event is not yet done in
    /// the handler that has it: [mark](Self::mark) it before.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Ended`] when the ownership ended, or ends before the store has it;
    /// [`CheckpointError::Store`] when the store failed. What is done is kept, and the host goes on
    /// trying for as long as it owns the partition.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the checkpoint may be stored all the same.
    pub async fn checkpoint(&self) -> Result<Committed, CheckpointError> {
        // Inside a handler: whatever was done before this call is entered now.
        tokio::task::yield_now().await;
        self.desk.checkpoint().await
    }

    /// Waits until the ownership begins to end, and says why. A handler that takes long should end
    /// early then: after [`Timing::grace`](crate::ownership::Timing::grace) it is dropped where it
    /// waits.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn ended(&self) -> CloseReason {
        let mut closing = pin!(self.desk.closing());
        closing.as_mut().await
    }

    /// Whether the ownership ends or has ended.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.close_reason().is_some()
    }

    /// Why the ownership ends or has ended; `None` while it lasts.
    #[must_use]
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.desk.close_reason()
    }
}

impl fmt::Debug for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Partition")
            .field("id", &self.id())
            .field("owner_level", &self.owner_level())
            .field("close_reason", &self.close_reason())
            .finish_non_exhaustive()
    }
}

/// Why a partition was closed for a handler.
///
/// # Examples
///
/// ```
/// use eventhubs_eph::CloseReason;
///
/// assert_eq!(CloseReason::Stolen.to_string(), "another receiver took the partition");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// The host stops or closes.
    Stopping,
    /// Another host gets the partition, for the sake of balance.
    Released,
    /// The host was paused for too long to keep it.
    Paused,
    /// The hub said that another receiver took over.
    Stolen,
    /// The store said that the lease is another's.
    LeaseLost,
    /// The lease could not be renewed in time.
    Fenced,
    /// The machine was suspended while the lease ran.
    Suspended,
    /// The hub knows a higher owner level, and did again after that was passed.
    LevelRefused,
    /// Events could not be received for too long.
    NotReceiving,
    /// A handler failed and said, or the policy says, to stop.
    Failed,
    /// The handler was unregistered; the host keeps the partition for the others.
    Unregistered,
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stopping => "the host stops",
            Self::Released => "the partition is given to another host",
            Self::Paused => "the host was paused for too long",
            Self::Stolen => "another receiver took the partition",
            Self::LeaseLost => "the lease belongs to another host",
            Self::Fenced => "the lease was not renewed in time",
            Self::Suspended => "the machine was suspended while the lease ran",
            Self::LevelRefused => "the hub knows a higher owner level",
            Self::NotReceiving => "events could not be received for too long",
            Self::Failed => "a handler failed and the partition stops",
            Self::Unregistered => "the handler was unregistered",
        })
    }
}

/// The last event that is done, with all before it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Position {
    pub(crate) offset: Offset,
    pub(crate) sequence_number: SequenceNumber,
    pub(crate) enqueued: Option<Timestamp>,
}

impl Position {
    pub(crate) fn to_checkpoint(&self) -> Checkpoint {
        Checkpoint::new(self.offset.clone(), self.sequence_number, self.enqueued)
    }
}

impl From<&ReceivedEvent> for Position {
    fn from(event: &ReceivedEvent) -> Self {
        let enqueued = event.enqueued_time();
        Self {
            offset: event.to_offset(),
            sequence_number: event.sequence_number(),
            enqueued: (enqueued != Timestamp::NEVER).then_some(enqueued),
        }
    }
}

/// What came of [`Partition::checkpoint`].
///
/// # Examples
///
/// ```
/// use eventhubs_eph::Committed;
///
/// assert!(Committed::Unchanged(None).checkpoint().is_none());
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Committed {
    /// The store has this now, durably.
    Stored(Checkpoint),
    /// Nothing more was done than what the store has; `None` when that is nothing at all.
    Unchanged(Option<Checkpoint>),
}

impl Committed {
    /// What the store has.
    #[must_use]
    pub fn checkpoint(&self) -> Option<&Checkpoint> {
        match self {
            Self::Stored(checkpoint) => Some(checkpoint),
            Self::Unchanged(checkpoint) => checkpoint.as_ref(),
        }
    }
}

/// Why a checkpoint was not stored.
///
/// # Examples
///
/// ```
/// use eventhubs_eph::{CheckpointError, CloseReason};
///
/// let error = CheckpointError::Ended(CloseReason::Stolen);
/// assert_eq!(error.to_string(), "the ownership ended: another receiver took the partition");
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The partition is not this host's any more.
    #[error("the ownership ended: {0}")]
    Ended(CloseReason),
    /// The store failed.
    #[error("the checkpoint was not stored")]
    Store(#[source] StoreError),
}
