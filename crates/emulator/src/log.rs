//! The log of one partition: a queue of stored events with a bound on bytes and count.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use thiserror::Error;

use crate::event::{Incoming, Stamp, Tail};
use crate::rate::Rate;
use crate::selector::Start;

/// Bounds on what a log keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Retention {
    pub(crate) bytes: usize,
    pub(crate) events: usize,
    /// Age in milliseconds at which an event goes.
    pub(crate) millis: i64,
}

/// One stored event, ready to send.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) message: Bytes,
    /// Where delivery annotations would be inserted.
    pub(crate) header_len: usize,
    pub(crate) offset: i64,
    pub(crate) enqueued: i64,
}

impl Stored {
    /// Bytes that this event takes in the log.
    fn weight(&self) -> usize {
        self.message.len() + size_of::<Self>()
    }
}

/// Why a start position cannot be served.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum PositionError {
    #[error(
        "The supplied offset '{supplied}' is invalid. The last offset in the system is '{last}'"
    )]
    Offset { supplied: String, last: String },
    #[error(
        "The supplied sequence number '{supplied}' is invalid. The last sequence number in the \
         system is '{last}'"
    )]
    Sequence { supplied: i64, last: i64 },
}

/// What a partition's runtime information tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogInfo {
    pub(crate) begin_sequence: i64,
    /// -1 when nothing was ever written.
    pub(crate) last_sequence: i64,
    /// "-1" when nothing was ever written.
    pub(crate) last_offset: String,
    /// `None` when nothing was ever written.
    pub(crate) last_enqueued: Option<i64>,
    pub(crate) is_empty: bool,
}

/// What people see of a log.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LogView {
    pub(crate) info: LogInfo,
    pub(crate) events: usize,
    /// Of the messages alone.
    pub(crate) bytes: usize,
    pub(crate) per_second: f64,
}

/// The newest event ever written, retained or not.
#[derive(Debug, Clone, Copy)]
struct Last {
    offset: i64,
    enqueued: i64,
}

/// The events of one partition.
#[derive(Debug)]
pub(crate) struct PartitionLog {
    retention: Retention,
    events: VecDeque<Stored>,
    bytes: usize,
    /// Sequence number of the next event.
    next: i64,
    next_offset: i64,
    last: Option<Last>,
    rate: Rate,
}

impl PartitionLog {
    pub(crate) fn new(retention: Retention) -> Self {
        Self {
            retention,
            events: VecDeque::new(),
            bytes: 0,
            next: 0,
            next_offset: 0,
            last: None,
            rate: Rate::default(),
        }
    }

    /// Stores events at `now`, in milliseconds since 1970, and lets the oldest go. Enqueued times
    /// never step back, even when the clock does.
    pub(crate) fn append(&mut self, events: &[Incoming], now: i64) {
        let enqueued = self.last.map_or(now, |last| last.enqueued.max(now));
        let mut buffer = BytesMut::with_capacity(events.iter().map(Incoming::written_len).sum());
        // One buffer per publication: its events are slices and share one allocation.
        for event in events {
            let stamp = Stamp { sequence: self.next, offset: self.next_offset, enqueued };
            let header_len = event.write(stamp, &mut buffer);
            let message = buffer.split().freeze();
            let stored = Stored { message, header_len, offset: stamp.offset, enqueued };
            self.bytes += stored.weight();
            self.events.push_back(stored);
            self.last = Some(Last { offset: stamp.offset, enqueued });
            self.next += 1;
            // Offsets are byte positions, as they were in the service for years: a client that
            // takes them for sequence numbers must not get away with it. An event without bytes
            // still moves on.
            self.next_offset += i64::try_from(event.len().max(1)).unwrap_or(i64::MAX);
        }
        self.rate.add(events.len(), now);
        self.fit();
        self.expire(now);
    }

    /// Lets the oldest events go until the log is within its bounds; the newest one stays.
    fn fit(&mut self) {
        while self.events.len() > 1
            && (self.bytes > self.retention.bytes || self.events.len() > self.retention.events)
        {
            self.pop();
        }
    }

    /// Lets go what has reached its age at `now`, the newest event too.
    pub(crate) fn expire(&mut self, now: i64) {
        let youngest = now.saturating_sub(self.retention.millis);
        while self.events.front().is_some_and(|oldest| oldest.enqueued <= youngest) {
            self.pop();
        }
    }

    /// Lets the events before sequence number `before` go.
    pub(crate) fn trim(&mut self, before: i64) {
        while !self.events.is_empty() && self.begin() < before {
            self.pop();
        }
    }

    /// Changes what is kept.
    pub(crate) fn retain(&mut self, retention: Retention, now: i64) {
        self.retention = retention;
        self.fit();
        self.expire(now);
    }

    fn pop(&mut self) {
        if let Some(oldest) = self.events.pop_front() {
            self.bytes -= oldest.weight();
        }
    }

    /// Sequence number of the first retained event, or of the next one when there is none.
    pub(crate) fn begin(&self) -> i64 {
        self.next - self.len()
    }

    fn len(&self) -> i64 {
        i64::try_from(self.events.len()).unwrap_or(i64::MAX)
    }

    /// Sequence number of the next event.
    pub(crate) fn end(&self) -> i64 {
        self.next
    }

    /// Copies events from sequence number `from` on into `out`, at most `count` of them and no
    /// more after `bytes` are reached. The result is the sequence number to go on with. A
    /// position before the first retained event moves up to it.
    pub(crate) fn read(&self, from: i64, count: usize, bytes: usize, out: &mut Vec<Stored>) -> i64 {
        let from = from.clamp(self.begin(), self.next);
        let skipped = usize::try_from(from - self.begin()).unwrap_or(usize::MAX);
        let mut taken = 0;
        let mut next = from;
        for event in self.events.iter().skip(skipped).take(count) {
            if taken >= bytes {
                break;
            }
            taken += event.message.len();
            out.push(event.clone());
            next += 1;
        }
        next
    }

    /// Sequence number of the first event that a receiver starting at `start` gets.
    pub(crate) fn resolve(&self, start: &Start) -> Result<i64, PositionError> {
        let after = |earlier: usize| self.begin() + i64::try_from(earlier).unwrap_or(i64::MAX);
        match start {
            Start::Earliest => Ok(self.begin()),
            Start::Latest => Ok(self.next),
            Start::Sequence { number, inclusive } => {
                let last = self.next - 1;
                if *number > last {
                    return Err(PositionError::Sequence { supplied: *number, last });
                }
                Ok(number.saturating_add(i64::from(!inclusive)).max(self.begin()))
            }
            Start::Offset { text, inclusive } => {
                let last = self.last.map_or(-1, |last| last.offset);
                let offset = text.parse().ok().filter(|offset: &i64| *offset <= last);
                let offset = offset.ok_or_else(|| PositionError::Offset {
                    supplied: text.clone(),
                    last: last.to_string(),
                })?;
                let before = |event: &Stored| match inclusive {
                    true => event.offset < offset,
                    false => event.offset <= offset,
                };
                Ok(after(self.events.partition_point(before)))
            }
            Start::Time { millis, inclusive } => {
                let before = |event: &Stored| match inclusive {
                    true => event.enqueued < *millis,
                    false => event.enqueued <= *millis,
                };
                Ok(after(self.events.partition_point(before)))
            }
        }
    }

    pub(crate) fn info(&self) -> LogInfo {
        LogInfo {
            begin_sequence: self.begin(),
            last_sequence: self.next - 1,
            last_offset: self.last.map_or(-1, |last| last.offset).to_string(),
            last_enqueued: self.last.map(|last| last.enqueued),
            is_empty: self.events.is_empty(),
        }
    }

    pub(crate) fn view(&self, now: i64) -> LogView {
        LogView {
            info: self.info(),
            events: self.events.len(),
            bytes: self.bytes - self.events.len() * size_of::<Stored>(),
            per_second: self.rate.per_second(now),
        }
    }

    /// The end of the log for delivery annotations, at `now`.
    pub(crate) fn tail(&self, now: i64) -> Option<Tail> {
        self.last.map(|last| Tail {
            sequence: self.next - 1,
            offset: last.offset.to_string(),
            enqueued: last.enqueued,
            retrieved: now,
        })
    }
}

#[cfg(test)]
mod tests;
