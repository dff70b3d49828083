//! The oracle for runs without end: the same promises, checked while they run, in memory that does
//! not grow.
//!
//! There is no log to compare with, because the service lets go of what is old. What producers say
//! is held against what consumers read: of each producer and partition the latest events are kept
//! in a window, which moves on when an event is accounted for. An event is missing when one that was
//! sent after its acknowledgement has been read and it has not. When the window is full its producer
//! has to wait ([`Window::begin`] says so).
//!
//! What a receiver reports as trimmed may be what is missing: that many missing events are booked
//! as trimmed before they were read and not as lost, so while events are being trimmed a loss may
//! hide behind them. [`Balance::trimmed_unread`] tells how many these are.

mod stream;

use self::stream::{Fate, Stream};
use crate::cursor::Cursor;
use crate::history::{Content, Outcome, Reading, Send};
use crate::stamp::EventId;
use crate::violation::{Findings, Violation};

/// What a run adds up to so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Balance {
    /// Events whose send ended as acknowledged.
    pub acknowledged: u64,
    /// Events whose send failed for certain.
    pub failed: u64,
    /// Events of which nobody knows.
    pub unknown: u64,
    /// Events that consumers were handed, each time counted.
    pub read: u64,
    /// Events that were read again under another sequence number, and so are stored twice.
    pub stored_again: u64,
    /// Events that a consumer was handed again by a receiver that it opened later.
    pub read_again: u64,
    /// Events reported as missing.
    pub gaps: u64,
    /// Events reported as trimmed.
    pub trimmed: u64,
    /// Acknowledged events that were not read and may be among the trimmed ones.
    pub trimmed_unread: u64,
    /// Events that could not be decoded.
    pub undecodable: u64,
    /// What is wrong.
    pub findings: Findings,
}

/// Checks a run while it runs.
///
/// ```
/// use eventhubs_chaos::history::{Content, Outcome, Reading, Send};
/// use eventhubs_chaos::window::Window;
///
/// let mut window = Window::new(1, 1, 1024);
/// let first = window.begin(0, 0, 2, 10).expect("there is room");
/// let send = Send {
///     producer: 0, partition: 0, first, count: 2, start: 10, end: 20, outcome: Outcome::Acked,
/// };
/// window.end(&send);
/// let content = Content::Event(send.event(0));
/// window.reading(0, Reading::Event { sequence: 0, content });
/// let balance = window.finish(0);
/// assert_eq!(balance.findings.count("lost"), 1, "the second was never read");
/// ```
#[derive(Debug)]
pub struct Window {
    partitions: usize,
    streams: Vec<Stream>,
    cursors: Vec<Lane>,
    balance: Balance,
    /// Events of the largest send.
    send_max: u64,
}

/// One partition as its consumer reads it.
#[derive(Debug)]
struct Lane {
    cursor: Cursor,
    /// The highest sequence number ever handed out.
    reached: i64,
    /// Trimmed events that no missing one was booked as.
    trimmed: u64,
}

impl Window {
    /// For so many producers and partitions, with room for so many events of each pair.
    #[must_use]
    pub fn new(producers: u16, partitions: u16, room: usize) -> Self {
        let pairs = usize::from(producers) * usize::from(partitions);
        let lane =
            |partition| Lane { cursor: Cursor::new(partition, partition), reached: -1, trimmed: 0 };
        Self {
            partitions: usize::from(partitions),
            streams: (0..pairs).map(|_| Stream::new(room)).collect(),
            cursors: (0..partitions).map(lane).collect(),
            balance: Balance::default(),
            send_max: 1,
        }
    }

    fn stream(&mut self, producer: u16, partition: u16) -> Option<&mut Stream> {
        let within = usize::from(partition) < self.partitions;
        let index = usize::from(producer) * self.partitions + usize::from(partition);
        self.streams.get_mut(index).filter(|_| within)
    }

    /// A send of `count` events begins: the counter of its first one. `None` when too many earlier
    /// ones are not accounted for.
    pub fn begin(&mut self, producer: u16, partition: u16, count: u32, now: u64) -> Option<u64> {
        self.send_max = self.send_max.max(u64::from(count));
        self.stream(producer, partition)?.begin(count, now)
    }

    /// A send has ended.
    pub fn end(&mut self, send: &Send) {
        *match send.outcome {
            Outcome::Acked => &mut self.balance.acknowledged,
            Outcome::Failed => &mut self.balance.failed,
            Outcome::Unknown => &mut self.balance.unknown,
        } += u64::from(send.count);
        let Some(stream) = self.stream(send.producer, send.partition) else { return };
        if let Some(counter) = stream.end(send) {
            let event = EventId { producer: send.producer, partition: send.partition, counter };
            // Where it was read is not kept.
            self.balance.findings.add(Violation::StoredAllTheSame { event, sequence: -1 });
        }
        self.settle(send.producer, send.partition);
    }

    /// The consumer of a partition saw something.
    pub fn reading(&mut self, partition: u16, reading: Reading) {
        let Some(lane) = self.cursors.get_mut(usize::from(partition)) else { return };
        match reading {
            Reading::Opened { after } => lane.cursor.open(after),
            Reading::Undecodable { sequence: None } => {
                self.balance.undecodable += 1;
                lane.cursor.pass_over();
            }
            Reading::Undecodable { sequence: Some(sequence) } => {
                self.balance.undecodable += 1;
                self.advance(partition, sequence);
            }
            Reading::Gap { from, to } => {
                self.balance.gaps += crate::oracle::count(from, to);
                self.report(partition, from, to);
            }
            Reading::Trimmed { from, to } => {
                lane.trimmed += crate::oracle::count(from, to);
                self.balance.trimmed += crate::oracle::count(from, to);
                self.report(partition, from, to);
            }
            Reading::Event { sequence, content } => {
                self.balance.read += 1;
                let again = sequence <= lane.reached;
                lane.reached = lane.reached.max(sequence);
                self.advance(partition, sequence);
                match again {
                    true => self.balance.read_again += 1,
                    false => self.event(partition, sequence, content),
                }
            }
        }
    }

    fn advance(&mut self, partition: u16, sequence: i64) {
        let Some(lane) = self.cursors.get_mut(usize::from(partition)) else { return };
        if let Err(violation) = lane.cursor.advance(sequence, 0) {
            self.balance.findings.add(violation);
        }
    }

    fn report(&mut self, partition: u16, from: i64, to: i64) {
        let Some(lane) = self.cursors.get_mut(usize::from(partition)) else { return };
        lane.cursor.report(from, to).1.into_iter().for_each(|one| self.balance.findings.add(one));
    }

    /// An event was read for the first time under this sequence number.
    fn event(&mut self, partition: u16, sequence: i64, content: Content) {
        let event = match content {
            Content::Event(event) => event,
            Content::Foreign { .. } => {
                let found = Violation::Invented { partition, sequence, event: None };
                return self.balance.findings.add(found);
            }
            Content::Damaged(damage) => {
                let found = Violation::Damaged { partition, sequence, damage };
                return self.balance.findings.add(found);
            }
        };
        if event.partition != partition {
            return self.balance.findings.add(Violation::Misplaced { event, partition, sequence });
        }
        let fate = match self.stream(event.producer, partition) {
            Some(stream) => stream.read(event.counter),
            None => Fate::NeverSent,
        };
        match fate {
            Fate::Expected => self.settle(event.producer, partition),
            Fate::Again => self.balance.stored_again += 1,
            // The first copy of it may be among what was trimmed.
            Fate::Overtaken { .. } if self.use_trimmed(partition) => self.balance.stored_again += 1,
            Fate::Overtaken { by } => {
                let later = EventId { counter: by, ..event };
                self.balance.findings.add(Violation::Reordered {
                    earlier: event,
                    earlier_at: sequence,
                    later,
                    later_at: -1,
                });
            }
            Fate::Refused => {
                self.balance.findings.add(Violation::StoredAllTheSame { event, sequence });
            }
            Fate::NeverSent => {
                let found = Violation::Invented { partition, sequence, event: Some(event) };
                self.balance.findings.add(found);
            }
        }
    }

    /// Moves a window on. What has turned out to be missing is trimmed or lost.
    fn settle(&mut self, producer: u16, partition: u16) {
        let Some(stream) = self.stream(producer, partition) else { return };
        stream.settle();
        while let Some(counter) = self.stream(producer, partition).and_then(Stream::lost) {
            self.book_missing(EventId { producer, partition, counter });
        }
    }

    fn book_missing(&mut self, event: EventId) {
        match self.use_trimmed(event.partition) {
            true => self.balance.trimmed_unread += 1,
            false => self.balance.findings.add(Violation::Lost { event }),
        }
    }

    /// Whether something missing can be one of the trimmed events of its partition.
    fn use_trimmed(&mut self, partition: u16) -> bool {
        let Some(lane) = self.cursors.get_mut(usize::from(partition)) else { return false };
        let is_left = lane.trimmed > 0;
        lane.trimmed = lane.trimmed.saturating_sub(1);
        is_left
    }

    /// Whether everything that was acknowledged has been read or is known to be missing.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.streams.iter().all(Stream::is_settled)
    }

    /// What it adds up to so far.
    #[must_use]
    pub const fn balance(&self) -> &Balance {
        &self.balance
    }

    /// Ends the run: whatever was acknowledged and not read is missing. `unknown_retried` is how
    /// often producers say that they sent something again without knowing what had become of it.
    #[must_use]
    pub fn finish(mut self, unknown_retried: u64) -> Balance {
        for producer in 0..self.streams.len() / self.partitions.max(1) {
            for partition in 0..self.partitions {
                let index = producer * self.partitions + partition;
                let (producer, partition) = (producer as u16, partition as u16);
                for counter in self.streams[index].finish() {
                    self.book_missing(EventId { producer, partition, counter });
                }
            }
        }
        // An event whose outcome nobody knew may leave the window before it is read for the first
        // time, which then looks like the second.
        let allowed = unknown_retried * self.send_max + self.balance.unknown;
        if self.balance.stored_again > allowed {
            let event = EventId { producer: 0, partition: 0, counter: 0 };
            let extra = self.balance.stored_again;
            self.balance.findings.add(Violation::Doubled { event, copies: 0, extra, allowed });
        }
        self.balance
    }
}
