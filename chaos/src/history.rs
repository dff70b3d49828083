//! What happened in a run: what was sent, what the service stored, what was read.

use crate::stamp::{Damage, EventId, Stamp};

/// What became of a send, in the words of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The service has it.
    Acked,
    /// The service does not have it, and never will.
    Failed,
    /// Nobody knows.
    Unknown,
}

/// One call that sent one or several events, which the service stores as a whole or not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Send {
    /// The producer.
    pub producer: u16,
    /// The partition.
    pub partition: u16,
    /// Counter of its first event.
    pub first: u64,
    /// Its events, with consecutive counters.
    pub count: u32,
    /// When the call began, in microseconds.
    pub start: u64,
    /// When its outcome was there.
    pub end: u64,
    /// The outcome.
    pub outcome: Outcome,
}

impl Send {
    /// One of its events, counted from 0.
    #[must_use]
    pub const fn event(&self, index: u32) -> EventId {
        let Self { producer, partition, first, .. } = *self;
        EventId { producer, partition, counter: first + index as u64 }
    }

    /// Its events in order.
    pub fn events(&self) -> impl Iterator<Item = EventId> + use<> {
        let this = *self;
        (0..this.count).map(move |index| this.event(index))
    }
}

/// What a body turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// An event of this run.
    Event(EventId),
    /// An event of another run.
    Foreign {
        /// That run.
        run: u64,
    },
    /// No event as it was made.
    Damaged(Damage),
}

impl Content {
    /// Reads a body in a run.
    #[must_use]
    pub fn of(run: u64, body: &[u8]) -> Self {
        match Stamp::read(body) {
            Ok(stamp) if stamp.run == run => Self::Event(stamp.event),
            Ok(stamp) => Self::Foreign { run: stamp.run },
            Err(damage) => Self::Damaged(damage),
        }
    }
}

/// The events that the service holds in one partition, in order: the truth.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Log {
    /// Sequence number of the first of them; what was before is trimmed.
    pub begin: i64,
    /// Their contents.
    pub events: Vec<Content>,
}

impl Log {
    /// What is stored under a sequence number.
    #[must_use]
    pub fn content(&self, sequence: i64) -> Option<Content> {
        let index = usize::try_from(sequence.checked_sub(self.begin)?).ok()?;
        self.events.get(index).copied()
    }

    /// The sequence number after the last.
    #[must_use]
    pub fn end(&self) -> i64 {
        self.begin.saturating_add(i64::try_from(self.events.len()).unwrap_or(i64::MAX))
    }

    /// Sequence numbers and contents.
    pub fn entries(&self) -> impl Iterator<Item = (i64, Content)> {
        (self.begin..).zip(self.events.iter().copied())
    }
}

/// One thing that a consumer saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// A new receiver was asked for the events after this one, or for all.
    Opened {
        /// Sequence number of the last event that is not wanted.
        after: Option<i64>,
    },
    /// An event.
    Event {
        /// Its sequence number.
        sequence: i64,
        /// What it turned out to be.
        content: Content,
    },
    /// An event that could not be decoded.
    Undecodable {
        /// Its sequence number, if it can be made out.
        sequence: Option<i64>,
    },
    /// The receiver says that events are missing.
    Gap {
        /// The first of them.
        from: i64,
        /// The last of them.
        to: i64,
    },
    /// The receiver says that events were gone before it could read them.
    Trimmed {
        /// The first of them.
        from: i64,
        /// The last of them.
        to: i64,
    },
}

/// All that a consumer saw of its partition, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reader {
    /// The consumer.
    pub consumer: u16,
    /// The partition.
    pub partition: u16,
    /// What it saw.
    pub readings: Vec<Reading>,
}

/// A whole run, after it has come to rest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// Every send that has ended, in any order.
    pub sends: Vec<Send>,
    /// What is stored, by partition.
    pub logs: Vec<Log>,
    /// Every consumer.
    pub readers: Vec<Reader>,
    /// Producers whose sends to a partition are stored in the order of their counters.
    pub ordered: Vec<u16>,
    /// How often the producers say that they sent something again without knowing what had become
    /// of it: the most that may be stored twice.
    pub unknown_retried: u64,
    /// How many deliveries the service left out or spoiled on purpose: the most that may be missing
    /// with a receiver's word.
    pub withheld: u64,
}
