//! What a process with a host writes down, line by line, as it happens.
//!
//! A line is written before what follows from it can happen: an event is done in the journal before
//! its checkpoint can be on its way. So whatever a killed process did is in what it wrote.

use std::fmt;
use std::str::FromStr;

use crate::stamp::EventId;

/// One thing that happened in a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// The store gave the process a partition, whether or not its host was told.
    Acquired {
        /// The partition.
        partition: u16,
        /// Owner level.
        level: i64,
        /// When the host asked, in microseconds.
        asked: u64,
    },
    /// The store made an ownership last longer, whether or not the host was told.
    Renewed {
        /// The partition.
        partition: u16,
        /// Owner level.
        level: i64,
        /// When it was asked to, in microseconds.
        asked: u64,
    },
    /// The store took a higher owner level for an ownership.
    Raised {
        /// The partition.
        partition: u16,
        /// The level before.
        from: i64,
        /// The level now.
        level: i64,
    },
    /// The checkpoint was taken over: nobody before may write it any more.
    Loaded {
        /// The partition.
        partition: u16,
        /// Owner level.
        level: i64,
        /// How far others came.
        sequence: Option<i64>,
    },
    /// A handler is called with an event.
    Started {
        /// The partition.
        partition: u16,
        /// Owner level that the handler was told.
        level: i64,
        /// Sequence number.
        sequence: i64,
        /// What the event says it is; `None` when it is none of this run, unchanged.
        event: Option<EventId>,
    },
    /// A handler returns.
    Ended {
        /// The partition.
        partition: u16,
        /// Owner level that the handler was told.
        level: i64,
        /// Sequence number.
        sequence: i64,
        /// Whether it succeeded.
        ok: bool,
    },
    /// Handlers were told that the ownership ends.
    Told {
        /// The partition.
        partition: u16,
        /// Owner level.
        level: i64,
        /// Whether the host gives the partition back; else it has lost it.
        gives: bool,
    },
    /// A checkpoint is about to be written.
    Storing {
        /// The partition.
        partition: u16,
        /// Owner level.
        level: i64,
        /// Its sequence number.
        sequence: i64,
    },
    /// A checkpoint is written, whether or not the host was told.
    Stored {
        /// The partition.
        partition: u16,
        /// Owner level.
        level: i64,
        /// Its sequence number.
        sequence: i64,
        /// When it was about to be, in microseconds.
        asked: u64,
    },
    /// The lease was given back, whether or not the host was told.
    Released {
        /// The partition.
        partition: u16,
        /// Owner level.
        level: i64,
    },
    /// The host says that it passed events over.
    Skipped {
        /// The partition.
        partition: u16,
        /// The first.
        from: i64,
        /// The last.
        to: i64,
    },
    /// The process did not get its turn for so long, in microseconds.
    Late {
        /// For how long.
        by: u64,
    },
    /// What the process uses.
    Gauge {
        /// Whether its host is there; else this is before it was made or after it was closed.
        at_work: bool,
        /// Bytes in use.
        bytes: usize,
        /// Tasks.
        tasks: usize,
        /// Open files.
        files: usize,
    },
    /// Anything else that helps to understand the rest.
    Remark(String),
}

/// A note and when it was written, in microseconds of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at: u64,
    /// What.
    pub note: Note,
}

/// How the contents of an event are written: its producer and counter, or this.
const NOTHING: &str = "-";

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Acquired { partition, level, asked } => {
                write!(f, "acquired {partition} {level} {asked}")
            }
            Self::Renewed { partition, level, asked } => {
                write!(f, "renewed {partition} {level} {asked}")
            }
            Self::Raised { partition, from, level } => {
                write!(f, "raised {partition} {from} {level}")
            }
            Self::Loaded { partition, level, sequence } => {
                // Nothing is told from event 0 by a number that no event has.
                write!(f, "loaded {partition} {level} {}", sequence.unwrap_or(-1))
            }
            Self::Started { partition, level, sequence, event } => {
                write!(f, "started {partition} {level} {sequence} ")?;
                match event {
                    Some(EventId { producer, partition, counter }) => {
                        write!(f, "{producer} {partition} {counter}")
                    }
                    None => f.write_str(NOTHING),
                }
            }
            Self::Ended { partition, level, sequence, ok } => {
                write!(f, "ended {partition} {level} {sequence} {ok}")
            }
            Self::Told { partition, level, gives } => write!(f, "told {partition} {level} {gives}"),
            Self::Storing { partition, level, sequence } => {
                write!(f, "storing {partition} {level} {sequence}")
            }
            Self::Stored { partition, level, sequence, asked } => {
                write!(f, "stored {partition} {level} {sequence} {asked}")
            }
            Self::Released { partition, level } => write!(f, "released {partition} {level}"),
            Self::Skipped { partition, from, to } => write!(f, "skipped {partition} {from} {to}"),
            Self::Late { by } => write!(f, "late {by}"),
            Self::Gauge { at_work, bytes, tasks, files } => {
                write!(f, "gauge {at_work} {bytes} {tasks} {files}")
            }
            Self::Remark(text) => write!(f, "remark {}", text.replace(char::is_control, " ")),
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.at, self.note)
    }
}

/// A line that is none of a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoEntry(pub String);

impl fmt::Display for NoEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is no line of a journal", self.0)
    }
}

impl std::error::Error for NoEntry {}

/// The words of a line, one after the other.
struct Words<'a>(std::str::SplitAsciiWhitespace<'a>);

impl Words<'_> {
    fn take<T: FromStr>(&mut self) -> Option<T> {
        self.0.next()?.parse().ok()
    }

    fn event(&mut self) -> Option<Option<EventId>> {
        let first = self.0.next()?;
        if first == NOTHING {
            return Some(None);
        }
        let producer = first.parse().ok()?;
        Some(Some(EventId { producer, partition: self.take()?, counter: self.take()? }))
    }

    fn note(&mut self, verb: &str) -> Option<Note> {
        let mut place = || Some((self.take::<u16>()?, self.take::<i64>()?));
        let note = match verb {
            "late" => return Some(Note::Late { by: self.take()? }),
            "gauge" => {
                let (at_work, bytes) = (self.take()?, self.take()?);
                let (tasks, files) = (self.take()?, self.take()?);
                return Some(Note::Gauge { at_work, bytes, tasks, files });
            }
            _ => place()?,
        };
        let (partition, level) = note;
        Some(match verb {
            "acquired" => Note::Acquired { partition, level, asked: self.take()? },
            "renewed" => Note::Renewed { partition, level, asked: self.take()? },
            "raised" => Note::Raised { partition, from: level, level: self.take()? },
            "loaded" => {
                let sequence = self.take::<i64>()?;
                Note::Loaded { partition, level, sequence: (sequence >= 0).then_some(sequence) }
            }
            "started" => {
                let sequence = self.take()?;
                Note::Started { partition, level, sequence, event: self.event()? }
            }
            "ended" => Note::Ended { partition, level, sequence: self.take()?, ok: self.take()? },
            "told" => Note::Told { partition, level, gives: self.take()? },
            "storing" => Note::Storing { partition, level, sequence: self.take()? },
            "stored" => {
                let (sequence, asked) = (self.take()?, self.take()?);
                Note::Stored { partition, level, sequence, asked }
            }
            "released" => Note::Released { partition, level },
            "skipped" => Note::Skipped { partition, from: level, to: self.take()? },
            _ => return None,
        })
    }
}

impl FromStr for Entry {
    type Err = NoEntry;

    fn from_str(line: &str) -> Result<Self, NoEntry> {
        let wrong = || NoEntry(line.to_owned());
        let (at, rest) = line.split_once(' ').ok_or_else(wrong)?;
        let at = at.parse().map_err(|_| wrong())?;
        let (verb, text) = rest.split_once(' ').unwrap_or((rest, ""));
        if verb == "remark" {
            return Ok(Self { at, note: Note::Remark(text.to_owned()) });
        }
        let mut words = Words(text.split_ascii_whitespace());
        let note = words.note(verb).ok_or_else(wrong)?;
        match words.0.next() {
            None => Ok(Self { at, note }),
            Some(_) => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        let (partition, level, sequence) = (15, 7, 41);
        let event = EventId { producer: 3, partition, counter: 9 };
        for note in [
            Note::Acquired { partition, level, asked: 5 },
            Note::Renewed { partition, level, asked: 6 },
            Note::Raised { partition, from: 1, level },
            Note::Loaded { partition, level, sequence: None },
            Note::Loaded { partition, level, sequence: Some(0) },
            Note::Started { partition, level, sequence, event: Some(event) },
            Note::Started { partition, level, sequence, event: None },
            Note::Ended { partition, level, sequence, ok: false },
            Note::Told { partition, level, gives: true },
            Note::Storing { partition, level, sequence },
            Note::Stored { partition, level, sequence, asked: 3 },
            Note::Released { partition, level },
            Note::Skipped { partition, from: 1, to: 2 },
            Note::Late { by: 12 },
            Note::Gauge { at_work: true, bytes: 1, tasks: 2, files: 3 },
            Note::Remark("it took 3 s  or more".to_owned()),
            Note::Remark(String::new()),
        ] {
            let entry = Entry { at: 1_000_000, note };
            assert_eq!(entry.to_string().parse(), Ok(entry));
        }
    }

    #[test]
    fn what_is_no_line_is_refused() {
        for line in [
            "",
            "7",
            "7 ",
            "x told 1 2",
            "7 told 1",
            "7 told 1 2",
            "7 told 1 2 true 3",
            "7 told 70000 2 true",
            "7 begun 1 2",
            "7 started 1 2 3",
            "7 started 1 2 3 4 5",
            "7 ended 1 2 3 yes",
        ] {
            assert_eq!(line.parse::<Entry>(), Err(NoEntry(line.to_owned())), "{line}");
        }
    }

    #[test]
    fn a_remark_is_one_line() {
        let entry = Entry { at: 1, note: Note::Remark("one\ntwo".to_owned()) };
        assert_eq!(entry.to_string(), "1 remark one two");
    }
}
