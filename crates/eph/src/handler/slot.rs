//! Calls of a handler whose type is forgotten, without an allocation for each.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use eventhubs_protocol::ReceivedEvent;

use crate::handler::{HandlerError, Verdict};
use crate::notice::FailureCause;
use crate::partition::Partition;
use crate::pump::{End, Intake, Kept};

/// Something that can be called with an `I`.
pub(crate) trait Work<I>: Send + Sync {
    /// Room for one call at a time.
    fn slot(&self) -> Box<dyn Slot<I>>;
}

/// Room for one call after the other, made once and used again.
///
/// Panics of the handler are caught here, whether it is called, polled or dropped.
pub(crate) trait Slot<I>: Send {
    /// Calls, and polls once. Whatever was here before is dropped.
    fn begin(
        &mut self,
        input: I,
        partition: Partition,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Failure>>;

    /// Polls the call that is pending.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>>;

    /// Drops the call that is pending.
    fn clear(&mut self);
}

/// The same for single events.
pub(crate) trait EachWork: Send + Sync {
    /// Room for one call at a time.
    fn slot(&self) -> Box<dyn EachSlot>;
}

/// Room for one call with one event after the other.
pub(crate) trait EachSlot: Slot<ReceivedEvent> {
    /// Calls with one event after the other for as long as they come and calls are ready at once.
    /// Everything that costs something is done once for all of them.
    fn run(
        &mut self,
        intake: &mut Intake<'_>,
        kept: &mut Kept,
        partition: &Partition,
        cx: &mut Context<'_>,
    ) -> Ran;
}

/// Why a run of calls ended.
#[derive(Debug)]
pub(crate) enum Ran {
    /// There is no event to begin with.
    Out(End),
    /// A call waits.
    Waits,
    /// A call failed.
    Failed(Failure),
}

/// How a call ended that did not end well.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) cause: FailureCause,
    pub(crate) verdict: Option<Verdict>,
}

impl From<HandlerError> for Failure {
    #[cold]
    fn from(error: HandlerError) -> Self {
        Self { verdict: error.verdict(), cause: error.into_cause() }
    }
}

impl Failure {
    /// From what a panic carries.
    #[cold]
    pub(crate) fn of_panic(payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let text = text.unwrap_or("not with text").to_owned();
        Self { cause: FailureCause::Panicked(text), verdict: None }
    }
}

/// A closure that makes futures.
pub(crate) struct Closure<F> {
    handle: Arc<F>,
}

impl<F> Closure<F> {
    pub(crate) fn new(handle: F) -> Self {
        Self { handle: Arc::new(handle) }
    }
}

impl<I, F, Fut> Work<I> for Closure<F>
where
    F: Fn(I, Partition) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
{
    fn slot(&self) -> Box<dyn Slot<I>> {
        Box::new(Room { handle: Arc::clone(&self.handle), future: Box::pin(None) })
    }
}

impl<F, Fut> EachWork for Closure<F>
where
    F: Fn(ReceivedEvent, Partition) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
{
    fn slot(&self) -> Box<dyn EachSlot> {
        Box::new(Room { handle: Arc::clone(&self.handle), future: Box::pin(None) })
    }
}

struct Room<F, Fut> {
    handle: Arc<F>,
    future: Pin<Box<Option<Fut>>>,
}

impl<F, Fut> Room<F, Fut>
where
    Fut: Future<Output = Result<(), HandlerError>>,
{
    #[inline]
    fn poll_future(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), HandlerError>> {
        match self.future.as_mut().as_pin_mut() {
            Some(future) => {
                let result = std::task::ready!(future.poll(cx));
                self.future.set(None);
                Poll::Ready(result)
            }
            None => Poll::Ready(Ok(())),
        }
    }
}

impl<I, F, Fut> Slot<I> for Room<F, Fut>
where
    F: Fn(I, Partition) -> Fut + Send + Sync,
    Fut: Future<Output = Result<(), HandlerError>> + Send,
{
    fn begin(
        &mut self,
        input: I,
        partition: Partition,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Failure>> {
        let called = catch_unwind(AssertUnwindSafe(|| {
            let future = (self.handle)(input, partition);
            self.future.set(Some(future));
            self.poll_future(cx)
        }));
        self.told(called)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let polled = catch_unwind(AssertUnwindSafe(|| self.poll_future(cx)));
        self.told(polled)
    }

    fn clear(&mut self) {
        self.drop_future();
    }
}

impl<F, Fut> EachSlot for Room<F, Fut>
where
    F: Fn(ReceivedEvent, Partition) -> Fut + Send + Sync,
    Fut: Future<Output = Result<(), HandlerError>> + Send,
{
    fn run(
        &mut self,
        intake: &mut Intake<'_>,
        kept: &mut Kept,
        partition: &Partition,
        cx: &mut Context<'_>,
    ) -> Ran {
        let ran = catch_unwind(AssertUnwindSafe(|| {
            loop {
                // Before an event is taken, so that it is still there to be taken later.
                if !intake.may_handle() {
                    return Ran::Out(End::Look);
                }
                if let Some(end) = intake.refuses() {
                    return Ran::Out(end);
                }
                let polled = match intake.stream.try_next() {
                    Some(event) => self.call(event, intake, kept, partition, cx),
                    None => match intake.poll(cx) {
                        Ok(event) => self.call(event, intake, kept, partition, cx),
                        Err(end) => return Ran::Out(end),
                    },
                };
                match polled {
                    Poll::Ready(Ok(())) => kept.done(),
                    Poll::Ready(Err(error)) => return Ran::Failed(Failure::from(error)),
                    Poll::Pending => return Ran::Waits,
                }
            }
        }));
        ran.unwrap_or_else(|payload| {
            self.drop_future();
            Ran::Failed(Failure::of_panic(&*payload))
        })
    }
}

impl<F, Fut> Room<F, Fut>
where
    F: Fn(ReceivedEvent, Partition) -> Fut,
    Fut: Future<Output = Result<(), HandlerError>>,
{
    /// Calls with one event of a run. Always inlined: an event is large to move.
    #[inline(always)]
    fn call(
        &mut self,
        event: ReceivedEvent,
        intake: &mut Intake<'_>,
        kept: &mut Kept,
        partition: &Partition,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), HandlerError>> {
        intake.took(&event);
        kept.begin(&event);
        self.future.set(Some((self.handle)(event, partition.clone())));
        self.poll_future(cx)
    }
}

impl<F, Fut> Room<F, Fut> {
    /// A panic while dropping: the handler has failed already.
    #[cold]
    fn drop_future(&mut self) {
        let _ = catch_unwind(AssertUnwindSafe(|| self.future.set(None)));
    }

    #[inline]
    fn told(
        &mut self,
        polled: Result<Poll<Result<(), HandlerError>>, Box<dyn Any + Send>>,
    ) -> Poll<Result<(), Failure>> {
        match polled {
            Ok(polled) => polled.map_err(Failure::from),
            Err(payload) => {
                self.drop_future();
                Poll::Ready(Err(Failure::of_panic(&*payload)))
            }
        }
    }
}
