//! What a host does with a partition that it owns.

use std::time::{Duration, UNIX_EPOCH};

use eventhubs_eph::ownership::{Action, Moment, Step};
use eventhubs_eph::{Commit, Fence, Hold};

use super::host::Owned;
use super::{Event, World};
use crate::bug::Bug;
use crate::post::Post;
use crate::store::{self, Answer, Call};

/// After a call of an ownership failed, or an attach that came too late.
const PAUSE: Duration = Duration::from_secs(1);

/// From asking for a receiver until it is there.
const ATTACH: Duration = Duration::from_millis(50);

impl World {
    /// The ownership, if it is still this one.
    fn owned(&mut self, post: &Post) -> Option<&mut Owned> {
        let owned = self.hosts[post.host].owned.get_mut(&post.partition);
        owned.filter(|owned| owned.ownership.generation().token == post.token)
    }

    /// The clocks as the ownership sees them.
    fn seen_moment(&self, post: &Post) -> Moment {
        let now = self.moment(post.host);
        match self.bug {
            Some(Bug::IgnoreClockJump) => Moment { wall: UNIX_EPOCH + now.monotonic, ..now },
            Some(Bug::SkipFence) => match self.hosts[post.host].owned.get(&post.partition) {
                Some(owned) => {
                    let latest = owned.ownership.fence_at() - Duration::from_millis(1);
                    let monotonic = now.monotonic.min(latest);
                    Moment { monotonic, wall: UNIX_EPOCH + monotonic }
                }
                None => now,
            },
            _ => now,
        }
    }

    /// The time of a look has come.
    pub(super) fn woken(&mut self, post: &Post, look: u64) {
        if self.owned(post).is_some_and(|owned| owned.looks == look) {
            self.look(post);
        }
    }

    pub(super) fn look(&mut self, post: &Post) {
        let now = self.seen_moment(post);
        let (clock, now_true) = (self.hosts[post.host].clock, self.now);
        loop {
            let Some(owned) = self.owned(post) else { return };
            match owned.ownership.look(now) {
                Action::Wait(until) => {
                    let pause = clock.true_time(until.saturating_sub(now.monotonic));
                    // Reports come in between; this one is only for the clock.
                    let at = now_true + pause.clamp(Duration::from_millis(10), super::SCAN);
                    owned.looks += 1;
                    let look = owned.looks;
                    return self.agenda.put(at, Event::Look(post.clone(), look));
                }
                Action::Renew => {
                    let lease = owned.lease.clone();
                    self.send(post.host, Call::Renew(lease));
                }
                Action::Perform(step) => {
                    if !self.perform(post, step) {
                        return;
                    }
                }
                Action::Over(_) => {
                    self.hosts[post.host].owned.remove(&post.partition);
                    return self.end_if_stopped(post.host);
                }
            }
        }
    }

    /// Performs a step of the way out. Whether to look on at once.
    fn perform(&mut self, post: &Post, step: Step) -> bool {
        if step == Step::StopIntake {
            self.judge.told(&post.token);
        }
        let flushes = self.bug != Some(Bug::LoseDirtyCheckpoint);
        let Some(owned) = self.owned(post) else { return false };
        let is_dirty = owned.handled() > owned.stored;
        let is_busy = owned.busy.is_some();
        match step {
            Step::AwaitHandlers if is_busy => {
                owned.step = Some(step);
                return true;
            }
            Step::Flush if is_dirty && flushes => {
                owned.step = Some(step);
                self.write_checkpoint(post);
                return true;
            }
            Step::Detach => {
                let receiver = self.receivers.get(&post.partition);
                if receiver.is_some_and(|(have, _)| have == post) {
                    self.receivers.remove(&post.partition);
                }
            }
            Step::Release => {
                owned.step = Some(step);
                let (stored, handled) = (owned.stored, owned.handled());
                let lease = owned.lease.clone();
                if self.plan.rough_until.is_zero() && stored < handled {
                    let partition = post.partition;
                    let what = format!("{partition} is released with {stored} of {handled}");
                    self.judge.report("A6", self.now, what);
                }
                self.send(post.host, Call::Release(lease));
                return true;
            }
            _ => {}
        }
        if let Some(owned) = self.owned(post) {
            owned.ownership.done(step);
        }
        true
    }

    /// Begins an orderly way out.
    pub(super) fn give_back(&mut self, post: &Post) {
        let now = self.seen_moment(post);
        let is_hasty = self.bug == Some(Bug::ReleaseBeforeDrain);
        let Some(owned) = self.owned(post) else { return };
        if is_hasty {
            // The handlers go on as long as they have events in hand.
            let lease = owned.lease.clone();
            return self.send(post.host, Call::Release(lease));
        }
        owned.ownership.release(now);
        self.look(post);
    }

    /// An answer that is about one ownership.
    pub(super) fn owner_answered(
        &mut self,
        host: usize,
        call: &Call,
        answer: Answer,
        asked: Moment,
    ) {
        let (Call::Renew(lease)
        | Call::Update(lease)
        | Call::Release(lease)
        | Call::Fence(lease)
        | Call::Commit(lease, _)) = call
        else {
            return;
        };
        let Some(token) = lease.token.clone() else { return };
        let post = Post { host, partition: lease.partition, token };
        match (call, answer) {
            (Call::Update(lease), Answer::Held(Hold::Kept(kept))) => {
                let now = self.seen_moment(&post);
                let Some(owned) = self.owned(&post) else { return };
                owned.ownership.raised(lease.epoch, asked, now);
                owned.raise = None;
                owned.lease = kept;
                self.agenda.put(self.now + ATTACH, Event::Attached(post.clone()));
                self.look(&post);
            }
            (Call::Renew(_) | Call::Update(_), answer) => self.renewed(&post, asked, answer),
            (Call::Release(_), _) => {
                if let Some(owned) = self.owned(&post) {
                    owned.ownership.done(Step::Release);
                }
                self.look(&post);
            }
            (Call::Fence(_), answer) => self.fenced(&post, answer),
            (Call::Commit(_, count), answer) => self.checkpointed(&post, *count, &answer),
            _ => {}
        }
    }

    fn renewed(&mut self, post: &Post, asked: Moment, answer: Answer) {
        let now = self.seen_moment(post);
        let is_heeded = self.bug != Some(Bug::IgnoreLost);
        let Some(owned) = self.owned(post) else { return };
        match answer {
            Answer::Held(Hold::Kept(lease)) => {
                owned.lease = lease;
                owned.ownership.renewed(asked, now);
            }
            Answer::Held(Hold::Lost(_)) => {
                match is_heeded {
                    true => owned.ownership.lost(now),
                    false => owned.ownership.renewed(asked, now),
                }
                self.judge.told(&post.token);
            }
            _ => owned.ownership.renew_failed(now),
        }
        self.look(post);
    }

    /// Takes the checkpoint over.
    pub(super) fn fence(&mut self, post: &Post) {
        let Some(owned) = self.owned(post).filter(|owned| owned.ownership.end().is_none()) else {
            return;
        };
        let lease = owned.lease.clone();
        self.send(post.host, Call::Fence(lease));
    }

    fn fenced(&mut self, post: &Post, answer: Answer) {
        let now = self.seen_moment(post);
        let head = self.head();
        let skips = self.bug == Some(Bug::StartAtTheEnd);
        let Some(owned) = self.owned(post) else { return };
        match answer {
            Answer::Fenced(Fence::Up(checkpoint)) => {
                owned.stored = store::handled(checkpoint.as_ref());
                owned.position = if skips { head } else { owned.stored };
                self.agenda.put(self.now + ATTACH, Event::Attached(post.clone()));
            }
            Answer::Fenced(Fence::Lost { .. }) => {
                owned.ownership.lost(now);
                self.look(post);
            }
            _ => self.agenda.put(self.now + PAUSE, Event::Fence(post.clone())),
        }
    }

    /// The receiver is attached, if it still may be.
    pub(super) fn attached(&mut self, post: &Post) {
        let now = self.seen_moment(post);
        let mode = self.plan.epochs;
        let delay = match self.now < self.plan.rough_until {
            true => self.random.millis(50, 30_000),
            false => ATTACH,
        };
        let before = self.receivers.get(&post.partition).cloned();
        let Some(owned) = self.owned(post) else { return };
        let generation = owned.ownership.generation().clone();
        if owned.ownership.may_attach(&generation, now).is_err() {
            if owned.ownership.end().is_none() {
                self.agenda.put(self.now + PAUSE, Event::Attached(post.clone()));
            }
            return;
        }
        if let Some((_, existing)) = before.as_ref().filter(|(_, epoch)| *epoch > generation.epoch)
        {
            // The store lost the epoch, or a claim that is newer than this one is in the store
            // already, which the answer to this will tell.
            let raised =
                owned.raise.or_else(|| owned.ownership.epoch_refused(Some(*existing), mode, now));
            owned.raise = raised;
            let mut lease = owned.lease.clone();
            if let Some(epoch) = raised {
                lease.epoch = epoch;
                self.send(post.host, Call::Update(lease));
                self.agenda.put(self.now + PAUSE, Event::Attached(post.clone()));
            }
            return self.look(post);
        }
        owned.ownership.linked();
        self.receivers.insert(post.partition, (post.clone(), generation.epoch));
        if let Some((other, _)) = before.filter(|(other, _)| other != post) {
            // What it has in hand already is handled until it hears of it.
            self.agenda.put(self.now + delay, Event::Stolen(other));
        }
        if self.plan.has_events {
            self.intake(post);
        }
    }

    pub(super) fn stolen(&mut self, post: &Post) {
        let now = self.seen_moment(post);
        let is_heeded = self.bug != Some(Bug::IgnoreStolen);
        let Some(owned) = self.owned(post) else { return };
        if is_heeded {
            owned.ownership.stolen(now);
        }
        self.judge.told(&post.token);
        self.look(post);
    }

    /// Hands the next event to the handler.
    pub(super) fn intake(&mut self, post: &Post) {
        let (now, head) = (self.seen_moment(post), self.head());
        let long = match self.random.chance(2) {
            true => self.random.millis(1_000, 40_000),
            false => self.random.millis(1, 300),
        };
        let suspended = self.hosts[post.host].clock.suspended;
        let Some(owned) = self.owned(post) else { return };
        let generation = owned.ownership.generation().clone();
        if owned.busy.is_some() || owned.ownership.may_handle(&generation, now).is_err() {
            return;
        }
        let event = owned.position;
        if event >= head {
            return self.agenda.put(self.now + PAUSE, Event::Intake(post.clone()));
        }
        owned.busy = Some(event);
        owned.position += 1;
        // What a suspension of up to a third of the lease can hide, and the drift of the clock.
        let hidden = suspended.min(self.timing.lease / 3);
        let grace = hidden + self.timing.lease / 100;
        self.judge.started(post, event, grace, self.now);
        self.agenda.put(self.now + long, Event::Handled(post.clone(), event));
    }

    pub(super) fn handled(&mut self, post: &Post, event: u64) {
        self.judge.finished(post.partition, event);
        let Some(owned) = self.owned(post) else { return };
        owned.busy = None;
        if owned.step == Some(Step::AwaitHandlers) {
            owned.step = None;
            owned.ownership.done(Step::AwaitHandlers);
            return self.look(post);
        }
        self.intake(post);
    }

    /// Writes what is handled with none missing before it.
    pub(super) fn write_checkpoint(&mut self, post: &Post) {
        let now = self.seen_moment(post);
        let bug = self.bug;
        let Some(owned) = self.owned(post) else { return };
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
                let lease = owned.lease.clone();
                self.send(post.host, Call::Commit(lease, value));
            }
            false if owned.step == Some(Step::Flush) => {
                owned.step = None;
                owned.ownership.done(Step::Flush);
            }
            false => {}
        }
    }

    fn checkpointed(&mut self, post: &Post, value: u64, answer: &Answer) {
        let now = self.seen_moment(post);
        let Some(owned) = self.owned(post) else { return };
        owned.is_writing = false;
        match answer {
            Answer::Committed(Commit::Stored) => owned.stored = owned.stored.max(value),
            Answer::Committed(Commit::Behind(stored)) => {
                owned.stored = owned.stored.max(store::handled(Some(stored)));
            }
            Answer::Committed(Commit::Lost) => owned.ownership.lost(now),
            _ => {}
        }
        // An answer to an earlier write is not the end of the flush.
        let is_stored = matches!(answer, Answer::Committed(Commit::Stored));
        let is_last = value >= owned.handled() || !is_stored;
        if owned.step == Some(Step::Flush) && is_last {
            owned.step = None;
            owned.ownership.done(Step::Flush);
        }
        self.look(post);
    }
}
