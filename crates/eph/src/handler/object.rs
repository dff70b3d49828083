//! A handler as an object.

use async_trait::async_trait;
use eventhubs_protocol::ReceivedEvent;

use crate::handler::HandlerError;
use crate::partition::{CloseReason, Partition};

/// A handler as an object, for [`Handler::of`](crate::Handler::of). One object serves all partitions
/// of the host, several at the same time: what it keeps for one of them belongs behind a lock of its
/// own.
///
/// # Examples
///
/// ```
/// use async_trait::async_trait;
/// use eventhubs_eph::{Handler, HandlerError, Partition, PartitionHandler};
/// use eventhubs_protocol::ReceivedEvent;
///
/// struct Printer;
///
/// #[async_trait]
/// impl PartitionHandler for Printer {
///     async fn events(
///         &self,
///         events: Vec<ReceivedEvent>,
///         partition: Partition,
///     ) -> Result<(), HandlerError> {
///         println!("{} events of partition {}", events.len(), partition.id());
///         Ok(())
///     }
/// }
///
/// let handler = Handler::of(Printer).with_events_max(50);
/// # let _ = handler;
/// ```
#[async_trait]
pub trait PartitionHandler: Send + Sync + 'static {
    /// Before the first event; see [`Handler::on_open`](crate::Handler::on_open). Does nothing
    /// unless written.
    ///
    /// # Errors
    ///
    /// Whatever it cannot begin without. It is a failure like any other.
    async fn opened(&self, partition: Partition) -> Result<(), HandlerError> {
        let _ = partition;
        Ok(())
    }

    /// The next events, in order.
    ///
    /// # Errors
    ///
    /// Why they are not done; see [`HandlerError`].
    async fn events(
        &self,
        events: Vec<ReceivedEvent>,
        partition: Partition,
    ) -> Result<(), HandlerError>;

    /// After the last event; see [`Handler::on_close`](crate::Handler::on_close). Does nothing
    /// unless written.
    ///
    /// # Errors
    ///
    /// They are told, and change nothing.
    async fn closed(&self, partition: Partition, reason: CloseReason) -> Result<(), HandlerError> {
        let _ = (partition, reason);
        Ok(())
    }
}
