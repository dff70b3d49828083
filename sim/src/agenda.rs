//! What happens next.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

/// Events by time, and those of one time in the order in which they were put in.
#[derive(Debug)]
pub(crate) struct Agenda<E> {
    order: BinaryHeap<Reverse<(Duration, u64)>>,
    events: BTreeMap<u64, E>,
    sequence: u64,
}

impl<E> Agenda<E> {
    pub(crate) fn new() -> Self {
        Self { order: BinaryHeap::new(), events: BTreeMap::new(), sequence: 0 }
    }

    pub(crate) fn put(&mut self, at: Duration, event: E) {
        self.sequence += 1;
        self.order.push(Reverse((at, self.sequence)));
        self.events.insert(self.sequence, event);
    }

    pub(crate) fn next(&mut self) -> Option<(Duration, E)> {
        let Reverse((at, sequence)) = self.order.pop()?;
        Some((at, self.events.remove(&sequence)?))
    }
}
