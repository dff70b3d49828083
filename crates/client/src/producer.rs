//! Sending to one destination: a partition, a partition key, or wherever the service likes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use eventhubs_amqp::net::{self, Sender, SenderOptions};
use eventhubs_protocol::{
    Batch, Envelope, EventData, PartitionId, PartitionKey, address, link, names,
};

use crate::batch::EventBatch;
use crate::error::{Error, Operation};
use crate::hub::Shared;
use crate::live::{Live, Target};
use crate::recovery::owner::Anew;
use crate::sending::{Sending, check_size, mismatch};

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

/// An attached sending link and what it is called in errors.
#[derive(Clone, Debug)]
pub(crate) struct SendLink {
    sender: Sender,
    entity: Arc<str>,
}

impl SendLink {
    pub(crate) fn entity(&self) -> &str {
        &self.entity
    }

    pub(crate) fn max_message_size(&self) -> Option<u64> {
        self.sender.max_message_size()
    }

    pub(crate) fn send(&self, payload: bytes::Bytes, message_format: u32) -> net::Sending {
        self.sender.send(payload, message_format)
    }

    pub(crate) fn is_live(&self) -> bool {
        self.sender.close_reason().is_none()
    }

    /// Asks for a detach: what is queued still gets its outcome.
    pub(crate) fn leave(&self) {
        self.sender.start_detach();
    }

    /// Attaches a link to the hub itself or to a partition.
    ///
    /// Cancel safe: a link that nobody waits for any more is detached.
    pub(crate) async fn attach(
        live: &Live,
        target: &Target,
        partition: Option<PartitionId>,
    ) -> Result<Self, Error> {
        let entity = address::producer(&target.hub, partition);
        let options = &target.options;
        let terms = link::producer(&entity, &target.identifier);
        let sender = live
            .connection
            .sender(SenderOptions {
                target: terms.target,
                source: terms.source,
                properties: terms.properties,
                desired_capabilities: terms.desired_capabilities,
                attach_timeout: options.attach_timeout,
                send_timeout: options.send_timeout,
                pending_max: options.pending_sends_max,
                pending_bytes_max: options.pending_bytes_max,
                ..SenderOptions::default()
            })
            .await
            .map_err(|error| Error::of_net(&error, Operation::AttachProducer, &entity))?;
        Ok(Self { sender, entity: entity.into() })
    }
}

/// Where the senders to one place find their link: the owner task made it on first use, and makes
/// another one when it was lost.
#[derive(Debug)]
pub(crate) struct SendLinks {
    partition: Option<PartitionId>,
    link: Mutex<Option<SendLink>>,
}

impl SendLinks {
    pub(crate) fn new(partition: Option<PartitionId>) -> Self {
        Self { partition, link: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Option<SendLink>> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The link, if there is one that is alive.
    fn live(&self) -> Option<SendLink> {
        self.lock().as_ref().filter(|link| link.is_live()).cloned()
    }

    fn set(&self, link: SendLink) {
        *self.lock() = Some(link);
    }

    /// The latest link, dead or alive.
    pub(crate) fn sender(&self) -> Option<Sender> {
        self.lock().as_ref().map(|link| link.sender.clone())
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
    /// is pending than the options allow.
    ///
    /// # Errors
    ///
    /// [`Error`]; [`Error::may_have_been_sent`] tells whether it may be stored all the same. Of kind
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) when the event's partition key does not go
    /// with the destination, and [`TooLarge`](crate::ErrorKind::TooLarge) when it can never fit.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does not undo the send: an event that has not been written is withdrawn,
    /// one that has been may be stored.
    pub async fn send(&self, event: impl Into<EventData>) -> Result<(), Error> {
        let event = self.addressed(event.into())?;
        let link = self.link().await?;
        link.sender.ready().await;
        queue(&event, link).await
    }

    /// Queues one event at once and gives a future of its outcome, so that many can be on their way.
    /// Events leave in the order of these calls.
    ///
    /// Nothing waits here. [`ready`](Self::ready) gives back-pressure; a queue sixteen times beyond
    /// its bound fails the send. Until the link is attached (by [`ready`](Self::ready), or by any
    /// send that has ended), the future has to be polled for the event to be queued.
    pub fn enqueue(&self, event: impl Into<EventData>) -> Sending {
        let event = match self.addressed(event.into()) {
            Ok(event) => event,
            Err(error) => return Sending::finished(Err(error)),
        };
        match self.links.live() {
            Some(link) => queue(&event, link),
            None => {
                let this = self.clone();
                Sending::attaching(async move { Ok(queue(&event, this.link().await?)) })
            }
        }
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
        let link = self.link().await?;
        link.sender.ready().await;
        Ok(())
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
        Ok(EventBatch::new(Envelope::new(limit, self.key.clone()), self.links.partition))
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
        let batch = self.finish(batch)?;
        let link = self.link().await?;
        link.sender.ready().await;
        queue_batch(batch, link).await
    }

    /// Queues a batch at once and gives a future of its outcome; see [`enqueue`](Self::enqueue).
    pub fn enqueue_batch(&self, batch: EventBatch) -> Sending {
        let batch = match self.finish(batch) {
            Ok(batch) => batch,
            Err(error) => return Sending::finished(Err(error)),
        };
        match self.links.live() {
            Some(link) => queue_batch(batch, link),
            None => {
                let this = self.clone();
                Sending::attaching(async move { Ok(queue_batch(batch, this.link().await?)) })
            }
        }
    }

    /// The finished batch, if it was made for this destination; `None` when nothing is in it.
    fn finish(&self, batch: EventBatch) -> Result<Option<Batch>, Error> {
        if batch.partition() != self.links.partition || batch.partition_key() != self.key.as_ref() {
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
            (None, Some(_)) if self.links.partition.is_some() => {
                let detail = "an event with a partition key cannot go to a chosen partition";
                Err(mismatch(&self.entity(), detail))
            }
            _ => Ok(event),
        }
    }

    /// What this destination is called in errors.
    fn entity(&self) -> String {
        address::producer(&self.hub.target().hub, self.links.partition)
    }

    async fn link(&self) -> Result<SendLink, Error> {
        match self.links.live() {
            Some(link) => Ok(link),
            None => self.link_anew(Anew::NOTHING).await,
        }
    }

    /// The link, made anew if `anew` asks for it.
    async fn link_anew(&self, anew: Anew) -> Result<SendLink, Error> {
        let link = self.hub.sender(self.links.partition, anew).await?;
        self.links.set(link.clone());
        Ok(link)
    }
}

/// Queues an event that fits the link.
fn queue(event: &EventData, link: SendLink) -> Sending {
    match check_size(event.encoded_len(), &link) {
        Ok(()) => Sending::queued(event.to_payload(), names::MESSAGE_FORMAT, link),
        Err(error) => Sending::finished(Err(error)),
    }
}

/// Queues a batch that fits the link, which may have been attached again, with another limit, since
/// the batch was made. An empty one is done at once.
fn queue_batch(batch: Option<Batch>, link: SendLink) -> Sending {
    let Some(batch) = batch else { return Sending::finished(Ok(())) };
    match check_size(batch.payload().len(), &link) {
        Ok(()) => Sending::queued(batch.payload().clone(), batch.message_format(), link),
        Err(error) => Sending::finished(Err(error)),
    }
}
