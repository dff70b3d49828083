//! How events become a batch.

use std::time::Duration;

use tokio::time::Instant;

/// The shortest time between two empty batches.
const EMPTY_MIN: Duration = Duration::from_millis(10);

/// The batch that grows: handed over when it is full, or when its first event has waited for long
/// enough.
#[derive(Debug)]
pub(crate) struct Forming<T> {
    events: Vec<T>,
    events_max: usize,
    wait_max: Duration,
    with_empty: bool,
    /// When it is handed over even so.
    due: Option<Instant>,
    /// How many the last one had: there may be as many again.
    usual: usize,
}

impl<T> Forming<T> {
    pub(crate) fn new(events_max: usize, wait_max: Duration, with_empty: bool) -> Self {
        let events_max = events_max.max(1);
        Self { events: Vec::new(), events_max, wait_max, with_empty, due: None, usual: 0 }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.events.len() >= self.events_max
    }

    /// Takes an event.
    pub(crate) fn push(&mut self, event: T) {
        if self.events.is_empty() {
            self.events.reserve(self.usual.clamp(1, self.events_max));
            // From now on it is the first event that is waited with.
            self.due = None;
        }
        self.events.push(event);
    }

    /// When the batch is due; `None` when it waits for its first event.
    pub(crate) fn due(&mut self, now: impl FnOnce() -> Instant) -> Option<Instant> {
        let wait = match self.events.is_empty() {
            true if self.with_empty => self.wait_max.max(EMPTY_MIN),
            true => return None,
            false => self.wait_max,
        };
        Some(*self.due.get_or_insert_with(|| now() + wait))
    }

    /// Hands the batch over.
    pub(crate) fn take(&mut self) -> Vec<T> {
        self.usual = self.events.len();
        self.due = None;
        std::mem::take(&mut self.events)
    }

    /// Drops what has come so far.
    pub(crate) fn clear(&mut self) {
        self.events.clear();
        self.due = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_millis(200);

    #[tokio::test(start_paused = true)]
    async fn a_batch_is_due_when_its_first_event_has_waited() {
        let start = Instant::now();
        let mut forming = Forming::new(3, WAIT, false);
        assert_eq!(forming.due(|| start), None);
        forming.push('a');
        assert_eq!(forming.due(|| start), Some(start + WAIT));
        forming.push('b');
        // The second does not prolong it.
        assert_eq!(forming.due(|| start + WAIT / 2), Some(start + WAIT));
        assert!(!forming.is_full());
        forming.push('c');
        assert!(forming.is_full());
        assert_eq!(forming.take(), ['a', 'b', 'c']);
        assert_eq!(forming.due(|| start), None);
    }

    #[tokio::test(start_paused = true)]
    async fn empty_batches_are_due_when_nothing_came_and_never_in_a_hurry() {
        let start = Instant::now();
        let mut forming = Forming::new(3, WAIT, true);
        assert_eq!(forming.due(|| start), Some(start + WAIT));
        forming.push('a');
        assert_eq!(forming.due(|| start + WAIT / 2), Some(start + WAIT / 2 + WAIT));
        forming.clear();
        assert!(forming.take().is_empty());
        let mut hasty = Forming::<char>::new(3, Duration::ZERO, true);
        assert_eq!(hasty.due(|| start), Some(start + EMPTY_MIN));
    }

    #[test]
    fn a_batch_of_none_holds_one() {
        let mut forming = Forming::new(0, WAIT, false);
        forming.push('a');
        assert!(forming.is_full());
    }
}
