//! The host: its handle, its states, its task.

mod board;
mod error;
mod facts;
mod shared;
mod state;
mod task;

pub use error::{HostError, HostErrorKind};
pub use state::HostState;

pub(crate) use shared::Shared;

use std::fmt;
use std::sync::{Arc, Mutex};

use eventhubs_client::Hub;
use eventhubs_protocol::PartitionId;
use tokio::runtime::Handle as Runtime;
use tokio::sync::watch;

use crate::checkpointer::Checkpointer;
use crate::clock;
use crate::handler::{Handler, HandlerId, Registered};
use crate::health::{Health, Snapshot};
use crate::leaser::Leaser;
use crate::notice::{HostEvents, Notices};
use crate::options::HostOptions;
use crate::owner::OwnerId;
use crate::statistics::{Counters, HostStatistics};
use crate::suspicion::Suspicion;

use board::{Board, Standing};
use state::{Machine, Need};

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
        self.handle.handlers.send_if_modified(|handlers| {
            let left: Arc<[_]> = handlers.iter().filter(|one| one.id != id).cloned().collect();
            let was_there = left.len() < handlers.len();
            let was_last = was_there && left.is_empty();
            *handlers = left;
            if was_last && self.state() != HostState::Idle {
                // It has a task, so none is needed.
                let _ = self.handle.board.change(Machine::close);
            }
            was_there
        })
    }

    /// The handlers, in the order in which they were registered.
    #[must_use]
    pub fn registered_handler_ids(&self) -> Vec<HandlerId> {
        self.handle.handlers.borrow().iter().map(|one| one.id).collect()
    }

    /// Starts, and waits until the host was stopped or closed, from wherever.
    ///
    /// While hub or store cannot be reached it stays [`Starting`](HostState::Starting) and tries
    /// again, after 1 s up to 30 s; state, health and host events show it. With
    /// [`fail_fast`](HostOptions::fail_fast) it ends with the error instead.
    ///
    /// # Errors
    ///
    /// As [`start_nonblocking`](Self::start_nonblocking), and, only with `fail_fast`,
    /// [`Hub`](HostErrorKind::Hub), [`Store`](HostErrorKind::Store) or
    /// [`Timeout`](HostErrorKind::Timeout): then the host may be started again.
    ///
    /// # Cancel safety
    ///
    /// The host goes on when this is dropped: only the waiting ends.
    pub async fn start(&self) -> Result<(), HostError> {
        self.start_nonblocking()?;
        let starts = self.handle.board.read(Machine::starts);
        let mut standing = self.handle.board.subscribe();
        let is_over = |standing: &Standing| {
            standing.machine.is_at_rest() || standing.machine.starts() > starts
        };
        match standing.wait_for(is_over).await {
            Ok(standing) if standing.machine.starts() == starts => {
                standing.machine.failure().cloned().map_or(Ok(()), Err)
            }
            // It was stopped, and started again since.
            _ => Ok(()),
        }
    }

    /// Starts, and returns at once; see [`start`](Self::start).
    ///
    /// # Errors
    ///
    /// [`NoHandler`](HostErrorKind::NoHandler) without a handler;
    /// [`AlreadyStarted`](HostErrorKind::AlreadyStarted); [`Closed`](HostErrorKind::Closed);
    /// [`NoRuntime`](HostErrorKind::NoRuntime) outside of a tokio runtime.
    pub fn start_nonblocking(&self) -> Result<(), HostError> {
        // The list is held, so that the last handler cannot go before the host is started.
        let handlers = self.handle.handlers.borrow();
        self.spawning(|machine| machine.start(!handlers.is_empty()))
    }

    /// Gives all partitions back and stops, so that the host may be started again: intake ends,
    /// running handlers get the grace to end, what they finished is written as checkpoints, receivers
    /// are detached, leases released. A host that is not started is stopped already.
    ///
    /// It takes the [grace](crate::ownership::Timing::grace), three calls to the store of a quarter of
    /// a lease each, and 10 s for receivers to detach, at most, whoever does not answer; as a rule
    /// much less. A handler that awaits this is given up after the grace, like any other that does
    /// not end.
    ///
    /// # Errors
    ///
    /// [`Timeout`](HostErrorKind::Timeout): something did not end in that time and was left alone.
    /// The host is stopped all the same, and other hosts get the partitions when the leases run out.
    ///
    /// # Cancel safety
    ///
    /// The host goes on stopping when this is dropped. Any number of calls may wait at once.
    pub async fn stop(&self) -> Result<(), HostError> {
        let mut standing = self.handle.board.subscribe();
        let starts = self.handle.board.change(|machine| {
            machine.stop();
            machine.starts()
        });
        let is_over = |standing: &Standing| {
            standing.machine.is_at_rest() || standing.machine.starts() > starts
        };
        match standing.wait_for(is_over).await {
            Ok(standing) => standing.machine.remainder().cloned().map_or(Ok(()), Err),
            Err(_) => Ok(()),
        }
    }

    /// Stops, if the host is started, and closes: it withdraws from the other hosts and closes the
    /// leaser, the checkpointer and the hub, all clones of the hub included. Idempotent; a closed host
    /// stays closed.
    ///
    /// It takes one call to the store and 15 s for the hub longer than [`stop`](Self::stop), at most.
    ///
    /// # Errors
    ///
    /// As [`stop`](Self::stop); [`Store`](HostErrorKind::Store) when the leaser or the checkpointer
    /// did not close well; [`NoRuntime`](HostErrorKind::NoRuntime) outside of a tokio runtime. Except
    /// for the last, the host is closed all the same.
    ///
    /// # Cancel safety
    ///
    /// The host goes on closing when this is dropped. Any number of calls may wait at once.
    pub async fn close(&self) -> Result<(), HostError> {
        let mut standing = self.handle.board.subscribe();
        self.spawning(|machine| Ok(machine.close()))?;
        let is_over = |standing: &Standing| standing.machine.state() == HostState::Closed;
        match standing.wait_for(is_over).await {
            Ok(standing) => standing.machine.remainder().cloned().map_or(Ok(()), Err),
            Err(_) => Ok(()),
        }
    }

    /// Changes the machine, and makes the task of the host if that needs one.
    fn spawning(
        &self,
        change: impl FnOnce(&mut Machine) -> Result<Need, HostError>,
    ) -> Result<(), HostError> {
        let runtime = Runtime::try_current().map_err(|_| {
            HostError::new(HostErrorKind::NoRuntime, "call this inside of a tokio runtime")
        });
        let Handle { shared, board, alive, .. } = &*self.handle;
        match runtime {
            Ok(runtime) => {
                if board.change(change)? == Need::Task {
                    let (shared, board) = (Arc::clone(shared), Arc::clone(board));
                    runtime.spawn(task::run(shared, board, alive.subscribe()));
                }
                Ok(())
            }
            // Where no task is needed, no runtime is.
            Err(error) => board.read(|machine| match change(&mut machine.clone()) {
                Ok(Need::Nothing) => Ok(()),
                Ok(Need::Task) => Err(error),
                Err(refused) => Err(refused),
            }),
        }
    }

    /// Has no handler called and no partition taken until [`resume`](Self::resume). Calls that run
    /// end by themselves. Partitions are kept and their leases renewed, and given to other hosts when
    /// it lasts longer than [`pause_max`](HostOptions::pause_max). At any time; a host that is started
    /// later starts paused.
    pub fn pause(&self) {
        self.handle.board.hold(true);
    }

    /// Ends a [`pause`](Self::pause). A host that [follows](Self::follow) something that is not well
    /// stays paused.
    pub fn resume(&self) {
        self.handle.board.hold(false);
    }

    /// Pauses while `health` is false, beside what [`pause`](Self::pause) says; a sender that is
    /// dropped counts as well. What was followed before is not any more. Changes are seen while the
    /// host is started.
    ///
    /// ```no_run
    /// # fn example(host: eventhubs_eph::EventProcessorHost) {
    /// let (database_is_up, health) = tokio::sync::watch::channel(true);
    /// host.follow(health);
    /// // No event is handled until it is true again.
    /// let _ = database_is_up.send(false);
    /// # }
    /// ```
    pub fn follow(&self, health: watch::Receiver<bool>) {
        self.handle.board.follow(health);
    }

    /// What the host is doing.
    #[must_use]
    pub fn state(&self) -> HostState {
        self.handle.board.read(Machine::state)
    }

    /// Waits until the host is in a state; at once when it is. One that lasts for a moment only may be
    /// missed.
    ///
    /// # Errors
    ///
    /// [`Closed`](HostErrorKind::Closed) when the host was closed, and another state was waited for;
    /// the error of a start that [failed fast](HostOptions::fail_fast) when what it would have led to
    /// was waited for.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn wait_for(&self, state: HostState) -> Result<(), HostError> {
        let mut standing = self.handle.board.subscribe();
        let is_failure = |machine: &Machine| {
            let awaited = matches!(state, HostState::Running | HostState::Paused);
            machine.failure().filter(|_| awaited).cloned()
        };
        let is_answer = |standing: &Standing| {
            let machine = &standing.machine;
            machine.state() == state
                || machine.state() == HostState::Closed
                || is_failure(machine).is_some()
        };
        match standing.wait_for(is_answer).await {
            Ok(standing) if standing.machine.state() == state => Ok(()),
            Ok(standing) => Err(is_failure(&standing.machine).unwrap_or_else(|| {
                HostError::new(HostErrorKind::Closed, format!("it will not be {state}"))
            })),
            Err(_) => Err(HostError::new(HostErrorKind::Closed, "the host is gone")),
        }
    }

    /// The partitions of the hub.
    ///
    /// # Errors
    ///
    /// [`Hub`](HostErrorKind::Hub) when the hub does not tell them.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn partition_ids(&self) -> Result<Vec<PartitionId>, HostError> {
        Ok(self.handle.shared.hub.runtime_information().await?.partition_ids)
    }

    /// The partitions this host owns and does not just give back.
    #[must_use]
    pub fn partition_ids_being_processed(&self) -> Vec<PartitionId> {
        self.handle.board.facts(|facts| facts.processed())
    }

    /// How the host is.
    #[must_use]
    pub fn health(&self) -> Health {
        let Handle { shared, board, .. } = &*self.handle;
        let now = clock::now();
        let (state, failure) = board.read(|machine| (machine.state(), machine.failure().cloned()));
        board
            .facts(|facts| Snapshot {
                state,
                since: now.saturating_duration_since(board.since()),
                timing: shared.options.timing,
                scan: shared.options.scan,
                failure,
                partitions: facts.partition_health(),
                scan_age: facts.scanned.map(|at| now.saturating_duration_since(at)),
                hub: facts.hub.clone(),
                is_hub_silent: facts.is_hub_silent,
                store: facts.store.clone(),
                corrupt: facts.corrupt.clone(),
                stopped: facts.stopped.clone(),
            })
            .into()
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
        let partitions = self.handle.board.facts(|facts| facts.partition_health());
        let mut statistics = self.handle.shared.counters.read();
        statistics.owned = partitions.len() as u64;
        statistics.lag_events = partitions.iter().filter_map(|health| health.lag_events).sum();
        let lags = partitions.iter().filter_map(|health| health.lag_time);
        statistics.lag_time = lags.max().unwrap_or_default();
        statistics
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
