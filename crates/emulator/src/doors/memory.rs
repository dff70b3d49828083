//! Streams in memory that can be reset.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

use crate::line::{Abort, Abortable};

/// One end of a stream in memory.
#[derive(Debug)]
pub(crate) struct MemoryStream {
    stream: DuplexStream,
    /// Whether the other end was reset; asked for at this end when it is dropped.
    theirs: Abort,
    ours: Abort,
    /// A reset of this end is asked for here.
    abort: Abort,
}

/// Two ends of a stream, each holding up to `capacity` bytes on their way to the other.
pub(crate) fn pair(capacity: usize) -> (MemoryStream, MemoryStream) {
    let (near, far) = tokio::io::duplex(capacity);
    let (one, other) = (Abort::default(), Abort::default());
    let end = |stream, ours: &Abort, theirs: &Abort| MemoryStream {
        stream,
        theirs: theirs.clone(),
        ours: ours.clone(),
        abort: Abort::default(),
    };
    (end(near, &one, &other), end(far, &other, &one))
}

impl Abortable for MemoryStream {
    fn with_abort(mut self, abort: Abort) -> Self {
        self.abort = abort;
        self
    }
}

impl Drop for MemoryStream {
    fn drop(&mut self) {
        if self.abort.is_asked() {
            self.ours.ask();
        }
    }
}

impl AsyncRead for MemoryStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let has_room = buf.remaining() > 0;
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        match has_room && buf.filled().len() == before && self.theirs.is_asked() {
            true => Poll::Ready(Err(ErrorKind::ConnectionReset.into())),
            false => Poll::Ready(Ok(())),
        }
    }
}

impl MemoryStream {
    /// An error of the stream, or the reset that is behind it.
    fn explain<T>(&self, result: io::Result<T>) -> io::Result<T> {
        match result {
            Err(_) if self.theirs.is_asked() => Err(ErrorKind::ConnectionReset.into()),
            result => result,
        }
    }
}

impl AsyncWrite for MemoryStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, buf));
        Poll::Ready(self.explain(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, slices));
        Poll::Ready(self.explain(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_reset_is_an_error_at_the_other_end_and_anything_else_is_not() {
        for ask in [false, true] {
            let (mut near, far) = pair(64);
            let abort = Abort::default();
            let mut far = far.with_abort(abort.clone());
            far.write_all(b"last words").await.unwrap();
            if ask {
                abort.ask();
            }
            drop(far);
            let mut read = Vec::new();
            let end = near.read_to_end(&mut read).await.map_err(|error| error.kind());
            assert_eq!(read, b"last words");
            let written = near.write_all(b"answer").await.map_err(|error| error.kind());
            match ask {
                false => assert_eq!((end, written), (Ok(10), Err(ErrorKind::BrokenPipe))),
                true => {
                    assert_eq!(end, Err(ErrorKind::ConnectionReset));
                    assert_eq!(written, Err(ErrorKind::ConnectionReset));
                }
            }
        }
    }
}
