//! How a connection is cut off at its lowest layer, whatever lies on top.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use eventhubs_amqp::net::Stream;

/// Asked of the socket at the bottom of a stream: reset the connection when you are dropped,
/// instead of ending it in good order.
///
/// Clones are one and the same. The socket's owner keeps one and looks at it when it goes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Abort(Arc<AtomicBool>);

impl Abort {
    /// Asks for it.
    pub(crate) fn ask(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether it was asked for.
    pub(crate) fn is_asked(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A stream at the bottom of a connection.
pub(crate) trait Abortable: Stream {
    /// The same stream, which resets the connection when it is dropped after `abort` was asked.
    fn with_abort(self, abort: Abort) -> Self;
}
