//! Which fault strikes what: pure bookkeeping.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::occurrence::{ConnectionFacts, LinkFacts, Occurrence, Place};
use super::point::Point;
use super::{Effect, Fault, FaultError, FaultId};

/// Faults kept at a time. Spent ones make room for new ones, the oldest first.
pub(crate) const FAULTS_MAX: usize = 1024;

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
        let live = |entry: &&Entry| entry.fault.point == Point::Now || !entry.is_spent();
        self.entries.values().filter(live).fold(0, |all, entry| all | entry.fault.point.bit())
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

    /// Faults at [`Point::Now`] younger than `since`, in order.
    pub(crate) fn news(&self, since: FaultId) -> Vec<Struck> {
        let from = FaultId(since.0.saturating_add(1));
        self.select(from, |fault| fault.point == Point::Now)
    }

    /// Faults that are counted or looked for by the byte layer of a connection, in order.
    pub(crate) fn of_the_line(&self) -> Vec<Struck> {
        self.select(FaultId(0), |fault| fault.point.is_of_the_line())
    }

    /// Faults that shape this connection, in order.
    pub(crate) fn shapes(&self) -> Vec<Struck> {
        self.select(FaultId(0), |fault| fault.effect.is_shape())
    }

    fn select(&self, from: FaultId, wanted: impl Fn(&Fault) -> bool) -> Vec<Struck> {
        let wanted = |(_, entry): &(&FaultId, &Entry)| wanted(&entry.fault);
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

/// Whether a fault is about a connection with these links.
pub(crate) fn concerns<'a>(
    fault: &Fault,
    connection: &ConnectionFacts,
    mut links: impl Iterator<Item = &'a LinkFacts>,
) -> bool {
    fault.scope.matches_connection(connection)
        && (!fault.scope.is_about_links() || links.any(|link| fault.scope.matches_link(link)))
}
