//! An accepted TCP connection that can be reset.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::line::{Abort, Abortable};

/// A TCP stream that ends in a reset when that was asked for, whatever was wrapped around it.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    abort: Abort,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, abort: Abort::default() }
    }
}

impl Abortable for Socket {
    fn with_abort(mut self, abort: Abort) -> Self {
        self.abort = abort;
        self
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.abort.is_asked() {
            // Closing a socket that must not linger resets the connection.
            let lingering = socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
            if let Err(error) = lingering {
                tracing::debug!(%error, "a connection ends without a reset");
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
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
    use tokio::net::TcpListener;

    use super::*;

    /// What a client reads when the other end goes.
    async fn read_to_end(ask: bool) -> io::Result<Vec<u8>> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let abort = Abort::default();
        let mut socket = Socket::new(accepted?.0).with_abort(abort.clone());
        socket.write_all(b"last words").await?;
        let mut client = client?;
        let mut read = vec![0; 10];
        client.read_exact(&mut read).await?;
        if ask {
            abort.ask();
        }
        drop(socket);
        client.read_to_end(&mut read).await?;
        Ok(read)
    }

    #[tokio::test]
    async fn it_ends_in_good_order_unless_a_reset_was_asked_for() {
        assert_eq!(read_to_end(false).await.unwrap(), b"last words");
        let error = read_to_end(true).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
}
