//! A sending link.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::clock;
use super::connection::Connection;
use super::error::{LinkClosed, SendFailure};
use super::inbox::{Inbox, lock};
use super::ring::{SendResult, SendRing};
use super::turns::{Turn, Turns};
use crate::codec::performative::{Attach, Role, SenderSettleMode};
use crate::codec::{Map, Source, Symbol, Target};
use crate::engine::SessionOptions;

/// Options of a [`Sender`].
#[derive(Clone, Debug)]
pub struct SenderOptions {
    /// Name of the link, unique on its session. Empty: one is made.
    pub name: String,
    /// Where to send.
    pub target: Target,
    /// What we call ourselves.
    pub source: Source,
    /// Properties of the attach.
    pub properties: Map,
    /// Capabilities we would like the peer to have.
    pub desired_capabilities: Vec<Symbol>,
    /// Whether sends are settled from the start, so that there is no outcome. Default
    /// [`SenderSettleMode::Unsettled`].
    pub settle_mode: SenderSettleMode,
    /// Count of our first delivery. Default 0.
    pub initial_delivery_count: u32,
    /// Time for the peer to answer the attach. Default 15 s.
    pub attach_timeout: Duration,
    /// Time for a send to get its outcome, from the moment it is queued. Default 30 s.
    pub send_timeout: Duration,
    /// Sends without an outcome above which [`Sender::ready`] waits. Default 4 096.
    pub pending_max: usize,
    /// Bytes of such sends above which [`Sender::ready`] waits. Default 16 MiB.
    pub pending_bytes_max: usize,
    /// The link's own session.
    pub session: SessionOptions,
}

impl SenderOptions {
    /// Sends to `address`.
    pub fn to(address: impl Into<String>) -> Self {
        Self {
            target: Target { address: Some(address.into()), ..Target::default() },
            ..Self::default()
        }
    }

    pub(crate) fn attach(&self, name: String) -> Attach {
        Attach {
            name,
            role: Role::Sender,
            snd_settle_mode: self.settle_mode,
            source: Some(self.source.clone()),
            target: Some(self.target.clone()),
            initial_delivery_count: Some(self.initial_delivery_count),
            desired_capabilities: self.desired_capabilities.clone(),
            properties: self.properties.clone(),
            ..Attach::default()
        }
    }
}

impl Default for SenderOptions {
    fn default() -> Self {
        Self {
            name: String::new(),
            target: Target::default(),
            source: Source::default(),
            properties: Map::default(),
            desired_capabilities: Vec::new(),
            settle_mode: SenderSettleMode::Unsettled,
            initial_delivery_count: 0,
            attach_timeout: Duration::from_secs(15),
            send_timeout: Duration::from_secs(30),
            pending_max: 4096,
            pending_bytes_max: 16 << 20,
            session: SessionOptions::default(),
        }
    }
}

/// How far a sender's queue may pass the point where [`Sender::ready`] waits: beyond that a send
/// fails at once.
const HARD_FACTOR: usize = 16;

#[derive(Debug)]
pub(crate) struct SendState {
    pub(crate) ring: SendRing,
    pub(crate) closed: Option<LinkClosed>,
    /// Listed in the inbox already.
    pub(crate) dirty: bool,
    /// No handle is left, or a detach was asked for.
    pub(crate) leaving: bool,
    /// Our detach waits for deliveries that wait for the session window.
    pub(crate) lingers: bool,
    /// Our detach is on its way.
    pub(crate) left: bool,
    /// An entry of the deadline queue watches the oldest send.
    pub(crate) armed: bool,
    /// Those who wait for room.
    pub(crate) room: Turns,
    /// Wakers of those who wait for the end of the link.
    pub(crate) ending: Vec<Waker>,
    /// When the owner task last saw a new send or an outcome; before that, when the link was made.
    pub(crate) active: Instant,
}

impl SendState {
    fn new(now: Instant) -> Self {
        Self {
            ring: SendRing::default(),
            closed: None,
            dirty: false,
            leaving: false,
            lingers: false,
            left: false,
            armed: false,
            room: Turns::default(),
            ending: Vec::new(),
            active: now,
        }
    }
}

/// The part of a sender that its handles and the owner task share.
#[derive(Debug)]
pub(crate) struct SendLink {
    pub(crate) state: Mutex<SendState>,
    inbox: Arc<Inbox>,
    /// The owner task's name for it, once it has one.
    pub(crate) id: std::sync::OnceLock<crate::engine::LinkId>,
    pub(crate) send_timeout: Duration,
    pub(crate) settled: bool,
    pending_max: usize,
    pending_bytes_max: usize,
}

impl SendLink {
    pub(crate) fn new(options: &SenderOptions, inbox: Arc<Inbox>) -> Self {
        Self {
            state: Mutex::new(SendState::new(clock::now())),
            inbox,
            id: std::sync::OnceLock::new(),
            send_timeout: options.send_timeout,
            settled: options.settle_mode == SenderSettleMode::Settled,
            pending_max: options.pending_max,
            pending_bytes_max: options.pending_bytes_max,
        }
    }

    pub(crate) fn has_room(&self, state: &SendState) -> bool {
        state.ring.pending() < self.pending_max && state.ring.bytes() < self.pending_bytes_max
    }

    fn mark(self: &Arc<Self>, mut state: std::sync::MutexGuard<'_, SendState>) {
        let first = !std::mem::replace(&mut state.dirty, true);
        drop(state);
        if first {
            self.inbox.sender(Arc::clone(self));
        }
    }

    fn leave(self: &Arc<Self>) {
        let mut state = lock(&self.state);
        if state.closed.is_none() {
            state.leaving = true;
            self.mark(state);
        }
    }
}

/// The one owner of a sending link; dropping it detaches the link when its sends are through.
#[derive(Debug)]
pub(crate) struct SendOwner(pub(crate) Arc<SendLink>);

impl Drop for SendOwner {
    fn drop(&mut self) {
        self.0.leave();
    }
}

#[derive(Debug)]
struct Handle {
    link: SendOwner,
    remote: Box<Attach>,
    /// Keeps the connection open while the link is wanted.
    _connection: Connection,
}

/// A sending link. Clones share it; when the last one and the last [`Sending`] are gone, it is
/// detached.
#[derive(Clone, Debug)]
pub struct Sender {
    handle: Arc<Handle>,
}

impl Sender {
    pub(crate) fn new(link: SendOwner, remote: Box<Attach>, connection: Connection) -> Self {
        Self { handle: Arc::new(Handle { link, remote, _connection: connection }) }
    }

    /// Queues a delivery at once and gives a future of its outcome. Deliveries leave in the order
    /// of these calls, as many at a time as the peer grants credit.
    ///
    /// Nothing waits here: use [`ready`](Self::ready) for back-pressure. A queue that has grown to
    /// sixteen times its bound fails the send.
    ///
    /// # Errors
    ///
    /// The future gives a [`SendFailure`] when there is no outcome of the peer.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future withdraws a delivery that has not been written; one that has been may
    /// reach the peer.
    pub fn send(&self, payload: Bytes, message_format: u32) -> Sending {
        let link = &self.handle.link.0;
        let mut state = lock(&link.state);
        let refused = match &state.closed {
            Some(closed) => Some(SendFailure::NotSent(closed.clone())),
            None if state.leaving => Some(SendFailure::NotSent(LinkClosed::Local)),
            None if state.ring.pending() >= link.pending_max.saturating_mul(HARD_FACTOR)
                || state.ring.bytes() >= link.pending_bytes_max.saturating_mul(HARD_FACTOR) =>
            {
                Some(SendFailure::NotSentInTime(Duration::ZERO))
            }
            None => None,
        };
        if let Some(failure) = refused {
            return Sending {
                handle: Arc::clone(&self.handle),
                step: Step::Refused(Box::new(failure)),
            };
        }
        let number = state.ring.push(payload, message_format);
        link.mark(state);
        Sending { handle: Arc::clone(&self.handle), step: Step::Queued(number) }
    }

    /// Waits until fewer sends and bytes are pending than the options allow, or the link is gone.
    /// Those who wait get their turns in the order in which they came.
    ///
    /// Cancel safe. Ends by the send time-out at the latest, as every pending send does.
    pub async fn ready(&self) {
        Ready { link: &self.handle.link.0, turn: None }.await;
    }

    /// The peer's attach.
    pub fn remote_attach(&self) -> &Attach {
        &self.handle.remote
    }

    /// Largest message the peer takes, in bytes; `None` when it names no limit.
    pub fn max_message_size(&self) -> Option<u64> {
        self.handle.remote.max_message_size.filter(|size| *size != 0)
    }

    /// Deliveries written on this link so far, so that it can be made anew before its 32-bit counters
    /// wrap.
    pub fn sent(&self) -> u64 {
        lock(&self.handle.link.0.state).ring.written()
    }

    /// Since when nothing happens on this link: the last send was queued or got its outcome then; if
    /// there was none, the link was attached. `None` while a send waits for its outcome. As of the
    /// owner task's last turn.
    pub fn idle_since(&self) -> Option<Instant> {
        let state = lock(&self.handle.link.0.state);
        (state.ring.pending() == 0).then_some(state.active)
    }

    /// Why the link is gone, if it is.
    pub fn close_reason(&self) -> Option<LinkClosed> {
        lock(&self.handle.link.0.state).closed.clone()
    }

    /// Waits until the link is gone.
    ///
    /// Cancel safe.
    pub async fn closed(&self) -> LinkClosed {
        poll_fn(|cx| {
            let mut state = lock(&self.handle.link.0.state);
            if let Some(closed) = &state.closed {
                return Poll::Ready(closed.clone());
            }
            if !state.ending.iter().any(|waker| waker.will_wake(cx.waker())) {
                state.ending.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await
    }

    /// Asks for a detach without waiting for it; what [`detach`](Self::detach) does first.
    pub fn start_detach(&self) {
        self.handle.link.0.leave();
    }

    /// Detaches the link once the queued sends are through, by their deadline, and waits for the
    /// peer's answer, by a deadline too.
    ///
    /// Cancel safe: the detach goes on. Later calls wait for the same end.
    pub async fn detach(&self) -> LinkClosed {
        self.start_detach();
        self.closed().await
    }
}

#[derive(Debug)]
enum Step {
    Queued(u64),
    Refused(Box<SendFailure>),
    Finished,
}

/// The outcome of one [`Sender::send`].
#[derive(Debug)]
#[must_use = "a send that is not awaited may be withdrawn"]
pub struct Sending {
    handle: Arc<Handle>,
    step: Step,
}

impl Sending {
    /// Gives it up, as dropping it does. True when nothing of it was written, so that the peer does
    /// not get it.
    pub fn withdraw(mut self) -> bool {
        match std::mem::replace(&mut self.step, Step::Finished) {
            Step::Queued(number) => self.abandon(number),
            Step::Refused(_) => true,
            Step::Finished => false,
        }
    }

    fn abandon(&self, number: u64) -> bool {
        let link = &self.handle.link.0;
        let mut state = lock(&link.state);
        let withdrawn = state.ring.abandon(number);
        if state.leaving || !state.room.is_empty() {
            // Somebody may have waited for this one only.
            link.mark(state);
        }
        withdrawn
    }
}

impl Future for Sending {
    type Output = SendResult;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<SendResult> {
        match &self.step {
            Step::Queued(number) => {
                let result = lock(&self.handle.link.0.state).ring.poll(*number, cx);
                if result.is_ready() {
                    self.step = Step::Finished;
                }
                result
            }
            Step::Refused(failure) => {
                let failure = SendFailure::clone(failure);
                self.step = Step::Finished;
                Poll::Ready(Err(failure))
            }
            Step::Finished => Poll::Pending,
        }
    }
}

/// Waits for room, and for those who came earlier.
struct Ready<'a> {
    link: &'a SendLink,
    turn: Option<Turn>,
}

impl Ready<'_> {
    /// Gives the place up, and the turn to the next if there is room: the wake-up that told of it
    /// may have been ours.
    fn leave(&mut self, state: &mut SendState) {
        let Some(turn) = self.turn.take() else { return };
        state.room.leave(turn);
        if state.closed.is_none()
            && self.link.has_room(state)
            && let Some(next) = state.room.first()
        {
            next.wake_by_ref();
        }
    }
}

impl Future for Ready<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut state = lock(&this.link.state);
        let is_over = state.closed.is_some();
        if is_over || (state.room.is_next(this.turn) && this.link.has_room(&state)) {
            this.leave(&mut state);
            return Poll::Ready(());
        }
        this.turn = Some(state.room.wait(this.turn, cx.waker()));
        Poll::Pending
    }
}

impl Drop for Ready<'_> {
    fn drop(&mut self) {
        if self.turn.is_some() {
            self.leave(&mut lock(&self.link.state));
        }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        if let Step::Queued(number) = self.step {
            self.abandon(number);
        }
    }
}
