//! How an accepted connection becomes a byte stream that speaks AMQP, or HTTP: through TLS,
//! WebSocket, both or neither.

use std::io;
#[cfg(feature = "tls")]
use std::sync::Arc;
use std::time::Duration;

use eventhubs_amqp::net::Stream;
use tokio::time::Instant;

use super::listener::ListenerKind;
#[cfg(feature = "tls")]
use super::tls::Tls;

/// Time for the handshakes of TLS and WebSocket together. The connection counts meanwhile.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// What a listener does with the connections it accepts.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    pub(crate) kind: ListenerKind,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<Arc<Tls>>,
}

/// A connection that has come through a door.
pub(crate) struct Entered {
    pub(crate) stream: Box<dyn Stream>,
    /// Whether TLS has proved who the client is.
    pub(crate) certified: bool,
}

impl Door {
    /// Does the handshakes of this kind of listener.
    ///
    /// Cancel safety: dropping the future drops the stream.
    pub(crate) async fn enter(&self, stream: impl Stream) -> io::Result<Entered> {
        let deadline = Instant::now() + HANDSHAKE_TIMEOUT;
        let mut entered = self.secure(stream, deadline).await?;
        match self.kind {
            ListenerKind::Plain | ListenerKind::Tls => {}
            ListenerKind::WebSocket | ListenerKind::WebSocketTls => {
                entered.stream = upgrade(entered.stream, deadline).await?;
            }
            // Spoken elsewhere, by whoever asked for the stream.
            ListenerKind::Http | ListenerKind::HttpTls | ListenerKind::Control => {}
        }
        Ok(entered)
    }

    /// TLS, if the kind of listener has it.
    pub(crate) async fn secure(
        &self,
        stream: impl Stream,
        deadline: Instant,
    ) -> io::Result<Entered> {
        if !self.kind.is_tls() {
            return Ok(Entered { stream: Box::new(stream), certified: false });
        }
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            let secured = tls.accept(stream, deadline).await?;
            let certified = secured.certified;
            return Ok(Entered { stream: Box::new(secured.stream), certified });
        }
        // Such a listener is refused when the emulator starts.
        let _ = deadline;
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(feature = "ws")]
async fn upgrade(stream: Box<dyn Stream>, deadline: Instant) -> io::Result<Box<dyn Stream>> {
    let handshake = crate::doors::web_socket::accept(stream);
    Ok(Box::new(tokio::time::timeout_at(deadline, handshake).await??))
}

#[cfg(not(feature = "ws"))]
async fn upgrade(_: Box<dyn Stream>, _: Instant) -> io::Result<Box<dyn Stream>> {
    // Such a listener is refused when the emulator starts.
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
pub(crate) mod tests;
