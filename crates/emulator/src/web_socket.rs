//! AMQP over WebSocket (RFC 6455): the handshake as the service does it.

use std::fmt;
use std::io;

use eventhubs_amqp::net::Stream;
use percent_encoding::percent_decode_str;
use tokio_tungstenite::accept_hdr_async_with_config;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, SEC_WEBSOCKET_PROTOCOL,
};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};

use crate::names::web_socket;

mod stream;
#[cfg(test)]
mod tests;

pub(crate) use stream::ByteStream;

/// Does the server's part of the handshake. Cancel safety: dropping the future drops the stream.
pub(crate) async fn accept<S: Stream>(stream: S) -> io::Result<ByteStream<S>> {
    // The type is the library's: an answer that refuses.
    #[expect(clippy::result_large_err, reason = "made once for each connection")]
    let answer = |request: &Request, mut response: Response| {
        let offered = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL);
        let offered = offered.iter().filter_map(|value| value.to_str().ok());
        match negotiate(request.uri().path(), offered) {
            Ok(protocol) => {
                response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, protocol);
                Ok(response)
            }
            Err(refusal) => {
                tracing::debug!(%refusal, "a WebSocket was refused");
                Err(refusal.response())
            }
        }
    };
    match accept_hdr_async_with_config(stream, answer, Some(stream::config())).await {
        Ok(web_socket) => Ok(ByteStream::new(web_socket)),
        Err(error) => Err(transport(error)),
    }
}

/// Why a handshake is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    Path,
    Protocol,
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
    fn response(self) -> ErrorResponse {
        let text = self.to_string();
        let mut response = ErrorResponse::new(None);
        *response.status_mut() = match self {
            Self::Path => StatusCode::NOT_FOUND,
            Self::Protocol => StatusCode::BAD_REQUEST,
        };
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
        *response.body_mut() = Some(text);
        response
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [registered, own] = web_socket::PROTOCOLS;
        match self {
            Self::Path => write!(f, "AMQP over WebSocket is at {}", web_socket::PATH),
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
