//! The latest things that went wrong, for people who look.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::overview::Incident;

/// Incidents kept; the oldest go first.
pub(crate) const INCIDENTS_MAX: usize = 100;
/// Bytes kept of one incident's text, which quotes what clients sent.
const TEXT_BYTES_MAX: usize = 500;

/// A ring of incidents.
#[derive(Debug, Default)]
pub(crate) struct Incidents {
    ring: Mutex<VecDeque<Incident>>,
}

impl Incidents {
    /// Notes what happened on a connection at `at`, in milliseconds since 1970.
    pub(crate) fn note(&self, at: i64, connection: u64, what: impl Into<String>) {
        let mut what = what.into();
        what.truncate(what.floor_char_boundary(TEXT_BYTES_MAX));
        let mut ring = self.lock();
        if ring.len() == INCIDENTS_MAX {
            ring.pop_front();
        }
        ring.push_back(Incident { at, connection, what });
    }

    /// All that are kept, oldest first.
    pub(crate) fn list(&self) -> Vec<Incident> {
        self.lock().iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Incident>> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_and_long_texts_are_cut() {
        let incidents = Incidents::default();
        for number in 0..150 {
            incidents.note(i64::from(number), 1, "é".repeat(400));
        }
        let list = incidents.list();
        assert_eq!(list.len(), INCIDENTS_MAX);
        assert_eq!((list[0].at, list[99].at), (50, 149));
        assert_eq!(list[0].what.len(), TEXT_BYTES_MAX);
    }
}
