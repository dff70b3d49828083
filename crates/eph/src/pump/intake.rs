//! The shortest way from a link to a handler, when there is one handler and nothing else to do.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use eventhubs_client::{Error, EventStream};
use eventhubs_protocol::ReceivedEvent;
use futures_util::Stream;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::clock;

/// Why no event is handed over.
#[derive(Debug)]
pub(crate) enum End {
    /// Nothing is here, or what is here has to wait.
    Waits,
    /// Something came that is no event.
    Told(Error),
    /// The stream has ended.
    Over,
    /// The ownership has to be asked whether handlers may start.
    Look,
    /// The host is paused, or was.
    Paused,
    /// Others have their turn.
    Enough,
}

/// Until when handlers may start: what the ownership says, as an instant that a clock can be compared
/// with at once.
#[derive(Debug)]
pub(crate) struct Fence {
    nanos: u64,
    at: Instant,
}

impl Fence {
    pub(crate) fn new() -> Self {
        Self { nanos: 0, at: clock::instant(Duration::ZERO) }
    }

    /// Whether a handler may start now, as far as that is known without the ownership's help. Reads
    /// the clock, so that it is right after the process stood still.
    #[inline]
    pub(crate) fn stands(&mut self, until: &AtomicU64) -> bool {
        let nanos = until.load(Ordering::Acquire);
        if nanos != self.nanos {
            self.nanos = nanos;
            self.at = clock::instant(Duration::from_nanos(nanos));
        }
        clock::now() < self.at
    }
}

/// The events of a link, for one handler that takes them as they come.
#[derive(Debug)]
pub(crate) struct Intake<'a> {
    pub(crate) stream: &'a mut EventStream,
    pub(crate) fence: &'a mut Fence,
    pub(crate) until: &'a AtomicU64,
    pub(crate) paused: &'a watch::Receiver<bool>,
    /// Number of the last event that was handed over.
    pub(crate) taken: &'a mut i64,
    /// Events that may still be handed over in this turn.
    pub(crate) left: u32,
}

impl Intake<'_> {
    /// Whether anything speaks against taking the next event.
    #[inline]
    pub(crate) fn refuses(&self) -> Option<End> {
        if self.left == 0 {
            return Some(End::Enough);
        }
        self.paused.has_changed().unwrap_or(false).then_some(End::Paused)
    }

    /// What the stream says when [its next event](EventStream::try_next) is not here.
    #[cold]
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Result<ReceivedEvent, End> {
        match Pin::new(&mut *self.stream).poll_next(cx) {
            Poll::Ready(Some(Ok(event))) => Ok(event),
            Poll::Ready(Some(Err(error))) => Err(End::Told(error)),
            Poll::Ready(None) => Err(End::Over),
            Poll::Pending => Err(End::Waits),
        }
    }

    /// An event is handed over.
    #[inline]
    pub(crate) fn took(&mut self, event: &ReceivedEvent) {
        self.left -= 1;
        *self.taken = event.sequence_number().as_i64();
    }

    /// The next event, to be collected.
    #[inline]
    pub(crate) fn next(&mut self, cx: &mut Context<'_>) -> Result<ReceivedEvent, End> {
        if let Some(end) = self.refuses() {
            return Err(end);
        }
        let event = match self.stream.try_next() {
            Some(event) => event,
            None => self.poll(cx)?,
        };
        self.took(&event);
        Ok(event)
    }

    /// Whether a handler may start now.
    #[inline]
    pub(crate) fn may_handle(&mut self) -> bool {
        self.fence.stands(self.until)
    }
}

/// The last events that a handler was given: the one it has, and the one before it, which is
/// finished and not entered yet.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    events: [Option<ReceivedEvent>; 2],
    /// Which of them the handler has or had last.
    at: usize,
    /// Whether that one is finished too.
    is_done: bool,
}

impl Kept {
    /// The handler is given an event, and has finished the one before.
    #[inline]
    pub(crate) fn begin(&mut self, event: &ReceivedEvent) {
        self.at ^= 1;
        self.events[self.at & 1] = Some(event.clone());
        self.is_done = false;
    }

    /// It has finished it.
    #[inline]
    pub(crate) fn done(&mut self) {
        self.is_done = true;
    }

    /// The handler failed at it.
    pub(crate) fn take_current(&mut self) -> Option<ReceivedEvent> {
        match self.is_done {
            true => None,
            false => self.events[self.at & 1].take(),
        }
    }

    /// The last event that is finished, once.
    pub(crate) fn take_done(&mut self) -> Option<ReceivedEvent> {
        let at = self.at & 1;
        match self.is_done {
            true => {
                self.events[at ^ 1] = None;
                self.events[at].take()
            }
            false => self.events[at ^ 1].take(),
        }
    }
}
