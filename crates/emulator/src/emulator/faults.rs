//! What the emulator's owner can make go wrong.

use std::time::Duration;

use super::Emulator;
use crate::fault::{Fault, FaultError, FaultId, Point};
use crate::namespace::Namespace;
use crate::namespace::bell::Signal;

impl Emulator {
    /// Adds a fault. One at [`Point::Now`] strikes at the next turn of each connection, which
    /// [`hit`](Self::hit) can wait for. At most 1 024 faults are kept; spent ones make room.
    ///
    /// ```
    /// use eventhubs_emulator::{Config, Effect, Emulator, Fault, Point};
    ///
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    /// # runtime.block_on(async {
    /// let emulator = Emulator::start(Config::default().in_memory()).await?;
    /// let busy = Effect::reject("com.microsoft:server-busy", "Please wait 4 seconds and try again.");
    /// let fault = emulator.inject(Fault::at(Point::Publish, busy))?;
    /// assert_eq!(emulator.hits(fault), 0);
    /// emulator.lift(fault);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`FaultError`] for a fault that could never strike, one at [`Point::Resolve`] or
    /// [`Point::Connect`], which a [`Network`](crate::Network) takes, or one too many.
    pub fn inject(&self, fault: Fault) -> Result<FaultId, FaultError> {
        self.shared.namespace.inject(fault)
    }

    /// Takes a fault away; whether it was there. What it has done stays, except shapes and
    /// silence, which end.
    pub fn lift(&self, id: FaultId) -> bool {
        self.shared.namespace.lift(id)
    }

    /// Takes all faults away, as [`lift`](Self::lift) does.
    pub fn lift_all(&self) {
        self.shared.namespace.lift_all();
    }

    /// All faults, spent ones too, in the order of their injection, with how often each struck.
    pub fn faults(&self) -> Vec<(FaultId, Fault, u64)> {
        self.shared.namespace.faults.read(|registry| registry.list())
    }

    /// How often a fault has struck; 0 for one that was lifted.
    pub fn hits(&self, id: FaultId) -> u64 {
        self.shared.namespace.faults.hits(id)
    }

    /// Waits until a fault has struck `count` times. `false` when it was lifted before.
    ///
    /// Cancel safe.
    pub async fn hit(&self, id: FaultId, count: u64) -> bool {
        self.shared.namespace.faults.hit(id, count).await
    }

    /// Moves the service's clock forward, and with it every time-out that the service has for its
    /// clients: tokens lapse, links grow idle, events age. The time-outs of AMQP itself and the
    /// delays of faults go by the runtime's clock and do not see it.
    pub fn advance_clock(&self, by: Duration) {
        self.shared.namespace.advance_clock(by);
    }
}

impl Namespace {
    /// Adds a fault and tells every connection.
    pub(crate) fn inject(&self, fault: Fault) -> Result<FaultId, FaultError> {
        if matches!(fault.point, Point::Resolve | Point::Connect) {
            let point = fault.point.to_string();
            return Err(FaultError::Elsewhere { point, owner: "a network" });
        }
        let id = self.faults.inject(fault)?;
        self.ring_all(&Signal::Faults);
        Ok(id)
    }

    /// Takes a fault away and tells every connection; whether it was there.
    pub(crate) fn lift(&self, id: FaultId) -> bool {
        let lifted = self.faults.lift(id);
        self.ring_all(&Signal::Faults);
        lifted
    }

    /// Takes all faults away and tells every connection.
    pub(crate) fn lift_all(&self) {
        self.faults.lift_all();
        self.ring_all(&Signal::Faults);
    }

    /// Moves the service's clock forward and tells every connection.
    pub(crate) fn advance_clock(&self, by: Duration) {
        self.clock.advance(by);
        self.expire();
        self.ring_all(&Signal::Clock);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::fault::Effect;

    #[tokio::test(start_paused = true)]
    async fn the_owner_can_wait_for_a_strike_or_the_end_of_the_fault() {
        let emulator = Emulator::start(Config::default().in_memory()).await.unwrap();
        let fault = emulator.inject(Fault::at(Point::Attach, Effect::Ignore)).unwrap();
        assert!(emulator.hit(fault, 0).await);
        let (waited, lifted) = tokio::join!(emulator.hit(fault, 1), async {
            tokio::task::yield_now().await;
            emulator.lift(fault)
        });
        assert!(!waited && lifted);
        let refused = emulator.inject(Fault::at(Point::Resolve, Effect::Ignore)).unwrap_err();
        assert!(refused.to_string().contains("a network"), "{refused}");
    }
}
