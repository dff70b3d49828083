//! The way out, step by step.

use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument;

use super::{Pump, Task};
use crate::clock;
use crate::error::StoreOperation;
use crate::handler::HandlerId;
use crate::keeper::cadence::pause_after;
use crate::keeper::call::Call;
use crate::keeper::{Over, hold_off};
use crate::notice::HostEvent;
use crate::ownership::{End, Step};

impl Task {
    pub(super) fn begin(&mut self, step: Step, now: Duration) {
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
    pub(super) fn step_done(&mut self, now: Duration) -> Option<Step> {
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
    pub(super) fn abandon(&mut self) {
        let Pump::Running { guard, .. } = &self.pump else { return };
        guard.end();
        self.seat.running().handlers.into_iter().for_each(|handler| self.abandoned(handler));
    }

    /// A task that was ended and is still there is one that blocks its thread, inside of a handler.
    /// Which of several cannot be known: none of them gets anything.
    pub(super) fn report_blocked(&self) {
        let is_told = !self.seat.running().handlers.is_empty();
        if matches!(self.pump, Pump::Running { .. }) && !is_told {
            let registered = self.shared.handlers.borrow().clone();
            registered.iter().for_each(|one| self.abandoned(one.id));
        }
    }

    pub(super) fn abandoned(&self, handler: HandlerId) {
        let partition = self.lease.partition;
        tracing::warn!(%partition, %handler, "a handler did not end and is given up");
        self.shared.counters.handlers_abandoned.add(1);
        self.shared.notices.tell(HostEvent::HandlerAbandoned { partition, handler });
    }

    pub(super) fn release(&mut self) {
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

    pub(super) fn over(&self, end: End) -> Over {
        let reason = self.way_out.reason(end);
        self.seat.signal(reason);
        self.seat.write_ended(|written| written.end(reason));
        let lease = self.shared.options.timing.lease;
        Over { end, reason, hold_off: hold_off(reason, lease), highest_level_seen: self.highest }
    }
}
