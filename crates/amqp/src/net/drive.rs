//! The one task that owns a socket: it moves bytes between the stream and the engine, keeps the
//! time, and gives its [`Service`] a turn whenever something has happened.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use super::clock::{self, Timer};
use super::stall::Stall;
use crate::engine::{CloseReason, Connection, later};

/// A byte stream that carries one connection.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for T {}

/// What is done with a connection: the side of [`drive`] that decides.
pub trait Service: Send + Unpin {
    /// Something happened: input, the passing of a deadline, room to write, or a wake-up. Take the
    /// touched links and the events, then act. Must not block.
    fn turn(&mut self, engine: &mut Connection, now: Instant);

    /// Ready when somebody outside wants a turn; keeps the waker otherwise.
    fn poll_wake(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// When the service wants a turn by itself.
    fn timeout(&self) -> Option<Instant>;
}

/// Options of [`drive`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DriveOptions {
    /// Time in which the peer has to take what there is to write, or at least 80 KiB of it. A
    /// connection on which it does neither is lost, whatever else arrives. Default 30 s.
    pub write_timeout: Duration,
    /// Bytes to read at once. Default 128 KiB.
    pub read_buffer_bytes: usize,
}

impl Default for DriveOptions {
    fn default() -> Self {
        Self { write_timeout: Duration::from_secs(30), read_buffer_bytes: 128 << 10 }
    }
}

/// Slices given to one vectored write.
const SLICES_MAX: usize = 64;

/// Turns in one poll. A stream that is always ready would otherwise keep the runtime's other tasks,
/// and its clock, from going on.
const TURNS_MAX: usize = 64;

/// Drives one engine over one stream until the connection is over and its last bytes are out, or
/// cannot get out. Ends by the engine's deadlines even when the peer is silent.
///
/// Reading and writing are polled together, so two peers that both write a lot never wait for each
/// other.
///
/// Cancel safety: dropping the future drops the stream, which is how a transport ends abruptly.
pub async fn drive<S: Stream, V: Service>(
    stream: S,
    engine: Connection,
    service: V,
    options: DriveOptions,
) -> CloseReason {
    Driver {
        stream,
        engine,
        service,
        options,
        input: BytesMut::with_capacity(options.read_buffer_bytes),
        timer: Timer::new(),
        stall: Stall::default(),
        unflushed: false,
        lingering: None,
    }
    .await
}

struct Driver<S, V> {
    stream: S,
    engine: Connection,
    service: V,
    options: DriveOptions,
    input: BytesMut,
    timer: Timer,
    stall: Stall,
    unflushed: bool,
    /// Until when the last bytes may take to get out.
    lingering: Option<Instant>,
}

impl<S: Stream, V: Service> Future for Driver<S, V> {
    type Output = CloseReason;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let this = &mut *self;
        for _ in 0..TURNS_MAX {
            let now = clock::now();
            let read = this.poll_read(cx, now).is_ready();
            let woken = this.service.poll_wake(cx).is_ready();
            if woken {
                this.engine.handle_timeout(now);
                this.turn(now);
            }
            let wrote = this.poll_write(cx, now).is_ready();
            if wrote {
                this.turn(now);
            }
            // Last, since everything before it may have brought an earlier deadline.
            let deadline = this.deadline();
            let timed = this.timer.poll(cx, deadline).is_ready()
                || deadline.is_some_and(|deadline| deadline <= now);
            if timed {
                this.engine.handle_timeout(now);
                this.check_stall(now);
                this.turn(now);
            }
            if this.engine.is_closed() && this.is_flushed(now) {
                this.turn(now);
                return this.poll_shutdown(cx);
            }
            if !(read || woken || timed || wrote) {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S: Stream, V: Service> Driver<S, V> {
    fn turn(&mut self, now: Instant) {
        self.service.turn(&mut self.engine, now);
        while self.engine.input_is_due() {
            self.engine.handle_input(now, &mut self.input);
            self.service.turn(&mut self.engine, now);
        }
    }

    /// The next moment anybody cares about.
    fn deadline(&self) -> Option<Instant> {
        let stalled = self.stall.deadline(self.options.write_timeout);
        let all = [self.engine.poll_timeout(), self.service.timeout(), stalled, self.lingering];
        all.into_iter().flatten().min()
    }

    /// Ready when something was read, or the stream has ended.
    fn poll_read(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<()> {
        if self.engine.is_closed() {
            return Poll::Pending;
        }
        let wanted = self.options.read_buffer_bytes;
        if self.input.capacity() - self.input.len() < wanted / 2 {
            self.input.reserve(wanted);
        }
        let read = ready!(poll_read_buf(&mut self.stream, cx, &mut self.input));
        match read {
            Ok(0) => self.engine.handle_eof(now),
            Ok(_) => {
                while self.engine.handle_input(now, &mut self.input) {
                    self.turn(now);
                }
            }
            Err(error) => self.fail(now, CloseReason::Transport(error.to_string())),
        }
        self.turn(now);
        Poll::Ready(())
    }

    /// Ready when the engine got rid of bytes and its service may want to know.
    fn poll_write(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<()> {
        let mut progress = false;
        while self.engine.has_output() {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let used = self.engine.poll_transmit(&mut slices);
            let stream = Pin::new(&mut self.stream);
            match stream.poll_write_vectored(cx, &slices[..used]) {
                Poll::Ready(Ok(0)) => {
                    self.fail(now, CloseReason::Transport("the stream takes no more".to_owned()));
                }
                Poll::Ready(Ok(count)) => {
                    self.engine.wrote(count);
                    self.stall.took(count);
                    self.unflushed = true;
                    progress = true;
                }
                Poll::Ready(Err(error)) => {
                    self.fail(now, CloseReason::Transport(error.to_string()));
                    progress = true;
                }
                Poll::Pending => {
                    self.stall.begins(now);
                    break;
                }
            }
        }
        if self.unflushed && !self.engine.has_output() {
            match Pin::new(&mut self.stream).poll_flush(cx) {
                Poll::Ready(Ok(())) => {
                    self.unflushed = false;
                    self.stall.ends();
                }
                Poll::Ready(Err(error)) => {
                    self.unflushed = false;
                    self.fail(now, CloseReason::Transport(error.to_string()));
                    progress = true;
                }
                Poll::Pending => self.stall.begins(now),
            }
        }
        if progress && self.engine.has_touched() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn check_stall(&mut self, now: Instant) {
        if self.stall.deadline(self.options.write_timeout).is_some_and(|by| by <= now) {
            self.fail(now, CloseReason::WriteTimeout);
        }
    }

    /// The transport is of no use any more.
    fn fail(&mut self, now: Instant, reason: CloseReason) {
        self.stall.ends();
        self.unflushed = false;
        self.engine.handle_failure(now, reason);
    }

    /// Whether the last bytes are out, or have had their time.
    fn is_flushed(&mut self, now: Instant) -> bool {
        if !self.engine.has_output() && !self.unflushed {
            return true;
        }
        let timeout = self.engine.options().close_timeout;
        let until = *self.lingering.get_or_insert_with(|| later(now, timeout));
        now >= until
    }

    /// Ends the stream without waiting for the peer: whatever it still sends is of no interest.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let _ = Pin::new(&mut self.stream).poll_shutdown(cx);
        Poll::Ready(self.engine.close_reason().cloned().unwrap_or(CloseReason::Eof))
    }
}

/// One read into the spare room of `input`. The future is remade at every poll; it keeps nothing.
fn poll_read_buf<S: AsyncRead + Unpin>(
    stream: &mut S,
    cx: &mut Context<'_>,
    input: &mut BytesMut,
) -> Poll<io::Result<usize>> {
    std::pin::pin!(stream.read_buf(input)).poll(cx)
}
