//! What a host does with a partition that it owns.

use std::time::Duration;

use eventhubs_eph::ownership::{Action, Moment, Step};

use super::host::Owned;
use super::{Event, World};
use crate::bug::Bug;
use crate::store::{Answer, Call};

impl World {
    /// The ownership, if it is still this one.
    fn owned(&mut self, host: usize, partition: u16, token: u64) -> Option<&mut Owned> {
        self.hosts[host].owned.get_mut(&partition).filter(|owned| owned.token == token)
    }

    /// The clocks as the ownership sees them.
    fn seen_moment(&self, host: usize, partition: u16) -> Moment {
        let now = self.moment(host);
        match self.bug {
            Some(Bug::IgnoreClockJump) => {
                let wall = std::time::UNIX_EPOCH + now.monotonic;
                Moment { wall, ..now }
            }
            Some(Bug::SkipFence) => match self.hosts[host].owned.get(&partition) {
                Some(owned) => {
                    let latest = owned.ownership.fence_at() - Duration::from_millis(1);
                    let monotonic = now.monotonic.min(latest);
                    Moment { monotonic, wall: std::time::UNIX_EPOCH + monotonic }
                }
                None => now,
            },
            _ => now,
        }
    }

    /// The time of a look has come.
    pub(super) fn woken(&mut self, host: usize, partition: u16, token: u64, look: u64) {
        if self.owned(host, partition, token).is_some_and(|owned| owned.looks == look) {
            self.look(host, partition, token);
        }
    }

    pub(super) fn look(&mut self, host: usize, partition: u16, token: u64) {
        let now = self.seen_moment(host, partition);
        let (clock, now_true) = (self.hosts[host].clock, self.now);
        loop {
            let Some(owned) = self.owned(host, partition, token) else { return };
            match owned.ownership.look(now) {
                Action::Wait(until) => {
                    let pause = clock.true_time(until.saturating_sub(now.monotonic));
                    // Reports come in between; this one is only for the clock.
                    let at = now_true + pause.clamp(Duration::from_millis(10), super::SCAN);
                    owned.looks += 1;
                    let look = Event::Look(host, partition, token, owned.looks);
                    return self.agenda.put(at, look);
                }
                Action::Renew => self.send(host, Call::Renew { partition, token }),
                Action::Perform(step) => {
                    if !self.perform(host, partition, token, step) {
                        return;
                    }
                }
                Action::Over(_) => {
                    self.hosts[host].owned.remove(&partition);
                    return self.end_if_stopped(host);
                }
            }
        }
    }

    /// Performs a step of the way out. Whether to look on at once.
    fn perform(&mut self, host: usize, partition: u16, token: u64, step: Step) -> bool {
        if step == Step::StopIntake {
            self.judge.told(token);
        }
        let flushes = self.bug != Some(Bug::LoseDirtyCheckpoint);
        let Some(owned) = self.owned(host, partition, token) else { return false };
        let is_dirty = owned.handled() > owned.stored;
        let is_busy = owned.busy.is_some();
        match step {
            Step::AwaitHandlers if is_busy => {
                owned.step = Some(step);
                return true;
            }
            Step::Flush if is_dirty && flushes => {
                owned.step = Some(step);
                self.write_checkpoint(host, partition, token);
                return true;
            }
            Step::Detach => {
                let receiver = &mut self.receivers[usize::from(partition)];
                if receiver.is_some_and(|(_, have, _)| have == token) {
                    *receiver = None;
                }
            }
            Step::Release => {
                owned.step = Some(step);
                let (stored, handled) = (owned.stored, owned.handled());
                if self.plan.rough_until.is_zero() && stored < handled {
                    let what = format!("{partition} is released with {stored} of {handled}");
                    self.judge.report("A6", self.now, what);
                }
                self.send(host, Call::Release { partition, token });
                return true;
            }
            _ => {}
        }
        if let Some(owned) = self.owned(host, partition, token) {
            owned.ownership.done(step);
        }
        true
    }

    /// Begins an orderly way out.
    pub(super) fn give_back(&mut self, host: usize, partition: u16, token: u64) {
        if self.bug == Some(Bug::ReleaseBeforeDrain) {
            // The handlers go on as long as they have events in hand.
            return self.send(host, Call::Release { partition, token });
        }
        let now = self.seen_moment(host, partition);
        if let Some(owned) = self.owned(host, partition, token) {
            owned.ownership.release(now);
        }
        self.look(host, partition, token);
    }

    pub(super) fn renewed(
        &mut self,
        host: usize,
        partition: u16,
        token: u64,
        asked: Moment,
        answer: &Answer,
    ) {
        let now = self.seen_moment(host, partition);
        let is_heeded = self.bug != Some(Bug::IgnoreLost);
        let Some(owned) = self.owned(host, partition, token) else { return };
        match answer {
            Answer::Done => owned.ownership.renewed(asked, now),
            Answer::Lost => {
                match is_heeded {
                    true => owned.ownership.lost(now),
                    false => owned.ownership.renewed(asked, now),
                }
                self.judge.told(token);
            }
            _ => owned.ownership.renew_failed(now),
        }
        self.look(host, partition, token);
    }

    pub(super) fn attached(&mut self, host: usize, partition: u16, token: u64) {
        let now = self.seen_moment(host, partition);
        let mode = self.plan.epochs;
        let delay = match self.now < self.plan.rough_until {
            true => self.random.millis(50, 30_000),
            false => Duration::from_millis(50),
        };
        let receiver = self.receivers[usize::from(partition)];
        let Some(owned) = self.owned(host, partition, token) else { return };
        let generation = owned.ownership.generation().clone();
        if owned.ownership.may_attach(&generation, now).is_err() {
            if owned.ownership.end().is_none() {
                let at = self.now + Duration::from_secs(1);
                self.agenda.put(at, Event::Attached(host, partition, token));
            }
            return;
        }
        if let Some((_, _, existing)) = receiver.filter(|(_, _, epoch)| *epoch > generation.epoch) {
            // A claim that is newer than this one is in the store already.
            // Its renewal will tell; this store never loses an epoch.
            if owned.ownership.epoch_refused(Some(existing), mode, now).is_some() {
                let at = self.now + Duration::from_secs(1);
                self.agenda.put(at, Event::Attached(host, partition, token));
            }
            return self.look(host, partition, token);
        }
        owned.is_attached = true;
        self.receivers[usize::from(partition)] = Some((host, token, generation.epoch));
        if let Some((other, stolen, _)) = receiver {
            // What it has in hand already is handled until it hears of it.
            self.agenda.put(self.now + delay, Event::Stolen(other, partition, stolen));
        }
        if self.plan.has_events {
            self.intake(host, partition, token);
        }
    }

    pub(super) fn stolen(&mut self, host: usize, partition: u16, token: u64) {
        let now = self.seen_moment(host, partition);
        let is_heeded = self.bug != Some(Bug::IgnoreStolen);
        let Some(owned) = self.owned(host, partition, token) else { return };
        if is_heeded {
            owned.ownership.stolen(now);
        }
        self.judge.told(token);
        self.look(host, partition, token);
    }

    /// Hands the next event to the handler.
    pub(super) fn intake(&mut self, host: usize, partition: u16, token: u64) {
        let (now, head) = (self.seen_moment(host, partition), self.head());
        let long = match self.random.chance(2) {
            true => self.random.millis(1_000, 40_000),
            false => self.random.millis(1, 300),
        };
        let suspended = self.hosts[host].clock.suspended;
        let Some(owned) = self.owned(host, partition, token) else { return };
        let generation = owned.ownership.generation().clone();
        if owned.busy.is_some() || owned.ownership.may_handle(&generation, now).is_err() {
            return;
        }
        let event = owned.position;
        if event >= head {
            let at = self.now + Duration::from_secs(1);
            return self.agenda.put(at, Event::Intake(host, partition, token));
        }
        owned.busy = Some(event);
        owned.position += 1;
        // What a suspension of up to a third of the lease can hide, and the drift of the clock.
        let hidden = suspended.min(self.timing.lease / 3);
        let grace = hidden + self.timing.lease / 100;
        self.judge.started(partition, token, event, grace, self.now);
        self.agenda.put(self.now + long, Event::Handled(host, partition, token, event));
    }

    pub(super) fn handled(&mut self, host: usize, partition: u16, token: u64, event: u64) {
        self.judge.finished(partition, event);
        let Some(owned) = self.owned(host, partition, token) else { return };
        owned.busy = None;
        if owned.step == Some(Step::AwaitHandlers) {
            owned.step = None;
            owned.ownership.done(Step::AwaitHandlers);
            return self.look(host, partition, token);
        }
        self.intake(host, partition, token);
    }

    /// Writes what is handled with none missing before it.
    pub(super) fn write_checkpoint(&mut self, host: usize, partition: u16, token: u64) {
        let now = self.seen_moment(host, partition);
        let bug = self.bug;
        let Some(owned) = self.owned(host, partition, token) else { return };
        let handled = owned.handled();
        let value = match bug {
            Some(Bug::CheckpointAhead) => owned.position,
            Some(Bug::CheckpointBackwards) if handled.is_multiple_of(7) => handled.min(1),
            _ => handled,
        };
        let generation = owned.ownership.generation().clone();
        let may_write = bug == Some(Bug::CheckpointWithoutToken)
            || owned.ownership.may_checkpoint(&generation, now).is_ok();
        let is_due = value != owned.stored && (!owned.is_writing || owned.step.is_some());
        match may_write && is_due {
            true => {
                owned.is_writing = true;
                self.send(host, Call::Checkpoint { partition, token, value });
            }
            false if owned.step == Some(Step::Flush) => {
                owned.step = None;
                owned.ownership.done(Step::Flush);
            }
            false => {}
        }
    }

    pub(super) fn checkpointed(
        &mut self,
        host: usize,
        partition: u16,
        token: u64,
        value: u64,
        answer: &Answer,
    ) {
        let now = self.seen_moment(host, partition);
        let Some(owned) = self.owned(host, partition, token) else { return };
        owned.is_writing = false;
        match answer {
            Answer::Done => owned.stored = owned.stored.max(value),
            Answer::Lost => owned.ownership.lost(now),
            _ => {}
        }
        // An answer to an earlier write is not the end of the flush.
        let is_last = value >= owned.handled() || !matches!(answer, Answer::Done);
        if owned.step == Some(Step::Flush) && is_last {
            owned.step = None;
            owned.ownership.done(Step::Flush);
        }
        self.look(host, partition, token);
    }

    pub(super) fn released(&mut self, host: usize, partition: u16, token: u64) {
        if let Some(owned) = self.owned(host, partition, token) {
            owned.ownership.done(Step::Release);
        }
        self.look(host, partition, token);
    }
}
