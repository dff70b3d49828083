//! What must not happen where hosts share partitions.

use std::fmt;
use std::time::Duration;

/// A promise of hosts that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Breach {
    /// Stored events for which no handler of any host has returned successfully.
    Unhandled {
        /// Their partition.
        partition: u16,
        /// The first sequence number of those that follow each other.
        from: i64,
        /// The last.
        to: i64,
    },
    /// A handler got something else than what is stored.
    Mishandled {
        /// The host.
        host: u16,
        /// Its partition.
        partition: u16,
        /// The sequence number.
        sequence: i64,
    },
    /// A handler got an event for a partition under a level at which its host never owned it.
    Unowned {
        /// The host.
        host: u16,
        /// The partition.
        partition: u16,
        /// The level.
        level: i64,
    },
    /// Events of one ownership did not follow on each other.
    Jumped {
        /// The host.
        host: u16,
        /// The partition.
        partition: u16,
        /// What came.
        sequence: i64,
        /// The last of those that were done with none missing.
        after: i64,
    },
    /// A host said that it passed events over, and nothing was withheld.
    PassedOver {
        /// The host.
        host: u16,
        /// The partition.
        partition: u16,
        /// The first.
        from: i64,
        /// The last.
        to: i64,
    },
    /// An event was handled again for no reason that counts.
    Again {
        /// The host that did.
        host: u16,
        /// The partition.
        partition: u16,
        /// The sequence number.
        sequence: i64,
        /// What makes it wrong.
        why: &'static str,
    },
    /// A checkpoint was written that is beyond what is done with none missing.
    Beyond {
        /// The host.
        host: u16,
        /// The partition.
        partition: u16,
        /// The checkpoint.
        sequence: i64,
        /// The first event that was not done.
        missing: i64,
    },
    /// A stored checkpoint went back.
    WentBack {
        /// The partition.
        partition: u16,
        /// What was stored.
        from: i64,
        /// What is stored; -1 for nothing.
        to: i64,
    },
    /// A checkpoint landed after another ownership had taken it over.
    Unfenced {
        /// The partition.
        partition: u16,
        /// The level under which it was written.
        level: i64,
        /// The level of the ownership that had it.
        holder: i64,
    },
    /// A partition was given back in peace, and its next owner began before what was done.
    Unflushed {
        /// The partition.
        partition: u16,
        /// Where the next owner began; -1 for the beginning.
        loaded: i64,
        /// What was done with none missing.
        done: i64,
    },
    /// Ownerships do not have rising levels.
    NotRising {
        /// The partition.
        partition: u16,
        /// The level of one.
        level: i64,
        /// The level of one before it.
        before: i64,
    },
    /// A handler was called after handlers had been told that it is over.
    AfterNotice {
        /// The host.
        host: u16,
        /// The partition.
        partition: u16,
        /// The level.
        level: i64,
        /// How long after.
        by: Duration,
    },
    /// A handler was called although the lease had not been renewed for so long that it had to be
    /// given up.
    Overdue {
        /// The host.
        host: u16,
        /// The partition.
        partition: u16,
        /// The level.
        level: i64,
        /// How long after.
        by: Duration,
    },
    /// A handler was called although another host had the partition already.
    Overlapped {
        /// The host.
        host: u16,
        /// The partition.
        partition: u16,
        /// Its level.
        level: i64,
        /// The level of the other.
        newer: i64,
        /// How long the other had had it.
        by: Duration,
        /// How long that may be.
        limit: Duration,
    },
    /// A partition had several receivers with an owner level.
    Crowded {
        /// The partition.
        partition: u16,
        /// When, in microseconds.
        at: u64,
    },
    /// An acknowledged event waited although nothing was wrong.
    Waited {
        /// The partition.
        partition: u16,
        /// For how long in peace.
        waited: Duration,
        /// How long it may.
        limit: Duration,
        /// When the peace began, in microseconds.
        since: u64,
    },
    /// In the end partitions are not shared fairly.
    Unbalanced {
        /// Partitions of each owner.
        counts: Vec<usize>,
        /// Partitions of nobody.
        free: usize,
        /// Hosts that are there.
        alive: usize,
    },
    /// A partition changed hands although it was shared fairly.
    Moved {
        /// The partition.
        partition: u16,
        /// When it was seen, in microseconds.
        at: u64,
    },
    /// A process wrote to standard error, or what is no line of a journal.
    Said {
        /// The host.
        host: u16,
        /// What.
        text: String,
    },
    /// A process ended by itself.
    Died {
        /// The host.
        host: u16,
        /// Which process of it.
        turn: u16,
    },
}

impl Breach {
    /// Its name, for counting.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Unhandled { .. } => "unhandled",
            Self::Mishandled { .. } => "mishandled",
            Self::Unowned { .. } => "unowned",
            Self::Jumped { .. } => "jumped",
            Self::PassedOver { .. } => "passed over",
            Self::Again { .. } => "again",
            Self::Beyond { .. } => "beyond",
            Self::WentBack { .. } => "went back",
            Self::Unfenced { .. } => "unfenced",
            Self::Unflushed { .. } => "unflushed",
            Self::NotRising { .. } => "not rising",
            Self::AfterNotice { .. } => "after notice",
            Self::Overdue { .. } => "overdue",
            Self::Overlapped { .. } => "overlapped",
            Self::Crowded { .. } => "crowded",
            Self::Waited { .. } => "waited",
            Self::Unbalanced { .. } => "unbalanced",
            Self::Moved { .. } => "moved",
            Self::Said { .. } => "said",
            Self::Died { .. } => "died",
        }
    }
}

/// Microseconds of the run as seconds.
fn seconds(micros: u64) -> f64 {
    Duration::from_micros(micros).as_secs_f64()
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unhandled { partition, from, to } => {
                write!(f, "nobody handled {from} to {to} of partition {partition}")
            }
            Self::Mishandled { host, partition, sequence } => {
                write!(f, "host {host} got something else as {sequence} of partition {partition}")
            }
            Self::Unowned { host, partition, level } => {
                write!(f, "host {host} never owned partition {partition} at level {level}")
            }
            Self::Jumped { host, partition, sequence, after } => {
                write!(f, "host {host} got {sequence} of partition {partition}, done is {after}")
            }
            Self::PassedOver { host, partition, from, to } => {
                write!(f, "host {host} passed over {from} to {to} of partition {partition}")
            }
            Self::Again { host, partition, sequence, why } => {
                write!(f, "host {host} handled {sequence} of partition {partition}: {why}")
            }
            Self::Beyond { host, partition, sequence, missing } => {
                write!(f, "host {host} stores {sequence} of partition {partition} before {missing}")
            }
            Self::WentBack { partition, from, to } => {
                write!(f, "the checkpoint of partition {partition} from {from} to {to}")
            }
            Self::Unfenced { partition, level, holder } => write!(
                f,
                "a checkpoint of partition {partition} landed at level {level}, {holder} had it"
            ),
            Self::Unflushed { partition, loaded, done } => write!(
                f,
                "partition {partition} was given back in peace, done to {done}, and begun after \
                 {loaded}"
            ),
            Self::NotRising { partition, level, before } => {
                write!(f, "partition {partition} was owned at level {level} after {before}")
            }
            Self::AfterNotice { host, partition, level, by } => write!(
                f,
                "host {host} called a handler for partition {partition} at level {level}, {by:.1?} \
                 after it told that"
            ),
            Self::Overdue { host, partition, level, by } => write!(
                f,
                "host {host} called a handler for partition {partition} at level {level}, {by:.1?} \
                 after it had to fence itself"
            ),
            Self::Overlapped { host, partition, level, newer, by, limit } => write!(
                f,
                "host {host} called a handler for partition {partition} at level {level}, {by:.1?} \
                 after {newer} was there; {limit:.1?} is allowed"
            ),
            Self::Crowded { partition, at } => {
                write!(f, "several owners read partition {partition} at {:.2} s", seconds(*at))
            }
            Self::Waited { partition, waited, limit, since } => write!(
                f,
                "an event of partition {partition} for {waited:.1?} in peace since {:.2} s; \
                 {limit:.1?} is allowed",
                seconds(*since)
            ),
            Self::Unbalanced { counts, free, alive } => {
                write!(f, "{alive} hosts own {counts:?}, {free} partitions are free")
            }
            Self::Moved { partition, at } => {
                write!(f, "partition {partition} at {:.2} s", seconds(*at))
            }
            Self::Said { host, text } => write!(f, "host {host}: {text}"),
            Self::Died { host, turn } => write!(f, "process {turn} of host {host}"),
        }
    }
}
