//! What the keeper and the pump of one ownership share.
//!
//! The pump asks before each handler call and reports what is done; the keeper renews, writes
//! checkpoints and ends. Neither waits for the other: answers come from what is here.

mod progress;
mod reports;
mod running;
mod written;

pub(crate) use progress::Progress;
pub(crate) use reports::{Refused, Reports};
pub(crate) use running::Running;
pub(crate) use written::Written;

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use eventhubs_protocol::{OwnerLevel, PartitionId};
use tokio::sync::{Notify, oneshot, watch};

use crate::checkpoint::Checkpoint;
use crate::clock;
use crate::handler::HandlerId;
use crate::health::PartitionStage;
use crate::ownership::{Ownership, Refusal, Timing};
use crate::partition::{CheckpointError, CloseReason, Committed, Position};
use running::RunningHandlers;

/// For so long one look at both clocks answers for the wall clock; the monotonic clock is read
/// each time. A machine that was suspended starts handlers for no longer than this.
const WALL_EVERY: Duration = Duration::from_millis(1);

/// One ownership of a partition, as seen by whatever acts for it.
#[derive(Debug)]
pub(crate) struct Seat {
    partition: PartitionId,
    timing: Timing,
    level: AtomicI64,
    /// Nanoseconds of the monotonic clock until which handlers may start without another look; 0
    /// when they may not any more.
    until: AtomicU64,
    ownership: Mutex<Ownership>,
    progress: Mutex<Progress>,
    running: Mutex<RunningHandlers>,
    reports: Mutex<Reports>,
    /// Wakes the keeper.
    reported: Notify,
    /// The signal to stop.
    closing: watch::Sender<Option<CloseReason>>,
    /// Counts what may lift [`Refusal::Stale`].
    proofs: watch::Sender<u64>,
    written: watch::Sender<Written>,
}

/// What the pump, and through it the handlers, may ask and tell.
impl Seat {
    /// The partition.
    pub(crate) fn partition(&self) -> PartitionId {
        self.partition
    }

    /// The level receivers of this ownership attach with.
    pub(crate) fn owner_level(&self) -> OwnerLevel {
        OwnerLevel::new(self.level.load(Ordering::Relaxed)).unwrap_or(OwnerLevel::ZERO)
    }

    /// Whether a handler may start now. To be asked before each call: it reads the clock, so it is
    /// right after the process stood still as well. Once `false`, always `false`;
    /// [`closing`](Self::closing) follows.
    #[inline]
    pub(crate) fn may_handle(&self) -> bool {
        clock::nanos() < self.until.load(Ordering::Acquire) || self.look()
    }

    /// Nanoseconds of the monotonic clock until which [`may_handle`](Self::may_handle) is true without
    /// another look; 0 when it has to be asked, or is false for ever.
    #[inline]
    pub(crate) fn until(&self) -> &AtomicU64 {
        &self.until
    }

    /// Whether a receiver may be attached now, and with which level.
    pub(crate) fn may_attach(&self) -> Result<OwnerLevel, Refusal> {
        let mut ownership = self.ownership();
        let now = clock::moment();
        ownership.check_fence(now);
        let generation = ownership.generation().clone();
        let result = ownership.may_attach(&generation, now);
        self.publish(&ownership);
        result.map(|()| self.owner_level())
    }

    /// Waits until a receiver may be attached, or never may again.
    ///
    /// Cancel safe.
    pub(crate) async fn attach_allowed(&self) -> Result<OwnerLevel, Refusal> {
        let mut proofs = self.proofs.subscribe();
        loop {
            proofs.mark_unchanged();
            match self.may_attach() {
                // A sender that is gone would be this seat.
                Err(Refusal::Stale) => drop(proofs.changed().await),
                answer => return answer,
            }
        }
    }

    /// Waits for the signal to stop.
    ///
    /// Cancel safe.
    pub(crate) async fn closing(&self) -> CloseReason {
        let mut closing = self.closing.subscribe();
        let reason = closing.wait_for(Option::is_some).await.ok().and_then(|reason| *reason);
        reason.unwrap_or(CloseReason::Failed)
    }

    /// Why it is to stop, once there was the signal.
    pub(crate) fn close_reason(&self) -> Option<CloseReason> {
        *self.closing.borrow()
    }

    /// Everything up to this position is done, `events` more than before. Going back changes
    /// nothing.
    pub(crate) fn finished(&self, at: Position, events: u64) {
        let is_due = lock(&self.progress).advance(at, events);
        if is_due {
            self.reported.notify_one();
        }
    }

    /// Writes what is done now, or joins a write of it; ready when it, or something later, is
    /// durable.
    ///
    /// Cancel safe: the write goes on.
    pub(crate) async fn checkpoint(&self) -> Result<Committed, CheckpointError> {
        let mut written = self.written.subscribe();
        let target = lock(&self.progress).sequence_number();
        let wish = written.borrow().wish(target);
        self.report(|reports| reports.is_wanted = true);
        let answered = written.wait_for(|written| written.answer(wish).is_some());
        // One write may be on its way already, and this one comes after it.
        match clock::within(self.timing.call() * 2, answered).await {
            Some(Ok(written)) => written.answer(wish),
            Some(Err(_)) => None,
            None => Some(Err(self.written.borrow().late(self.partition))),
        }
        .unwrap_or(Err(CheckpointError::Ended(CloseReason::Failed)))
    }

    /// The hub said that another receiver took the partition. Ends the ownership.
    pub(crate) fn stolen(&self) {
        self.report(|reports| reports.is_stolen = true);
    }

    /// The hub refused the receiver because it knows the level `existing`; the level to attach with
    /// instead, when the store took one.
    ///
    /// Cancel safe: the level may rise all the same.
    pub(crate) async fn level_refused(
        &self,
        existing: Option<OwnerLevel>,
    ) -> Result<OwnerLevel, Refusal> {
        let (answer, answered) = oneshot::channel();
        self.report(|reports| reports.refused = Some(Refused { existing, answer }));
        match answered.await {
            Ok(answer) => answer,
            Err(_) => Err(self.end_refusal()),
        }
    }

    /// A receiver was attached.
    pub(crate) fn attached(&self) {
        self.report(|reports| reports.link = Some(true));
    }

    /// No receiver could be attached, or the one there was ended.
    pub(crate) fn attach_failed(&self, error: &eventhubs_client::Error) {
        tracing::debug!(partition = %self.partition, %error, "no receiver");
        self.report(|reports| reports.link = Some(false));
    }

    /// Asks that the partition be given back, as when a handler says so. The first reason counts.
    pub(crate) fn give_up(&self, reason: CloseReason) {
        self.report(|reports| {
            reports.release.get_or_insert(reason);
        });
    }

    /// A handler works on something: to be told when it was not ready at once.
    pub(crate) fn handler_started(&self, handler: HandlerId) {
        lock(&self.running).start(handler, clock::nanos());
    }

    /// It does not any more.
    pub(crate) fn handler_ended(&self, handler: HandlerId) {
        lock(&self.running).end(handler);
    }

    /// For health: what the pump is doing.
    pub(crate) fn set_stage(&self, stage: PartitionStage) {
        lock(&self.running).stage = stage;
    }

    /// For health: failures of handlers or receivers in a row, 0 when it goes on.
    pub(crate) fn set_failures(&self, failures: u32) {
        lock(&self.running).failures = failures;
    }

    /// For health: how far behind the end of the partition the prefix is, when that is known.
    pub(crate) fn set_lag(&self, events: Option<u64>, time: Option<Duration>) {
        let mut running = lock(&self.running);
        (running.lag_events, running.lag_time) = (events, time);
    }
}

/// What the keeper does with it.
impl Seat {
    pub(crate) fn new(ownership: Ownership, timing: Timing) -> Self {
        Self {
            partition: ownership.generation().partition,
            timing,
            level: AtomicI64::new(ownership.generation().epoch.as_i64()),
            until: AtomicU64::new(0),
            ownership: Mutex::new(ownership),
            progress: Mutex::default(),
            running: Mutex::default(),
            reports: Mutex::default(),
            reported: Notify::new(),
            closing: watch::Sender::new(None),
            proofs: watch::Sender::new(0),
            written: watch::Sender::default(),
        }
    }

    /// Does something with the ownership, and lets everybody see what came of it.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Ownership) -> T) -> T {
        let mut ownership = self.ownership();
        let result = act(&mut ownership);
        self.publish(&ownership);
        self.proofs.send_modify(|proofs| *proofs += 1);
        result
    }

    /// Gives the signal to stop.
    pub(crate) fn signal(&self, reason: CloseReason) {
        lock(&self.running).stage = PartitionStage::Closing;
        self.closing.send_modify(|closing| {
            closing.get_or_insert(reason);
        });
    }

    /// Waits until there are reports.
    ///
    /// Cancel safe.
    pub(crate) async fn reported(&self) {
        self.reported.notified().await;
    }

    pub(crate) fn take_reports(&self) -> Reports {
        std::mem::take(&mut *lock(&self.reports))
    }

    pub(crate) fn progress(&self) -> MutexGuard<'_, Progress> {
        lock(&self.progress)
    }

    /// The handlers that are at work.
    pub(crate) fn running(&self) -> Running {
        lock(&self.running).list(clock::nanos())
    }

    /// Lets those see who wait for a checkpoint.
    pub(crate) fn write_ended(&self, change: impl FnOnce(&mut Written)) {
        self.written.send_modify(change);
    }

    /// What the store has, as far as this ownership knows.
    pub(crate) fn stored(&self) -> Option<Checkpoint> {
        self.written.borrow().checkpoint().cloned()
    }
}

impl Seat {
    #[cold]
    fn look(&self) -> bool {
        let mut ownership = self.ownership();
        // Under the lock, so that no renewal comes between this clock and its consequence.
        let now = clock::moment();
        ownership.check_fence(now);
        self.publish(&ownership);
        let is_held = ownership.end().is_none();
        if is_held {
            let until = ownership.fence_at().min(now.monotonic + WALL_EVERY);
            let nanos = u64::try_from(until.as_nanos()).unwrap_or(u64::MAX);
            self.until.store(nanos, Ordering::Release);
        }
        is_held
    }

    fn publish(&self, ownership: &Ownership) {
        self.level.store(ownership.generation().epoch.as_i64(), Ordering::Relaxed);
        if ownership.end().is_some() && self.until.swap(0, Ordering::Release) != 0 {
            self.reported.notify_one();
        }
    }

    fn ownership(&self) -> MutexGuard<'_, Ownership> {
        lock(&self.ownership)
    }

    fn end_refusal(&self) -> Refusal {
        self.ownership().end().map_or(Refusal::OtherGeneration, Refusal::Ended)
    }

    fn report(&self, change: impl FnOnce(&mut Reports)) {
        change(&mut lock(&self.reports));
        self.reported.notify_one();
    }
}

/// A panic in another holder leaves nothing half done: each change is one assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
