//! A receiving link.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::accepted::Accepted;
use super::clock;
use super::connection::Connection;
use super::credit;
use super::error::LinkClosed;
use super::inbox::{Inbox, lock};
use crate::codec::performative::{Attach, ReceiverSettleMode, Role, SenderSettleMode};
use crate::codec::{DeliveryState, Map, Source, Symbol, Target};
use crate::engine::{Delivery, SessionOptions};

/// Options of a [`Receiver`].
#[derive(Clone, Debug)]
pub struct ReceiverOptions {
    /// Name of the link, unique on its session. Empty: one is made.
    pub name: String,
    /// Where to receive from, with filters.
    pub source: Source,
    /// What we call ourselves.
    pub target: Target,
    /// Properties of the attach.
    pub properties: Map,
    /// Capabilities we would like the peer to have.
    pub desired_capabilities: Vec<Symbol>,
    /// How the sender should settle. Default [`SenderSettleMode::Settled`]: no dispositions.
    pub settle_mode: SenderSettleMode,
    /// When we settle. Default [`ReceiverSettleMode::First`].
    pub receiver_settle_mode: ReceiverSettleMode,
    /// Whether unsettled deliveries are accepted as they are handed out. Default true; otherwise
    /// call [`Receiver::settle`].
    pub auto_accept: bool,
    /// Deliveries that may wait here or be on their way. Default 300.
    pub prefetch: u32,
    /// Bytes that may wait here before no more credit is granted. Default 64 MiB.
    pub prefetch_bytes: usize,
    /// Largest message we take, in bytes; 0 is no limit. Default 0.
    pub max_message_size: u64,
    /// Time for the peer to answer the attach. Default 15 s.
    pub attach_timeout: Duration,
    /// The link's own session.
    pub session: SessionOptions,
}

impl ReceiverOptions {
    /// Receives from `address`.
    pub fn from(address: impl Into<String>) -> Self {
        Self {
            source: Source { address: Some(address.into()), ..Source::default() },
            ..Self::default()
        }
    }

    pub(crate) fn attach(&self, name: String) -> Attach {
        Attach {
            name,
            role: Role::Receiver,
            snd_settle_mode: self.settle_mode,
            rcv_settle_mode: self.receiver_settle_mode,
            source: Some(self.source.clone()),
            target: Some(self.target.clone()),
            max_message_size: (self.max_message_size != 0).then_some(self.max_message_size),
            desired_capabilities: self.desired_capabilities.clone(),
            properties: self.properties.clone(),
            ..Attach::default()
        }
    }
}

impl Default for ReceiverOptions {
    fn default() -> Self {
        Self {
            name: String::new(),
            source: Source::default(),
            target: Target::default(),
            properties: Map::default(),
            desired_capabilities: Vec::new(),
            settle_mode: SenderSettleMode::Settled,
            receiver_settle_mode: ReceiverSettleMode::First,
            auto_accept: true,
            prefetch: 300,
            prefetch_bytes: 64 << 20,
            max_message_size: 0,
            attach_timeout: Duration::from_secs(15),
            session: SessionOptions::default(),
        }
    }
}

/// Deliveries `first..=last` and what to say of them.
#[derive(Debug)]
pub(crate) struct Settlement {
    pub(crate) first: u32,
    pub(crate) last: u32,
    pub(crate) state: DeliveryState,
    pub(crate) settled: bool,
}

#[derive(Debug)]
pub(crate) struct ReceiveState {
    /// Whole reads of the owner task; bounded by the credit it grants.
    pub(crate) queue: Vec<Delivery>,
    pub(crate) waker: Option<Waker>,
    pub(crate) closed: Option<LinkClosed>,
    /// Consumed since the owner task last looked.
    pub(crate) taken: u32,
    pub(crate) taken_bytes: usize,
    pub(crate) settlements: Vec<Settlement>,
    /// The peer has so little credit that consumption should be reported before a whole step of it.
    pub(crate) starving: bool,
    pub(crate) dirty: bool,
    /// The handle is gone, or a detach was asked for.
    pub(crate) leaving: bool,
    /// When the last deliveries arrived; when there were none yet, when the link was made.
    pub(crate) arrived: Instant,
}

impl ReceiveState {
    fn new(now: Instant) -> Self {
        Self {
            queue: Vec::new(),
            waker: None,
            closed: None,
            taken: 0,
            taken_bytes: 0,
            settlements: Vec::new(),
            starving: false,
            dirty: false,
            leaving: false,
            arrived: now,
        }
    }
}

/// The part of a receiver that its handle and the owner task share.
#[derive(Debug)]
pub(crate) struct ReceiveLink {
    pub(crate) state: Mutex<ReceiveState>,
    inbox: Arc<Inbox>,
    /// The owner task's name for it, once it has one.
    pub(crate) id: std::sync::OnceLock<crate::engine::LinkId>,
    pub(crate) prefetch: u32,
    pub(crate) prefetch_bytes: usize,
    /// Set together with `closed`, for those who must not take the lock at every delivery.
    pub(crate) gone: AtomicBool,
    /// Credit the peer had when the owner task last changed or used it.
    pub(crate) credit: AtomicU32,
    /// Unsettled deliveries handed out since the last report.
    pub(crate) accepted: Accepted,
    pub(crate) settled_by_peer: bool,
}

impl ReceiveLink {
    pub(crate) fn new(options: &ReceiverOptions, inbox: Arc<Inbox>) -> Self {
        Self {
            state: Mutex::new(ReceiveState::new(clock::now())),
            inbox,
            id: std::sync::OnceLock::new(),
            prefetch: options.prefetch.max(1),
            prefetch_bytes: options.prefetch_bytes,
            gone: AtomicBool::new(false),
            credit: AtomicU32::new(0),
            accepted: Accepted::default(),
            settled_by_peer: options.receiver_settle_mode == ReceiverSettleMode::Second,
        }
    }

    fn mark(self: &Arc<Self>, mut state: std::sync::MutexGuard<'_, ReceiveState>) {
        let first = !std::mem::replace(&mut state.dirty, true);
        drop(state);
        if first {
            self.inbox.receiver(Arc::clone(self));
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

/// The one owner of a receiving link; dropping it detaches the link.
#[derive(Debug)]
pub(crate) struct ReceiveOwner(pub(crate) Arc<ReceiveLink>);

impl Drop for ReceiveOwner {
    fn drop(&mut self) {
        self.0.leave();
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.report();
    }
}

/// A receiving link. Dropping it detaches the link; what still arrives is dropped silently.
#[derive(Debug)]
pub struct Receiver {
    link: ReceiveOwner,
    remote: Box<Attach>,
    /// Taken from the shared queue, not yet handed out.
    local: VecDeque<Delivery>,
    taken: u32,
    taken_bytes: usize,
    /// Handed out and reported.
    reported: u64,
    /// Deliveries, and their bytes, that are reported at a time.
    step: u32,
    step_bytes: usize,
    auto_accept: bool,
    _connection: Connection,
}

impl Receiver {
    pub(crate) fn new(
        link: ReceiveOwner,
        remote: Box<Attach>,
        options: &ReceiverOptions,
        connection: Connection,
    ) -> Self {
        Self {
            remote,
            local: VecDeque::new(),
            taken: 0,
            taken_bytes: 0,
            reported: 0,
            step: credit::step(link.0.prefetch),
            step_bytes: credit::step_bytes(link.0.prefetch_bytes),
            auto_accept: options.auto_accept,
            link,
            _connection: connection,
        }
    }

    /// The next delivery. Handing it out returns its credit, a quarter of the prefetch at a time,
    /// and accepts it if it is unsettled and `auto_accept` is on.
    ///
    /// # Errors
    ///
    /// [`LinkClosed`] when the link is gone and everything that had arrived has been handed out.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a delivery is only taken together with being returned.
    pub async fn recv(&mut self) -> Result<Delivery, LinkClosed> {
        if let Some(delivery) = self.try_recv() {
            return Ok(delivery);
        }
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// [`recv`](Self::recv) for those who poll.
    #[inline]
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Delivery, LinkClosed>> {
        loop {
            if let Some(delivery) = self.try_recv() {
                return Poll::Ready(Ok(delivery));
            }
            match self.poll_fill(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(closed)) => return Poll::Ready(Err(closed)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// A delivery that is already in hand, without looking at the shared queue.
    #[inline]
    pub fn try_recv(&mut self) -> Option<Delivery> {
        let delivery = self.local.pop_front()?;
        self.taken += 1;
        self.taken_bytes += delivery.held_bytes();
        if !delivery.settled() && self.auto_accept {
            self.accept(delivery.id());
        }
        if self.taken >= self.step || self.taken_bytes >= self.step_bytes {
            self.report();
        }
        Some(delivery)
    }

    fn accept(&mut self, id: u32) {
        if let Some(range) = self.link.0.accepted.add(id) {
            self.push_accepted(range);
        }
    }

    fn push_accepted(&mut self, (first, last): (u32, u32)) {
        let settled = !self.link.0.settled_by_peer;
        let state = DeliveryState::Accepted;
        lock(&self.link.0.state).settlements.push(Settlement { first, last, state, settled });
    }

    /// Tells the owner task what was consumed.
    fn report(&mut self) {
        if let Some(range) = self.link.0.accepted.take() {
            self.push_accepted(range);
        }
        self.reported += u64::from(self.taken);
        let mut state = lock(&self.link.0.state);
        state.taken += std::mem::take(&mut self.taken);
        state.taken_bytes += std::mem::take(&mut self.taken_bytes);
        self.link.0.mark(state);
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkClosed>> {
        if !self.link.0.accepted.is_empty() {
            // Nobody knows how long the next delivery takes; the peer should not wait for it.
            self.report();
        }
        let spare = Vec::from(std::mem::take(&mut self.local));
        let mut state = lock(&self.link.0.state);
        if state.starving && self.taken > 0 && state.queue.is_empty() {
            drop(state);
            self.report();
            state = lock(&self.link.0.state);
        }
        if !state.queue.is_empty() {
            self.local = VecDeque::from(std::mem::replace(&mut state.queue, spare));
            return Poll::Ready(Ok(()));
        }
        let closed = state.closed.clone();
        if closed.is_none() {
            match &mut state.waker {
                Some(waker) => waker.clone_from(cx.waker()),
                empty => *empty = Some(cx.waker().clone()),
            }
        }
        drop(state);
        self.local = VecDeque::from(spare);
        match closed {
            Some(closed) => Poll::Ready(Err(closed)),
            None => Poll::Pending,
        }
    }

    /// Settles one delivery, when `auto_accept` is off.
    pub fn settle(&mut self, delivery: &Delivery, state: DeliveryState) {
        if delivery.settled() {
            return;
        }
        let id = delivery.id();
        let settled = !self.link.0.settled_by_peer;
        let mut shared = lock(&self.link.0.state);
        shared.settlements.push(Settlement { first: id, last: id, state, settled });
        self.link.0.mark(shared);
    }

    /// The peer's attach.
    pub fn remote_attach(&self) -> &Attach {
        &self.remote
    }

    /// Why the link is gone, if it is. Deliveries may be left all the same.
    pub fn close_reason(&self) -> Option<LinkClosed> {
        lock(&self.link.0.state).closed.clone()
    }

    /// Whether the link is gone; one atomic load, so that it may be asked at every delivery. True as
    /// soon as the owner task knows, though deliveries that came before may be left to hand out.
    #[inline]
    pub fn is_closed(&self) -> bool {
        self.link.0.gone.load(Ordering::Acquire)
    }

    /// Whether the peer may send: it has credit that it has not used, and the link is up. A link
    /// without credit is silent because its reader is slow, not because its peer is. As of the owner
    /// task's last turn; one atomic load each.
    pub fn has_credit(&self) -> bool {
        !self.is_closed() && self.link.0.credit.load(Ordering::Relaxed) > 0
    }

    /// When the last deliveries arrived here, handed out since or not; when none has, when the link
    /// was attached. Takes the link's lock: for a watchdog, not for every delivery.
    pub fn idle_since(&self) -> Instant {
        lock(&self.link.0.state).arrived
    }

    /// Deliveries handed out on this link so far, so that it can be made anew before its 32-bit
    /// counters wrap.
    pub fn handed_out(&self) -> u64 {
        self.reported + u64::from(self.taken)
    }

    /// Detaches the link and waits for the peer's answer, by a deadline. Deliveries that have not
    /// been handed out are dropped.
    ///
    /// Cancel safe: the detach goes on.
    pub async fn detach(mut self) -> LinkClosed {
        self.link.0.leave();
        poll_fn(|cx| {
            self.local.clear();
            match self.poll_fill(cx) {
                Poll::Ready(Err(closed)) => Poll::Ready(closed),
                Poll::Ready(Ok(())) => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }
}
