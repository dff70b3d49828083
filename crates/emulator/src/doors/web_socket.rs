//! AMQP over WebSocket (RFC 6455): the handshake as the service does it.

use std::fmt;
use std::io;

use bytes::BytesMut;
use eventhubs_amqp::net::Stream;
use percent_encoding::percent_decode_str;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::handshake::machine::TryParse;
use tokio_tungstenite::tungstenite::handshake::server::{
    Request, Response, create_response, write_response,
};
use tokio_tungstenite::tungstenite::http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, SEC_WEBSOCKET_PROTOCOL,
};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::names::web_socket;

mod stream;
#[cfg(test)]
mod tests;

pub(crate) use stream::ByteStream;

/// Longest request that is read.
const REQUEST_BYTES_MAX: usize = 16 << 10;
/// What a request ends with (RFC 9112, section 2.1).
const END: &[u8] = b"\r\n\r\n";

/// Does the server's part of the handshake. Cancel safety: dropping the future drops the stream.
pub(crate) async fn accept<S: Stream>(mut stream: S) -> io::Result<ByteStream<S>> {
    let mut head = BytesMut::new();
    let end = read_head(&mut stream, &mut head).await?;
    let answer = match Request::try_parse(&head[..end]) {
        Ok(Some((_, request))) => answer(&request),
        Ok(None) | Err(_) => Err(Refusal::Request),
    };
    let mut out = Vec::new();
    match answer {
        Ok(response) => {
            write_response(&mut out, &response).map_err(transport)?;
            stream.write_all(&out).await?;
            stream.flush().await?;
            // What a client may have sent already belongs to the WebSocket.
            let early = head[end..].to_vec();
            let config = Some(stream::config());
            let web_socket =
                WebSocketStream::from_partially_read(stream, early, Role::Server, config).await;
            Ok(ByteStream::new(web_socket))
        }
        Err(refusal) => {
            let text = refusal.to_string();
            write_response(&mut out, &refusal.response(&text)).map_err(transport)?;
            out.extend_from_slice(text.as_bytes());
            stream.write_all(&out).await?;
            stream.shutdown().await?;
            Err(io::Error::new(io::ErrorKind::InvalidData, text))
        }
    }
}

/// Reads until the end of a request is there, and gives its place.
async fn read_head(stream: &mut impl Stream, head: &mut BytesMut) -> io::Result<usize> {
    loop {
        // The end may have come in two pieces.
        let looked_at = head.len().saturating_sub(END.len() - 1);
        if stream.read_buf(head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let found = head[looked_at..].windows(END.len()).position(|bytes| bytes == END);
        match found {
            Some(at) => return Ok(looked_at + at + END.len()),
            None if head.len() > REQUEST_BYTES_MAX => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the request is too long"));
            }
            None => {}
        }
    }
}

fn answer(request: &Request) -> Result<Response, Refusal> {
    let offered = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL);
    let offered = offered.iter().filter_map(|value| value.to_str().ok());
    let protocol = negotiate(request.uri().path(), offered)?;
    let mut response = create_response(request).map_err(|_| Refusal::Request)?;
    response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, protocol);
    Ok(response)
}

/// Why a handshake is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    Path,
    Protocol,
    /// It is no upgrade to WebSocket.
    Request,
}

/// The sub-protocol to answer with, as the client spells it. `offered` are the values of the
/// request's header fields, each a list with commas.
fn negotiate<'a>(
    path: &str,
    offered: impl Iterator<Item = &'a str>,
) -> Result<HeaderValue, Refusal> {
    let path = percent_decode_str(path).decode_utf8_lossy();
    if path.strip_suffix('/').unwrap_or(&path) != web_socket::PATH {
        return Err(Refusal::Path);
    }
    let known = |protocol: &&str| web_socket::PROTOCOLS.contains(protocol);
    let chosen = offered.flat_map(|list| list.split(',')).map(str::trim).find(known);
    chosen.and_then(|protocol| HeaderValue::from_str(protocol).ok()).ok_or(Refusal::Protocol)
}

impl Refusal {
    fn response(self, text: &str) -> Response {
        let mut response = Response::default();
        *response.status_mut() = match self {
            Self::Path => StatusCode::NOT_FOUND,
            Self::Protocol | Self::Request => StatusCode::BAD_REQUEST,
        };
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
        response
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [registered, own] = web_socket::PROTOCOLS;
        match self {
            Self::Path => write!(f, "AMQP over WebSocket is at {}", web_socket::PATH),
            Self::Request => f.write_str("this is no request for a WebSocket"),
            Self::Protocol => write!(f, "the sub-protocol has to be {registered} or {own}"),
        }
    }
}

/// The library's error as one of a byte stream. Nothing the peer sent is repeated.
fn transport(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        other => io::Error::new(io::ErrorKind::InvalidData, other.to_string()),
    }
}
