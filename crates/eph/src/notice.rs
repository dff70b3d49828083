//! What a host tells about itself.

mod reason;

pub use reason::{FailureCause, FailureNext, SkipReason};

use std::fmt;
use std::time::Duration;

use eventhubs_client::Error;
use eventhubs_protocol::{OwnerLevel, PartitionId, SequenceNumber};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use crate::balance::TakeReason;
use crate::error::StoreError;
use crate::handler::HandlerId;
use crate::host::HostState;
use crate::partition::CloseReason;
use crate::suspicion::Misconfiguration;

/// Events that wait for one who listens; older ones are dropped and counted.
pub(crate) const HOST_EVENTS_MAX: usize = 1024;

/// Something that happened to a host, from
/// [`EventProcessorHost::host_events`](crate::EventProcessorHost::host_events).
///
/// # Examples
///
/// ```
/// use eventhubs_eph::{CloseReason, HostEvent};
///
/// let event = HostEvent::Lost { partition: 3.into(), reason: CloseReason::Stolen };
/// assert_eq!(event.to_string(), "partition 3 ended: another receiver took the partition");
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum HostEvent {
    /// The state changed.
    StateChanged {
        /// What it was.
        from: HostState,
        /// What it is.
        to: HostState,
    },
    /// A partition is owned from now on.
    Acquired {
        /// The partition.
        partition: PartitionId,
        /// Why it was taken.
        reason: TakeReason,
        /// The owner level of its receiver.
        owner_level: OwnerLevel,
    },
    /// The ownership of a partition ends; no handler is called for it any more.
    Lost {
        /// The partition.
        partition: PartitionId,
        /// Why.
        reason: CloseReason,
    },
    /// A checkpoint was not written. It is tried again while the partition is owned.
    CheckpointFailed {
        /// The partition.
        partition: PartitionId,
        /// What the store said.
        error: StoreError,
    },
    /// A handler failed.
    HandlerFailed {
        /// The partition.
        partition: PartitionId,
        /// The handler.
        handler: HandlerId,
        /// The event it failed at: of a batch, the first one. `None` when it had no event in hand, as
        /// when a partition is opened.
        sequence_number: Option<SequenceNumber>,
        /// How it failed.
        cause: FailureCause,
        /// What happens now.
        next: FailureNext,
    },
    /// A handler did not end in its grace, and is not waited for any longer.
    HandlerAbandoned {
        /// The partition.
        partition: PartitionId,
        /// The handler.
        handler: HandlerId,
    },
    /// A lease was renewed late: a store, a network or a runtime is slow. When that lasts, partitions
    /// are lost.
    RenewalLate {
        /// The partition.
        partition: PartitionId,
        /// By how much.
        by: Duration,
    },
    /// The store of leases or checkpoints failed. It is asked again.
    StoreFailed {
        /// What it said.
        error: StoreError,
    },
    /// The hub failed. It is asked again.
    HubFailed {
        /// What it said.
        error: Error,
    },
    /// The hub did not answer. It is asked again.
    HubSilent {
        /// For how long it was waited for.
        within: Duration,
    },
    /// Events were passed over.
    Skipped {
        /// The partition.
        partition: PartitionId,
        /// The first, if its number is known.
        from: Option<SequenceNumber>,
        /// The last, if its number is known.
        to: Option<SequenceNumber>,
        /// Why.
        why: SkipReason,
    },
    /// Hosts, or their machines, are set up wrongly. The same kind is told once in ten minutes.
    Misconfigured(Misconfiguration),
}

impl fmt::Display for HostEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StateChanged { from, to } => write!(f, "{from} became {to}"),
            Self::Acquired { partition, reason, owner_level } => {
                write!(f, "partition {partition} acquired at owner level {owner_level}: {reason}")
            }
            Self::Lost { partition, reason } => write!(f, "partition {partition} ended: {reason}"),
            Self::CheckpointFailed { partition, error } => {
                write!(f, "no checkpoint of partition {partition}: {error}")
            }
            Self::HandlerFailed { partition, handler, sequence_number, cause, next } => {
                write!(f, "handler {handler} of partition {partition}")?;
                if let Some(number) = sequence_number {
                    write!(f, " at event {number}")?;
                }
                write!(f, ": {cause}; {next}")
            }
            Self::HandlerAbandoned { partition, handler } => {
                write!(f, "handler {handler} of partition {partition} did not end and was given up")
            }
            Self::RenewalLate { partition, by } => {
                write!(f, "the lease of partition {partition} was renewed {by:?} late")
            }
            Self::StoreFailed { error } => write!(f, "the store: {error}"),
            Self::HubFailed { error } => write!(f, "the hub: {error}"),
            Self::HubSilent { within } => write!(f, "the hub did not answer within {within:?}"),
            Self::Skipped { partition, from, to, why } => {
                write!(f, "events of partition {partition} were passed over")?;
                if let (Some(from), Some(to)) = (from, to) {
                    write!(f, ", {from} to {to}")?;
                }
                write!(f, ": {why}")
            }
            Self::Misconfigured(what) => write!(f, "{what}"),
        }
    }
}

/// The events of a host, from when this was made on, to one who listens.
///
/// The host never waits for a listener: who is slower than 1 024 events behind misses the oldest,
/// and [`missed`](Self::missed) says how many. Every listener gets every event.
///
/// # Examples
///
/// ```no_run
/// # async fn example(host: eventhubs_eph::EventProcessorHost) {
/// use eventhubs_eph::HostEvent;
///
/// let mut events = host.host_events();
/// while let Some(event) = events.next().await {
///     if let HostEvent::Lost { .. } | HostEvent::Acquired { .. } = event {
///         println!("{event}; now {:?}", host.partition_ids_being_processed());
///     }
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct HostEvents {
    events: broadcast::Receiver<HostEvent>,
    missed: u64,
}

impl HostEvents {
    /// The next event; `None` when the host is gone, which it is when its last handle was dropped and
    /// its tasks have ended.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: an event is only taken together with being returned.
    pub async fn next(&mut self) -> Option<HostEvent> {
        loop {
            match self.events.recv().await {
                Ok(event) => return Some(event),
                Err(RecvError::Lagged(count)) => self.missed += count,
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// The next event if there is one already.
    pub fn try_next(&mut self) -> Option<HostEvent> {
        loop {
            match self.events.try_recv() {
                Ok(event) => return Some(event),
                Err(TryRecvError::Lagged(count)) => self.missed += count,
                Err(TryRecvError::Empty | TryRecvError::Closed) => return None,
            }
        }
    }

    /// Events that were dropped because this listener was slow, all in all, as far as it has read.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed
    }
}

/// Where the parts of a host tell what happened.
#[derive(Clone, Debug)]
pub(crate) struct Notices(broadcast::Sender<HostEvent>);

impl Notices {
    pub(crate) fn new() -> Self {
        Self(broadcast::Sender::new(HOST_EVENTS_MAX))
    }

    /// Tells all who listen. Never waits.
    pub(crate) fn tell(&self, event: HostEvent) {
        tracing::debug!(%event);
        // Nobody has to listen.
        let _ = self.0.send(event);
    }

    pub(crate) fn listen(&self) -> HostEvents {
        HostEvents { events: self.0.subscribe(), missed: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(partition: u16) -> HostEvent {
        HostEvent::Lost { partition: partition.into(), reason: CloseReason::Stopping }
    }

    #[tokio::test]
    async fn a_slow_listener_misses_the_oldest_and_knows_how_many() {
        let notices = Notices::new();
        let mut events = notices.listen();
        for _ in 0..HOST_EVENTS_MAX + 3 {
            notices.tell(lost(1));
        }
        notices.tell(lost(2));
        let mut read = 0;
        let mut last = None;
        while let Some(event) = events.try_next() {
            read += 1;
            last = Some(event);
        }
        assert_eq!((read, events.missed()), (HOST_EVENTS_MAX, 4));
        assert!(matches!(last, Some(HostEvent::Lost { partition, .. }) if partition == 2.into()));
        drop(notices);
        assert!(events.next().await.is_none(), "the host is gone");
    }
}
