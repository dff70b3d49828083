//! The bounds of the steps out of an ownership. Pure.

use std::time::Duration;

use crate::ownership::{End, Step, Timing};
use crate::partition::CloseReason;

/// How long a pump that was given up may take to let go of its receiver.
const DETACH: Duration = Duration::from_secs(1);

/// Where on the way out, and until when.
#[derive(Clone, Debug, Default)]
pub(super) struct WayOut {
    /// Why this host gave the partition back, if it did.
    asked: Option<CloseReason>,
    step: Option<Step>,
    until: Option<Duration>,
}

impl WayOut {
    /// The partition is to be given back. The first reason counts.
    pub(super) fn ask(&mut self, reason: CloseReason) {
        self.asked.get_or_insert(reason);
    }

    /// Why an ownership that ends like this is closed.
    pub(super) fn reason(&self, end: End) -> CloseReason {
        match end {
            End::Released => self.asked.unwrap_or(CloseReason::Released),
            End::Stolen => CloseReason::Stolen,
            End::Lost => CloseReason::LeaseLost,
            End::Unproven => CloseReason::Fenced,
            End::ClockJump => CloseReason::Suspended,
            End::EpochRefused => CloseReason::LevelRefused,
            End::Unlinked => CloseReason::NotReceiving,
        }
    }

    /// A step begins. Handlers have the grace, which the ownership itself counts.
    pub(super) fn begin(&mut self, step: Step, timing: Timing, now: Duration) {
        self.step = Some(step);
        self.until = match step {
            Step::StopIntake | Step::Signal | Step::AwaitHandlers => None,
            Step::Flush | Step::Release => Some(now + timing.call()),
            Step::Detach => Some(now + DETACH),
        };
    }

    /// The step that is being done.
    pub(super) fn step(&self) -> Option<Step> {
        self.step
    }

    /// When the step has taken too long.
    pub(super) fn until(&self) -> Option<Duration> {
        self.until
    }

    /// Whether it has.
    pub(super) fn is_late(&self, now: Duration) -> bool {
        self.until.is_some_and(|until| now >= until)
    }
}
