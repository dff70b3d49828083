//! What the broker and the faults of a connection hold of its byte layer.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use super::abort::Abort;
use super::bad_frame::BadFrame;
use super::frames::FrameKind;
use super::verdict::Verdict;

/// Orders that may wait for the line to take them up, which it does at its next poll.
const ORDERS_MAX: usize = 4096;

/// One way of bytes, as the emulator sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Way {
    /// From the client.
    In,
    /// To the client.
    Out,
}

/// Something that changes bytes or their timing until it is lifted. Several add up: the slowest
/// bandwidth, the smallest chunk, and the longest latency.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shaping {
    /// Nothing moves this way; the stream stays open. What is held back flows when it is lifted.
    Silence(Way),
    /// Everything that goes out comes this much later, in order: `delay`, and up to `jitter` more.
    Latency { delay: Duration, jitter: Duration, seed: u64 },
    /// At most so many bytes a second.
    Bandwidth(Way, u64),
    /// At most so many bytes in one read or write, each way.
    Chunks(usize),
    /// Frames that go out have an extended header, as long as the peer takes frames of that size.
    ExtendedHeaders,
}

/// When a line rings. Counted from the moment it is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Trip {
    /// So many frames have been handed to the engine. Nothing that it wrote in answer is out yet.
    FramesIn(u64),
    /// So many frames are out, and no byte more.
    FramesOut(u64),
    /// So many bytes have been handed to the engine; nothing written in answer is out yet.
    BytesIn(u64),
    /// So many bytes are out, and not one more.
    BytesOut(u64),
    /// A frame of this kind has come, and the engine has not seen it; or it is about to go out,
    /// and no byte of it is. Rings for every such frame until it is cancelled.
    Frame(Way, FrameKind),
}

/// Frames and bytes that went through a line. Protocol headers are bytes and no frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) frames_in: u64,
    pub(crate) frames_out: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
}

/// What the line is asked to do.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Order {
    Apply(u64, Shaping),
    Lift(u64),
    Heal,
    Write(Vec<BadFrame>),
    Truncate,
    Eof,
    Reset,
    /// A trip under a key, with the counts at which it was set.
    Trip(u64, Trip, Counts),
    /// About the frame that was held when its trip rang.
    Judge(Verdict),
}

#[derive(Debug, Default)]
struct State {
    orders: Vec<Order>,
    rings: Vec<u64>,
    waker: Option<Waker>,
    /// The line is gone: nothing that is asked of it will happen.
    gone: bool,
}

/// The handle of one [`Line`](super::Line), shared between its driver's task and whoever makes
/// things go wrong. Nothing here waits or fails; on a line that is gone, nothing happens.
///
/// Keys are the caller's: a shaping or trip is lifted by the key under which it was set, and a
/// trip rings with it. One key may stand for several.
#[derive(Debug, Default)]
pub(crate) struct LineControl {
    /// Raised with every change that the line has to take up.
    version: AtomicU64,
    rings_wait: AtomicBool,
    frames_in: AtomicU64,
    frames_out: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    abort: Abort,
    state: Mutex<State>,
}

impl LineControl {
    /// The key of what the configuration asks for; faults have others.
    pub(crate) const CONFIGURED: u64 = 0;

    /// For the socket at the bottom of the line's stream.
    pub(crate) fn abort_handle(&self) -> Abort {
        self.abort.clone()
    }

    /// Puts a shaping in force.
    pub(crate) fn apply(&self, key: u64, shaping: Shaping) {
        self.order(Order::Apply(key, shaping));
    }

    /// Ends what was put in force under `key`, and cancels its trips.
    pub(crate) fn lift(&self, key: u64) {
        self.order(Order::Lift(key));
    }

    /// Ends everything that is in force, and cancels all trips.
    pub(crate) fn heal(&self) {
        self.order(Order::Heal);
    }

    /// Writes these frames at the next boundary between outgoing frames. Frames that hold many
    /// bytes are made as they go out.
    pub(crate) fn write(&self, frames: Vec<BadFrame>) {
        self.order(Order::Write(frames));
    }

    /// Writes half of a frame, the next one if there is one to write at this turn, and ends the
    /// stream behind it.
    pub(crate) fn truncate(&self) {
        self.order(Order::Truncate);
    }

    /// Ends the stream at the next boundary between outgoing frames, without a close.
    pub(crate) fn eof(&self) {
        self.order(Order::Eof);
    }

    /// Cuts the connection off; what was on its way is lost.
    pub(crate) fn reset(&self) {
        self.order(Order::Reset);
    }

    /// Rings when it happens. When a trip rings, the line stands still both ways until
    /// [`take_rings`](Self::take_rings) was called.
    pub(crate) fn trip(&self, key: u64, trip: Trip) {
        let counts = self.counts();
        self.order(Order::Trip(key, trip, counts));
    }

    /// Whether there are rings to take: to be asked at each `poll_wake` of the broker.
    #[inline]
    pub(crate) fn has_rung(&self) -> bool {
        self.rings_wait.load(Ordering::Acquire)
    }

    /// Moves the keys of the trips that have rung into `rings`. Called in the driver's task; the line moves on at its next
    /// poll, after everything that the caller does in this turn.
    pub(crate) fn take_rings(&self, rings: &mut Vec<u64>) {
        self.change(|state| {
            rings.append(&mut state.rings);
            self.rings_wait.store(false, Ordering::Release);
        });
    }

    /// Decides on the frame that is held since a [`Trip::Frame`] rang. To be called in the turn in
    /// which the ring was taken.
    pub(crate) fn judge(&self, verdict: Verdict) {
        self.order(Order::Judge(verdict));
    }

    /// What has gone through so far.
    pub(crate) fn counts(&self) -> Counts {
        Counts {
            frames_in: self.frames_in.load(Ordering::Relaxed),
            frames_out: self.frames_out.load(Ordering::Relaxed),
            bytes_in: self.bytes_in.load(Ordering::Relaxed),
            bytes_out: self.bytes_out.load(Ordering::Relaxed),
        }
    }

    fn order(&self, order: Order) {
        self.change(|state| {
            if !state.gone && state.orders.len() < ORDERS_MAX {
                state.orders.push(order);
            }
        });
    }

    /// Lets the line know that something has changed.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let waker = {
            let mut state = self.lock();
            change(&mut state);
            self.version.fetch_add(1, Ordering::Release);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The line's side.
impl LineControl {
    #[inline]
    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Takes up what has changed since, and has the task woken at the next change. Returns the
    /// version that is then known.
    pub(super) fn take_up(&self, orders: &mut Vec<Order>, cx: &Context<'_>) -> u64 {
        let mut state = self.lock();
        orders.append(&mut state.orders);
        state.waker = Some(cx.waker().clone());
        // Changes are made under the lock.
        self.version.load(Ordering::Acquire)
    }

    pub(super) fn ring(&self, keys: &mut Vec<u64>) {
        self.lock().rings.append(keys);
        self.rings_wait.store(true, Ordering::Release);
    }

    pub(super) fn count_in(&self, counts: &Counts) {
        self.bytes_in.store(counts.bytes_in, Ordering::Relaxed);
        self.frames_in.store(counts.frames_in, Ordering::Relaxed);
    }

    pub(super) fn count_out(&self, counts: &Counts) {
        self.bytes_out.store(counts.bytes_out, Ordering::Relaxed);
        self.frames_out.store(counts.frames_out, Ordering::Relaxed);
    }

    pub(super) fn abort(&self) {
        self.abort.ask();
    }

    /// The line is gone.
    pub(super) fn leave(&self) {
        let mut state = self.lock();
        state.gone = true;
        state.orders = Vec::new();
    }
}
