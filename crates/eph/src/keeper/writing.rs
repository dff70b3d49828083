//! The checkpoint of one ownership: one write at a time, and the latest position wins.

use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument;

use crate::checkpoint::{Checkpoint, Commit, Fence};
use crate::error::{StoreError, StoreErrorKind, StoreOperation};
use crate::host::Shared;
use crate::keeper::cadence::{Cadence, Next};
use crate::keeper::call::{About, Call, ended};
use crate::lease::Lease;
use crate::notice::HostEvent;
use crate::seat::Seat;

/// Writes the checkpoints.
#[derive(Debug)]
pub(super) struct Writing {
    shared: Arc<Shared>,
    seat: Arc<Seat>,
    cadence: Cadence,
    /// Whether the ownership has the checkpoint: nothing is written before.
    is_open: bool,
    /// Whether the store lost what it had: all is to be made anew, from memory.
    is_lost: bool,
    in_flight: Option<Call<Commit>>,
    /// What the write in flight has.
    batch: Option<Batch>,
}

#[derive(Clone, Debug)]
struct Batch {
    checkpoint: Checkpoint,
    events: u64,
    was_wanted: bool,
}

/// What came of a write for the ownership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing.
    Kept,
    /// The store said that it has ended.
    Lost,
}

impl Writing {
    pub(super) fn new(shared: Arc<Shared>, seat: Arc<Seat>, spread: u8, now: Duration) -> Self {
        let cadence = Cadence::new(shared.options.checkpoints, spread, now);
        Self { shared, seat, cadence, is_open: false, is_lost: false, in_flight: None, batch: None }
    }

    /// The checkpoint was taken over.
    pub(super) fn open(&mut self, loaded: Option<Checkpoint>) {
        self.is_open = true;
        self.seat.write_ended(|written| written.stored(loaded));
    }

    /// Somebody waits for a write.
    pub(super) fn want(&mut self) {
        self.cadence.want();
    }

    /// The store was heard to be gone: what it had is written anew from memory.
    pub(super) fn store_is_lost(&mut self) {
        if self.is_open && !self.is_lost {
            self.is_lost = true;
            self.cadence.want();
        }
    }

    /// Begins a write if one is due; when to look again if nobody reports. At the end what the
    /// policy would write later is written now.
    pub(super) fn look(&mut self, lease: &Lease, now: Duration, is_end: bool) -> Option<Duration> {
        if !self.is_open || self.in_flight.is_some() {
            return None;
        }
        let (events, next, done) = {
            let mut progress = self.seat.progress();
            let events = progress.events();
            let next = match is_end && self.cadence.is_due_at_the_end(events) {
                true => self.cadence.next_at_the_end(now),
                false => self.cadence.next(events, now),
            };
            progress.set_alarm(match next {
                Next::Write => None,
                Next::Later { events, .. } => events,
            });
            (events, next, progress.to_checkpoint())
        };
        match next {
            Next::Later { at, .. } => at,
            Next::Write => {
                self.write(done, events, lease, now);
                None
            }
        }
    }

    /// Whether nothing is left to be written by itself.
    pub(super) fn is_done(&self) -> bool {
        let is_due = || self.cadence.is_due_at_the_end(self.seat.progress().events());
        self.in_flight.is_none() && !(self.is_open && is_due())
    }

    /// Waits for the write in flight; for ever when there is none.
    ///
    /// Cancel safe.
    pub(super) async fn ended(&mut self) -> Result<Commit, StoreError> {
        ended(&mut self.in_flight).await
    }

    /// What came of it.
    pub(super) fn conclude(
        &mut self,
        result: Result<Commit, StoreError>,
        now: Duration,
    ) -> Standing {
        let Some(batch) = self.batch.take() else { return Standing::Kept };
        let counters = &self.shared.counters;
        let stored = match result {
            Ok(Commit::Stored) => {
                counters.checkpoints_stored.add(1);
                batch.checkpoint
            }
            Ok(Commit::Behind(later)) => {
                counters.checkpoints_behind.add(1);
                tracing::debug!(partition = %self.seat.partition(), "the store has a later checkpoint");
                later
            }
            Ok(Commit::Lost) => return Standing::Lost,
            Err(error) => {
                self.failed(batch.was_wanted, error, now);
                return Standing::Kept;
            }
        };
        self.is_lost = false;
        self.cadence.succeeded(batch.events);
        self.seat.write_ended(|written| written.stored(Some(stored)));
        Standing::Kept
    }

    /// Nothing may be written any more: what is on its way is dropped.
    pub(super) fn stop(&mut self) {
        self.is_open = false;
        (self.in_flight, self.batch) = (None, None);
    }

    /// What is left could not be written in time.
    pub(super) fn give_up(&mut self) {
        if !self.is_done() {
            self.tell(self.about().timeout());
        }
        self.stop();
    }

    fn failed(&mut self, was_wanted: bool, error: StoreError, now: Duration) {
        if error.kind() == StoreErrorKind::NotFound {
            self.is_lost = true;
        }
        self.cadence.failed(was_wanted || self.is_lost, error.kind(), now);
        self.seat.write_ended(|written| written.failed(error.clone()));
        self.tell(error);
    }

    fn tell(&self, error: StoreError) {
        let partition = self.seat.partition();
        tracing::warn!(%partition, %error, "a checkpoint was not stored");
        self.shared.counters.checkpoints_failed.add(1);
        self.shared.notices.tell(HostEvent::CheckpointFailed { partition, error });
    }

    fn about(&self) -> About {
        About { operation: StoreOperation::Store, partition: self.seat.partition() }
    }

    /// Begins a write of what is done, or of what the store had and lost.
    fn write(&mut self, done: Option<Checkpoint>, events: u64, lease: &Lease, now: Duration) {
        let was_wanted = self.cadence.is_wanted();
        self.cadence.begin(now);
        let Some(checkpoint) = self.latest(done) else {
            self.cadence.succeeded(events);
            return;
        };
        self.batch = Some(Batch { checkpoint: checkpoint.clone(), events, was_wanted });
        let (shared, lease, about) = (Arc::clone(&self.shared), lease.clone(), self.about());
        let (partition, owner_level) = (lease.partition, lease.epoch);
        let span = tracing::debug_span!("checkpoint", %partition, %owner_level, number = %checkpoint.sequence_number);
        let is_lost = self.is_lost;
        let call = async move { store(&shared, &lease, &checkpoint, about, is_lost).await };
        self.in_flight = Some(Call::begin(about, call.instrument(span)));
    }

    /// What is to be in the store, unless it is there. Never less than it had.
    fn latest(&self, done: Option<Checkpoint>) -> Option<Checkpoint> {
        let stored = self.seat.stored();
        let is_new = match (&done, &stored) {
            (Some(done), Some(stored)) => done.sequence_number > stored.sequence_number,
            (Some(_), None) => true,
            (None, _) => false,
        };
        match is_new {
            true => done,
            false => stored.filter(|_| self.is_lost),
        }
    }
}

/// Stores it; in a store that was lost the record is made anew before.
async fn store(
    shared: &Shared,
    lease: &Lease,
    checkpoint: &Checkpoint,
    about: About,
    is_lost: bool,
) -> Result<Commit, StoreError> {
    let (store, deadline) = (&shared.checkpointer, shared.options.timing.call());
    if is_lost {
        about.within(deadline, store.ensure_store()).await?;
        if let Fence::Lost { .. } = about.within(deadline, store.ensure(lease)).await? {
            return Ok(Commit::Lost);
        }
    }
    about.within(deadline, store.store(lease, checkpoint)).await
}
