//! What is to be done later, in the order in which it falls due.

use std::collections::BTreeMap;
use std::time::Instant;

/// Entries of one agenda.
pub(crate) const ENTRIES_MAX: usize = 4096;

/// Things to do, by due time; of two with the same, the one entered first comes first.
#[derive(Debug)]
pub(crate) struct Agenda<T> {
    entries: BTreeMap<(Instant, u64), T>,
    next: u64,
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), next: 0 }
    }
}

impl<T> Agenda<T> {
    /// Enters something, or gives it back when the agenda is full.
    pub(crate) fn enter(&mut self, due: Instant, what: T) -> Result<(), T> {
        if self.entries.len() >= ENTRIES_MAX {
            return Err(what);
        }
        self.next += 1;
        self.entries.insert((due, self.next), what);
        Ok(())
    }

    /// When the next entry is due.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.entries.first_key_value().map(|((due, _), _)| *due)
    }

    /// Takes the next entry that is due at `now`.
    pub(crate) fn take(&mut self, now: Instant) -> Option<T> {
        let first = self.entries.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn entries_come_when_they_are_due_and_in_order() {
        let start = tokio::time::Instant::now().into_std();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut agenda = Agenda::default();
        for (due, what) in [(3, "c"), (1, "a"), (3, "d"), (2, "b")] {
            agenda.enter(at(due), what).unwrap();
        }
        assert_eq!(agenda.due(), Some(at(1)));
        assert_eq!(agenda.take(at(0)), None);
        assert_eq!(agenda.take(at(2)), Some("a"));
        assert_eq!(agenda.take(at(2)), Some("b"));
        assert_eq!(agenda.take(at(2)), None);
        assert_eq!((agenda.take(at(9)), agenda.take(at(9))), (Some("c"), Some("d")));
        assert_eq!((agenda.due(), agenda.take(at(9))), (None, None));
    }

    #[test]
    fn a_full_agenda_takes_no_more() {
        let start = tokio::time::Instant::now().into_std();
        let mut agenda = Agenda::default();
        for entry in 0..ENTRIES_MAX {
            agenda.enter(start, entry).unwrap();
        }
        assert_eq!(agenda.enter(start, 7), Err(7));
        agenda.clear();
        assert_eq!(agenda.enter(start, 7), Ok(()));
    }
}
