//! The host: its handle, its states, its task.

mod board;
mod error;
mod shared;
mod state;

pub use error::{HostError, HostErrorKind};
pub use state::HostState;

pub(crate) use shared::Shared;

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use eventhubs_client::Hub;
use eventhubs_protocol::PartitionId;
use tokio::runtime::Handle as Runtime;
use tokio::sync::watch;

use crate::checkpointer::Checkpointer;
use crate::handler::{Handler, HandlerId, Registered};
use crate::health::Health;
use crate::leaser::Leaser;
use crate::notice::{HostEvents, Notices};
use crate::options::HostOptions;
use crate::owner::OwnerId;
use crate::statistics::{Counters, HostStatistics};
use crate::suspicion::Suspicion;

use board::Board;
use state::Need;

/// Shares the partitions of a hub with other hosts, and has handlers process what it owns.
///
/// A handle; clones are the same host. Making one does no I/O and needs no runtime; starting one
/// does. Each partition is owned by one host at a time, through a lease in a store that all hosts
/// share, and its events are handled in order. Each event is handled at least once: a partition goes
/// on after the last checkpoint, whoever owns it then.
///
/// # Life
///
/// [`start`](Self::start) or [`start_nonblocking`](Self::start_nonblocking) makes the tasks of the
/// host. [`stop`](Self::stop) gives the partitions back in order: intake ends, handlers get
/// [the grace](crate::ownership::Timing::grace) to end, checkpoints are written, receivers detached,
/// leases released; then it may start again. [`close`](Self::close) also closes the stores' objects
/// and the hub. When the last handle is dropped without that, the tasks end at once wherever they
/// are, and others get the partitions when the leases have run out. A handler that holds a handle of
/// its own host keeps it alive: close it.
///
/// # Examples
///
/// ```no_run
/// # async fn example(hub: eventhubs_client::Hub, handler: eventhubs_eph::Handler)
/// # -> Result<(), eventhubs_eph::HostError> {
/// use std::sync::{Arc, Mutex};
///
/// use eventhubs_eph::{EventProcessorHost, HostOptions, MemoryStore};
///
/// let store = Arc::new(MemoryStore::new());
/// let checkpoints = Arc::clone(&store);
/// let host = EventProcessorHost::new(hub, store, checkpoints, HostOptions::default())?;
/// host.register_handler(handler)?;
/// host.start_nonblocking()?;
/// // ...
/// host.close().await
/// # }
/// ```
#[derive(Clone)]
pub struct EventProcessorHost {
    handle: Arc<Handle>,
}

/// What the handles share; its end tells the task that nobody is left.
struct Handle {
    shared: Arc<Shared>,
    board: Arc<Board>,
    handlers: watch::Sender<Arc<[Registered]>>,
    /// Never sent to; its end is the message.
    alive: watch::Sender<()>,
}

impl EventProcessorHost {
    /// A host for `hub`, whose leases and checkpoints are kept by these. Both are for the same hub
    /// and consumer group; they may be one object.
    ///
    /// # Errors
    ///
    /// [`InvalidOptions`](HostErrorKind::InvalidOptions), naming the field.
    pub fn new(
        hub: Hub,
        leaser: Arc<dyn Leaser>,
        checkpointer: Arc<dyn Checkpointer>,
        options: HostOptions,
    ) -> Result<Self, HostError> {
        options.check()?;
        let owner = OwnerId::unique();
        let name = options.name.clone().unwrap_or_else(|| owner.as_str().to_owned());
        let handlers = watch::Sender::new(Arc::default());
        let paused = watch::Sender::new(false);
        let notices = Notices::new();
        let suspicion = Suspicion::new(options.epochs, options.timing.lease);
        let shared = Arc::new(Shared {
            hub,
            leaser,
            checkpointer,
            options,
            owner,
            name,
            handlers: handlers.subscribe(),
            paused: paused.subscribe(),
            notices: notices.clone(),
            counters: Counters::default(),
            suspicion: Mutex::new(suspicion),
        });
        let board = Arc::new(Board::new(notices, paused));
        let handle = Handle { shared, board, handlers, alive: watch::Sender::new(()) };
        Ok(Self { handle: Arc::new(handle) })
    }

    /// A host for the hub that the `EntityPath` of a connection string names.
    ///
    /// # Errors
    ///
    /// [`InvalidOptions`](HostErrorKind::InvalidOptions): the text is no connection string or names
    /// no hub, or an option is wrong. No error shows a part of the text.
    pub fn from_connection_string(
        text: &str,
        leaser: Arc<dyn Leaser>,
        checkpointer: Arc<dyn Checkpointer>,
        options: HostOptions,
    ) -> Result<Self, HostError> {
        Self::new(Hub::from_connection_string(text)?, leaser, checkpointer, options)
    }

    /// Has `handler` called with the events of every partition this host owns, now or later: at any
    /// time, also inside a handler. Each of several handlers gets each event. One that is registered
    /// while the host runs begins with the next event that is handed out.
    ///
    /// # Errors
    ///
    /// [`Closed`](HostErrorKind::Closed) when the host is closed or just being closed.
    pub fn register_handler(&self, handler: Handler) -> Result<HandlerId, HostError> {
        let added = Registered::new(handler);
        let id = added.id;
        let mut refused = None;
        self.handle.handlers.send_if_modified(|handlers| {
            // Under the lock of the list, so that the last one cannot go at the same time.
            if let Err(error) = self.handle.board.read(|machine| match machine.is_closing() {
                true => Err(HostError::new(HostErrorKind::Closed, "no handler is called any more")),
                false => Ok(()),
            }) {
                refused = Some(error);
                return false;
            }
            *handlers = handlers.iter().cloned().chain([added]).collect();
            true
        });
        refused.map_or(Ok(id), Err)
    }

    /// Takes a handler away; whether it was there. A call that is running ends by itself. When the
    /// last handler goes while the host is started, the host begins to close, and this does not wait
    /// for it, so that it may be called inside a handler.
    pub fn unregister_handler(&self, id: HandlerId) -> bool {
        let mut was_last = false;
        let was_there = self.handle.handlers.send_if_modified(|handlers| {
            let left: Arc<[_]> = handlers.iter().filter(|one| one.id != id).cloned().collect();
            let was_there = left.len() < handlers.len();
            was_last = was_there && left.is_empty();
            *handlers = left;
            if was_last && self.handle.board.read(|machine| machine.state()) != HostState::Idle {
                // It has a task, so none is needed.
                let _ = self.handle.board.change(|machine| machine.close());
            }
            was_there
        });
        was_there
    }

    /// The handlers, in the order in which they were registered.
    #[must_use]
    pub fn registered_handler_ids(&self) -> Vec<HandlerId> {
        self.handle.handlers.borrow().iter().map(|one| one.id).collect()
    }

    /// What the host is doing.
    #[must_use]
    pub fn state(&self) -> HostState {
        self.handle.board.read(|machine| machine.state())
    }

    /// What people call this host: the name in its options, or its owner id.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.handle.shared.name
    }

    /// Who owns what this host owns: drawn when the host was made, unlike its name.
    #[must_use]
    pub fn owner(&self) -> OwnerId {
        self.handle.shared.owner.clone()
    }

    /// What happens to the host from now on.
    #[must_use]
    pub fn host_events(&self) -> HostEvents {
        self.handle.shared.notices.listen()
    }

    /// Numbers of the host.
    #[must_use]
    pub fn statistics(&self) -> HostStatistics {
        self.handle.shared.counters.read()
    }
}

impl fmt::Debug for EventProcessorHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventProcessorHost")
            .field("name", &self.name())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
