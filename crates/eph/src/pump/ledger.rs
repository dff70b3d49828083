//! What all handlers of one partition have finished, and so what a checkpoint may say.

use eventhubs_protocol::ReceivedEvent;

use crate::handler::HandlerId;

use super::prefix::{Prefix, UNKNOWN};

/// How far each handler is. Two prefixes are told apart: what a handler has *handled*, where the
/// partition restarts, and what *counts* for a checkpoint, which is the same unless only marks count.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// Whether nothing but marks counts.
    marks_only: bool,
    /// Number of the last event that the ownership was told of.
    told: i64,
    /// Numbers behind it that no event has.
    holes: u64,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    id: HandlerId,
    /// Whether it has one event at a time, or one batch.
    ordered: bool,
    handled: Prefix<ReceivedEvent>,
    /// The marks, where they alone count.
    marked: Option<Prefix<ReceivedEvent>>,
}

impl Row {
    fn counted(&self) -> &Prefix<ReceivedEvent> {
        self.marked.as_ref().unwrap_or(&self.handled)
    }

    fn counted_mut(&mut self) -> &mut Prefix<ReceivedEvent> {
        self.marked.as_mut().unwrap_or(&mut self.handled)
    }
}

impl Ledger {
    /// Everything up to the number `told` was finished by owners before.
    pub(crate) fn new(told: i64, marks_only: bool) -> Self {
        Self { marks_only, told, holes: 0, rows: Vec::new() }
    }

    /// A handler joins and gets what comes after the number `after`.
    pub(crate) fn join(&mut self, id: HandlerId, after: i64, ordered: bool) {
        let marked = self.marks_only.then(|| Prefix::after(after));
        self.rows.push(Row { id, ordered, handled: Prefix::after(after), marked });
    }

    /// A handler leaves: nobody waits for it any more.
    pub(crate) fn leave(&mut self, id: HandlerId) {
        self.rows.retain(|row| row.id != id);
    }

    /// The first event of all has this number.
    pub(crate) fn begin(&mut self, number: i64) {
        if self.told == UNKNOWN {
            self.told = number.saturating_sub(1);
        }
        for row in &mut self.rows {
            row.handled.begin(number);
            if let Some(marked) = &mut row.marked {
                marked.begin(number);
            }
        }
    }

    /// Counting begins anew: the partition is another one than it was.
    pub(crate) fn forget(&mut self) {
        self.told = UNKNOWN;
        for row in &mut self.rows {
            row.handled = Prefix::after(UNKNOWN);
            row.marked = self.marks_only.then(|| Prefix::after(UNKNOWN));
        }
    }

    /// So many numbers were passed over that no event has, or none that can be handled.
    pub(crate) fn pass(&mut self, numbers: u64) {
        self.holes = self.holes.saturating_add(numbers);
    }

    /// A handler whose calls run at the same time is given an event.
    pub(crate) fn give(&mut self, id: HandlerId, number: i64) {
        if let Some(row) = self.row(id) {
            row.handled.give(number);
            if let Some(marked) = &mut row.marked {
                marked.give(number);
            }
        }
    }

    /// It has finished it.
    pub(crate) fn finish(&mut self, id: HandlerId, event: ReceivedEvent) {
        if let Some(row) = self.row(id) {
            row.handled.finish(event.sequence_number().as_i64(), event);
        }
    }

    /// A handler whose calls come one after the other has finished everything up to this event.
    pub(crate) fn advance(&mut self, id: HandlerId, event: ReceivedEvent) {
        if let Some(row) = self.row(id) {
            row.handled.advance(event.sequence_number().as_i64(), event);
        }
    }

    /// A handler says that it is done with an event before it returns.
    pub(crate) fn mark(&mut self, id: HandlerId, event: &ReceivedEvent) {
        let number = event.sequence_number().as_i64();
        let Some(row) = self.row(id) else { return };
        let ordered = row.ordered;
        let enter = |prefix: &mut Prefix<ReceivedEvent>| match ordered {
            true => prefix.advance(number, event.clone()),
            false => prefix.finish(number, event.clone()),
        };
        enter(&mut row.handled);
        row.marked.as_mut().map(enter);
    }

    /// Whether a handler need not be given this event again.
    pub(crate) fn is_done(&self, id: HandlerId, number: i64) -> bool {
        let row = self.rows.iter().find(|row| row.id == id);
        row.is_some_and(|row| row.handled.is_done(number))
    }

    /// Number of the last event up to which a handler has finished all.
    pub(crate) fn done(&self, id: HandlerId) -> i64 {
        self.rows.iter().find(|row| row.id == id).map_or(UNKNOWN, |row| row.handled.done())
    }

    /// After which number the partition restarts; `None` when no event has come yet.
    pub(crate) fn handled(&self) -> Option<i64> {
        let handled = self.rows.iter().map(|row| row.handled.done()).min();
        handled.filter(|number| *number != UNKNOWN)
    }

    /// What is not finished comes again.
    pub(crate) fn restart(&mut self) {
        for row in &mut self.rows {
            row.handled.restart();
            if let Some(marked) = &mut row.marked {
                marked.restart();
            }
        }
    }

    /// The event up to which everything counts by now, and how many events more that are than
    /// before; `None` when it is nothing more.
    pub(crate) fn settle(&mut self) -> Option<(ReceivedEvent, u64)> {
        let slowest = self.rows.iter().min_by_key(|row| row.counted().done())?;
        let prefix = slowest.counted();
        let done = prefix.done();
        if done <= self.told {
            return None;
        }
        // Missing only when it was told, and then there is nothing more to tell.
        let event = prefix.at()?.clone();
        let numbers = done.abs_diff(self.told);
        self.told = done;
        for row in &mut self.rows {
            let prefix = row.counted_mut();
            if prefix.done() <= done {
                prefix.told();
            }
            if row.marked.is_some() {
                // Restarts need the number only.
                row.handled.told();
            }
        }
        let events = numbers.saturating_sub(std::mem::take(&mut self.holes));
        Some((event, events.max(1)))
    }

    fn row(&mut self, id: HandlerId) -> Option<&mut Row> {
        self.rows.iter_mut().find(|row| row.id == id)
    }
}
