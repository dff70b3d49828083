//! What happened in a run of hosts: what processes wrote, what the parent saw of the hub and the
//! store, and when anything was wrong.

use std::time::Duration;

use crate::history::History;
use crate::journal::Entry;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It was killed.
    Killed,
    /// It was asked to, and did.
    Asked,
    /// By itself.
    Died,
}

/// How the handlers of a process take events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// One by one.
    Each,
    /// In batches.
    Batch,
    /// One by one of each key, keys side by side.
    Keys,
}

/// A process with a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Which of the hosts.
    pub host: u16,
    /// Which process of that host, counted from 0.
    pub turn: u16,
    /// How its handlers take events.
    pub manner: Manner,
    /// What it wrote.
    pub entries: Vec<Entry>,
    /// When it ended and how.
    pub ended: Option<(u64, Ending)>,
    /// When it was stopped by a signal, and when it went on.
    pub halts: Vec<Span>,
    /// What it wrote to standard error, and lines that are none of a journal.
    pub said: Vec<String>,
}

/// A time, in microseconds of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// When it began.
    pub from: u64,
    /// When it ended.
    pub to: u64,
}

impl Span {
    /// Whether something of both is the same moment.
    #[must_use]
    pub const fn meets(&self, other: &Self) -> bool {
        self.from <= other.to && other.from <= self.to
    }
}

/// The hub was seen to have an owner of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attached {
    /// When it was seen first.
    pub at: u64,
    /// The partition.
    pub partition: u16,
    /// Its owner level.
    pub level: i64,
}

/// The checkpoint of a partition was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// From asking to the answer.
    pub span: Span,
    /// The partition.
    pub partition: u16,
    /// What is stored, if anything is.
    pub sequence: Option<i64>,
}

/// Who owns what at a moment, by the store: owner and level of each partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// When it was seen.
    pub at: u64,
    /// By partition; `None` where nobody does.
    pub owners: Vec<Option<(String, i64)>>,
}

/// Records of the store were destroyed: all, or those of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wipe {
    /// When.
    pub span: Span,
    /// The partition whose lease was spoilt; `None` when the store was deleted.
    pub partition: Option<u16>,
}

impl Wipe {
    /// Whether levels of a partition begin anew after it.
    #[must_use]
    pub fn levels(&self, partition: u16) -> bool {
        self.partition.is_none_or(|spoilt| spoilt == partition)
    }

    /// Whether checkpoints are gone with it.
    #[must_use]
    pub const fn checkpoints(&self) -> bool {
        self.partition.is_none()
    }
}

/// A whole run, after it has come to rest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chronicle {
    /// What was sent and what is stored; nobody but hosts read it.
    pub history: History,
    /// Every process that there was.
    pub processes: Vec<Process>,
    /// Owners as the hub had them, in the order in which they were seen.
    pub attached: Vec<Attached>,
    /// Partitions that had several receivers with an owner level, and when.
    pub crowds: Vec<(u64, u16)>,
    /// Checkpoints as they were read, in order.
    pub looks: Vec<Look>,
    /// Who owned what once nothing was wrong any more and the time for it was over.
    pub holdings: Vec<Holding>,
    /// Hosts that were alive then.
    pub alive: usize,
    /// When the store lost something.
    pub wipes: Vec<Wipe>,
    /// When anything was wrong; a process that is killed is wrong for a moment.
    pub troubles: Vec<Span>,
    /// When hosts were asked to stop, until they had.
    pub departures: Vec<Span>,
    /// When the run ended.
    pub end: u64,
    /// How long a lease lasts.
    pub lease: Duration,
    /// From one scan of a host to the next.
    pub scan: Duration,
}
