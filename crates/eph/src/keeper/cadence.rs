//! When the next checkpoint is to be written. Pure: the caller has the clock and the store.

use std::time::Duration;

use crate::error::StoreErrorKind;
use crate::options::CheckpointPolicy;

/// The first pause after a failure; each further one doubles it.
const PAUSE: Duration = Duration::from_millis(200);
/// The longest pause, unless the store asks for more.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// The longest pause a store may ask for: it would not do to be told *tomorrow*.
const BUSY_MAX: Duration = Duration::from_secs(300);

/// How long to leave a store alone that failed so often in a row, the last time like this.
///
/// `spread` of 0 to 255 makes some wait up to a quarter longer, so that not all come back at once.
pub(super) fn pause_after(failures: u32, kind: StoreErrorKind, spread: u8) -> Duration {
    let doubled = PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(PAUSE_MAX);
    let pause = doubled + doubled * u32::from(spread) / 1024;
    match kind {
        StoreErrorKind::Busy { after: Some(after) } => pause.max(after.min(BUSY_MAX)),
        _ => pause,
    }
}

/// What to do about the checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Write it now.
    Write,
    /// Look again at this time, or when so many events are done in all.
    Later { at: Option<Duration>, events: Option<u64> },
}

/// What was written, and what came of it.
#[derive(Clone, Debug)]
pub(super) struct Cadence {
    policy: CheckpointPolicy,
    spread: u8,
    /// When the last write began, or the ownership.
    last: Option<Duration>,
    began: Duration,
    /// Events that were done when the last write that succeeded began.
    written: u64,
    /// Failures since.
    failures: u32,
    not_before: Duration,
    /// Somebody waits for a write, or it has to be made good.
    is_wanted: bool,
}

impl Cadence {
    pub(super) fn new(policy: CheckpointPolicy, spread: u8, now: Duration) -> Self {
        Self {
            policy,
            spread,
            last: None,
            began: now,
            written: 0,
            failures: 0,
            not_before: Duration::ZERO,
            is_wanted: false,
        }
    }

    /// What to do, with so many events done and no write on its way.
    pub(super) fn next(&self, events: u64, now: Duration) -> Next {
        let is_new = events > self.written;
        let (due, alarm) = self.due(events);
        let due = match self.is_wanted {
            true => Some(Duration::ZERO),
            false => due.filter(|_| is_new),
        };
        match due.map(|due| due.max(self.not_before)) {
            Some(due) if due <= now => Next::Write,
            at => Next::Later { at, events: alarm.filter(|alarm| *alarm > events) },
        }
    }

    /// Whether something is done that no write had, and the policy writes by itself; or a write is
    /// wanted. What is left over then is written before the partition is given back.
    pub(super) fn is_due_at_the_end(&self, events: u64) -> bool {
        let is_manual = matches!(self.policy, CheckpointPolicy::Manual);
        self.is_wanted || (events > self.written && !is_manual)
    }

    /// What to do about what is due at the end.
    pub(super) fn next_at_the_end(&self, now: Duration) -> Next {
        match self.not_before <= now {
            true => Next::Write,
            false => Next::Later { at: Some(self.not_before), events: None },
        }
    }

    /// Somebody asked for a write.
    pub(super) fn want(&mut self) {
        self.is_wanted = true;
    }

    /// A write begins.
    pub(super) fn begin(&mut self, now: Duration) {
        self.last = Some(now);
        self.is_wanted = false;
    }

    /// The write that was begun with so many events succeeded.
    pub(super) fn succeeded(&mut self, events: u64) {
        self.written = self.written.max(events);
        self.failures = 0;
        self.not_before = Duration::ZERO;
    }

    /// The write failed; whoever asked for it still wants it.
    pub(super) fn failed(&mut self, was_wanted: bool, kind: StoreErrorKind, now: Duration) {
        self.failures = self.failures.saturating_add(1);
        self.not_before = now + pause_after(self.failures, kind, self.spread);
        self.is_wanted |= was_wanted;
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.is_wanted
    }

    /// When the policy wants a write, and how many events bring it on sooner.
    fn due(&self, events: u64) -> (Option<Duration>, Option<u64>) {
        let first = self.written.saturating_add(1);
        match self.policy {
            CheckpointPolicy::AfterEach { every } => {
                let due = self.last.map_or(Duration::ZERO, |last| last.saturating_add(every));
                (Some(due), Some(first))
            }
            CheckpointPolicy::AfterBatch => (Some(Duration::ZERO), Some(first)),
            CheckpointPolicy::Every { events: count, time } => {
                let full = self.written.saturating_add(count.max(1));
                let timed = self.last.unwrap_or(self.began).saturating_add(time);
                match events >= full {
                    true => (Some(Duration::ZERO), None),
                    // The first event has to be told, so that the time is looked at.
                    false if events < first => (None, Some(first)),
                    false => (Some(timed), Some(full)),
                }
            }
            _ => (None, None),
        }
    }
}

#[cfg(test)]
mod tests;
