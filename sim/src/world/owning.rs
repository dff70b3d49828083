//! What a host does with a partition that it owns.

use std::time::{Duration, UNIX_EPOCH};

use eventhubs_eph::ownership::{Action, End, Moment, Step};
use eventhubs_eph::{Commit, Fence, Hold};

use eventhubs_eph::ownership::EpochMode;
use eventhubs_protocol::OwnerLevel;

use super::host::Owned;
use super::{Event, World};
use crate::broker::{Attached, Link};
use crate::bug::Bug;
use crate::post::Post;
use crate::store::{self, Answer, Call};

/// After a call of an ownership failed, or an attach that came too late.
const PAUSE: Duration = Duration::from_secs(1);

/// From asking for a receiver until it is there.
const ATTACH: Duration = Duration::from_millis(50);

/// From asking for a receiver until it is given up.
const ATTACH_FAILS: Duration = Duration::from_secs(5);

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
            Some(Bug::TrustWallClock) => {
                let monotonic = now.wall.duration_since(UNIX_EPOCH).unwrap_or_default();
                Moment { monotonic, ..now }
            }
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
                    owned.due = until;
                    let look = owned.looks;
                    return self.agenda.put(at, Event::Look(post.clone(), look));
                }
                Action::Renew => {
                    let late = now.monotonic.saturating_sub(owned.due);
                    let lease = owned.lease.clone();
                    let told = self.hosts[post.host].suspicion.renewed(late, now.monotonic);
                    self.suspect(post.host, told);
                    self.send(post.host, Call::Renew(lease));
                }
                Action::Perform(step) => {
                    if !self.perform(post, step) {
                        return;
                    }
                }
                Action::Over(end) => {
                    let host = &mut self.hosts[post.host];
                    host.owned.remove(&post.partition);
                    if self.bug == Some(Bug::ForgetPartition) && end == End::Lost {
                        host.claiming.insert(post.partition);
                    }
                    let told = host.suspicion.ended(post.partition, end, now.monotonic);
                    self.suspect(post.host, told);
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
                owned.is_linked = false;
                self.broker.detach(post);
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
        let ignores_gone = self.bug == Some(Bug::IgnoreGone);
        let Some(owned) = self.owned(post) else { return };
        match answer {
            Answer::Held(Hold::Kept(lease)) => {
                owned.lease = lease;
                owned.ownership.renewed(asked, now);
            }
            Answer::Held(Hold::Lost(None)) if ignores_gone => {
                owned.ownership.renew_failed(now);
                self.judge.told(&post.token);
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
            Answer::Fenced(Fence::Up(checkpoint)) if owned.is_begun => {
                // The store was made anew: what it lost is written once more.
                owned.stored = store::handled(checkpoint.as_ref());
            }
            Answer::Fenced(Fence::Up(checkpoint)) => {
                owned.is_begun = true;
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
        let is_reached = self.reaches_hub(post.host);
        let keeps = self.bug == Some(Bug::KeepWithoutLink);
        let Some(owned) = self.owned(post) else { return };
        let generation = owned.ownership.generation().clone();
        if keeps {
            owned.ownership.linked();
        }
        let is_refused = owned.ownership.may_attach(&generation, now).is_err();
        if owned.ownership.end().is_some() {
            return;
        }
        if is_refused || !is_reached || owned.raise.is_some() {
            let pause = if is_reached { PAUSE } else { ATTACH_FAILS };
            self.agenda.put(self.now + pause, Event::Attached(post.clone()));
            return self.raise(post);
        }
        match self.broker.attach(post, generation.epoch) {
            Attached::Done(put_out) => self.linked(post, put_out),
            Attached::Refused(existing) => self.refused(post, existing),
        }
    }

    fn linked(&mut self, post: &Post, put_out: Vec<Link>) {
        let now = self.now;
        self.judge.linked(post, self.broker.links(post.partition), &put_out, now);
        for link in put_out {
            let delay = match now < self.plan.rough_until {
                true => self.random.millis(50, 30_000),
                false => ATTACH,
            };
            // What it has in hand already is handled until it hears of it.
            self.agenda.put(now + delay, Event::Stolen(link.post));
        }
        if let Some(owned) = self.owned(post) {
            owned.ownership.linked();
            owned.is_linked = true;
        }
        self.hosts[post.host].suspicion.linked(post.partition);
        self.intake(post);
    }

    /// The store lost the epoch, or a claim that is newer than this one is in the store already,
    /// which the answer to what follows will tell.
    fn refused(&mut self, post: &Post, existing: OwnerLevel) {
        let now = self.seen_moment(post);
        let mode = match self.bug {
            // It is never raised.
            Some(Bug::EpochFromTable) => EpochMode::Zero,
            _ => self.plan.epochs,
        };
        self.hosts[post.host].epochs.see(post.partition, existing);
        let Some(owned) = self.owned(post) else { return };
        owned.raise = owned.ownership.epoch_refused(Some(existing), mode, now);
        self.agenda.put(self.now + PAUSE, Event::Attached(post.clone()));
        self.raise(post);
        self.look(post);
    }

    /// The store gets the epoch that is to be had, before the receiver is attached.
    fn raise(&mut self, post: &Post) {
        let Some(owned) = self.owned(post).filter(|owned| owned.ownership.end().is_none()) else {
            return;
        };
        let mut lease = owned.lease.clone();
        if let Some(epoch) = owned.raise {
            lease.epoch = epoch;
            self.send(post.host, Call::Update(lease));
        }
    }

    /// The host notices that nothing comes through.
    pub(super) fn unlinked(&mut self, post: &Post) {
        let now = self.seen_moment(post);
        let keeps = self.bug == Some(Bug::KeepWithoutLink);
        let Some(owned) = self.owned(post).filter(|owned| owned.is_linked) else { return };
        owned.is_linked = false;
        if !keeps {
            owned.ownership.unlinked(now);
        }
        self.hosts[post.host].suspicion.unlinked(post.partition);
        self.agenda.put(self.now + PAUSE, Event::Attached(post.clone()));
        self.look(post);
    }

    pub(super) fn stolen(&mut self, post: &Post) {
        if !self.reaches_hub(post.host) {
            // It will be told when it attaches again.
            return;
        }
        let now = self.seen_moment(post);
        let bug = self.bug;
        let Some(owned) = self.owned(post) else { return };
        match bug {
            Some(Bug::ReattachStolen) => {
                owned.is_linked = false;
                let epoch = owned.ownership.generation().epoch.next().next();
                owned.ownership.raised(epoch, now, now);
                self.agenda.put(self.now + ATTACH, Event::Attached(post.clone()));
            }
            Some(Bug::IgnoreStolen) => self.judge.told(&post.token),
            _ => {
                owned.ownership.stolen(now);
                self.judge.told(&post.token);
            }
        }
        self.look(post);
    }

    /// The time to ask for the next event has come.
    pub(super) fn intake_due(&mut self, post: &Post) {
        if let Some(owned) = self.owned(post) {
            owned.is_waiting = false;
            self.intake(post);
        }
    }

    /// Hands the next event to the handler.
    fn intake(&mut self, post: &Post) {
        if self.plan.events_until.is_zero() {
            return;
        }
        let (now, head) = (self.seen_moment(post), self.head());
        let is_reached = self.reaches_hub(post.host);
        let at_store = self.hosts[post.host].role.store;
        let long = match self.random.chance(2) {
            true => self.random.millis(1_000, 40_000),
            false => self.random.millis(1, 300),
        };
        let suspended = self.hosts[post.host].clock.suspended;
        let Some(owned) = self.owned(post) else { return };
        let generation = owned.ownership.generation().clone();
        let is_idle = owned.is_linked && !owned.is_waiting && owned.busy.is_none();
        if !is_idle || owned.ownership.may_handle(&generation, now).is_err() {
            return;
        }
        let event = owned.position;
        if event >= head || !is_reached {
            owned.is_waiting = true;
            return self.agenda.put(self.now + PAUSE, Event::Intake(post.clone()));
        }
        owned.busy = Some(event);
        owned.position += 1;
        // What a suspension of up to a third of the lease can hide, and the drift of the clock.
        let hidden = suspended.min(self.timing.lease / 3);
        let grace = hidden + self.timing.lease / 100;
        self.judge.started(at_store, post, event, grace, self.now);
        self.agenda.put(self.now + long, Event::Handled(post.clone(), event));
    }

    pub(super) fn handled(&mut self, post: &Post, event: u64) {
        let at_store = self.hosts[post.host].role.store;
        self.judge.finished(at_store, post.partition, event);
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
            Answer::Missing if owned.ownership.end().is_none() => {
                let lease = owned.lease.clone();
                self.send(post.host, Call::Make);
                self.send(post.host, Call::Fence(lease));
                return self.look(post);
            }
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
