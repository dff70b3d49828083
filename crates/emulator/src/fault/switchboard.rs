//! The faults of one emulator, shared by its connections.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::occurrence::Occurrence;
use super::registry::{Registry, Struck};
use super::{Fault, FaultError, FaultId};

/// The registry behind a lock, with a quick way past it: without a fault, an occurrence costs one
/// atomic load.
#[derive(Debug)]
pub(crate) struct Switchboard {
    /// Bits of the points at which a fault may strike.
    points: AtomicU32,
    registry: Mutex<Registry>,
    /// Changes with every strike and every fault that goes.
    changes: watch::Sender<u64>,
}

impl Default for Switchboard {
    fn default() -> Self {
        Self {
            points: AtomicU32::new(0),
            registry: Mutex::default(),
            changes: watch::Sender::new(0),
        }
    }
}

impl Switchboard {
    pub(crate) fn inject(&self, fault: Fault) -> Result<FaultId, FaultError> {
        self.change(|registry| registry.inject(fault))
    }

    pub(crate) fn lift(&self, id: FaultId) -> bool {
        self.change(|registry| registry.lift(id))
    }

    pub(crate) fn lift_all(&self) {
        self.change(Registry::lift_all);
    }

    /// What strikes an occurrence, if anything.
    #[inline]
    pub(crate) fn strike(&self, occurrence: &Occurrence<'_>) -> Option<Struck> {
        match self.points.load(Ordering::Relaxed) & occurrence.point.bit() {
            0 => None,
            _ => self.change(|registry| registry.strike(occurrence)),
        }
    }

    /// See [`Registry::ring`].
    pub(crate) fn ring(&self, id: FaultId) -> (bool, bool) {
        self.change(|registry| registry.ring(id))
    }

    /// Counts strikes that a connection did at a point of its own.
    pub(crate) fn count(&self, id: FaultId, strikes: u64) {
        self.change(|registry| registry.count(id, strikes));
    }

    /// Whether any fault is at the points of `bits`.
    #[inline]
    pub(crate) fn is_armed(&self, bits: u32) -> bool {
        self.points.load(Ordering::Relaxed) & bits != 0
    }

    /// A look at the registry.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Registry) -> T) -> T {
        look(&self.lock())
    }

    pub(crate) fn hits(&self, id: FaultId) -> u64 {
        self.lock().hits(id).unwrap_or(0)
    }

    /// Waits until a fault has struck `count` times; whether it did before it was gone.
    pub(crate) async fn hit(&self, id: FaultId, count: u64) -> bool {
        let mut changes = self.changes.subscribe();
        loop {
            changes.borrow_and_update();
            match self.read(|registry| registry.hits(id)) {
                Some(hits) if hits >= count => return true,
                Some(_) => {}
                None => return false,
            }
            if changes.changed().await.is_err() {
                return false;
            }
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Registry) -> T) -> T {
        let result = {
            let mut registry = self.lock();
            let result = change(&mut registry);
            self.points.store(registry.points(), Ordering::Relaxed);
            result
        };
        self.changes.send_modify(|change| *change = change.wrapping_add(1));
        result
    }

    fn lock(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
