//! From the link to the handlers: the part of a pump that runs for every event.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use eventhubs_client::{Error, EventStream};
use eventhubs_protocol::ReceivedEvent;
use futures_util::Stream;
use tokio::sync::watch;
use tracing::Span;

use crate::handler::HandlerId;
use crate::host::Shared;

use super::desk::Common;
use super::failures::Failures;
use super::intake::{End, Fence, Intake};
use super::post::Post;
use super::prefix::UNKNOWN;
use super::track::{Failed, Step, Track};

/// Events in one turn, after which other tasks get theirs.
const TURN_MAX: u32 = 128;

/// Why the flow stands still.
#[derive(Debug)]
pub(crate) enum Turn {
    /// A handler failed.
    Failed(Failed),
    /// Something came that is no event; what follows it is next.
    Told(Error),
    /// The stream has ended with this.
    Ended(Error),
    /// No handler may start any more.
    Fenced,
    /// It was told to run dry, and has.
    Dry,
}

/// Events of one partition on their way to its handlers. A future that is polled by hand: as long as
/// events are here and handlers are ready at once, nothing is made or awaited for one.
pub(crate) struct Flow<P> {
    shared: Arc<Shared>,
    common: Arc<Common<P>>,
    pub(crate) stream: Option<EventStream>,
    pub(crate) tracks: Vec<Track<P>>,
    pub(crate) failures: Failures,
    paused: watch::Receiver<bool>,
    is_paused: bool,
    /// Number of the last event that was taken from a stream.
    pub(crate) taken: i64,
    /// Nothing is taken or started any more.
    pub(crate) runs_dry: bool,
    /// What has to be decided, when several handlers came to something at once.
    turns: VecDeque<Turn>,
    fence: Fence,
    span: Span,
}

impl<P: Post> Flow<P> {
    pub(crate) fn new(shared: &Arc<Shared>, common: &Arc<Common<P>>, taken: i64) -> Self {
        let mut paused = shared.paused.clone();
        let is_paused = *paused.borrow_and_update();
        Self {
            shared: Arc::clone(shared),
            common: Arc::clone(common),
            stream: None,
            tracks: Vec::new(),
            failures: Failures::new(shared.options.failures),
            paused,
            is_paused,
            taken,
            runs_dry: false,
            turns: VecDeque::new(),
            fence: Fence::new(),
            span: Span::none(),
        }
    }

    /// The track of a handler.
    pub(crate) fn track(&mut self, id: HandlerId) -> Option<&mut Track<P>> {
        self.tracks.iter_mut().find(|track| track.id() == id)
    }

    /// Lets events flow until something has to be decided.
    ///
    /// Cancel safe.
    pub(crate) async fn turn(&mut self) -> Turn {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        let turn = self.span().in_scope(|| self.poll_turn(cx));
        self.settle();
        if turn.is_pending() && !self.is_running() {
            // The run of events is over; the next one is another.
            self.span = Span::none();
        }
        turn
    }

    fn span(&mut self) -> Span {
        if self.span.is_none() {
            let (partition, level) = (self.common.place.id, self.common.post.owner_level());
            self.span = tracing::debug_span!("process", %partition, owner_level = level.as_i64());
        }
        self.span.clone()
    }

    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        let dry = self.runs_dry;
        self.each_track(|track, taken| track.poll(cx, taken, dry));
        if let Some(turn) = self.turns.pop_front() {
            return Poll::Ready(turn);
        }
        self.tracks.retain(|track| !track.is_gone());
        if self.runs_dry {
            return match self.is_running() {
                true => Poll::Pending,
                false => Poll::Ready(Turn::Dry),
            };
        }
        for _ in 0..TURN_MAX {
            if let Some(turn) = self.poll_alone(cx) {
                return turn;
            }
            if !self.may_take() {
                return self.start(cx);
            }
            let Some(stream) = &mut self.stream else { return self.start(cx) };
            match Pin::new(stream).poll_next(cx) {
                Poll::Ready(Some(Ok(event))) => {
                    let number = event.sequence_number().as_i64();
                    if self.taken == UNKNOWN {
                        self.common.ledger().begin(number);
                    }
                    self.taken = number;
                    self.give(event, cx);
                    if let Some(turn) = self.turns.pop_front() {
                        return Poll::Ready(turn);
                    }
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(self.told(error)),
                // The error came before.
                Poll::Ready(None) => {
                    self.stream = None;
                    return Poll::Pending;
                }
                Poll::Pending => return self.start(cx),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// The same turn where there is one handler and nothing but events: most of the time.
    fn poll_alone(&mut self, cx: &mut Context<'_>) -> Option<Poll<Turn>> {
        let mut left = TURN_MAX;
        loop {
            if self.tracks.len() != 1 || self.taken == UNKNOWN || !self.may_take() {
                return None;
            }
            let ([track], Some(stream)) = (&mut self.tracks[..], &mut self.stream) else {
                return None;
            };
            if !track.is_beyond(self.taken) {
                return None;
            }
            let mut intake = Intake {
                stream,
                fence: &mut self.fence,
                until: self.common.post.until(),
                paused: &self.paused,
                taken: &mut self.taken,
                left,
            };
            let ran = track.run(&mut intake, cx);
            left = intake.left;
            return match ran {
                Ok(End::Look) if !self.common.post.may_handle() => Some(Poll::Ready(Turn::Fenced)),
                Ok(End::Enough) if left == 0 => {
                    cx.waker().wake_by_ref();
                    Some(Poll::Pending)
                }
                Ok(End::Look | End::Paused | End::Enough) => continue,
                Ok(End::Waits) => Some(self.start(cx)),
                Ok(End::Told(error)) => Some(Poll::Ready(self.told(error))),
                Ok(End::Over) => {
                    self.stream = None;
                    Some(Poll::Pending)
                }
                Err(step) => turn_of(*step).map(Poll::Ready),
            };
        }
    }

    /// What came that is no event.
    #[cold]
    fn told(&mut self, error: Error) -> Turn {
        match error.ends_stream() {
            true => {
                self.stream = None;
                Turn::Ended(error)
            }
            false => Turn::Told(error),
        }
    }

    /// Whether the next event may be taken: all who get events have room, and there is somebody.
    #[inline]
    fn may_take(&mut self) -> bool {
        if self.paused.has_changed().unwrap_or(false) {
            self.is_paused = *self.paused.borrow_and_update();
        }
        let mut is_anybody_open = false;
        for track in &self.tracks {
            match track.is_open() {
                true if !track.has_room() => return false,
                true => is_anybody_open = true,
                false if track.holds_up() => return false,
                false => {}
            }
        }
        is_anybody_open && !self.is_paused
    }

    /// Gives an event to all who get events, to each a clone but to the last.
    #[inline]
    fn give(&mut self, event: ReceivedEvent, cx: &mut Context<'_>) {
        let turns = &mut self.turns;
        let mut open = self.tracks.iter_mut().filter(|track| track.is_open());
        let Some(mut track) = open.next() else { return };
        for next in open {
            turns.extend(turn_of(track.give(event.clone(), cx)));
            track = next;
        }
        match track.give(event, cx) {
            Step::Fine => {}
            step => turns.extend(turn_of(step)),
        }
    }

    /// Starts what waits, once it is known that the partition is still this host's: the stream has
    /// just been asked.
    fn start(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        if self.is_paused {
            return Poll::Pending;
        }
        self.each_track(|track, _| match track.is_open() {
            true => track.start(cx),
            false => Step::Fine,
        });
        self.turns.pop_front().map_or(Poll::Pending, Poll::Ready)
    }

    fn each_track(&mut self, mut step: impl FnMut(&mut Track<P>, i64) -> Step) {
        let (taken, turns) = (self.taken, &mut self.turns);
        for track in &mut self.tracks {
            turns.extend(turn_of(step(track, taken)));
        }
    }

    /// Whether a call runs.
    pub(crate) fn is_running(&self) -> bool {
        self.tracks.iter().any(Track::is_running)
    }

    /// Tells the ownership how far all handlers are.
    fn settle(&mut self) {
        self.tracks.iter_mut().for_each(Track::enter);
        if self.failures.count() > 0 {
            self.settle_failures();
        }
        let Some((event, events)) = self.common.settle() else { return };
        self.shared.counters.events_handled.add(events);
        if let Some(last) = event.last_enqueued() {
            let behind = last.sequence_number.as_i64() - event.sequence_number().as_i64();
            let events = u64::try_from(behind).unwrap_or_default();
            let now = last.retrieval_time.or(last.enqueued_time);
            let time = now.map(|now| match events {
                0 => std::time::Duration::ZERO,
                _ => now.saturating_since(event.enqueued_time()),
            });
            self.common.post.set_lag(Some(events), time);
        }
    }

    #[cold]
    fn settle_failures(&mut self) {
        let handled = self.common.ledger().handled();
        self.failures.went_on(handled.unwrap_or(UNKNOWN));
        if !self.tracks.iter().any(Track::is_opening) {
            self.failures.opened();
        }
        self.common.post.set_failures(self.failures.count());
    }
}

#[inline]
fn turn_of(step: Step) -> Option<Turn> {
    match step {
        Step::Fine => None,
        Step::Failed(failed) => Some(Turn::Failed(failed)),
        Step::Fenced => Some(Turn::Fenced),
    }
}
