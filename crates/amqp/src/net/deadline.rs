//! The deadline queue of one connection: one heap, no timer per operation.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use crate::engine::LinkId;

/// What a deadline is about. An entry that no longer applies is ignored when it fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// The peer's answer to our attach.
    Attach(LinkId),
    /// The peer's answer to our detach.
    Detach(LinkId),
    /// The oldest send of a link.
    Sends(LinkId),
}

#[derive(Debug)]
struct Entry {
    at: Instant,
    order: u64,
    due: Due,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// Deadlines in the order they pass.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    heap: BinaryHeap<Reverse<Entry>>,
    order: u64,
}

impl Deadlines {
    pub(crate) fn add(&mut self, at: Instant, due: Due) {
        self.order += 1;
        self.heap.push(Reverse(Entry { at, order: self.order, due }));
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse(entry)| entry.at)
    }

    /// Takes one that has passed at `now`.
    pub(crate) fn take(&mut self, now: Instant) -> Option<Due> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry.due)
    }
}
