//! A batch of events as one message.
//!
//! The message has the format [`BATCH_MESSAGE_FORMAT`](names::BATCH_MESSAGE_FORMAT). Its sections
//! are message annotations with the partition key, when there is one, and then one data section per
//! event, each holding that event's whole message.

use crate::event::{EventData, KeySection, MAX_DATA_HEAD, data_head, data_len};
use crate::names;
use crate::types::PartitionKey;
use bytes::{Bytes, BytesMut};
use std::fmt;

/// Room a new batch makes at once, when its limit is not lower. More is made as it fills.
pub const INITIAL_CAPACITY: usize = 1024 * 1024;
/// The largest limit a batch takes, in bytes; higher ones mean this one.
pub const MAX_LIMIT: usize = u32::MAX as usize;

/// A batch that is being filled.
///
/// Each event is written once, straight into the bytes that will be sent; sizes are known by
/// arithmetic, exactly.
///
/// # Examples
///
/// ```
/// use eventhubs_protocol::{Envelope, EventData, TryAddError};
///
/// let mut envelope = Envelope::new(64, None);
/// envelope.try_add(EventData::new("first"))?;
/// match envelope.try_add(EventData::new(vec![0; 40])) {
///     Err(TryAddError::Full(event)) => assert_eq!(event.body().map(|body| body.len()), Some(40)),
///     other => panic!("{other:?}"),
/// }
/// let batch = envelope.finish().expect("one event is in it");
/// assert_eq!((batch.count(), batch.payload().len()), (1, 15));
/// # Ok::<(), TryAddError>(())
/// ```
pub struct Envelope {
    buffer: BytesMut,
    limit: usize,
    count: usize,
    key: Option<PartitionKey>,
    /// The batch's own annotations, and those of an event that has no others.
    section: KeySection,
}

/// Why an event was not added. The batch is as it was; the event comes back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TryAddError {
    /// The batch has no room left for it; an empty one would.
    #[error("the batch is full")]
    Full(EventData),
    /// No batch has room for it.
    #[error("the event takes a batch of {size} bytes, the limit is {limit}")]
    TooLarge {
        /// The event.
        event: EventData,
        /// Size in bytes of a batch with this event alone.
        size: usize,
        /// Largest size of a batch, in bytes.
        limit: usize,
    },
    /// The event has a partition key of its own, and it is not that of the batch.
    #[error("the event's partition key is not that of the batch")]
    OtherKey(EventData),
}

impl TryAddError {
    /// The event that was not added.
    #[must_use]
    pub fn into_event(self) -> EventData {
        match self {
            Self::Full(event) | Self::TooLarge { event, .. } | Self::OtherKey(event) => event,
        }
    }
}

impl Envelope {
    /// An empty batch of at most `limit` bytes, the largest message the link takes.
    #[must_use]
    pub fn new(limit: u64, key: Option<PartitionKey>) -> Self {
        Self::with_buffer(limit, key, BytesMut::new())
    }

    /// The same, in a buffer that was used before; what is in it is lost.
    ///
    /// [`Batch::into_buffer`] gives the buffer of a batch back once nobody sends it any more.
    #[must_use]
    pub fn with_buffer(limit: u64, key: Option<PartitionKey>, mut buffer: BytesMut) -> Self {
        let limit = usize::try_from(limit).unwrap_or(MAX_LIMIT).min(MAX_LIMIT);
        let section = KeySection::of(key.as_ref());
        buffer.clear();
        buffer.reserve(limit.min(INITIAL_CAPACITY).max(section.len()));
        buffer.extend_from_slice(section.bytes());
        Self { buffer, limit, count: 0, key, section }
    }

    /// Adds an event.
    ///
    /// # Errors
    ///
    /// The event does not fit, or has another partition key. It comes back with the error, and the
    /// batch is as it was.
    #[inline]
    pub fn try_add(&mut self, event: EventData) -> Result<(), TryAddError> {
        if !event.is_plain() {
            return self.try_add_any(event);
        }
        let body = event.plain_body();
        let inner = self.section.len() + data_len(body.len());
        // Sizes cannot wrap: no slice is longer than half of what a usize counts.
        let size = self.buffer.len() + data_len(inner);
        if size > self.limit {
            return Err(self.refuse(event, inner));
        }
        let (outer_head, outer_len) = data_head(inner);
        let (inner_head, inner_len) = data_head(body.len());
        if self.section.len() == 0 {
            let mut heads = [0; 2 * MAX_DATA_HEAD];
            heads[..MAX_DATA_HEAD].copy_from_slice(&outer_head);
            heads[outer_len..outer_len + MAX_DATA_HEAD].copy_from_slice(&inner_head);
            self.buffer.extend_from_slice(&heads[..outer_len + inner_len]);
        } else {
            self.buffer.extend_from_slice(&outer_head[..outer_len]);
            self.buffer.extend_from_slice(self.section.bytes());
            self.buffer.extend_from_slice(&inner_head[..inner_len]);
        }
        self.buffer.extend_from_slice(body);
        self.count += 1;
        Ok(())
    }

    /// Adds an event that is more than a body.
    fn try_add_any(&mut self, event: EventData) -> Result<(), TryAddError> {
        if event.partition_key().is_some_and(|key| self.key.as_ref() != Some(key)) {
            return Err(TryAddError::OtherKey(event));
        }
        let inner = event.message_len(&self.section);
        let size = self.buffer.len() + data_len(inner);
        if size > self.limit {
            return Err(self.refuse(event, inner));
        }
        self.buffer.reserve(data_len(inner));
        let (head, len) = data_head(inner);
        self.buffer.extend_from_slice(&head[..len]);
        event.write(&self.section, &mut self.buffer);
        debug_assert_eq!(self.buffer.len(), size, "size by arithmetic");
        self.count += 1;
        Ok(())
    }

    #[cold]
    fn refuse(&self, event: EventData, inner: usize) -> TryAddError {
        let size = self.section.len() + data_len(inner);
        match size > self.limit {
            true => TryAddError::TooLarge { event, size, limit: self.limit },
            false => TryAddError::Full(event),
        }
    }

    /// Size in bytes of the message as it is now.
    #[must_use]
    pub fn size(&self) -> usize {
        self.buffer.len()
    }

    /// Largest size of the message, in bytes.
    #[must_use]
    pub const fn limit(&self) -> usize {
        self.limit
    }

    /// How many events are in it.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    /// Whether no event is in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The partition key of all its events.
    #[must_use]
    pub const fn partition_key(&self) -> Option<&PartitionKey> {
        self.key.as_ref()
    }

    /// The batch, ready to be sent; `None` when it is empty, for an empty one is never sent.
    #[must_use]
    pub fn finish(self) -> Option<Batch> {
        if self.is_empty() {
            return None;
        }
        Some(Batch { payload: self.buffer.freeze(), count: self.count, key: self.key })
    }
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope")
            .field("count", &self.count)
            .field("size", &self.size())
            .field("limit", &self.limit)
            .field("partition_key", &self.key.is_some())
            .finish_non_exhaustive()
    }
}

/// A batch that is finished. Cloning it copies no event.
#[derive(Clone)]
pub struct Batch {
    payload: Bytes,
    count: usize,
    key: Option<PartitionKey>,
}

impl Batch {
    /// The message, to be sent with [`Batch::message_format`].
    #[must_use]
    pub const fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// The format of the message, [`BATCH_MESSAGE_FORMAT`](names::BATCH_MESSAGE_FORMAT).
    #[must_use]
    pub const fn message_format(&self) -> u32 {
        names::BATCH_MESSAGE_FORMAT
    }

    /// How many events are in it, at least one.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    /// The partition key of all its events.
    #[must_use]
    pub const fn partition_key(&self) -> Option<&PartitionKey> {
        self.key.as_ref()
    }

    /// The buffer, for the next [`Envelope::with_buffer`]; `None` while a clone is still about.
    #[must_use]
    pub fn into_buffer(self) -> Option<BytesMut> {
        self.payload.try_into_mut().ok()
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("count", &self.count)
            .field("size", &self.payload.len())
            .field("partition_key", &self.key.is_some())
            .finish()
    }
}
