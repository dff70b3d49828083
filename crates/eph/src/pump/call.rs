//! One call of a handler after the other, each within its time.

use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use eventhubs_protocol::ReceivedEvent;
use tokio::time::{Instant, Sleep};

use crate::clock;
use crate::handler::{EachSlot, Failure, Ran, Slot};
use crate::notice::FailureCause;
use crate::partition::Partition;

use super::intake::{Intake, Kept};

/// A timer that is made when it is needed first.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    /// Rings at `at`, and not at what was set before.
    pub(crate) fn set(&mut self, at: Instant) {
        match &mut self.sleep {
            Some(sleep) if sleep.deadline() == at => {}
            Some(sleep) => sleep.as_mut().reset(at),
            None => self.sleep = Some(clock::timer(at)),
        }
    }

    /// Ready when it rings; never when it was not set.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.sleep {
            Some(sleep) => sleep.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}

/// Room for one call of a handler.
pub(crate) struct Call<I, S: ?Sized = dyn Slot<I>> {
    slot: Box<S>,
    is_running: bool,
    limit: Option<Duration>,
    alarm: Alarm,
    input: PhantomData<fn(I)>,
}

impl Call<ReceivedEvent, dyn EachSlot> {
    /// Calls the handler with one event after the other, until a call is not ready at once or there
    /// is no event.
    #[inline]
    pub(crate) fn run(
        &mut self,
        intake: &mut Intake<'_>,
        kept: &mut Kept,
        partition: &Partition,
        cx: &mut Context<'_>,
    ) -> Ran {
        match self.slot.run(intake, kept, partition, cx) {
            Ran::Waits => match self.goes_on(cx) {
                Poll::Ready(Err(failure)) => Ran::Failed(failure),
                _ => Ran::Waits,
            },
            ran => ran,
        }
    }
}

impl<I, S: Slot<I> + ?Sized> Call<I, S> {
    pub(crate) fn new(slot: Box<S>, limit: Option<Duration>) -> Self {
        let (alarm, input) = (Alarm::default(), PhantomData);
        Self { slot, is_running: false, limit, alarm, input }
    }

    /// Whether a call has begun and not ended.
    #[inline]
    pub(crate) fn is_running(&self) -> bool {
        self.is_running
    }

    /// Calls the handler and polls it once, before there is any timer.
    #[inline]
    pub(crate) fn begin(
        &mut self,
        input: I,
        partition: Partition,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Failure>> {
        match self.slot.begin(input, partition, cx) {
            Poll::Ready(result) => Poll::Ready(result),
            Poll::Pending => self.goes_on(cx),
        }
    }

    fn goes_on(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.is_running = true;
        if let Some(limit) = self.limit {
            self.alarm.set(clock::now() + limit);
        }
        self.poll_alarm(cx)
    }

    /// Polls the call that is running.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        match self.slot.poll(cx) {
            Poll::Ready(result) => {
                self.is_running = false;
                Poll::Ready(result)
            }
            Poll::Pending => self.poll_alarm(cx),
        }
    }

    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let Some(limit) = self.limit else { return Poll::Pending };
        std::task::ready!(self.alarm.poll(cx));
        self.slot.clear();
        self.is_running = false;
        Poll::Ready(Err(Failure { cause: FailureCause::TimedOut(limit), verdict: None }))
    }
}
