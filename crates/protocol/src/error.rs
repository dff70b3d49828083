//! Values refused before they reach the network, and events that cannot be read.

use crate::types::SequenceNumber;
use bytes::Bytes;
use eventhubs_amqp::codec::DecodeError;
use std::fmt;

/// A value that cannot be what it was given as.
///
/// The message names the field and what is wrong with it, never the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("invalid {field}: {problem}")]
pub struct InvalidValue {
    field: Field,
    problem: Problem,
}

impl InvalidValue {
    pub(crate) const fn new(field: Field, problem: Problem) -> Self {
        Self { field, problem }
    }

    /// What the value was meant to be.
    #[must_use]
    pub const fn field(&self) -> Field {
        self.field
    }

    /// What is wrong with it.
    #[must_use]
    pub const fn problem(&self) -> Problem {
        self.problem
    }
}

/// What a refused value was meant to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Field {
    /// Name of an event hub.
    #[error("event hub name")]
    HubName,
    /// Name of a consumer group.
    #[error("consumer group")]
    ConsumerGroup,
    /// Partition id.
    #[error("partition id")]
    PartitionId,
    /// Partition key.
    #[error("partition key")]
    PartitionKey,
    /// Offset.
    #[error("offset")]
    Offset,
    /// Sequence number of a start position.
    #[error("sequence number")]
    SequenceNumber,
    /// Enqueued time of a start position.
    #[error("enqueued time")]
    EnqueuedTime,
    /// Owner level, also called epoch.
    #[error("owner level")]
    OwnerLevel,
    /// Host name of a namespace.
    #[error("host")]
    Host,
}

/// What is wrong with a refused value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// It is empty.
    #[error("it is empty")]
    Empty,
    /// It is longer than allowed.
    #[error("it is longer than {limit} characters")]
    TooLong {
        /// The longest that is allowed, in characters.
        limit: usize,
    },
    /// It holds a character that is not allowed.
    #[error("it holds a character that is not allowed")]
    Character,
    /// Its first or last character is neither a letter nor a digit.
    #[error("it must start and end with a letter or a digit")]
    Edge,
    /// It is not a plain decimal number.
    #[error("it is not a decimal number without sign, blanks or leading zeros")]
    NotANumber,
    /// It is outside the range the service knows.
    #[error("it is out of range")]
    OutOfRange,
}

/// An event that cannot be read.
///
/// Nothing is wrong with the link: the events after it arrive as usual. What could be learnt is
/// kept, so that the event can be stepped over by its sequence number, or stored for a closer look.
#[derive(Clone, thiserror::Error)]
#[error("an event cannot be decoded: {cause}")]
pub struct EventError {
    #[source]
    cause: DecodeError,
    sequence_number: Option<SequenceNumber>,
    payload: Bytes,
}

impl EventError {
    pub(crate) const fn new(
        cause: DecodeError,
        sequence_number: Option<SequenceNumber>,
        payload: Bytes,
    ) -> Self {
        Self { cause, sequence_number, payload }
    }

    /// What is wrong with the bytes.
    #[must_use]
    pub const fn cause(&self) -> &DecodeError {
        &self.cause
    }

    /// The event's sequence number, when that much could be read.
    #[must_use]
    pub const fn sequence_number(&self) -> Option<SequenceNumber> {
        self.sequence_number
    }

    /// The event's bytes as they came, from the first section on.
    #[must_use]
    pub const fn raw(&self) -> &Bytes {
        &self.payload
    }
}

impl fmt::Debug for EventError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventError")
            .field("cause", &self.cause)
            .field("sequence_number", &self.sequence_number)
            .field("len", &self.payload.len())
            .finish()
    }
}
