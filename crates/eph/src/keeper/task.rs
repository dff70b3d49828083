//! The task that keeps one ownership.

use std::sync::Arc;
use std::time::Duration;

use eventhubs_protocol::OwnerLevel;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tracing::Instrument;

use super::cadence::pause_after;
use super::call::{About, Call, Guard, ended};
use super::lateness::Lateness;
use super::link::Link;
use super::way_out::WayOut;
use super::writing::{Standing, Writing};
use super::{Over, PumpFn, hold_off};
use crate::checkpoint::{Checkpoint, Commit, Fence};
use crate::clock;
use crate::error::{StoreError, StoreErrorKind, StoreOperation};
use crate::handler::HandlerId;
use crate::host::Shared;
use crate::lease::{Hold, Lease};
use crate::notice::HostEvent;
use crate::ownership::{Action, End, Moment, Refusal, Step};
use crate::partition::CloseReason;
use crate::seat::{Refused, Reports, Seat};

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

/// The lease.
impl Task {
    fn renew(&mut self, now: Moment) {
        let (shared, lease) = (Arc::clone(&self.shared), self.lease.clone());
        let about = self.about(StoreOperation::Renew);
        let span = self.span("renew");
        self.asked = now;
        // After a failure it begins later for another reason than this process.
        if self.seat.with(|ownership| ownership.failures()) == 0 {
            let late = self.lateness.begins(now.monotonic);
            self.shared.suspect(|suspicion, now| suspicion.renewed(late, now));
        }
        let call = async move {
            about.within(shared.options.timing.call(), shared.leaser.renew(&lease)).await
        };
        self.renewing = Some(Call::begin(about, call.instrument(span)));
    }

    fn renewed(&mut self, result: Result<Hold, StoreError>, now: Moment) {
        let asked = self.asked;
        match result {
            Ok(Hold::Kept(lease)) => {
                self.proved(lease, asked, now);
                self.seat.with(|ownership| ownership.renewed(asked, now));
            }
            Ok(Hold::Lost(current)) => self.lost(current, now),
            Err(error) => {
                let failures = self.seat.with(|ownership| {
                    ownership.renew_failed(now);
                    ownership.failures()
                });
                if error.kind() == StoreErrorKind::NotFound {
                    self.writing.store_is_lost();
                }
                // Once for each time that it fails in a row; health tells how often.
                if failures == 1 {
                    self.store_failed(error);
                }
            }
        }
    }

    fn proved(&mut self, lease: Lease, asked: Moment, now: Moment) {
        let late = self.lateness.proved(asked.monotonic, now.monotonic);
        self.shared.counters.renewed(late);
        self.highest = self.highest.max(lease.epoch);
        // An answer that was overtaken by a raised level knows less.
        if lease.epoch >= self.lease.epoch {
            self.lease = lease;
        }
    }

    fn lost(&mut self, current: Option<Lease>, now: Moment) {
        if let Some(current) = current {
            self.highest = self.highest.max(current.epoch);
        }
        self.seat.with(|ownership| ownership.lost(now));
    }

    fn tell_lateness(&mut self, now: Duration) -> Option<Duration> {
        if !self.is_held() {
            return None;
        }
        if let Some(by) = self.lateness.tell(now) {
            let partition = self.lease.partition;
            tracing::warn!(%partition, ?by, "the renewal of a lease is late");
            self.shared.notices.tell(HostEvent::RenewalLate { partition, by });
        }
        self.lateness.tell_at()
    }

    /// The hub refused the receiver, because it knows another level.
    fn refused(&mut self, refused: Refused, now: Moment) {
        let Refused { existing, answer } = refused;
        if let Some(existing) = existing {
            self.highest = self.highest.max(existing);
        }
        if let Some(raising) = &mut self.raising {
            raising.answer = Some(answer);
            return;
        }
        if let Some(level) = self.raise(existing, now) {
            self.raising =
                Some(Raising { level, retry: Retry::at_once(), asked: now, answer: Some(answer) });
        }
    }

    fn raise(&self, existing: Option<OwnerLevel>, now: Moment) -> Option<OwnerLevel> {
        let mode = self.shared.options.epochs;
        self.seat.with(|ownership| ownership.epoch_refused(existing, mode, now))
    }

    /// Tells the store of a higher level, if there is one to tell of.
    fn update(&mut self, now: Moment) -> Option<Duration> {
        if !self.is_held() {
            // Whoever waits for the level hears that it is over.
            (self.raising, self.updating) = (None, None);
        }
        if self.updating.is_some() {
            return None;
        }
        let about = self.about(StoreOperation::Update);
        let span = self.span("renew");
        let raising = self.raising.as_mut()?;
        if raising.retry.at > now.monotonic {
            return Some(raising.retry.at);
        }
        raising.asked = now;
        let mut lease = self.lease.clone();
        lease.epoch = raising.level;
        let shared = Arc::clone(&self.shared);
        let call = async move {
            about.within(shared.options.timing.call(), shared.leaser.update(&lease)).await
        };
        self.updating = Some(Call::begin(about, call.instrument(span)));
        None
    }

    fn updated(&mut self, result: Result<Hold, StoreError>, now: Moment) {
        let Some(mut raising) = self.raising.take() else { return };
        match result {
            Ok(Hold::Kept(lease)) => {
                let level = lease.epoch;
                self.proved(lease, raising.asked, now);
                self.seat.with(|ownership| ownership.raised(level, raising.asked, now));
                match raising.answer.take() {
                    // Whoever asked may be gone; the level is there all the same.
                    Some(answer) => drop(answer.send(self.seat.may_attach())),
                    None => self.opening = Some(Retry::at_once()),
                }
            }
            Ok(Hold::Lost(current)) => self.lost(current, now),
            Err(error) => {
                raising.retry = raising.retry.later(&error, self.spread, now.monotonic);
                self.raising = Some(raising);
                self.store_failed(error);
            }
        }
    }

    fn span(&self, name: &'static str) -> tracing::Span {
        let (partition, owner_level) = (self.lease.partition, self.lease.epoch);
        match name {
            "renew" => tracing::debug_span!("renew", %partition, %owner_level),
            _ => tracing::debug_span!("release", %partition, %owner_level),
        }
    }
}

/// The checkpoint and the pump.
impl Task {
    /// Takes the checkpoint over, before anything is read.
    fn ensure(&mut self, now: Duration) -> Option<Duration> {
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

    fn ensured(&mut self, result: Result<Fence, StoreError>, now: Moment) {
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

    fn start_pump(&mut self, from: Option<Checkpoint>) {
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
    fn pumped(&mut self, now: Moment) {
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

    fn linked(&mut self, now: Moment) {
        let partition = self.lease.partition;
        self.link.attached(now.monotonic);
        self.seat.with(|ownership| ownership.linked());
        self.shared.suspect(|suspicion, _| {
            suspicion.linked(partition);
            None
        });
    }

    fn unlinked(&mut self, now: Moment) {
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

    fn pause_changed(&mut self, now: Moment) {
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
    fn write(&mut self, now: Moment) -> Option<Duration> {
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

/// The way out.
impl Task {
    fn begin(&mut self, step: Step, now: Duration) {
        if self.way_out.step() == Some(Step::AwaitHandlers) {
            self.abandon();
        }
        self.way_out.begin(step, self.shared.options.timing, now);
        let end = self.seat.with(|ownership| ownership.end());
        let reason = self.way_out.reason(end.unwrap_or(End::Released));
        match step {
            // Reporting it has ended the intake already: nothing starts after this is told.
            Step::StopIntake => {
                let partition = self.lease.partition;
                tracing::debug!(%partition, %reason, "the ownership ends");
                self.shared.counters.lost(reason);
                self.shared.notices.tell(HostEvent::Lost { partition, reason });
            }
            Step::Signal => {
                self.seat.signal(reason);
                if let Pump::Waiting(_) = self.pump {
                    self.pump = Pump::Ended;
                }
            }
            Step::AwaitHandlers | Step::Flush => {}
            Step::Detach => {
                self.writing.give_up();
                if let Pump::Running { guard, .. } = &self.pump {
                    guard.end();
                }
            }
            Step::Release => {
                self.report_blocked();
                self.release();
            }
        }
    }

    /// The step that has just been done, or has taken too long.
    fn step_done(&mut self, now: Duration) -> Option<Step> {
        let step = self.way_out.step()?;
        let is_done = match step {
            Step::StopIntake | Step::Signal => true,
            Step::AwaitHandlers | Step::Detach => matches!(self.pump, Pump::Ended),
            Step::Flush => self.writing.is_done(),
            Step::Release => self.releasing.is_none(),
        };
        (is_done || self.way_out.is_late(now)).then_some(step)
    }

    /// The grace is over. What blocks its thread cannot be ended, so nobody waits for it.
    fn abandon(&mut self) {
        let Pump::Running { guard, .. } = &self.pump else { return };
        guard.end();
        self.seat.running().handlers.into_iter().for_each(|handler| self.abandoned(handler));
    }

    /// A task that was ended and is still there is one that blocks its thread, inside of a handler.
    /// Which of several cannot be known: none of them gets anything.
    fn report_blocked(&self) {
        let is_told = !self.seat.running().handlers.is_empty();
        if matches!(self.pump, Pump::Running { .. }) && !is_told {
            let registered = self.shared.handlers.borrow().clone();
            registered.iter().for_each(|one| self.abandoned(one.id));
        }
    }

    fn abandoned(&self, handler: HandlerId) {
        let partition = self.lease.partition;
        tracing::warn!(%partition, %handler, "a handler did not end and is given up");
        self.shared.counters.handlers_abandoned.add(1);
        self.shared.notices.tell(HostEvent::HandlerAbandoned { partition, handler });
    }

    fn release(&mut self) {
        let (shared, lease) = (Arc::clone(&self.shared), self.lease.clone());
        let about = self.about(StoreOperation::Release);
        let (span, spread) = (self.span("release"), self.spread);
        let call = async move {
            let deadline = shared.options.timing.call();
            let mut failures = 0;
            let tries = async {
                loop {
                    let result = shared.leaser.release(&lease).await;
                    let Err(error) = result else { return result };
                    if !error.is_retryable() {
                        return Err(error);
                    }
                    failures += 1;
                    clock::pause(pause_after(failures, error.kind(), spread)).await;
                }
            };
            about.within(deadline, tries).await
        };
        self.releasing = Some(Call::begin(about, call.instrument(span)));
    }

    fn over(&self, end: End) -> Over {
        let reason = self.way_out.reason(end);
        self.seat.signal(reason);
        self.seat.write_ended(|written| written.end(reason));
        let lease = self.shared.options.timing.lease;
        Over { end, reason, hold_off: hold_off(reason, lease), highest_level_seen: self.highest }
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
