//! The events of one partition as a stream.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use eventhubs_amqp::net::Receiver;
use eventhubs_protocol::{PartitionId, ReceivedEvent};
use futures_core::Stream;

use crate::error::{Error, ErrorKind, Operation};
use crate::hub::Shared;

/// The events of one partition, in order, from [`Hub::events`](crate::Hub::events).
///
/// An event that cannot be decoded is an item, an error of kind [`ErrorKind::Undecodable`]; the
/// events after it follow. Any other error is the last item.
///
/// Taking an event returns its credit to the service: whoever stops taking is sent no more than the
/// prefetch. Dropping the stream detaches the receiver.
///
/// ```no_run
/// # async fn example(hub: eventhubs_client::Hub) -> Result<(), eventhubs_client::Error> {
/// use eventhubs_client::{ErrorKind, PartitionId, ReceiveOptions};
///
/// let mut events = hub.events(PartitionId::from(0), ReceiveOptions::default()).await?;
/// while let Some(event) = events.next().await {
///     match event {
///         Ok(event) => println!("{}: {} bytes", event.sequence_number(), event.body().len()),
///         Err(error) if error.kind() == ErrorKind::Undecodable => eprintln!("passed over: {error}"),
///         Err(error) => return Err(error),
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct EventStream {
    receiver: Receiver,
    partition: PartitionId,
    entity: String,
    ended: bool,
    hub: Arc<Shared>,
}

impl EventStream {
    pub(crate) fn new(
        receiver: Receiver,
        partition: PartitionId,
        entity: String,
        hub: Arc<Shared>,
    ) -> Self {
        Self { receiver, partition, entity, ended: false, hub }
    }

    /// The partition.
    #[must_use]
    pub fn partition(&self) -> PartitionId {
        self.partition
    }

    pub(crate) fn entity(&self) -> &str {
        &self.entity
    }

    /// The next event; `None` after the stream has ended with an error.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: an event is only taken together with being returned.
    #[inline]
    pub async fn next(&mut self) -> Option<Result<ReceivedEvent, Error>> {
        std::future::poll_fn(|cx| self.poll_event(cx)).await
    }

    /// Ends the stream and waits until the service knows, by a deadline. Events that have not been
    /// taken are dropped; they come again to the next receiver.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the receiver is detached all the same.
    pub async fn close(self) {
        self.receiver.detach().await;
    }

    #[inline]
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<ReceivedEvent, Error>>> {
        if let Some(delivery) = self.receiver.try_recv() {
            return Poll::Ready(Some(self.decode(delivery)));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        match self.receiver.poll_recv(cx) {
            Poll::Ready(Ok(delivery)) => Poll::Ready(Some(self.decode(delivery))),
            Poll::Ready(Err(closed)) => {
                self.ended = true;
                Poll::Ready(Some(Err(self.hub.ended(&closed, Operation::Receive, &self.entity))))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    #[inline]
    fn decode(&self, delivery: eventhubs_amqp::engine::Delivery) -> Result<ReceivedEvent, Error> {
        match ReceivedEvent::decode(delivery.into_payload(), 0) {
            Ok(event) => Ok(event),
            Err(error) => Err(self.undecodable(error)),
        }
    }

    #[cold]
    fn undecodable(&self, error: eventhubs_protocol::EventError) -> Error {
        let detail = error.to_string();
        Error::new(ErrorKind::Undecodable, Operation::Receive, self.entity.clone(), detail)
            .with_source(error)
    }
}

impl Stream for EventStream {
    type Item = Result<ReceivedEvent, Error>;

    #[inline]
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_event(cx)
    }
}
