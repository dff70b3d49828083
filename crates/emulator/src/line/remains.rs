//! What a line leaves when its driver has gone.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use eventhubs_amqp::net::Stream;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::Instant;

use super::stream::Core;

/// Time that the peer may take nothing of the last bytes.
const LINGER: Duration = Duration::from_secs(30);
/// Bytes of the peer that are thrown away at a time, and how often before others have a turn.
const SCRATCH: usize = 4096;
const READS: usize = 64;

type Rest = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The last bytes of a line, and the stream while nothing may move on it. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Remains(Arc<Mutex<Option<Rest>>>);

impl Remains {
    /// Waits until what was written before the driver ended is out, or cannot get out, and the
    /// stream is closed. As long as the line is silent, the stream stays as it is.
    ///
    /// Cancel safety: once begun, dropping it ends the stream.
    pub(crate) async fn finish(self) {
        let rest = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(rest) = rest {
            rest.await;
        }
    }

    pub(super) fn leave<S: Stream>(&self, core: Core<S>) {
        let rest: Rest = Box::pin(Leaving { core });
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(rest);
    }
}

impl fmt::Debug for Remains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Remains")
    }
}

/// A line without a driver.
struct Leaving<S: Stream> {
    core: Core<S>,
}

impl<S: Stream> Future for Leaving<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let core = &mut self.core;
        core.sync(cx);
        core.finish_output();
        if core.pump(cx, true).is_err() || core.has_ended() || core.discard_input(cx).is_err() {
            return Poll::Ready(());
        }
        let patience = core.stalled.map(|since| since + LINGER);
        if patience.is_some_and(|until| until <= Instant::now()) {
            return Poll::Ready(());
        }
        core.arm(cx, patience);
        Poll::Pending
    }
}

impl<S: Stream> Drop for Leaving<S> {
    fn drop(&mut self) {
        self.core.leave();
    }
}

/// Reads without interest, so that the end of the peer is noticed; an error at its end.
pub(super) fn discard<S: AsyncRead + Unpin>(
    stream: &mut S,
    cx: &mut Context<'_>,
) -> std::io::Result<()> {
    let mut scratch = [0; SCRATCH];
    for _ in 0..READS {
        let mut room = ReadBuf::new(&mut scratch);
        match Pin::new(&mut *stream).poll_read(cx, &mut room)? {
            Poll::Pending => return Ok(()),
            Poll::Ready(()) if room.filled().is_empty() => {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            Poll::Ready(()) => {}
        }
    }
    cx.waker().wake_by_ref();
    Ok(())
}
