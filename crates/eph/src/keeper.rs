//! The keeper of one ownership: from a claim that was won to its end.
//!
//! One task renews the lease, writes checkpoints and, when it ends, goes the way out in order. It
//! waits for nothing but time and answers: each call to a store is a task of its own with a
//! deadline, and so is the pump that hands events to handlers. So a renewal never waits behind a
//! checkpoint, a handler or another partition. What to do when is decided by
//! [`Ownership`] and the pure parts next to this file.

mod cadence;
mod call;
mod lateness;
mod link;
mod task;
mod way_out;
mod writing;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use eventhubs_protocol::{OwnerLevel, PartitionId};
use tokio::sync::watch;

use crate::balance::TakeReason;
use crate::checkpoint::Checkpoint;
use crate::clock;
use crate::health::PartitionHealth;
use crate::host::Shared;
use crate::lease::Lease;
use crate::owner::LeaseToken;
use crate::ownership::{End, Generation, Moment, Ownership};
use crate::partition::CloseReason;
use crate::seat::Seat;
use call::Guard;
use task::Task;

/// What hands the events of a partition to the handlers, until the seat is closing and they have
/// ended.
type PumpFn = Box<dyn FnOnce(Arc<Shared>, Arc<Seat>, Option<Checkpoint>) -> Pumping + Send>;
type Pumping = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How an ownership ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Over {
    /// What ended it.
    pub(crate) end: End,
    /// Why, in the words of those who are told.
    pub(crate) reason: CloseReason,
    /// For how long this host had better not claim the partition, so that another one may.
    pub(crate) hold_off: Option<Duration>,
    /// The highest level that was seen in the store or heard of from the hub. The next claim has
    /// to be higher, whatever the store says then.
    pub(crate) highest_level_seen: OwnerLevel,
}

/// The owner of one partition on this host. Dropping it ends its tasks without a call to a store:
/// the lease ages out.
#[derive(Debug)]
pub(crate) struct Keeper {
    seat: Arc<Seat>,
    over: watch::Receiver<Option<Over>>,
    timing: crate::ownership::Timing,
    _task: Guard,
}

impl Keeper {
    /// Begins with a claim that was won by a call begun at `asked`. To be called inside a runtime.
    pub(crate) fn start(
        shared: Arc<Shared>,
        lease: Lease,
        asked: Moment,
        reason: &TakeReason,
    ) -> Self {
        tracing::debug!(partition = %lease.partition, owner_level = %lease.epoch, %reason, "acquired");
        let pump: PumpFn =
            Box::new(|shared, seat, from| Box::pin(crate::pump::run(shared, seat, from)));
        Self::start_with(shared, lease, asked, pump)
    }

    fn start_with(shared: Arc<Shared>, lease: Lease, asked: Moment, pump: PumpFn) -> Self {
        let timing = shared.options.timing;
        // A lease without a token owns nothing: the first renewal says so.
        let token = lease.token.clone().unwrap_or_else(LeaseToken::unique);
        let generation = Generation::new(lease.partition, lease.epoch, token);
        let ownership = Ownership::acquired(generation, timing, asked);
        let seat = Arc::new(Seat::new(ownership, timing));
        let (tell, over) = watch::channel(None);
        let task = Task::new(shared, Arc::clone(&seat), lease, asked, pump);
        let task = tokio::spawn(async move {
            let over = task.run().await;
            tell.send_replace(Some(over));
        });
        Self { seat, over, timing, _task: Guard::new(task.abort_handle()) }
    }

    /// The partition.
    pub(crate) fn partition(&self) -> PartitionId {
        self.seat.partition()
    }

    /// Its owner level now.
    pub(crate) fn owner_level(&self) -> OwnerLevel {
        self.seat.owner_level()
    }

    /// Begins the way out. Never waits; the first reason counts.
    pub(crate) fn release(&self, reason: CloseReason) {
        self.seat.give_up(reason);
    }

    /// Waits until it is over. Any number of times; ready at once when it is.
    ///
    /// Cancel safe.
    pub(crate) async fn over(&self) -> Over {
        let mut over = self.over.clone();
        let told = over.wait_for(Option::is_some).await.ok().and_then(|over| *over);
        // A task that ended without a word has panicked.
        let level = self.seat.owner_level();
        told.unwrap_or_else(|| Over::not_receiving(self.timing.lease, level))
    }

    /// How it is now.
    pub(crate) fn health(&self) -> PartitionHealth {
        let now = clock::moment().monotonic;
        let fence_at = self.seat.with(|ownership| ownership.fence_at());
        let running = self.seat.running();
        let mut health = PartitionHealth::new(self.partition(), self.owner_level());
        health.stage = running.stage;
        health.fence_in = fence_at.saturating_sub(now);
        let proven = fence_at.saturating_sub(self.timing.lease - self.timing.margin());
        health.last_renewed_ago = now.saturating_sub(proven);
        health.handler_running_for = running.longest;
        health.failures = running.failures;
        (health.lag_events, health.lag_time) = (running.lag_events, running.lag_time);
        health
    }
}

impl Over {
    /// The end of an owner that did not get at its events, whatever the cause.
    fn not_receiving(lease: Duration, highest_level_seen: OwnerLevel) -> Self {
        let reason = CloseReason::NotReceiving;
        let end = End::Unlinked;
        Self { end, reason, hold_off: hold_off(reason, lease), highest_level_seen }
    }
}

/// For how long to leave a partition to others after such an end.
fn hold_off(reason: CloseReason, lease: Duration) -> Option<Duration> {
    match reason {
        CloseReason::NotReceiving => Some(lease * 2),
        CloseReason::LevelRefused => Some(lease),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
