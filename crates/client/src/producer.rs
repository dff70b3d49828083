//! Sending to one destination: a partition, a partition key, or wherever the service likes.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use eventhubs_protocol::{Batch, Envelope, EventData, PartitionId, PartitionKey, address, names};

use crate::batch::EventBatch;
use crate::delivery::{Delivery, mismatch};
use crate::error::{Error, Operation};
use crate::hub::Shared;
use crate::links::{SendLink, SendLinks, no_room};
use crate::recovery::attempts::Attempts;
use crate::recovery::call::{Call, retrying};
use crate::recovery::clock;
use crate::sending::Sending;

/// Where events go.
///
/// ```
/// use eventhubs_client::{Destination, PartitionId, PartitionKey};
///
/// assert_eq!(Destination::from(PartitionId::from(3)), Destination::Partition(3.into()));
/// let key = PartitionKey::new("device-7")?;
/// assert_eq!(Destination::from(key.clone()), Destination::Key(key));
/// assert_eq!(Destination::default(), Destination::Any);
/// # Ok::<(), eventhubs_client::InvalidValue>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Destination {
    /// Wherever the service likes: it spreads events over the partitions, and keeps those with the
    /// same partition key together.
    #[default]
    Any,
    /// One partition.
    Partition(PartitionId),
    /// The partition that the service assigns to a key; all events of the key go there.
    Key(PartitionKey),
}

impl From<PartitionId> for Destination {
    fn from(partition: PartitionId) -> Self {
        Self::Partition(partition)
    }
}

impl From<PartitionKey> for Destination {
    fn from(key: PartitionKey) -> Self {
        Self::Key(key)
    }
}

/// Sends to one [`Destination`]. Clones share the link, and so do all producers of a hub with the
/// same partition.
///
/// ```no_run
/// # async fn example(hub: eventhubs_client::Hub) -> Result<(), Box<dyn std::error::Error>> {
/// use eventhubs_client::PartitionKey;
///
/// let producer = hub.producer(PartitionKey::new("device-7")?);
/// producer.send("one, and its outcome").await?;
///
/// // Many at once, in this order, and then their outcomes.
/// let mut pending = Vec::new();
/// for reading in 0..100 {
///     producer.ready().await?;
///     pending.push(producer.enqueue(format!("{reading}")));
/// }
/// for sending in pending {
///     sending.await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Producer {
    hub: Arc<Shared>,
    links: Arc<SendLinks>,
    key: Option<PartitionKey>,
}

impl Producer {
    pub(crate) fn new(hub: Arc<Shared>, destination: Destination) -> Self {
        let (partition, key) = match destination {
            Destination::Any => (None, None),
            Destination::Partition(partition) => (Some(partition), None),
            Destination::Key(key) => (None, Some(key)),
        };
        let links = hub.send_links(partition);
        Self { hub, links, key }
    }

    /// Sends one event and waits until the service has accepted it. Waits for room first when more
    /// is pending than the options allow. What fails is tried again as
    /// [`HubOptions::retry`](crate::HubOptions::retry) says; all of it, waits included, ends within
    /// the total time given there.
    ///
    /// # Errors
    ///
    /// [`Error`], after the last try; [`Error::may_have_been_sent`] tells whether it may be stored all the same. Of kind
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) when the event's partition key does not go
    /// with the destination, and [`TooLarge`](crate::ErrorKind::TooLarge) when it can never fit.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does not undo the send: an event that has not been written is withdrawn,
    /// one that has been may be stored.
    pub async fn send(&self, event: impl Into<EventData>) -> Result<(), Error> {
        let event = self.addressed(event.into())?;
        let started = clock::now();
        let link = self.room(started).await?;
        let message = (self.links.encode(&event), names::MESSAGE_FORMAT);
        self.dispatch(message, started, link).await
    }

    /// Queues one event at once and gives a future of its outcome, so that many can be on their way.
    /// Events leave in the order of these calls.
    ///
    /// Nothing waits here. [`ready`](Self::ready) gives back-pressure; a queue sixteen times beyond
    /// its bound fails the send. Until the link is attached (by [`ready`](Self::ready), or by any
    /// send that has ended), the future has to be polled for the event to be queued. It has to be
    /// polled for a failed event to be sent again, too, which is then behind those that followed it
    /// unless sends are [ordered](crate::HubOptions::ordered): these start and go on by themselves.
    pub fn enqueue(&self, event: impl Into<EventData>) -> Sending {
        let event = match self.addressed(event.into()) {
            Ok(event) => event,
            Err(error) => return Sending::finished(Err(error)),
        };
        let started = clock::now();
        let link = self.links.current(&self.hub, started);
        self.dispatch((self.links.encode(&event), names::MESSAGE_FORMAT), started, link)
    }

    /// Attaches the link if need be and waits until fewer sends and bytes are pending than the
    /// options allow.
    ///
    /// # Errors
    ///
    /// When the link cannot be attached.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn ready(&self) -> Result<(), Error> {
        let started = clock::now();
        if self.links.current(&self.hub, started).is_none() {
            self.link().await?;
        }
        self.room(started).await.map(drop)
    }

    /// An empty batch for this destination, as large as the link takes.
    ///
    /// # Errors
    ///
    /// When the link cannot be attached, which is how its limit becomes known.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn create_batch(&self) -> Result<EventBatch, Error> {
        let link = self.link().await?;
        let limit = link.max_message_size().unwrap_or(u64::MAX);
        Ok(EventBatch::new(Envelope::new(limit, self.key.clone()), self.links.partition()))
    }

    /// Sends a batch and waits until the service has accepted it, all of it or nothing. An empty
    /// one is sent at once, since there is nothing to send.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send); also when the batch was made for another destination.
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    pub async fn send_batch(&self, batch: EventBatch) -> Result<(), Error> {
        let Some(batch) = self.finish(batch)? else { return Ok(()) };
        let started = clock::now();
        let link = self.room(started).await?;
        self.dispatch((batch.payload().clone(), batch.message_format()), started, link).await
    }

    /// Queues a batch at once and gives a future of its outcome; see [`enqueue`](Self::enqueue).
    pub fn enqueue_batch(&self, batch: EventBatch) -> Sending {
        let batch = match self.finish(batch) {
            Ok(Some(batch)) => batch,
            Ok(None) => return Sending::finished(Ok(())),
            Err(error) => return Sending::finished(Err(error)),
        };
        let started = clock::now();
        let link = self.links.current(&self.hub, started);
        self.dispatch((batch.payload().clone(), batch.message_format()), started, link)
    }

    /// The finished batch, if it was made for this destination; `None` when nothing is in it.
    fn finish(&self, batch: EventBatch) -> Result<Option<Batch>, Error> {
        if batch.partition() != self.links.partition() || batch.partition_key() != self.key.as_ref()
        {
            let detail = "the batch was made for another partition or key";
            return Err(mismatch(&self.entity(), detail));
        }
        Ok(batch.finish())
    }

    /// The event with the key of this destination, if the two go together.
    fn addressed(&self, event: EventData) -> Result<EventData, Error> {
        match (&self.key, event.partition_key()) {
            (Some(key), None) => Ok(event.with_partition_key(key.clone())),
            (Some(key), Some(other)) if key != other => {
                let detail = "the event has a partition key that is not the producer's";
                Err(mismatch(&self.entity(), detail))
            }
            (None, Some(_)) if self.links.partition().is_some() => {
                let detail = "an event with a partition key cannot go to a chosen partition";
                Err(mismatch(&self.entity(), detail))
            }
            _ => Ok(event),
        }
    }

    /// What this destination is called in errors.
    fn entity(&self) -> String {
        address::producer(&self.hub.target().hub, self.links.partition())
    }

    /// Attaches the link, as often as the options allow.
    async fn link(&self) -> Result<SendLink, Error> {
        let entity = self.entity();
        let call = Call {
            operation: Operation::AttachProducer,
            entity: &entity,
            retry: &self.hub.target().options.retry,
            patient: false,
        };
        retrying(&self.hub, call, |this| self.links.attached(&self.hub, this)).await
    }

    /// Waits until there is room for another send, for as long as a call may take that began at
    /// `started`. Gives the link if there is one.
    async fn room(&self, started: Instant) -> Result<Option<SendLink>, Error> {
        let options = &self.hub.target().options;
        let deadline = Attempts::new(started).deadline(&options.retry);
        if options.ordered {
            return match self.links.line().has_room_by(options, deadline).await {
                true => Ok(None),
                false => Err(no_room(&self.entity())),
            };
        }
        let link = self.links.current(&self.hub, started);
        if let Some(link) = &link {
            link.has_room_by(deadline).await?;
        }
        Ok(link)
    }

    /// Queues a message on the link, in line, or for when there is a link and the service wants to
    /// be asked.
    fn dispatch(
        &self,
        (payload, message_format): (Bytes, u32),
        started: Instant,
        link: Option<SendLink>,
    ) -> Sending {
        let partition = self.links.partition();
        let hub = Arc::clone(&self.hub);
        let is_open = hub.pacing().closed_until(started).is_none();
        let is_ordered = hub.target().options.ordered;
        let delivery = Delivery { hub, partition, payload, message_format, started };
        match link {
            _ if is_ordered => {
                let line = self.links.line();
                match line.join(delivery, || self.entity()) {
                    Ok(outcome) => Sending::in_line(outcome, Arc::clone(line)),
                    Err(error) => Sending::finished(Err(error)),
                }
            }
            Some(link) if is_open => Sending::queued(delivery, link),
            _ => Sending::waiting(delivery),
        }
    }
}
