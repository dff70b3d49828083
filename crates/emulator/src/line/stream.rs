//! The stream that stands in for a connection's own.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use eventhubs_amqp::net::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::control::{Counts, LineControl, Order, Way};
use super::incoming::Incoming;
use super::outgoing::{Next, Outgoing, Taken};
use super::remains::{Remains, discard};
use super::shape::Shape;
use super::trips::{Reached, Trips};
use super::verdict::Fate;

/// Bytes read at a time when they are counted or slowed down.
const READ_MAX: usize = 16 << 10;

/// A stream with a [`LineControl`].
#[derive(Debug)]
pub(crate) struct Line<S: Stream> {
    /// There until the line is dropped.
    core: Option<Core<S>>,
    remains: Remains,
}

/// A line that stands still since a trip was reached.
#[derive(Debug)]
struct Hold {
    keys: Vec<u64>,
    /// It rings when everything before it is out.
    after_output: bool,
    /// It rings when the driver has had so many bytes more.
    after_input: usize,
    rung: bool,
}

#[derive(Debug)]
pub(super) struct Core<S> {
    /// Gone once the connection was reset.
    stream: Option<S>,
    control: Arc<LineControl>,
    version: u64,
    waker: Option<Waker>,
    orders: Vec<Order>,
    shape: Shape,
    trips: Trips,
    hold: Option<Hold>,
    incoming: Incoming,
    outgoing: Outgoing,
    counts: Counts,
    /// The stream has bytes that were not flushed.
    unflushed: bool,
    /// The stream was shut down on request.
    ended: bool,
    /// The peer has ended its side, and nobody reads any more.
    input_ended: bool,
    /// Since when the stream takes nothing.
    pub(super) stalled: Option<Instant>,
    due_in: Option<Instant>,
    due_out: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<S: Stream> Line<S> {
    /// Wraps a stream, and gives what has to be waited for when the driver has ended.
    pub(crate) fn new(stream: S, control: Arc<LineControl>) -> (Self, Remains) {
        let remains = Remains::default();
        let core = Core {
            stream: Some(stream),
            control,
            version: 0,
            waker: None,
            orders: Vec::new(),
            shape: Shape::default(),
            trips: Trips::default(),
            hold: None,
            incoming: Incoming::default(),
            outgoing: Outgoing::default(),
            counts: Counts::default(),
            unflushed: false,
            ended: false,
            input_ended: false,
            stalled: None,
            due_in: None,
            due_out: None,
            timer: None,
        };
        (Self { core: Some(core), remains: remains.clone() }, remains)
    }

    fn core(&mut self) -> io::Result<&mut Core<S>> {
        self.core.as_mut().ok_or_else(|| ErrorKind::BrokenPipe.into())
    }
}

impl<S: Stream> AsyncRead for Line<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let core = self.core()?;
        core.sync(cx);
        core.due_in = None;
        core.pump(cx, true)?;
        let result = core.poll_read(cx, buf);
        core.arm(cx, None);
        result
    }
}

impl<S: Stream> AsyncWrite for Line<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let core = self.core()?;
        core.sync(cx);
        let result = core.poll_write(cx, slices);
        core.arm(cx, None);
        result
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let core = self.core()?;
        core.sync(cx);
        if core.outgoing.is_plain() && core.shape.is_plain_out() {
            return Pin::new(core.stream()?).poll_flush(cx);
        }
        // What is on its way counts as flushed, as it would in a network.
        core.pump(cx, false)?;
        // The driver has acted on everything by now, and one whose engine is done never reads
        // again: this is the last moment to ring.
        let rung = core.stands_still(cx, true) && core.hold.as_ref().is_some_and(|hold| hold.rung);
        core.arm(cx, None);
        match rung {
            true => Poll::Pending,
            false => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let core = self.core()?;
        core.sync(cx);
        core.outgoing.finish();
        core.pump(cx, false)?;
        core.arm(cx, None);
        match core.ended {
            true => Poll::Ready(Ok(())),
            false => Poll::Pending,
        }
    }
}

impl<S: Stream> Drop for Line<S> {
    fn drop(&mut self) {
        if let Some(mut core) = self.core.take() {
            // What was asked for before the driver went counts.
            core.sync(&Context::from_waker(Waker::noop()));
            match core.is_finished() {
                true => core.control.leave(),
                false => self.remains.leave(core),
            }
        }
    }
}

impl<S: Stream> Core<S> {
    fn stream(&mut self) -> io::Result<&mut S> {
        self.stream.as_mut().ok_or_else(|| ErrorKind::ConnectionReset.into())
    }

    /// Takes up what was ordered since the last time. Costs one load when nothing was.
    #[inline]
    pub(super) fn sync(&mut self, cx: &Context<'_>) {
        let same_task = self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        if self.control.version() != self.version || !same_task {
            self.take_up(cx);
        }
    }

    #[cold]
    fn take_up(&mut self, cx: &Context<'_>) {
        self.waker = Some(cx.waker().clone());
        let mut orders = std::mem::take(&mut self.orders);
        self.version = self.control.take_up(&mut orders, cx);
        let now = Instant::now().into_std();
        let mut fate = Fate::default();
        for order in orders.drain(..) {
            match order {
                Order::Apply(key, shaping) => self.shape.apply(key, shaping, now),
                Order::Lift(key) => {
                    self.shape.lift(key, now);
                    self.trips.cancel(key);
                    self.let_go(|other| other == key);
                }
                Order::Heal => {
                    self.shape.heal();
                    self.trips.clear();
                    self.let_go(|_| true);
                }
                Order::Write(frames) => self.outgoing.write(frames),
                Order::Truncate => self.outgoing.end_within(),
                Order::Eof => self.outgoing.end(),
                Order::Reset => {
                    self.control.abort();
                    self.stream = None;
                }
                Order::Trip(key, trip, counts) => self.trips.set(key, trip, &counts),
                Order::Judge(verdict) => fate = fate.and(verdict),
            }
        }
        self.orders = orders;
        if self.hold.as_ref().is_some_and(|hold| hold.rung) && !self.control.has_rung() {
            self.resume(fate);
        }
        self.check_trips();
    }

    /// Forgets trips that were reached and have not rung.
    fn let_go(&mut self, gone: impl Fn(u64) -> bool) {
        if let Some(hold) = self.hold.as_mut().filter(|hold| !hold.rung) {
            hold.keys.retain(|key| !gone(*key));
            if hold.keys.is_empty() {
                self.resume(Fate::default());
            }
        }
    }

    fn resume(&mut self, fate: Fate) {
        self.hold = None;
        self.outgoing.resume(fate);
        let frames = self.incoming.resume(fate);
        self.count_in(0, frames);
    }

    /// Stands still when a trip was reached.
    fn check_trips(&mut self) {
        if self.trips.is_empty() {
            return;
        }
        let mut keys = Vec::new();
        let Reached { mut out, bytes_in } = self.trips.reached(&self.counts, &mut keys);
        if self.hold.is_none() {
            if let Some(kind) = self.outgoing.held().filter(|_| self.outgoing.is_stopped()) {
                self.trips.of_kind(Way::Out, kind, &mut keys);
                out = true;
            }
            if let Some(kind) = self.incoming.held() {
                self.trips.of_kind(Way::In, kind, &mut keys);
            }
        }
        if keys.is_empty() {
            return;
        }
        let after_input = if bytes_in { 0 } else { self.incoming.ready().len() };
        let hold = Hold { keys: Vec::new(), after_output: false, after_input, rung: false };
        let hold = self.hold.get_or_insert(hold);
        hold.keys.append(&mut keys);
        hold.after_output |= out;
        hold.after_input = hold.after_input.min(after_input);
        hold.rung = false;
    }

    /// Whether the line stands still. Rings when it is time: with `read`, the driver has acted on
    /// everything it was handed.
    fn stands_still(&mut self, cx: &Context<'_>, read: bool) -> bool {
        let Some(hold) = &mut self.hold else {
            return false;
        };
        let is_out = !hold.after_output || (self.outgoing.is_drained() && !self.unflushed);
        if !hold.rung && read && is_out && hold.after_input == 0 {
            hold.rung = true;
            self.control.ring(&mut hold.keys);
            cx.waker().wake_by_ref();
        }
        true
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.stream()?;
        loop {
            if self.ended {
                return Poll::Ready(Ok(()));
            }
            if self.give(buf) || buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            if self.stands_still(cx, true) || self.shape.silence_in {
                return Poll::Pending;
            }
            if self.trips.is_empty() && self.shape.is_plain_in() && self.incoming.is_plain() {
                return self.poll_read_plain(cx, buf);
            }
            if !ready!(self.poll_read_shaped(cx, buf))? {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Hands over what was held back; whether there was anything.
    fn give(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let ready = self.incoming.ready();
        let until_trip = self.trips.bytes_in(&self.counts).unwrap_or(u64::MAX);
        let until_trip = usize::try_from(until_trip).unwrap_or(usize::MAX);
        let most = self.hold.as_ref().map_or(until_trip, |hold| hold.after_input.min(until_trip));
        let count = ready.len().min(buf.remaining()).min(most);
        if count == 0 {
            return false;
        }
        buf.put_slice(&ready[..count]);
        self.incoming.gave(count);
        if let Some(hold) = &mut self.hold {
            hold.after_input -= count;
        }
        self.count_in(count, 0);
        true
    }

    fn poll_read_plain(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(self.stream()?).poll_read(cx, buf))?;
        let bytes = buf.filled().get(before..).unwrap_or_default();
        let frames = self.incoming.passed(bytes);
        self.count_in(bytes.len(), frames);
        Poll::Ready(Ok(()))
    }

    /// Reads a little, as much as all that is set allows, and keeps it. `false` at the end of the
    /// stream.
    fn poll_read_shaped(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<bool>> {
        let kinds = self.trips.kinds_in();
        if kinds.is_empty() {
            self.incoming.release();
            if !self.incoming.ready().is_empty() {
                return Poll::Ready(Ok(true));
            }
        }
        let mut most = self.shape.chunk.unwrap_or(usize::MAX).min(READ_MAX).min(buf.remaining());
        if self.trips.by_frame_in() {
            most = most.min(self.incoming.certain());
        }
        if let Some(bucket) = &mut self.shape.bucket_in {
            most = most.min(bucket.available(Instant::now().into_std()));
            if most == 0 {
                self.due_in = Some(Instant::from_std(bucket.ready_at(READ_MAX)));
                return Poll::Pending;
            }
        }
        let Some(stream) = &mut self.stream else {
            return Poll::Ready(Ok(false));
        };
        // The driver's room is borrowed; what is read there counts only once it is handed over.
        let mut room = ReadBuf::new(buf.initialize_unfilled_to(most));
        ready!(Pin::new(stream).poll_read(cx, &mut room))?;
        let bytes = room.filled();
        if let Some(bucket) = &mut self.shape.bucket_in {
            bucket.take(bytes.len());
        }
        if bytes.is_empty() {
            self.incoming.release();
            return Poll::Ready(Ok(!self.incoming.ready().is_empty()));
        }
        let frames = self.incoming.take(bytes, kinds);
        self.count_in(0, frames);
        Poll::Ready(Ok(true))
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream()?;
        let is_plain = self.outgoing.is_plain() && self.shape.is_plain_out();
        if is_plain && self.hold.is_none() && self.trips.stops(&self.counts).is_none() {
            let count = ready!(Pin::new(self.stream()?).poll_write_vectored(cx, slices))?;
            let frames = self.outgoing.passed(slices, count);
            self.count_out(count, frames);
            return Poll::Ready(Ok(count));
        }
        let mut taken = Taken::default();
        if !self.stands_still(cx, false) {
            let now = Instant::now().into_std();
            let stops = self.trips.stops(&self.counts);
            taken = self.outgoing.take(slices, &mut self.shape, &stops, now);
            self.count_out(taken.bytes, taken.frames);
        }
        self.pump(cx, false)?;
        match taken.bytes {
            0 => Poll::Pending,
            bytes => Poll::Ready(Ok(bytes)),
        }
    }

    fn count_in(&mut self, bytes: usize, frames: u64) {
        self.counts.bytes_in += bytes as u64;
        self.counts.frames_in += frames;
        self.control.count_in(&self.counts);
        if let Some(size) = self.incoming.max_frame_size.take() {
            self.outgoing.max_frame_size = size;
        }
        self.check_trips();
    }

    fn count_out(&mut self, bytes: usize, frames: u64) {
        self.counts.bytes_out += bytes as u64;
        self.counts.frames_out += frames;
        self.control.count_out(&self.counts);
        self.check_trips();
    }

    /// Writes what is due. With `alone`, the engine has nothing to write for now.
    pub(super) fn pump(&mut self, cx: &mut Context<'_>, alone: bool) -> io::Result<()> {
        self.due_out = None;
        if self.outgoing.is_plain() && !self.unflushed {
            return Ok(());
        }
        let now = Instant::now().into_std();
        self.outgoing.settle(&mut self.shape, alone, now);
        match self.shape.silence_out {
            true => Ok(()),
            false => self.write_due(cx, now),
        }
    }

    fn write_due(&mut self, cx: &mut Context<'_>, now: std::time::Instant) -> io::Result<()> {
        loop {
            let Some(stream) = &mut self.stream else {
                return Err(ErrorKind::ConnectionReset.into());
            };
            let stream = Pin::new(stream);
            match self.outgoing.next(&mut self.shape, now) {
                Next::Write(most) => {
                    let bytes = self.outgoing.front().get(..most).unwrap_or_default();
                    match stream.poll_write(cx, bytes) {
                        Poll::Ready(Ok(0)) => return Err(ErrorKind::WriteZero.into()),
                        Poll::Ready(Ok(count)) => {
                            self.outgoing.wrote(count, &mut self.shape);
                            self.outgoing.settle(&mut self.shape, false, now);
                            self.unflushed = true;
                            self.stalled = None;
                        }
                        Poll::Ready(Err(error)) => return Err(error),
                        Poll::Pending => {
                            self.stalled.get_or_insert_with(Instant::now);
                            return Ok(());
                        }
                    }
                    if self.shape.chunk.is_some() {
                        // So that the other side can see each chunk by itself.
                        cx.waker().wake_by_ref();
                        return self.flush(cx).map(drop);
                    }
                }
                Next::Wait(due) => {
                    self.due_out = Some(Instant::from_std(due));
                    return self.flush(cx).map(drop);
                }
                Next::Idle => return self.flush(cx).map(drop),
                Next::End => {
                    if self.flush(cx)? {
                        let ended = Pin::new(self.stream()?).poll_shutdown(cx)?;
                        self.ended |= ended.is_ready();
                    }
                    return Ok(());
                }
            }
        }
    }

    /// Whether the stream has nothing left to flush.
    fn flush(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        if self.unflushed {
            let flushed = Pin::new(self.stream()?).poll_flush(cx)?;
            self.unflushed = flushed.is_pending();
        }
        Ok(!self.unflushed)
    }

    /// Has the task woken when something is due, or at `other`.
    pub(super) fn arm(&mut self, cx: &mut Context<'_>, other: Option<Instant>) {
        let Some(due) = [self.due_in, self.due_out, other].into_iter().flatten().min() else {
            return;
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        if timer.deadline() != due {
            timer.as_mut().reset(due);
        }
        if timer.as_mut().poll(cx).is_ready() {
            // Whatever is due is found at the next poll.
            (self.due_in, self.due_out) = (None, None);
            cx.waker().wake_by_ref();
        }
    }

    /// Reads without interest while anything moves this way. An error at the end of the peer,
    /// unless there is something to write yet.
    pub(super) fn discard_input(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.shape.silence_in || self.input_ended {
            return Ok(());
        }
        match discard(self.stream()?, cx) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof && !self.shape.silence_out => {
                self.input_ended = true;
                Ok(())
            }
            result => result,
        }
    }

    /// The engine writes no more, and the stream ends behind what it has written.
    pub(super) fn finish_output(&mut self) {
        self.outgoing.finish();
    }

    /// Whether everything is out and the stream was shut down.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    pub(super) fn leave(&self) {
        self.control.leave();
    }

    /// Whether nothing keeps the stream from being dropped.
    fn is_finished(&self) -> bool {
        let is_out = self.outgoing.is_drained() && !self.unflushed;
        self.stream.is_none() || (is_out && !self.shape.silence_out)
    }
}
