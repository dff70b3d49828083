//! What a host may still do with a partition that it took: [`Ownership`] follows one generation
//! from the claim that was won to its end.
//!
//! Three authorities have a say and none is enough alone: the store has one writer, the broker one
//! live receiver, and the local clock stops a host that is cut off from both. So a generation ends
//! when the store says that it lost the lease, when the broker says that it was stolen, and when
//! neither has confirmed it in time: one margin before the lease can have ended, it is *fenced*. No
//! end is ever taken back. The only way to the partition is a new claim.

mod epoch;
mod timing;

pub use crate::lease::EpochMode;
pub use epoch::Epochs;
pub use timing::{InvalidTiming, Moment, Timing};

use std::fmt;
use std::time::Duration;

use eventhubs_protocol::{OwnerLevel, PartitionId};

use crate::owner::LeaseToken;

/// One ownership of a partition. Whatever acts for it carries it, and anything of another
/// generation is refused.
///
/// # Examples
///
/// ```
/// use eventhubs_eph::LeaseToken;
/// use eventhubs_eph::ownership::Generation;
/// use eventhubs_protocol::OwnerLevel;
///
/// let (token, seven) = (LeaseToken::unique(), OwnerLevel::new(7)?);
/// let generation = Generation::new(3.into(), seven, token.clone());
/// assert_ne!(generation, Generation::new(3.into(), seven.next(), token));
/// # Ok::<(), eventhubs_protocol::InvalidValue>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generation {
    /// The partition.
    pub partition: PartitionId,
    /// The epoch of its receiver.
    pub epoch: OwnerLevel,
    /// What the store calls this ownership; each of its writes names it.
    pub token: LeaseToken,
}

impl Generation {
    /// Puts the three together.
    #[must_use]
    pub fn new(partition: PartitionId, epoch: OwnerLevel, token: LeaseToken) -> Self {
        Self { partition, epoch, token }
    }
}

/// Why an ownership ended.
///
/// # Examples
///
/// ```
/// use eventhubs_eph::ownership::End;
///
/// assert_eq!(End::Stolen.to_string(), "another receiver took the partition");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// This host gave it back.
    Released,
    /// The broker said that another receiver took over.
    Stolen,
    /// The store said that the lease is not this host's any more.
    Lost,
    /// No renewal succeeded in time.
    Unproven,
    /// The machine was suspended, so the local clock cannot be trusted for this lease.
    ClockJump,
    /// The broker knows an epoch that is higher, and still did after it was passed once.
    EpochRefused,
    /// There was no receiver for too long, so nobody reads the partition while this host holds it.
    Unlinked,
}

impl End {
    /// Whether the lease may still be this host's, so that what it hands over may be written.
    fn has_lease(self) -> bool {
        matches!(self, Self::Released | Self::Unlinked)
    }

    /// Whether a release, which names the token, can help the next owner.
    fn may_release(self) -> bool {
        !matches!(self, Self::Stolen | Self::Lost)
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Released => "this host gave the partition back",
            Self::Stolen => "another receiver took the partition",
            Self::Lost => "the lease belongs to another host",
            Self::Unproven => "no renewal of the lease succeeded in time",
            Self::ClockJump => "the machine was suspended while the lease ran",
            Self::EpochRefused => "the service knows a higher epoch",
            Self::Unlinked => "this host had no receiver for too long",
        })
    }
}

/// One step of the way out, in their order. Nothing is skipped but what the [`End`] forbids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Hand no event to a handler any more.
    StopIntake,
    /// Tell the handlers.
    Signal,
    /// Wait for the handlers, for the grace at most; then give them up and report it.
    AwaitHandlers,
    /// Write the checkpoint, if it is this host's to write.
    Flush,
    /// Detach the receiver.
    Detach,
    /// Give the lease back, naming the token.
    Release,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing before this time of the monotonic clock.
    Wait(Duration),
    /// Renew the lease, and report [`Ownership::renewed`], [`Ownership::renew_failed`] or
    /// [`Ownership::lost`].
    Renew,
    /// Perform this, and report [`Ownership::done`].
    Perform(Step),
    /// It is over.
    Over(End),
}

/// Why something is not permitted.
///
/// # Examples
///
/// ```
/// use eventhubs_eph::ownership::{End, Refusal};
///
/// let refusal = Refusal::Ended(End::Stolen);
/// assert_eq!(refusal.to_string(), "the ownership ended: another receiver took the partition");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It belongs to another ownership of the partition.
    #[error("it belongs to another ownership of the partition")]
    OtherGeneration,
    /// The ownership ended.
    #[error("the ownership ended: {0}")]
    Ended(End),
    /// The store confirmed the lease too long ago.
    #[error("the lease was confirmed too long ago")]
    Stale,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    Held,
    Ending(End, Way),
    Over(End),
}

/// Where on the way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Way {
    step: Step,
    /// Whether the step was handed out.
    is_begun: bool,
    /// When the handlers are given up.
    give_up_at: Duration,
}

/// One ownership of one partition on this host.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use eventhubs_eph::LeaseToken;
/// use eventhubs_eph::ownership::{Action, Generation, Moment, Ownership, Timing};
/// use eventhubs_protocol::OwnerLevel;
///
/// let at = |seconds| Moment {
///     monotonic: Duration::from_secs(seconds),
///     wall: UNIX_EPOCH + Duration::from_secs(seconds),
/// };
/// let generation = Generation::new(0.into(), OwnerLevel::ZERO.next(), LeaseToken::unique());
/// let mut ownership = Ownership::acquired(generation.clone(), Timing::default(), at(0));
/// assert_eq!(ownership.look(at(5)), Action::Wait(Duration::from_secs(10)));
/// assert_eq!(ownership.look(at(10)), Action::Renew);
/// // Nobody answers: 60 s of lease, less a margin of 6 s.
/// assert!(ownership.may_handle(&generation, at(53)).is_ok());
/// assert!(ownership.may_handle(&generation, at(54)).is_err());
/// ```
#[derive(Clone, Debug)]
pub struct Ownership {
    generation: Generation,
    timing: Timing,
    /// When the last call that proved the lease was begun: the store counts from later.
    proven: Moment,
    /// When the next renewal is due; `None` while one is on its way.
    renew_at: Option<Duration>,
    /// Renewals that failed since the last that did not.
    failures: u32,
    stand: Stand,
    /// Whether an epoch that was refused was passed once.
    was_raised: bool,
    /// Since when there is no receiver.
    unlinked: Option<Duration>,
}

impl Ownership {
    /// A claim was won by a call that was begun at `asked`.
    #[must_use]
    pub fn acquired(generation: Generation, timing: Timing, asked: Moment) -> Self {
        let renew_at = Some(asked.monotonic + timing.renewal);
        Self {
            generation,
            timing,
            proven: asked,
            renew_at,
            failures: 0,
            stand: Stand::Held,
            was_raised: false,
            unlinked: Some(asked.monotonic),
        }
    }

    /// Which ownership this is.
    #[must_use]
    pub fn generation(&self) -> &Generation {
        &self.generation
    }

    /// Why it ends or ended.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        match self.stand {
            Stand::Held => None,
            Stand::Ending(end, _) | Stand::Over(end) => Some(end),
        }
    }

    /// When the fence falls unless a renewal succeeds before, on the monotonic clock.
    #[must_use]
    pub fn fence_at(&self) -> Duration {
        self.proven.monotonic + self.timing.lease.saturating_sub(self.timing.margin())
    }

    /// Renewals that failed in a row.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether a handler may start with an event of this generation.
    ///
    /// # Errors
    ///
    /// It may not, and why.
    pub fn may_handle(&self, generation: &Generation, now: Moment) -> Result<(), Refusal> {
        self.check(generation)?;
        match self.stand {
            Stand::Held => self.fence(now).map_or(Ok(()), |end| Err(Refusal::Ended(end))),
            Stand::Ending(end, _) | Stand::Over(end) => Err(Refusal::Ended(end)),
        }
    }

    /// Whether a checkpoint of this generation may be written. It may until the lease is given
    /// back, and not after any other end. The store has to check the token all the same.
    ///
    /// # Errors
    ///
    /// It may not, and why.
    pub fn may_checkpoint(&self, generation: &Generation, now: Moment) -> Result<(), Refusal> {
        self.check(generation)?;
        if let Some(end) = self.fence(now) {
            return Err(Refusal::Ended(self.end().filter(|end| !end.has_lease()).unwrap_or(end)));
        }
        match self.stand {
            Stand::Held => Ok(()),
            Stand::Ending(end, way) if end.has_lease() && way.step <= Step::Flush => Ok(()),
            Stand::Ending(end, _) | Stand::Over(end) => Err(Refusal::Ended(end)),
        }
    }

    /// Whether a receiver of this generation may be attached: the store must have confirmed it less
    /// than a third of the lease ago.
    ///
    /// # Errors
    ///
    /// It may not, and why.
    pub fn may_attach(&self, generation: &Generation, now: Moment) -> Result<(), Refusal> {
        self.may_handle(generation, now)?;
        match now.monotonic.saturating_sub(self.proven.monotonic) < self.timing.lease / 3 {
            true => Ok(()),
            false => Err(Refusal::Stale),
        }
    }

    /// Looks at the clock. To be called when the time of [`Action::Wait`] has come, after every
    /// report, and first of all after this process did not run for a while.
    pub fn look(&mut self, now: Moment) -> Action {
        self.check_fence(now);
        if self.unlinked_at().is_some_and(|at| now.monotonic >= at) {
            self.ends(End::Unlinked, now);
        }
        if let Stand::Over(end) = self.stand {
            return Action::Over(end);
        }
        if let Stand::Ending(end, way) = &mut self.stand {
            if !way.is_begun {
                way.is_begun = true;
                return Action::Perform(way.step);
            }
            if way.step == Step::AwaitHandlers && now.monotonic >= way.give_up_at {
                let (end, way) = (*end, *way);
                self.advance(end, way);
                return self.look(now);
            }
        }
        match self.renew_at.filter(|_| self.renews()) {
            Some(due) if now.monotonic >= due => {
                self.renew_at = None;
                Action::Renew
            }
            due => Action::Wait(self.next_look(due)),
        }
    }

    /// A renewal that was begun at `asked` succeeded.
    pub fn renewed(&mut self, asked: Moment, now: Moment) {
        self.check_fence(now);
        if !self.renews() {
            return;
        }
        self.failures = 0;
        self.renew_at = Some(asked.monotonic + self.timing.renewal);
        if asked.monotonic > self.proven.monotonic {
            self.proven = asked;
        }
    }

    /// A renewal failed for a reason that says nothing about the lease. It is tried again, sooner
    /// than a renewal is due, until it succeeds or the fence falls.
    pub fn renew_failed(&mut self, now: Moment) {
        self.failures = self.failures.saturating_add(1);
        let pause = self.timing.renewal / 10 * self.failures.min(5);
        self.renew_at = Some(now.monotonic + pause);
        self.check_fence(now);
    }

    /// The store said that the lease is another's.
    pub fn lost(&mut self, now: Moment) {
        self.ends(End::Lost, now);
    }

    /// The broker said that another receiver took over.
    pub fn stolen(&mut self, now: Moment) {
        self.ends(End::Stolen, now);
    }

    /// The receiver is attached. Until this is reported, and from [`unlinked`](Self::unlinked) on,
    /// the ownership is one of a host that holds a partition and does not read it: after
    /// [`Timing::unlinked`] it ends, so that a host that reaches the service can have it.
    pub fn linked(&mut self) {
        self.unlinked = None;
    }

    /// There is no receiver any more, and none of this ownership on its way that is known to come.
    pub fn unlinked(&mut self, now: Moment) {
        self.unlinked.get_or_insert(now.monotonic);
    }

    /// The partition is to be given back.
    pub fn release(&mut self, now: Moment) {
        self.ends(End::Released, now);
    }

    /// The broker refused the receiver because it knows the epoch `existing`. The store's epoch was
    /// lost, or another owner is further: once, the answer is the epoch to put into the store under
    /// this token, for [`Ownership::raised`]. `None` ends the ownership.
    pub fn epoch_refused(
        &mut self,
        existing: Option<OwnerLevel>,
        mode: EpochMode,
        now: Moment,
    ) -> Option<OwnerLevel> {
        self.check_fence(now);
        let raised = existing
            .filter(|existing| *existing >= self.generation.epoch)
            .map(|existing| (existing, existing.next()))
            .filter(|(existing, next)| next > existing)
            .map(|(_, next)| next);
        let is_first = self.stand == Stand::Held && !self.was_raised && mode == EpochMode::Rising;
        match raised.filter(|_| is_first) {
            Some(epoch) => {
                self.was_raised = true;
                Some(epoch)
            }
            None => {
                self.ends(End::EpochRefused, now);
                None
            }
        }
    }

    /// The store took the higher epoch, by a call that was begun at `asked`. From here on this is
    /// another generation.
    pub fn raised(&mut self, epoch: OwnerLevel, asked: Moment, now: Moment) {
        self.renewed(asked, now);
        self.generation.epoch = epoch;
    }

    /// A step of the way out is done. Reports of other steps change nothing.
    pub fn done(&mut self, step: Step) {
        if let Stand::Ending(end, way) = self.stand
            && way.step == step
            && way.is_begun
        {
            self.advance(end, way);
        }
    }

    fn check(&self, generation: &Generation) -> Result<(), Refusal> {
        match *generation == self.generation {
            true => Ok(()),
            false => Err(Refusal::OtherGeneration),
        }
    }

    /// Why the clocks say that the lease cannot be trusted any more.
    fn fence(&self, now: Moment) -> Option<End> {
        let is_jump = now.jump_since(self.proven) > self.timing.lease / 3;
        match now.monotonic >= self.fence_at() {
            _ if is_jump => Some(End::ClockJump),
            true => Some(End::Unproven),
            false => None,
        }
    }

    /// Ends the ownership if the clocks say so, and does nothing else.
    pub(crate) fn check_fence(&mut self, now: Moment) {
        if self.renews()
            && let Some(end) = self.fence(now)
        {
            self.ends(end, now);
        }
    }

    /// Whether the lease is still held, or still needed for the way out.
    fn renews(&self) -> bool {
        match self.stand {
            Stand::Held => true,
            Stand::Ending(end, way) => end.has_lease() && way.step <= Step::Detach,
            Stand::Over(_) => false,
        }
    }

    /// When an ownership without a receiver ends.
    fn unlinked_at(&self) -> Option<Duration> {
        let since = self.unlinked.filter(|_| self.stand == Stand::Held)?;
        Some(since + self.timing.unlinked())
    }

    /// Begins the way out, or says better why it is gone already. What ended otherwise than by
    /// being given back stays as it ended.
    fn ends(&mut self, end: End, now: Moment) {
        match self.stand {
            Stand::Held => {
                let give_up_at = now.monotonic + self.timing.grace;
                let way = Way { step: Step::StopIntake, is_begun: false, give_up_at };
                self.stand = Stand::Ending(end, way);
            }
            Stand::Ending(before, way) if before.has_lease() && !end.has_lease() => {
                self.stand = Stand::Ending(end, way);
                // What is begun is done; what comes next is asked anew.
                if !is_step_of(end, way.step) {
                    self.advance(end, way);
                }
            }
            Stand::Ending(..) | Stand::Over(_) => {}
        }
    }

    fn advance(&mut self, end: End, way: Way) {
        let next = STEPS.iter().find(|step| **step > way.step && is_step_of(end, **step));
        self.stand = match next {
            Some(&step) => Stand::Ending(end, Way { step, is_begun: false, ..way }),
            None => Stand::Over(end),
        };
    }

    fn next_look(&self, renewal: Option<Duration>) -> Duration {
        let fence = self.renews().then(|| self.fence_at());
        let grace = match self.stand {
            Stand::Ending(_, way) if way.step == Step::AwaitHandlers => Some(way.give_up_at),
            _ => None,
        };
        [fence, renewal, grace, self.unlinked_at()]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(Duration::MAX)
    }
}

const STEPS: [Step; 6] =
    [Step::StopIntake, Step::Signal, Step::AwaitHandlers, Step::Flush, Step::Detach, Step::Release];

/// Whether a way out that ends like this has this step.
fn is_step_of(end: End, step: Step) -> bool {
    match step {
        Step::Flush => end.has_lease(),
        Step::Release => end.may_release(),
        Step::StopIntake | Step::Signal | Step::AwaitHandlers | Step::Detach => true,
    }
}

#[cfg(test)]
mod tests;
