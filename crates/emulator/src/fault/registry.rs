//! Which fault strikes what: pure bookkeeping.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::occurrence::{Occurrence, Place};
use super::point::Point;
use super::{Effect, Fault, FaultError, FaultId};

/// Faults kept at a time. Spent ones make room for new ones, the oldest first.
pub(crate) const FAULTS_MAX: usize = 1024;

/// Bit of faults that shape connections, in a set of points.
pub(crate) const SHAPES: u32 = 1 << 31;

/// A fault that strikes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Struck {
    pub(crate) id: FaultId,
    pub(crate) fault: Arc<Fault>,
}

impl Struck {
    pub(crate) fn effect(&self) -> &Effect {
        &self.fault.effect
    }
}

/// The faults in the order of their injection.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    entries: BTreeMap<FaultId, Entry>,
    next: u64,
}

#[derive(Debug)]
struct Entry {
    fault: Arc<Fault>,
    /// Occurrences within its scope.
    seen: u64,
    hits: u64,
}

impl Entry {
    /// Whether it will never strike again.
    fn is_spent(&self) -> bool {
        match self.fault.point {
            // Its strikes are done by the connections that are there when it is injected.
            Point::Now => true,
            _ => self.fault.times.is_some_and(|times| self.hits >= times),
        }
    }

    fn is_due(&self) -> bool {
        self.seen > self.fault.after && !self.is_spent()
    }
}

impl Registry {
    /// Takes a fault in.
    pub(crate) fn inject(&mut self, fault: Fault) -> Result<FaultId, FaultError> {
        fault.check()?;
        if self.entries.len() >= FAULTS_MAX {
            let forgettable = |entry: &Entry| entry.is_spent() && !entry.fault.effect.lasts();
            let spent = self.entries.iter().find(|(_, entry)| forgettable(entry));
            let spent = spent.map(|(id, _)| *id).ok_or(FaultError::TooMany(FAULTS_MAX))?;
            self.entries.remove(&spent);
        }
        self.next += 1;
        let id = FaultId(self.next);
        self.entries.insert(id, Entry { fault: Arc::new(fault), seen: 0, hits: 0 });
        Ok(id)
    }

    /// Takes a fault out; whether it was there.
    pub(crate) fn lift(&mut self, id: FaultId) -> bool {
        self.entries.remove(&id).is_some()
    }

    /// Takes all faults out.
    pub(crate) fn lift_all(&mut self) {
        self.entries.clear();
    }

    /// Strikes so far; `None` for a fault that is not there.
    pub(crate) fn hits(&self, id: FaultId) -> Option<u64> {
        self.entries.get(&id).map(|entry| entry.hits)
    }

    /// All faults with their strikes so far.
    pub(crate) fn list(&self) -> Vec<(FaultId, Fault, u64)> {
        let each = |(id, entry): (&FaultId, &Entry)| (*id, (*entry.fault).clone(), entry.hits);
        self.entries.iter().map(each).collect()
    }

    /// The points at which some fault may still strike, as bits.
    pub(crate) fn points(&self) -> u32 {
        let bits = |entry: &Entry| match entry.fault.effect.is_shape() {
            true => SHAPES,
            false if entry.is_spent() => 0,
            false => entry.fault.point.bit(),
        };
        self.entries.values().fold(0, |all, entry| all | bits(entry))
    }

    /// What strikes an occurrence. Every fault that it is within counts it; the oldest that is due
    /// strikes.
    pub(crate) fn strike(&mut self, occurrence: &Occurrence<'_>) -> Option<Struck> {
        let mut struck = None;
        for (id, entry) in &mut self.entries {
            if !matches(&entry.fault, occurrence) {
                continue;
            }
            entry.seen = entry.seen.saturating_add(1);
            if struck.is_none() && entry.is_due() {
                entry.hits += 1;
                struck = Some(Struck { id: *id, fault: Arc::clone(&entry.fault) });
            }
        }
        struck
    }

    /// The line of a connection has come to the point of this fault, within its scope. Answers
    /// whether it strikes, and whether it never will again.
    pub(crate) fn ring(&mut self, id: FaultId) -> (bool, bool) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return (false, true);
        };
        entry.seen = entry.seen.saturating_add(1);
        let strikes = entry.is_due();
        entry.hits += u64::from(strikes);
        (strikes, entry.is_spent())
    }

    /// One fault.
    pub(crate) fn fault(&self, id: FaultId) -> Option<Arc<Fault>> {
        self.entries.get(&id).map(|entry| Arc::clone(&entry.fault))
    }

    /// Strikes at [`Point::Now`] younger than `since`, in order.
    pub(crate) fn news(&self, since: FaultId) -> Vec<Struck> {
        let from = FaultId(since.0.saturating_add(1));
        self.select(from, |entry| entry.fault.point == Point::Now && !entry.fault.effect.is_shape())
    }

    /// Faults that the byte layer of each connection has to look out for, in order.
    pub(crate) fn of_the_line(&self) -> Vec<Struck> {
        self.select(FaultId(0), |entry| entry.fault.point.is_of_the_line() && !entry.is_spent())
    }

    /// Faults that shape connections, in order.
    pub(crate) fn shapes(&self) -> Vec<Struck> {
        self.select(FaultId(0), |entry| entry.fault.effect.is_shape())
    }

    fn select(&self, from: FaultId, wanted: impl Fn(&Entry) -> bool) -> Vec<Struck> {
        let wanted = |(_, entry): &(&FaultId, &Entry)| wanted(entry);
        let each =
            |(id, entry): (&FaultId, &Entry)| Struck { id: *id, fault: Arc::clone(&entry.fault) };
        self.entries.range(from..).filter(wanted).map(each).collect()
    }

    /// The youngest fault there has been.
    pub(crate) fn latest(&self) -> FaultId {
        FaultId(self.next)
    }

    /// Counts strikes that were done elsewhere.
    pub(crate) fn count(&mut self, id: FaultId, strikes: u64) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.hits = entry.hits.saturating_add(strikes);
        }
    }
}

/// Whether an occurrence is one of those that a fault is about.
fn matches(fault: &Fault, occurrence: &Occurrence<'_>) -> bool {
    fault.point == occurrence.point
        && match occurrence.place {
            Place::Host(host) => fault.scope.matches_host(host),
            Place::Connection(facts) => fault.scope.matches_connection(facts),
            Place::Link(connection, link) => {
                fault.scope.matches_connection(connection) && fault.scope.matches_link(link)
            }
        }
}
