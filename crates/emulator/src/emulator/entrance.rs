//! A way into an emulator that does not keep it alive.

use std::fmt;
use std::sync::{Arc, Weak};

use eventhubs_amqp::net::Stream;
use tokio::runtime::Handle;

use super::{Emulator, MEMORY_STREAM_BYTES, Shared};
use crate::doors::door::Door;
use crate::doors::listener::ListenerKind;
use crate::doors::memory;

/// Connects to one emulator in memory, through one kind of door.
#[derive(Clone)]
pub(crate) struct Entrance {
    shared: Weak<Shared>,
    door: Door,
    runtime: Handle,
}

impl Emulator {
    pub(crate) fn entrance(&self, kind: ListenerKind) -> Entrance {
        let door = Door {
            kind,
            #[cfg(feature = "tls")]
            tls: self.tls.clone(),
        };
        Entrance { shared: Arc::downgrade(&self.shared), door, runtime: self.runtime.clone() }
    }
}

impl Entrance {
    /// The client's end of a new stream. `None` when the emulator is gone or was shut down; at
    /// the limit of connections the stream is at its end.
    pub(crate) fn enter(&self) -> Option<Box<dyn Stream>> {
        let shared = self.shared.upgrade()?;
        if *shared.stopping.borrow() {
            return None;
        }
        let (near, far) = memory::pair(MEMORY_STREAM_BYTES);
        if let Ok(permit) = Arc::clone(&shared.room).try_acquire_owned() {
            shared.admit(&self.runtime, self.door.clone(), (far, None), permit);
        }
        Some(Box::new(near))
    }
}

impl fmt::Debug for Entrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entrance").field("kind", &self.door.kind).finish_non_exhaustive()
    }
}
