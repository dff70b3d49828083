//! What is handled so far, while a run goes on.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::journal::Note;

/// Events that some handler has done.
#[derive(Debug)]
pub(super) struct Ledger {
    partitions: Vec<Mutex<Front>>,
    handled: AtomicU64,
    again: AtomicU64,
    failed: AtomicU64,
}

/// What is done of one partition.
#[derive(Debug, Default)]
struct Front {
    done: Vec<bool>,
    /// Events from the first that are done with none missing.
    prefix: usize,
}

impl Ledger {
    pub(super) fn new(partitions: u16) -> Self {
        let partitions = (0..partitions).map(|_| Mutex::default()).collect();
        let zero = || AtomicU64::new(0);
        Self { partitions, handled: zero(), again: zero(), failed: zero() }
    }

    pub(super) fn book(&self, note: &Note) {
        let Note::Ended { partition, sequence, ok, .. } = *note else { return };
        if !ok {
            self.failed.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.handled.fetch_add(1, Ordering::Relaxed);
        let Some(front) = self.partitions.get(usize::from(partition)) else { return };
        let mut front = front.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(index) = usize::try_from(sequence) else { return };
        if front.done.len() <= index {
            front.done.resize(index + 1, false);
        }
        if std::mem::replace(&mut front.done[index], true) {
            self.again.fetch_add(1, Ordering::Relaxed);
        }
        while front.done.get(front.prefix) == Some(&true) {
            front.prefix += 1;
        }
    }

    /// Partitions that are not done to their last events, with what is missing of each.
    pub(super) fn behind(&self, lasts: &[i64]) -> Vec<(usize, i64)> {
        let prefixes = self.partitions.iter().map(|front| {
            let front = front.lock().unwrap_or_else(PoisonError::into_inner);
            i64::try_from(front.prefix).unwrap_or(i64::MAX)
        });
        let missing = prefixes.zip(lasts).map(|(prefix, last)| last + 1 - prefix);
        missing.enumerate().filter(|(_, missing)| *missing > 0).collect()
    }

    pub(super) fn status(&self, lasts: &[i64]) -> String {
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
        let behind: i64 = self.behind(lasts).iter().map(|(_, missing)| missing).sum();
        let (handled, again, failed) =
            (count(&self.handled), count(&self.again), count(&self.failed));
        format!("handled {handled}  again {again}  failed {failed}  behind {behind}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_out_of_order_is_behind_until_the_gap_is_closed() {
        let ledger = Ledger::new(2);
        let done = |sequence, ok| {
            ledger.book(&Note::Ended { partition: 1, level: 1, sequence, ok });
        };
        done(0, true);
        done(2, true);
        done(1, false);
        assert_eq!(ledger.behind(&[-1, 2]), [(1, 2)]);
        done(1, true);
        done(1, true);
        assert!(ledger.behind(&[-1, 2]).is_empty());
        assert_eq!(ledger.status(&[0, 2]), "handled 4  again 1  failed 1  behind 1");
    }
}
