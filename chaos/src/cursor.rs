//! Where one receiver is, and whether what it hands out follows on that.

use crate::violation::Violation;

/// The place of a receiver in its partition.
#[derive(Debug, Clone)]
pub(crate) struct Cursor {
    consumer: u16,
    partition: u16,
    /// The last sequence number, or the one before the start.
    at: i64,
    /// Whether it was opened at the beginning of its partition and has shown nothing yet.
    fresh: bool,
    /// Events that may be missing next, because nobody could tell their sequence numbers.
    passed_over: i64,
}

impl Cursor {
    pub(crate) const fn new(consumer: u16, partition: u16) -> Self {
        Self { consumer, partition, at: -1, fresh: true, passed_over: 0 }
    }

    /// The last sequence number.
    pub(crate) const fn at(&self) -> i64 {
        self.at
    }

    /// A new receiver takes over, behind an event or at the beginning.
    pub(crate) fn open(&mut self, after: Option<i64>) {
        (self.at, self.fresh, self.passed_over) = (after.unwrap_or(-1), after.is_none(), 0);
    }

    /// Something was handed out whose sequence number nobody can tell.
    pub(crate) fn pass_over(&mut self) {
        self.passed_over += 1;
    }

    /// An event was handed out. A receiver from the beginning may start as late as `begin`. Events
    /// before it whose absence is explained are returned, or what is wrong.
    pub(crate) fn advance(
        &mut self,
        sequence: i64,
        begin: i64,
    ) -> Result<Option<(i64, i64)>, Violation> {
        let Self { consumer, partition, at, .. } = *self;
        let starts = self.fresh && sequence <= begin;
        let passed_over = self.passed_over;
        (self.at, self.fresh, self.passed_over) = (at.max(sequence), false, 0);
        if sequence <= at {
            return Err(Violation::Repeated { consumer, partition, sequence, after: at });
        }
        let (from, to) = (at + 1, sequence - 1);
        if sequence > at + 1 + passed_over && !starts {
            return Err(Violation::Skipped { consumer, partition, from, to });
        }
        Ok((from <= to).then_some((from, to)))
    }

    /// The receiver says that events are missing. What is explained by that is returned, and with
    /// it what is wrong.
    pub(crate) fn report(&mut self, from: i64, to: i64) -> ((i64, i64), Option<Violation>) {
        let Self { consumer, partition, at: after, .. } = *self;
        let follows = after < from && from <= after + 1 + self.passed_over;
        let wrong = (from > to || !(follows || self.fresh)).then_some(Violation::FalseReport {
            consumer,
            partition,
            from,
            to,
            after,
        });
        (self.at, self.fresh, self.passed_over) = (after.max(to), false, 0);
        ((after + 1, to), wrong)
    }
}
