//! A WebSocket as a byte stream: each binary message is a piece of it, wherever it is cut.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use eventhubs_amqp::net::Stream;
use futures_util::{Sink, Stream as Messages};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use super::transport;

/// Largest message and largest frame that a peer may send; clients send one message for each
/// frame of AMQP, of 64 KiB, or for what they have at a time.
const MESSAGE_BYTES_MAX: usize = 4 << 20;
/// Bytes read at a time.
const READ_BYTES: usize = 32 << 10;
/// Largest message that we send.
const CHUNK: usize = 64 << 10;
/// Bytes that wait for a peer that takes none: one message and answers to pings.
const UNWRITTEN_BYTES_MAX: usize = 2 * CHUNK;

/// The bounds of one WebSocket.
pub(super) fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(UNWRITTEN_BYTES_MAX)
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX))
}

/// The bytes inside a WebSocket.
///
/// Pings are answered while it is read. A peer that sends text is told so and read no further.
/// Shutting it down sends a close frame and ends the transport, without waiting for the peer's.
#[derive(Debug)]
pub(crate) struct ByteStream<S> {
    web_socket: WebSocketStream<S>,
    unread: Bytes,
    close_sent: bool,
}

impl<S: Stream> ByteStream<S> {
    pub(crate) fn new(web_socket: WebSocketStream<S>) -> Self {
        Self { web_socket, unread: Bytes::new(), close_sent: false }
    }

    /// The next piece with bytes in it; none at the end of the stream.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        loop {
            match ready!(Pin::new(&mut self.web_socket).poll_next(cx)) {
                Some(Ok(Message::Binary(piece))) if piece.is_empty() => {}
                Some(Ok(Message::Binary(piece))) => return Poll::Ready(Ok(Some(piece))),
                Some(Ok(Message::Text(_))) => {
                    self.refuse(CloseCode::Unsupported, "binary messages only");
                    let text = "the peer sent a text message";
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, text)));
                }
                // Reading on is what sends the answers.
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_) | Message::Frame(_))) => self.close_sent = true,
                Some(Err(error)) => {
                    match &error {
                        Error::Capacity(_) => self.refuse(CloseCode::Size, "too large"),
                        Error::Protocol(_) => self.refuse(CloseCode::Protocol, ""),
                        Error::Utf8(_) => self.refuse(CloseCode::Invalid, ""),
                        _ => {}
                    }
                    return Poll::Ready(Err(transport(error)));
                }
                None => return Poll::Ready(Ok(None)),
            }
        }
    }

    /// Says why no more is read, if there is room to say it.
    fn refuse(&mut self, code: CloseCode, reason: &'static str) {
        if !std::mem::replace(&mut self.close_sent, true) {
            let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
            let _ = Pin::new(&mut self.web_socket).start_send(Message::Close(Some(frame)));
        }
    }

    /// Sends `piece` as one message, once those before it are out of the way.
    fn poll_send(&mut self, cx: &mut Context<'_>, piece: &Bytes) -> Poll<io::Result<usize>> {
        loop {
            ready!(Pin::new(&mut self.web_socket).poll_ready(cx)).map_err(transport)?;
            let message = Message::Binary(piece.clone());
            match Pin::new(&mut self.web_socket).start_send(message) {
                Ok(()) => return Poll::Ready(Ok(piece.len())),
                // Answers to pings wait for the peer; the message was not taken.
                Err(Error::WriteBufferFull(_)) => {
                    ready!(Pin::new(&mut self.web_socket).poll_flush(cx)).map_err(transport)?;
                }
                Err(error) => return Poll::Ready(Err(transport(error))),
            }
        }
    }
}

impl<S: Stream> AsyncRead for ByteStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.unread.is_empty() {
            match ready!(self.poll_piece(cx))? {
                Some(piece) => self.unread = piece,
                None => return Poll::Ready(Ok(())),
            }
        }
        let count = self.unread.len().min(out.remaining());
        out.put_slice(&self.unread[..count]);
        self.unread.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl<S: Stream> AsyncWrite for ByteStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let whole: usize = slices.iter().map(|slice| slice.len()).sum();
        if whole == 0 {
            return Poll::Ready(Ok(0));
        }
        // Before anything is copied.
        ready!(Pin::new(&mut self.web_socket).poll_ready(cx)).map_err(transport)?;
        let mut piece = BytesMut::with_capacity(whole.min(CHUNK));
        for slice in slices {
            let room = CHUNK - piece.len();
            piece.extend_from_slice(&slice[..slice.len().min(room)]);
        }
        self.poll_send(cx, &piece.freeze())
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.web_socket).poll_flush(cx).map_err(transport)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.refuse(CloseCode::Normal, "");
        // What the close frame could not get out does not keep the transport open.
        let _ = ready!(Pin::new(&mut self.web_socket).poll_flush(cx));
        Pin::new(self.web_socket.get_mut()).poll_shutdown(cx)
    }
}
