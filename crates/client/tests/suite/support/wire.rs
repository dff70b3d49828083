//! Streams that a test can listen to, silence or cut.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use eventhubs_client::{Connecting, Connector, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

type Dial = Box<dyn Fn() -> io::Result<Box<dyn Stream>> + Send + Sync>;

/// A connector that hands out streams in memory and keeps a hand on each of them.
pub(crate) struct Wire {
    dial: Dial,
    taps: Mutex<Vec<Tap>>,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wire")
    }
}

impl Wire {
    pub(crate) fn new(
        dial: impl Fn() -> io::Result<Box<dyn Stream>> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { dial: Box::new(dial), taps: Mutex::default() })
    }

    /// Itself, for the options of a hub.
    pub(crate) fn connector(self: &Arc<Self>) -> Arc<dyn Connector> {
        Arc::<Self>::clone(self)
    }

    /// How many streams were asked for.
    pub(crate) fn dials(&self) -> usize {
        self.taps().len()
    }

    /// Bytes that were written to all streams together.
    pub(crate) fn written(&self) -> usize {
        self.taps().iter().map(|tap| tap.state().written).sum()
    }

    /// Nothing comes through the streams there are, and nothing fails either.
    pub(crate) fn silence(&self) {
        self.taps().iter().for_each(|tap| tap.turn(Mode::Silent));
    }

    /// The streams there are fail from now on.
    pub(crate) fn cut(&self) {
        self.taps().iter().for_each(|tap| tap.turn(Mode::Cut));
    }

    fn taps(&self) -> MutexGuard<'_, Vec<Tap>> {
        self.taps.lock().expect("nobody panics with it")
    }
}

impl Connector for Wire {
    fn connect<'a>(&'a self, _host: &'a str, _port: u16) -> Connecting<'a> {
        let tap = Tap::default();
        self.taps().push(tap.clone());
        let stream = (self.dial)().map(|inner| Box::new(Tapped { inner, tap }) as Box<dyn Stream>);
        Box::pin(std::future::ready(stream))
    }
}

/// A connector whose streams never come.
#[derive(Debug)]
pub(crate) struct Nowhere;

impl Connector for Nowhere {
    fn connect<'a>(&'a self, _host: &'a str, _port: u16) -> Connecting<'a> {
        Box::pin(std::future::pending())
    }
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Mode {
    #[default]
    Open,
    Silent,
    Cut,
}

#[derive(Default)]
struct State {
    mode: Mode,
    written: usize,
    wakers: Vec<Waker>,
}

#[derive(Clone, Default)]
struct Tap(Arc<Mutex<State>>);

impl Tap {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nobody panics with it")
    }

    fn turn(&self, mode: Mode) {
        let mut state = self.state();
        state.mode = mode;
        state.wakers.drain(..).for_each(Waker::wake);
    }

    /// What the stream does now; whoever waits is woken when that changes.
    fn mode(&self, cx: &Context<'_>) -> Mode {
        let mut state = self.state();
        if !state.wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.wakers.push(cx.waker().clone());
        }
        state.mode
    }
}

struct Tapped {
    inner: Box<dyn Stream>,
    tap: Tap,
}

fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "cut by the test")
}

impl AsyncRead for Tapped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.tap.mode(cx) {
            Mode::Open => Pin::new(&mut self.inner).poll_read(cx, buffer),
            Mode::Silent => Poll::Pending,
            Mode::Cut => Poll::Ready(Err(cut())),
        }
    }
}

impl AsyncWrite for Tapped {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = match self.tap.mode(cx) {
            Mode::Open => std::task::ready!(Pin::new(&mut self.inner).poll_write(cx, bytes))?,
            Mode::Silent => bytes.len(),
            Mode::Cut => return Poll::Ready(Err(cut())),
        };
        self.tap.state().written += written;
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
