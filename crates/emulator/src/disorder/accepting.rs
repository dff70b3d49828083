//! Connections that were just accepted.

use std::future::pending;
use std::time::Duration;

use eventhubs_amqp::net::Stream;
use tokio::io::AsyncReadExt;

use crate::broker::Broker;
use crate::fault::{Effect, Point};

/// What becomes of a connection.
enum Reception {
    /// It is served.
    Serve,
    /// It is served this much later.
    Wait(Duration),
    /// Nobody ever speaks to it.
    Hold,
    /// It ends.
    Drop,
}

/// Gives back the stream of a connection that is to be served, after a while perhaps. One that is
/// never spoken to is kept until its client goes.
///
/// Cancel safety: dropping the future drops the stream.
pub(crate) async fn accepted<S: Stream>(broker: &mut Broker, mut stream: S) -> Option<S> {
    match broker.receive() {
        Reception::Serve => Some(stream),
        Reception::Wait(by) => {
            // Ends by the time-out, which is what waiting means.
            let _ = tokio::time::timeout(by, pending::<()>()).await;
            Some(stream)
        }
        Reception::Hold => {
            let mut ignored = [0; 1024];
            while stream.read(&mut ignored).await.is_ok_and(|count| count > 0) {}
            None
        }
        Reception::Drop => None,
    }
}

impl Broker {
    fn receive(&mut self) -> Reception {
        let Some(struck) = self.strike(Point::Accept) else {
            return Reception::Serve;
        };
        match struck.effect() {
            Effect::Delay(by) => Reception::Wait(*by),
            Effect::Ignore => Reception::Hold,
            Effect::Eof => Reception::Drop,
            Effect::Reset => {
                self.line.abort_handle().ask();
                Reception::Drop
            }
            effect => {
                self.perform_on_line(struck.id, effect);
                Reception::Serve
            }
        }
    }
}
