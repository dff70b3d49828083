//! The log of one partition: a queue of stored events with bounds on bytes, count and age.

use std::collections::VecDeque;

use thiserror::Error;

use super::rate::Rate;
use super::segment::{Segment, Slot};
use crate::rules::event::{Incoming, Stamp, Tail};
use crate::rules::selector::Start;

pub(crate) use crate::namespace::segment::Stored;

/// Segments at the end are merged when they have this many bytes together.
const MERGE_BYTES: usize = 64 * 1024;
/// Or when there are this many of them.
const MERGE_SEGMENTS: usize = 512;

/// Bounds on what a log keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Retention {
    pub(crate) bytes: usize,
    pub(crate) events: usize,
    /// Age in milliseconds at which an event goes.
    pub(crate) millis: i64,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Last {
    pub(crate) offset: i64,
    pub(crate) enqueued: i64,
}

/// Where the next event goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// Sequence number of the next event.
    pub(crate) next: i64,
    pub(crate) next_offset: i64,
    pub(crate) last: Option<Last>,
}

/// A publication that has its place and is not in the log yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Staged {
    pub(crate) segment: Segment,
    pub(crate) next_offset: i64,
}

/// The events of one partition.
#[derive(Debug)]
pub(crate) struct PartitionLog {
    retention: Retention,
    /// Oldest first. There may be a gap between two of them, where stored events were damaged.
    segments: VecDeque<Segment>,
    /// Events at the start of the first segment that are gone already.
    skipped: usize,
    /// Segments at the end that are still to be merged, and their bytes.
    small: (usize, usize),
    /// Retained events and what they weigh.
    events: usize,
    bytes: usize,
    head: Head,
    rate: Rate,
}

impl PartitionLog {
    pub(crate) fn new(retention: Retention) -> Self {
        Self {
            retention,
            segments: VecDeque::new(),
            skipped: 0,
            small: (0, 0),
            events: 0,
            bytes: 0,
            head: Head::default(),
            rate: Rate::default(),
        }
    }

    /// Gives events their places at `now`, in milliseconds since 1970, in the form in which they
    /// are kept. Nothing is changed before [`commit`](Self::commit). Enqueued times never step
    /// back, even when the clock does.
    pub(crate) fn stage(&self, events: &[Incoming], now: i64) -> Staged {
        let Head { next, next_offset, last } = self.head;
        let enqueued = last.map_or(now, |last| last.enqueued.max(now));
        let stamp = Stamp { sequence: next, offset: next_offset, enqueued };
        let (segment, next_offset) = Segment::write(events, stamp);
        Staged { segment, next_offset }
    }

    /// Takes what was staged last, and lets the oldest events go.
    pub(crate) fn commit(&mut self, staged: Staged, now: i64) {
        self.rate.add(staged.segment.slots.len(), now);
        self.restore(staged);
        self.fit();
        self.expire(now);
    }

    /// Takes a segment as it was stored before; whatever is missing in front of it stays missing.
    pub(crate) fn restore(&mut self, staged: Staged) {
        let Staged { segment, next_offset } = staged;
        let Some(newest) = segment.slots.last() else { return };
        self.head = Head {
            next: segment.end(),
            next_offset,
            last: Some(Last { offset: newest.offset, enqueued: newest.enqueued }),
        };
        self.events += segment.slots.len();
        self.bytes += segment.data.len() + segment.slots.len() * Segment::weight(0);
        let follows = self.segments.back().is_some_and(|back| back.end() == segment.first);
        if !follows || segment.data.len() >= MERGE_BYTES {
            self.merge();
        }
        self.small.0 += 1;
        self.small.1 += segment.data.len();
        self.segments.push_back(segment);
        if self.small.0 >= MERGE_SEGMENTS || self.small.1 >= MERGE_BYTES {
            self.merge();
        }
    }

    /// Goes on from where a log had come to.
    pub(crate) fn resume(&mut self, head: Head) {
        self.head = Head { last: head.last.or(self.head.last), ..head };
    }

    pub(crate) fn head(&self) -> Head {
        self.head
    }

    /// Makes one segment of the small ones at the end. A single one stays as it is.
    fn merge(&mut self) {
        let (count, _) = std::mem::take(&mut self.small);
        if count > 1 {
            let start = self.segments.len() - count;
            let merged = Segment::merge(self.segments.range(start..));
            self.segments.truncate(start);
            self.segments.extend(merged);
        }
    }

    /// Lets the oldest events go until the log is within its bounds; the newest one stays.
    pub(crate) fn fit(&mut self) {
        while self.events > 1
            && (self.bytes > self.retention.bytes || self.events > self.retention.events)
        {
            self.pop();
        }
    }

    /// Lets go what has reached its age at `now`, the newest event too.
    pub(crate) fn expire(&mut self, now: i64) {
        let youngest = now.saturating_sub(self.retention.millis);
        while self.oldest().is_some_and(|oldest| oldest.enqueued <= youngest) {
            self.pop();
        }
    }

    /// Lets the events before sequence number `before` go.
    pub(crate) fn trim(&mut self, before: i64) {
        while self.events > 0 && self.begin() < before {
            self.pop();
        }
    }

    /// Changes what is kept.
    pub(crate) fn retain(&mut self, retention: Retention, now: i64) {
        self.retention = retention;
        self.fit();
        self.expire(now);
    }

    fn oldest(&self) -> Option<&Slot> {
        self.segments.front().and_then(|segment| segment.slots.get(self.skipped))
    }

    fn pop(&mut self) {
        let Some(front) = self.segments.front() else { return };
        self.bytes -= Segment::weight(front.len_at(self.skipped));
        self.events -= 1;
        self.skipped += 1;
        if self.skipped == front.slots.len() {
            if self.small.0 == self.segments.len() {
                self.small.0 -= 1;
                self.small.1 -= front.data.len();
            }
            self.segments.pop_front();
            self.skipped = 0;
        }
    }

    /// Sequence number of the first retained event, or of the next one when there is none.
    pub(crate) fn begin(&self) -> i64 {
        let skipped = i64::try_from(self.skipped).unwrap_or(i64::MAX);
        self.segments.front().map_or(self.head.next, |front| front.first + skipped)
    }

    /// Sequence number of the next event.
    pub(crate) fn end(&self) -> i64 {
        self.head.next
    }

    /// Copies events from sequence number `from` on into `out`, at most `count` of them and no
    /// more after `bytes` are reached. The result is the sequence number to go on with. A
    /// position before the first retained event moves up to it.
    pub(crate) fn read(&self, from: i64, count: usize, bytes: usize, out: &mut Vec<Stored>) -> i64 {
        let mut next = from.clamp(self.begin(), self.end());
        let (mut left, mut taken) = (count, 0);
        let start = self.segments.partition_point(|segment| segment.end() <= next);
        for segment in self.segments.range(start..) {
            // Behind a gap the next event comes later than was asked for.
            let skipped = usize::try_from(next - segment.first).unwrap_or(0);
            for index in skipped..segment.slots.len() {
                let Some(event) = segment.event(index).filter(|_| left > 0 && taken < bytes) else {
                    return next;
                };
                left -= 1;
                taken += event.message.len();
                next = event.sequence + 1;
                out.push(event);
            }
        }
        next
    }

    /// Sequence number of the first event that a receiver starting at `start` gets.
    pub(crate) fn resolve(&self, start: &Start) -> Result<i64, PositionError> {
        match start {
            Start::Earliest => Ok(self.begin()),
            Start::Latest => Ok(self.end()),
            Start::Sequence { number, inclusive } => {
                let last = self.end() - 1;
                if *number > last {
                    return Err(PositionError::Sequence { supplied: *number, last });
                }
                Ok(number.saturating_add(i64::from(!inclusive)).max(self.begin()))
            }
            Start::Offset { text, inclusive } => {
                let last = self.last_offset();
                let offset = text.parse().ok().filter(|offset: &i64| *offset <= last);
                let offset = offset.ok_or_else(|| PositionError::Offset {
                    supplied: text.clone(),
                    last: last.to_string(),
                })?;
                Ok(self.first_not(|event| match inclusive {
                    true => event.offset < offset,
                    false => event.offset <= offset,
                }))
            }
            Start::Time { millis, inclusive } => Ok(self.first_not(|event| match inclusive {
                true => event.enqueued < *millis,
                false => event.enqueued <= *millis,
            })),
        }
    }

    /// Sequence number of the first retained event that is not `before` a place.
    fn first_not(&self, before: impl Fn(&Slot) -> bool) -> i64 {
        let whole = |segment: &Segment| segment.slots.last().is_some_and(&before);
        let segment = self.segments.get(self.segments.partition_point(whole));
        let Some(segment) = segment else { return self.end() };
        let index = i64::try_from(segment.slots.partition_point(&before)).unwrap_or(i64::MAX);
        (segment.first + index).max(self.begin())
    }

    fn last_offset(&self) -> i64 {
        self.head.last.map_or(-1, |last| last.offset)
    }

    pub(crate) fn info(&self) -> LogInfo {
        LogInfo {
            begin_sequence: self.begin(),
            last_sequence: self.end() - 1,
            last_offset: self.last_offset().to_string(),
            last_enqueued: self.head.last.map(|last| last.enqueued),
            is_empty: self.events == 0,
        }
    }

    pub(crate) fn view(&self, now: i64) -> LogView {
        LogView {
            info: self.info(),
            events: self.events,
            bytes: self.bytes - self.events * Segment::weight(0),
            per_second: self.rate.per_second(now),
        }
    }

    /// The end of the log for delivery annotations, at `now`.
    pub(crate) fn tail(&self, now: i64) -> Option<Tail> {
        self.head.last.map(|last| Tail {
            sequence: self.end() - 1,
            offset: last.offset.to_string(),
            enqueued: last.enqueued,
            retrieved: now,
        })
    }
}

#[cfg(test)]
mod tests;
