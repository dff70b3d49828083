//! What a program does with events: handlers, as closures or as objects.

mod error;
mod object;
mod slot;

pub use self::error::{HandlerError, Verdict};
pub use self::object::PartitionHandler;
pub(crate) use self::slot::{EachSlot, Failure, Ran, Slot};

use std::fmt;
use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use eventhubs_protocol::ReceivedEvent;
use uuid::Uuid;

use crate::partition::{CloseReason, Partition};

use self::slot::{EachWork, Work};

/// Most events of a batch.
pub(crate) const BATCH_MAX: usize = 10_000;
/// Most calls of one handler at the same time.
pub(crate) const LANES_MAX: usize = 1_024;

type Done = Pin<Box<dyn Future<Output = Result<(), HandlerError>> + Send>>;

/// Something to be done with the events of every partition that the host owns, for
/// [`EventProcessorHost::register_handler`](crate::EventProcessorHost::register_handler).
///
/// # Calls
///
/// For one partition there is one call at a time, unless [told otherwise](Self::with_concurrency),
/// in the order of the events; partitions are independent. Every handler gets every event, several
/// handlers at the same time. An event is done when all of them have returned `Ok`.
///
/// Every event comes at least once. It comes again after a failure and, beyond the last checkpoint,
/// after the partition went to another owner.
///
/// A call runs in the task of its partition: it may wait for as long as it likes without disturbing
/// anything else, but it must not block the thread. Blocking work belongs into
/// `tokio::task::spawn_blocking`: where the runtime has only one thread, or blocked calls take all
/// of them, leases cannot be renewed and partitions are lost.
///
/// # Failures
///
/// A call that returns an error, panics, or takes longer than its [time-out](Self::with_timeout)
/// has failed. What follows is what the error itself says, or else
/// [`FailurePolicy`](crate::FailurePolicy): the partition restarts at that very event, passes over
/// it, or stops. Either is told as [`HostEvent`](crate::HostEvent). With `panic = "abort"` a panic
/// ends the process.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use eventhubs_eph::{Handler, HandlerError};
///
/// let each = Handler::each(|event, partition| async move {
///     // Any error will do: here it is one of UTF-8.
///     let text = std::str::from_utf8(event.body()).map_err(HandlerError::skip)?;
///     println!("{} {}: {text}", partition.id(), event.sequence_number());
///     Ok(())
/// });
///
/// let batch = Handler::batch(|events, partition| async move {
///     println!("{} events of partition {}", events.len(), partition.id());
///     Ok(())
/// })
/// .with_events_max(500)
/// .with_wait_max(Duration::from_secs(1))
/// .on_close(|partition, reason| async move {
///     println!("partition {} goes: {reason}", partition.id());
///     Ok(())
/// });
/// # let _ = (each, batch);
/// ```
pub struct Handler {
    pub(crate) kind: Kind,
    pub(crate) opened: Option<Opened>,
    pub(crate) closed: Option<Closed>,
    /// `None`: the host's.
    pub(crate) timeout: Option<Option<Duration>>,
    pub(crate) concurrency: Concurrency,
    pub(crate) events_max: usize,
    pub(crate) wait_max: Duration,
    pub(crate) empty_batches: bool,
}

pub(crate) type Opened = Box<dyn Fn(Partition) -> Done + Send + Sync>;
pub(crate) type Closed = Box<dyn Fn(Partition, CloseReason) -> Done + Send + Sync>;

/// What it is called with.
pub(crate) enum Kind {
    Each(Box<dyn EachWork>),
    Batch(Box<dyn Work<Vec<ReceivedEvent>>>),
}

impl Handler {
    /// A handler that is called with one event after the other.
    #[must_use]
    pub fn each<F, Fut>(handle: F) -> Self
    where
        F: Fn(ReceivedEvent, Partition) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        Self::new(Kind::Each(Box::new(slot::Closure::new(handle))))
    }

    /// A handler that is called with batches: up to [100 events](Self::with_events_max), or what has
    /// come [200 ms](Self::with_wait_max) after the first of them.
    #[must_use]
    pub fn batch<F, Fut>(handle: F) -> Self
    where
        F: Fn(Vec<ReceivedEvent>, Partition) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        Self::new(Kind::Batch(Box::new(slot::Closure::new(handle))))
    }

    /// A handler that is an object. It is called with batches.
    #[must_use]
    pub fn of(handler: impl PartitionHandler) -> Self {
        let handler = Arc::new(handler);
        let (opened, closed) = (Arc::clone(&handler), Arc::clone(&handler));
        Self::batch(move |events, partition| {
            let handler = Arc::clone(&handler);
            async move { handler.events(events, partition).await }
        })
        .on_open(move |partition| {
            let handler = Arc::clone(&opened);
            async move { handler.opened(partition).await }
        })
        .on_close(move |partition, reason| {
            let handler = Arc::clone(&closed);
            async move { handler.closed(partition, reason).await }
        })
    }

    fn new(kind: Kind) -> Self {
        Self {
            kind,
            opened: None,
            closed: None,
            timeout: None,
            concurrency: Concurrency::Ordered,
            events_max: 100,
            wait_max: Duration::from_millis(200),
            empty_batches: false,
        }
    }

    /// Called before the first event of a partition, each time that the host gets it. Until it has
    /// returned `Ok` the handler is given nothing of that partition; an error is a failure like any
    /// other, and to skip means to go on without.
    #[must_use]
    pub fn on_open<F, Fut>(mut self, opened: F) -> Self
    where
        F: Fn(Partition) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        self.opened = Some(Box::new(move |partition| Box::pin(opened(partition))));
        self
    }

    /// Called once after the last event of a partition that was opened, with the reason. While the
    /// lease is still held (the host stops, or gives the partition away) it may
    /// [checkpoint](Partition::checkpoint). It shares the
    /// [grace](crate::ownership::Timing::grace) with the call that was running. An error is told, and
    /// changes nothing.
    ///
    /// It is not called when a handler did not end within the grace, and when the process ends
    /// without closing the host.
    #[must_use]
    pub fn on_close<F, Fut>(mut self, closed: F) -> Self
    where
        F: Fn(Partition, CloseReason) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        self.closed = Some(Box::new(move |partition, reason| Box::pin(closed(partition, reason))));
        self
    }

    /// How long one call may take; then its future is dropped where it waits and the call has
    /// failed. `None` for no limit. Default: [`HostOptions::handler_timeout`](crate::HostOptions).
    #[must_use]
    pub fn with_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeout = Some(timeout.into());
        self
    }

    /// Lets calls for events of different keys run at the same time. Only for handlers of single
    /// events. Default [`Concurrency::Ordered`].
    #[must_use]
    pub fn with_concurrency(mut self, concurrency: Concurrency) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// Most events of a batch, 1 to 10 000; what is out of that range is brought into it. Only for
    /// handlers of batches. Default 100.
    #[must_use]
    pub fn with_events_max(mut self, events: usize) -> Self {
        self.events_max = events.clamp(1, BATCH_MAX);
        self
    }

    /// How long a batch waits for more events after its first one. Zero: not at all. Only for
    /// handlers of batches. Default 200 ms.
    #[must_use]
    pub fn with_wait_max(mut self, wait: Duration) -> Self {
        self.wait_max = wait;
        self
    }

    /// Has the handler called with an empty batch whenever nothing came for the
    /// [longest wait](Self::with_wait_max), or for 10 ms should that be shorter. Only for handlers
    /// of batches. Default: it is not.
    #[must_use]
    pub fn with_empty_batches(mut self) -> Self {
        self.empty_batches = true;
        self
    }
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Each(_) => "each",
            Kind::Batch(_) => "batch",
        };
        f.debug_struct("Handler")
            .field("kind", &kind)
            .field("timeout", &self.timeout)
            .field("concurrency", &self.concurrency)
            .field("events_max", &self.events_max)
            .field("wait_max", &self.wait_max)
            .finish_non_exhaustive()
    }
}

/// Which calls of a handler for one partition may run at the same time.
///
/// # Examples
///
/// ```
/// use std::num::NonZeroUsize;
///
/// use eventhubs_eph::{Concurrency, Handler};
///
/// let lanes = NonZeroUsize::new(16).expect("not zero");
/// let handler = Handler::each(|_event, _partition| async { Ok(()) })
///     .with_concurrency(Concurrency::PerKey { lanes });
/// # let _ = handler;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Concurrency {
    /// None: one call at a time.
    #[default]
    Ordered,
    /// One call at a time for each lane. Events of one partition key are always in the same lane and
    /// so in order; events without a key share one. Checkpoints wait for the slowest lane, and up to
    /// 16 events per lane are taken ahead of it.
    PerKey {
        /// Number of lanes, 1 024 at most.
        lanes: NonZeroUsize,
    },
}

/// Tells registered handlers apart: a random UUID.
///
/// # Examples
///
/// ```
/// use eventhubs_eph::HandlerId;
///
/// fn log(ids: &[HandlerId]) {
///     ids.iter().for_each(|id| println!("handler {id}"));
/// }
/// # log(&[]);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HandlerId(Uuid);

impl HandlerId {
    pub(crate) fn unique() -> Self {
        Self(Uuid::new_v4())
    }
}

impl fmt::Display for HandlerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for HandlerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HandlerId({})", self.0)
    }
}

/// A handler that was registered.
#[derive(Clone, Debug)]
pub(crate) struct Registered {
    pub(crate) id: HandlerId,
    pub(crate) handler: Arc<Handler>,
}

impl Registered {
    pub(crate) fn new(handler: Handler) -> Self {
        Self { id: HandlerId::unique(), handler: Arc::new(handler) }
    }
}
