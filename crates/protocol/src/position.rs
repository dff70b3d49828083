//! Where a receiver starts.

use crate::error::{Field, InvalidValue, Problem};
use crate::types::{Offset, SequenceNumber, Timestamp};

/// Where in a partition a receiver starts.
///
/// The event the position names is left out unless [`StartPosition::inclusive`] is asked for, so
/// that the position of the last event handled is the position to continue from.
///
/// # Examples
///
/// ```
/// use eventhubs_protocol::{SequenceNumber, StartPosition};
///
/// let position = StartPosition::sequence_number(SequenceNumber::from(41))?;
/// assert!(!position.is_inclusive());
/// assert!(position.inclusive().is_inclusive());
/// # Ok::<(), eventhubs_protocol::InvalidValue>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StartPosition {
    anchor: Anchor,
    inclusive: bool,
}

/// What a [`StartPosition`] is relative to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Anchor {
    /// The oldest event still kept.
    Earliest,
    /// The last event at the moment the receiver attaches.
    Latest,
    /// The event with this offset.
    Offset(Offset),
    /// The event with this sequence number.
    SequenceNumber(SequenceNumber),
    /// Events the service accepted at this time.
    EnqueuedTime(Timestamp),
}

impl StartPosition {
    /// 9999-12-31T23:59:59.999Z, the last moment the service can represent.
    const LAST_MOMENT: i64 = 253_402_300_799_999;

    /// Everything the partition still keeps, then what follows.
    #[must_use]
    pub const fn earliest() -> Self {
        Self { anchor: Anchor::Earliest, inclusive: false }
    }

    /// Only what arrives after the receiver attached; inclusive, also the last event before.
    #[must_use]
    pub const fn latest() -> Self {
        Self { anchor: Anchor::Latest, inclusive: false }
    }

    /// Events after the one with this offset.
    ///
    /// On a geo-replicated namespace an offset may be refused after a fail-over; a sequence number
    /// always works.
    #[must_use]
    pub const fn offset(offset: Offset) -> Self {
        Self { anchor: Anchor::Offset(offset), inclusive: false }
    }

    /// Events after the one with this sequence number.
    ///
    /// # Errors
    ///
    /// The number is below -1.
    pub fn sequence_number(number: SequenceNumber) -> Result<Self, InvalidValue> {
        if number < SequenceNumber::BEFORE_FIRST {
            return Err(InvalidValue::new(Field::SequenceNumber, Problem::OutOfRange));
        }
        Ok(Self { anchor: Anchor::SequenceNumber(number), inclusive: false })
    }

    /// Events the service accepted after this time.
    ///
    /// # Errors
    ///
    /// The time is before 1970 or after the year 9999, which is more likely a time that was never
    /// set than a time that was meant.
    pub fn enqueued_time(time: Timestamp) -> Result<Self, InvalidValue> {
        if !(0..=Self::LAST_MOMENT).contains(&time.as_millis()) {
            return Err(InvalidValue::new(Field::EnqueuedTime, Problem::OutOfRange));
        }
        Ok(Self { anchor: Anchor::EnqueuedTime(time), inclusive: false })
    }

    /// The same position with the event it names.
    #[must_use]
    pub fn inclusive(self) -> Self {
        self.with_inclusive(true)
    }

    /// The same position with or without the event it names.
    #[must_use]
    pub fn with_inclusive(mut self, inclusive: bool) -> Self {
        self.inclusive = inclusive;
        self
    }

    /// What the position is relative to.
    #[must_use]
    pub const fn anchor(&self) -> &Anchor {
        &self.anchor
    }

    /// Whether the event the position names is delivered too.
    #[must_use]
    pub const fn is_inclusive(&self) -> bool {
        self.inclusive
    }
}

impl Default for StartPosition {
    /// The beginning of the log.
    fn default() -> Self {
        Self::earliest()
    }
}
