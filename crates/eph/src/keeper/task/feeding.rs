//! What comes in and goes out: the checkpoint, the pump and its receiver.

use std::sync::Arc;
use std::time::Duration;

use super::{Pump, Raising, Retry, Task};
use crate::checkpoint::{Checkpoint, Fence};
use crate::error::{StoreError, StoreOperation};
use crate::keeper::call::{Call, Guard};
use crate::notice::HostEvent;
use crate::ownership::{Moment, Step};
use crate::partition::CloseReason;

impl Task {
    /// Takes the checkpoint over, before anything is read.
    pub(super) fn ensure(&mut self, now: Duration) -> Option<Duration> {
        if !self.is_held() {
            (self.opening, self.ensuring) = (None, None);
        }
        let opening = self.opening?;
        if self.ensuring.is_some() || self.raising.is_some() {
            return None;
        }
        if opening.at > now {
            return Some(opening.at);
        }
        let about = self.about(StoreOperation::Fence);
        let (shared, lease) = (Arc::clone(&self.shared), self.lease.clone());
        let call = async move {
            let (store, deadline) = (&shared.checkpointer, shared.options.timing.call());
            if opening.is_lost {
                about.within(deadline, store.ensure_store()).await?;
            }
            about.within(deadline, store.ensure(&lease)).await
        };
        self.ensuring = Some(Call::begin(about, call));
        None
    }

    pub(super) fn ensured(&mut self, result: Result<Fence, StoreError>, now: Moment) {
        let Some(opening) = self.opening.take() else { return };
        match result {
            Ok(Fence::Up(loaded)) => {
                self.writing.open(loaded.clone());
                self.start_pump(loaded);
            }
            // The lease is ours as far as is known, so the store of checkpoints knows a level that
            // the store of leases has forgotten. Whether the lease is, comes out with the update.
            Ok(Fence::Lost { epoch }) => {
                self.highest = self.highest.max(epoch);
                if let Some(level) = self.raise(Some(epoch), now) {
                    let retry = Retry::at_once();
                    self.raising = Some(Raising { level, retry, asked: now, answer: None });
                }
            }
            Err(error) => {
                self.opening = Some(opening.later(&error, self.spread, now.monotonic));
                let partition = self.lease.partition;
                tracing::warn!(%partition, %error, "the checkpoint cannot be taken over");
                self.shared.counters.checkpoints_failed.add(1);
                self.shared.notices.tell(HostEvent::CheckpointFailed { partition, error });
            }
        }
    }

    pub(super) fn start_pump(&mut self, from: Option<Checkpoint>) {
        if !self.is_held() {
            return;
        }
        if let Pump::Waiting(_) = &self.pump
            && let Pump::Waiting(pump) = std::mem::replace(&mut self.pump, Pump::Ended)
        {
            let pump = pump(Arc::clone(&self.shared), Arc::clone(&self.seat), from);
            let task = tokio::spawn(pump);
            let guard = Guard::new(task.abort_handle());
            self.pump = Pump::Running { task, guard };
        }
    }

    /// The pump has ended. One that was not told to has said why, or has failed.
    pub(super) fn pumped(&mut self, now: Moment) {
        self.pump = Pump::Ended;
        self.hear(self.seat.take_reports());
        if self.is_held() {
            tracing::error!(partition = %self.lease.partition, "nothing receives any more");
            // No other pump comes, so it is as if there had been none for too long.
            let long_ago = Moment { monotonic: Duration::ZERO, ..now };
            self.seat.with(|ownership| {
                ownership.linked();
                ownership.unlinked(long_ago);
            });
        }
    }

    pub(super) fn linked(&mut self, now: Moment) {
        let partition = self.lease.partition;
        self.link.attached(now.monotonic);
        self.seat.with(|ownership| ownership.linked());
        self.shared.suspect(|suspicion, _| {
            suspicion.linked(partition);
            None
        });
    }

    pub(super) fn unlinked(&mut self, now: Moment) {
        let partition = self.lease.partition;
        self.link.progressed(self.seat.progress().events());
        let since = Moment { monotonic: self.link.failed(now.monotonic), ..now };
        self.seat.with(|ownership| {
            // Not since when it was told first, but since when there was none that worked.
            ownership.linked();
            ownership.unlinked(since);
        });
        self.shared.suspect(|suspicion, _| {
            suspicion.unlinked(partition);
            None
        });
    }

    pub(super) fn pause_changed(&mut self, now: Moment) {
        self.is_paused = *self.paused.borrow_and_update();
        let unlinked = self.link.resumed(now.monotonic);
        self.seat.with(|ownership| {
            ownership.linked();
            if !self.is_paused && unlinked.is_some() {
                ownership.unlinked(now);
            }
        });
    }

    /// Writes what is due, as long as it may land.
    pub(super) fn write(&mut self, now: Moment) -> Option<Duration> {
        let may_write = self.seat.with(|ownership| {
            let generation = ownership.generation().clone();
            ownership.may_checkpoint(&generation, now).is_ok()
        });
        if !may_write {
            self.writing.stop();
            let reason = self.seat.with(|ownership| ownership.end());
            let reason = reason.map_or(CloseReason::Fenced, |end| self.way_out.reason(end));
            self.seat.write_ended(|written| written.end(reason));
            return None;
        }
        let is_end = self.way_out.step() == Some(Step::Flush);
        self.writing.look(&self.lease, now.monotonic, is_end)
    }
}
