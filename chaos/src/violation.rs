//! What must not happen, with all that is needed to look for the cause.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::breach::Breach;
use crate::stamp::{Damage, EventId};

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// An acknowledged event is not stored, or was never read where only reading shows it.
    Lost {
        /// The event.
        event: EventId,
    },
    /// A stored event was never handed to the consumer of its partition.
    Undelivered {
        /// The consumer.
        consumer: u16,
        /// Its partition.
        partition: u16,
        /// The first sequence number of those that follow each other.
        from: i64,
        /// The last.
        to: i64,
    },
    /// Something is there that nobody has sent.
    Invented {
        /// Where it is.
        partition: u16,
        /// Its sequence number.
        sequence: i64,
        /// What it says it is, if it says anything.
        event: Option<EventId>,
    },
    /// The content of an event has changed.
    Damaged {
        /// Where it is.
        partition: u16,
        /// Its sequence number.
        sequence: i64,
        /// In what way.
        damage: Damage,
    },
    /// An event is in another partition than it was sent to.
    Misplaced {
        /// The event.
        event: EventId,
        /// Where it is.
        partition: u16,
        /// Its sequence number there.
        sequence: i64,
    },
    /// A send was said to have failed for certain, and its event is stored.
    StoredAllTheSame {
        /// The event.
        event: EventId,
        /// Its sequence number.
        sequence: i64,
    },
    /// Some events of a batch are stored and others are not, not as often, or not together.
    Torn {
        /// The event at which it shows.
        event: EventId,
        /// Where the batch begins; `None` when its first event is not stored.
        batch_at: Option<i64>,
        /// Where the event is; `None` when it is not stored.
        event_at: Option<i64>,
    },
    /// An event that was acknowledged before another was sent comes after it.
    Reordered {
        /// The one that was sent first.
        earlier: EventId,
        /// Its sequence number.
        earlier_at: i64,
        /// The one that was sent when the first had been acknowledged.
        later: EventId,
        /// Its sequence number.
        later_at: i64,
    },
    /// More is stored twice than was sent again after an unknown outcome.
    Doubled {
        /// An event that is.
        event: EventId,
        /// How often it is there.
        copies: u32,
        /// Sends that are there too often, over the whole run.
        extra: u64,
        /// Sends that may be.
        allowed: u64,
    },
    /// Within one receiver an event came that is not after the one before it, or is before the
    /// position that was asked for.
    Repeated {
        /// The consumer.
        consumer: u16,
        /// Its partition.
        partition: u16,
        /// What came.
        sequence: i64,
        /// What had come before it.
        after: i64,
    },
    /// Within one receiver events were left out without a word.
    Skipped {
        /// The consumer.
        consumer: u16,
        /// Its partition.
        partition: u16,
        /// The first that is missing.
        from: i64,
        /// The last that is missing.
        to: i64,
    },
    /// A consumer was handed something else than what is stored under that sequence number.
    Misread {
        /// The consumer.
        consumer: u16,
        /// Its partition.
        partition: u16,
        /// The sequence number.
        sequence: i64,
        /// What is stored there; `None` when nothing is.
        stored: Option<EventId>,
        /// What was handed out.
        read: Option<EventId>,
    },
    /// A receiver reported events as missing that it did not miss.
    FalseReport {
        /// The consumer.
        consumer: u16,
        /// Its partition.
        partition: u16,
        /// The first that it reported.
        from: i64,
        /// The last that it reported.
        to: i64,
        /// What it had handed out last.
        after: i64,
    },
    /// More was reported as missing than the service withheld.
    Untrue {
        /// Events reported as missing or spoiled.
        reported: u64,
        /// Events that the service withheld or spoiled.
        withheld: u64,
    },
    /// An operation ended later than it promised.
    Late {
        /// What it was.
        operation: &'static str,
        /// How long it took.
        took: Duration,
        /// How long it may take.
        limit: Duration,
    },
    /// Nothing went forward although nothing was in the way any more.
    Stuck {
        /// Who.
        who: String,
        /// For how long.
        waited: Duration,
    },
    /// Something of the run is still there after its end.
    Kept {
        /// What: bytes, tasks or open files.
        what: &'static str,
        /// Before the run.
        before: usize,
        /// After it.
        after: usize,
    },
    /// Memory in use grew although nothing more was kept.
    Grew {
        /// Most bytes in use in the second minute.
        before: usize,
        /// Most bytes in use in a later minute.
        after: usize,
        /// Which, counted from 1.
        minute: usize,
    },
    /// Code panicked.
    Panicked {
        /// How often.
        times: usize,
    },
    /// A promise of hosts.
    Host(Breach),
}

impl From<Breach> for Violation {
    fn from(breach: Breach) -> Self {
        Self::Host(breach)
    }
}

impl Violation {
    /// Its name, for counting.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Lost { .. } => "lost",
            Self::Undelivered { .. } => "undelivered",
            Self::Invented { .. } => "invented",
            Self::Damaged { .. } => "damaged",
            Self::Misplaced { .. } => "misplaced",
            Self::StoredAllTheSame { .. } => "stored all the same",
            Self::Torn { .. } => "torn",
            Self::Reordered { .. } => "reordered",
            Self::Doubled { .. } => "doubled",
            Self::Repeated { .. } => "repeated",
            Self::Skipped { .. } => "skipped",
            Self::Misread { .. } => "misread",
            Self::FalseReport { .. } => "false report",
            Self::Untrue { .. } => "untrue",
            Self::Late { .. } => "late",
            Self::Stuck { .. } => "stuck",
            Self::Kept { .. } => "kept",
            Self::Grew { .. } => "grew",
            Self::Panicked { .. } => "panicked",
            Self::Host(breach) => breach.name(),
        }
    }
}

/// An event, or that there is none.
struct Maybe(Option<EventId>);

impl fmt::Display for Maybe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(event) => event.fmt(f),
            None => f.write_str("nothing"),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.name())?;
        match self {
            Self::Lost { event } => write!(f, "{event} was acknowledged"),
            Self::Undelivered { consumer, partition, from, to } => {
                write!(f, "consumer {consumer} never got {from} to {to} of partition {partition}")
            }
            Self::Invented { partition, sequence, event } => {
                write!(f, "{} at {sequence} of partition {partition}", Maybe(*event))
            }
            Self::Damaged { partition, sequence, damage } => {
                write!(f, "{damage}, at {sequence} of partition {partition}")
            }
            Self::Misplaced { event, partition, sequence } => {
                write!(f, "{event} is at {sequence} of partition {partition}")
            }
            Self::StoredAllTheSame { event, sequence } => {
                write!(f, "{event} failed for certain and is at {sequence}")
            }
            Self::Torn { event, batch_at, event_at } => {
                write!(f, "{event} is at {event_at:?}, its batch begins at {batch_at:?}")
            }
            Self::Reordered { earlier, earlier_at, later, later_at } => write!(
                f,
                "{earlier} is at {earlier_at}, {later} was sent after it and is at {later_at}"
            ),
            Self::Doubled { event, copies, extra, allowed } => write!(
                f,
                "{event} is there {copies} times; {extra} sends too often in all, {allowed} allowed"
            ),
            Self::Repeated { consumer, partition, sequence, after } => write!(
                f,
                "consumer {consumer} of partition {partition} got {sequence} after {after}"
            ),
            Self::Skipped { consumer, partition, from, to } => write!(
                f,
                "consumer {consumer} of partition {partition} was not told of {from} to {to}"
            ),
            Self::Misread { consumer, partition, sequence, stored, read } => write!(
                f,
                "consumer {consumer} of partition {partition} got {} as {sequence}, which is {}",
                Maybe(*read),
                Maybe(*stored)
            ),
            Self::FalseReport { consumer, partition, from, to, after } => write!(
                f,
                "consumer {consumer} of partition {partition} was told after {after} that {from} \
                 to {to} are missing"
            ),
            Self::Untrue { reported, withheld } => {
                write!(f, "{reported} reported as missing or spoiled, {withheld} withheld")
            }
            Self::Late { operation, took, limit } => {
                write!(f, "{operation} took {took:.1?} and may take {limit:.1?}")
            }
            Self::Stuck { who, waited } => write!(f, "{who} for {waited:.1?}"),
            Self::Kept { what, before, after } => write!(f, "{after} {what}, {before} before"),
            Self::Grew { before, after, minute } => {
                write!(f, "{after} bytes at most in minute {minute}, {before} in minute 2")
            }
            Self::Panicked { times } => write!(f, "{times} times"),
            Self::Host(breach) => breach.fmt(f),
        }
    }
}

/// Most violations of one name that are kept in full; all are counted.
const KEPT_MAX: usize = 20;

/// Violations as they are found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    kept: Vec<Violation>,
    counts: BTreeMap<&'static str, u64>,
}

impl Findings {
    /// Adds one.
    pub fn add(&mut self, violation: impl Into<Violation>) {
        let violation = violation.into();
        let count = self.counts.entry(violation.name()).or_default();
        *count += 1;
        if *count <= KEPT_MAX as u64 {
            self.kept.push(violation);
        }
    }

    /// Adds those of others.
    pub fn merge(&mut self, other: Self) {
        for (name, count) in other.counts {
            *self.counts.entry(name).or_default() += count;
        }
        self.kept.extend(other.kept);
    }

    /// The first of each name.
    #[must_use]
    pub fn kept(&self) -> &[Violation] {
        &self.kept
    }

    /// How many there are of each name.
    #[must_use]
    pub fn counts(&self) -> &BTreeMap<&'static str, u64> {
        &self.counts
    }

    /// How many there are of a name.
    #[must_use]
    pub fn count(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or(0)
    }

    /// How many there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }
}
