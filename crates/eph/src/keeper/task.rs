//! The task that keeps one ownership.

mod feeding;
mod leaving;
mod renewing;

use std::sync::Arc;
use std::time::Duration;

use eventhubs_protocol::OwnerLevel;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::cadence::pause_after;
use super::call::{About, Call, Guard, ended};
use super::lateness::Lateness;
use super::link::Link;
use super::way_out::WayOut;
use super::writing::{Standing, Writing};
use super::{Over, PumpFn};
use crate::checkpoint::{Commit, Fence};
use crate::clock;
use crate::error::{StoreError, StoreErrorKind, StoreOperation};
use crate::host::Shared;
use crate::lease::{Hold, Lease};
use crate::notice::HostEvent;
use crate::ownership::{Action, End, Moment, Refusal};
use crate::partition::CloseReason;
use crate::seat::{Reports, Seat};

/// Everything one ownership needs. Dropping it ends what it began.
pub(super) struct Task {
    shared: Arc<Shared>,
    seat: Arc<Seat>,
    /// The lease as the store had it last.
    lease: Lease,
    /// Begins to take the checkpoint over, until that is done.
    opening: Option<Retry>,
    ensuring: Option<Call<Fence>>,
    renewing: Option<Call<Hold>>,
    /// When the renewal on its way was begun.
    asked: Moment,
    raising: Option<Raising>,
    updating: Option<Call<Hold>>,
    writing: Writing,
    releasing: Option<Call<bool>>,
    pump: Pump,
    is_paused: bool,
    paused: watch::Receiver<bool>,
    link: Link,
    lateness: Lateness,
    way_out: WayOut,
    /// The highest level that was seen anywhere.
    highest: OwnerLevel,
    /// See [`pause_after`].
    spread: u8,
    _last: LastWord,
}

/// Something that is tried again until it succeeds.
#[derive(Clone, Copy, Debug)]
struct Retry {
    at: Duration,
    failures: u32,
    /// Whether the store itself is missing.
    is_lost: bool,
}

impl Retry {
    fn at_once() -> Self {
        Self { at: Duration::ZERO, failures: 0, is_lost: false }
    }

    fn later(self, error: &StoreError, spread: u8, now: Duration) -> Self {
        let failures = self.failures.saturating_add(1);
        let at = now + pause_after(failures, error.kind(), spread);
        Self { at, failures, is_lost: error.kind() == StoreErrorKind::NotFound }
    }
}

/// A level that the store is to take.
#[derive(Debug)]
struct Raising {
    level: OwnerLevel,
    retry: Retry,
    asked: Moment,
    /// Who wants to attach with it; `None` when the checkpoint has to be taken over with it.
    answer: Option<oneshot::Sender<Result<OwnerLevel, Refusal>>>,
}

enum Pump {
    Waiting(PumpFn),
    Running { task: JoinHandle<()>, guard: Guard },
    Ended,
}

/// What ended. Each has its place in [`Task::next`].
enum Done {
    Ensured(Result<Fence, StoreError>),
    Renewed(Result<Hold, StoreError>),
    Updated(Result<Hold, StoreError>),
    Wrote(Result<Commit, StoreError>),
    Released(Result<bool, StoreError>),
    Pumped,
    Paused,
    /// A report or the time.
    Look,
}

impl Task {
    pub(super) fn new(
        shared: Arc<Shared>,
        seat: Arc<Seat>,
        lease: Lease,
        asked: Moment,
        pump: PumpFn,
    ) -> Self {
        let (timing, now) = (shared.options.timing, clock::moment().monotonic);
        let spread = clock::random().to_le_bytes()[0];
        let paused = shared.paused.clone();
        Self {
            writing: Writing::new(Arc::clone(&shared), Arc::clone(&seat), spread, now),
            _last: LastWord(Arc::clone(&seat)),
            highest: lease.epoch,
            link: Link::new(timing.lease, now),
            lateness: Lateness::new(timing, asked.monotonic),
            opening: Some(Retry::at_once()),
            pump: Pump::Waiting(pump),
            ensuring: None,
            renewing: None,
            raising: None,
            updating: None,
            releasing: None,
            is_paused: false,
            way_out: WayOut::default(),
            paused,
            shared,
            seat,
            lease,
            asked,
            spread,
        }
    }

    /// Keeps the partition until it is over.
    pub(super) async fn run(mut self) -> Over {
        self.is_paused = *self.paused.borrow_and_update();
        loop {
            self.hear(self.seat.take_reports());
            let end = match self.act() {
                Ok(wake) => {
                    let done = self.next(wake).await;
                    self.conclude(done);
                    continue;
                }
                Err(end) => end,
            };
            return self.over(end);
        }
    }

    /// Waits for whatever comes first. The store's word on the lease is heard before all else.
    async fn next(&mut self, wake: Duration) -> Done {
        let pump = async {
            match &mut self.pump {
                // A panic is told by the task that ended without a reason.
                Pump::Running { task, .. } => drop(task.await),
                Pump::Waiting(_) | Pump::Ended => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            result = ended(&mut self.renewing) => Done::Renewed(result),
            result = ended(&mut self.updating) => Done::Updated(result),
            result = ended(&mut self.releasing) => Done::Released(result),
            result = ended(&mut self.ensuring) => Done::Ensured(result),
            result = self.writing.ended() => Done::Wrote(result),
            () = self.seat.reported() => Done::Look,
            () = pump => Done::Pumped,
            Ok(()) = self.paused.changed() => Done::Paused,
            () = clock::pause_until(clock::instant(wake)) => Done::Look,
        }
    }

    /// Takes in what the pump and the host said.
    fn hear(&mut self, reports: Reports) {
        let now = clock::moment();
        if reports.is_stolen {
            self.seat.with(|ownership| ownership.stolen(now));
        }
        if let Some(reason) = reports.release {
            self.give_back(reason, now);
        }
        match reports.link {
            Some(true) => self.linked(now),
            Some(false) => self.unlinked(now),
            None => {}
        }
        if let Some(refused) = reports.refused {
            self.refused(refused, now);
        }
        if reports.is_wanted {
            self.writing.want();
        }
    }

    /// Does what is due; when to look again, or how it ended.
    fn act(&mut self) -> Result<Duration, End> {
        let now = clock::moment();
        let mut wake = loop {
            match self.seat.with(|ownership| ownership.look(now)) {
                Action::Renew => self.renew(now),
                Action::Perform(step) => self.begin(step, now.monotonic),
                Action::Over(end) => return Err(end),
                Action::Wait(until) => match self.step_done(now.monotonic) {
                    Some(step) => self.seat.with(|ownership| ownership.done(step)),
                    None => break until,
                },
            }
        };
        let dues = [
            self.ensure(now.monotonic),
            self.update(now),
            self.write(now),
            self.tell_lateness(now.monotonic),
            self.way_out.until(),
            // A clock that was set may say that it is time for something that is far away.
            Some(now.monotonic + self.shared.options.timing.lease),
        ];
        for due in dues.into_iter().flatten() {
            wake = wake.min(due);
        }
        Ok(wake)
    }

    fn conclude(&mut self, done: Done) {
        let now = clock::moment();
        match done {
            Done::Renewed(result) => self.renewed(result, now),
            Done::Updated(result) => self.updated(result, now),
            Done::Ensured(result) => self.ensured(result, now),
            Done::Wrote(result) => {
                if self.writing.conclude(result, now.monotonic) == Standing::Lost {
                    self.seat.with(|ownership| ownership.lost(now));
                }
            }
            Done::Released(result) => {
                if let Err(error) = result {
                    self.store_failed(error);
                }
            }
            Done::Pumped => self.pumped(now),
            Done::Paused => self.pause_changed(now),
            Done::Look => {}
        }
    }

    fn give_back(&mut self, reason: CloseReason, now: Moment) {
        self.way_out.ask(reason);
        self.seat.with(|ownership| ownership.release(now));
    }

    fn is_held(&self) -> bool {
        self.seat.with(|ownership| ownership.end().is_none())
    }

    fn about(&self, operation: StoreOperation) -> About {
        About { operation, partition: self.lease.partition }
    }

    fn store_failed(&self, error: StoreError) {
        tracing::warn!(partition = %self.lease.partition, %error, "the store failed");
        self.shared.notices.tell(HostEvent::StoreFailed { error });
    }
}

/// Ends the seat when the task does, however that comes: no handler starts for nobody.
struct LastWord(Arc<Seat>);

impl Drop for LastWord {
    fn drop(&mut self) {
        self.0.with(|ownership| ownership.lost(clock::moment()));
        self.0.signal(CloseReason::Stopping);
        self.0.write_ended(|written| written.end(CloseReason::Stopping));
    }
}
