//! The error of this crate and its kinds.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use eventhubs_amqp::codec::AmqpError;
use eventhubs_amqp::engine::CloseReason;
use eventhubs_amqp::net::{self, LinkClosed, SendFailure};
use eventhubs_protocol::SequenceNumber;
use eventhubs_protocol::condition::{self, End, Meaning, Outcome, Place, Recovery, Retry, Verdict};
use eventhubs_protocol::rpc::AnswerError;

use crate::recovery::attempts::Ended;

/// What was being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Reading a connection string, an option or an argument.
    Configure,
    /// Connecting to the namespace.
    Connect,
    /// Getting a token and putting it.
    Authorize,
    /// Attaching a sender.
    AttachProducer,
    /// Attaching a receiver.
    AttachConsumer,
    /// Sending an event or a batch.
    Send,
    /// Receiving events.
    Receive,
    /// Asking for runtime information.
    RuntimeInformation,
    /// The handler of a listener.
    Handle,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Configure => "configuring",
            Self::Connect => "connecting to",
            Self::Authorize => "authorizing for",
            Self::AttachProducer => "attaching a sender to",
            Self::AttachConsumer => "attaching a receiver to",
            Self::Send => "sending to",
            Self::Receive => "receiving from",
            Self::RuntimeInformation => "reading runtime information of",
            Self::Handle => "handling an event of",
        })
    }
}

/// What an [`Error`] means, and so what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument, option or connection string is wrong; nothing was sent. Correct it.
    InvalidInput,
    /// The event or batch can never fit the link. Make it smaller.
    TooLarge {
        /// Its size in bytes.
        size: usize,
        /// What the link takes, in bytes; 0 when the service names no limit.
        limit: u64,
    },
    /// No token, an expired one, a wrong key, or a missing right.
    Unauthorized,
    /// The hub, consumer group or partition does not exist.
    NotFound,
    /// The service throttles; try again later.
    ServerBusy,
    /// A quota is used up, as with more than five receivers on one partition.
    QuotaExceeded,
    /// Another receiver took the partition over.
    Stolen,
    /// The start position does not exist.
    InvalidPosition,
    /// The service refused; nothing was stored.
    Rejected,
    /// Nobody answered in time.
    Timeout,
    /// The connection or the link was lost.
    Disconnected,
    /// An event could not be decoded; the ones after it are not affected.
    Undecodable,
    /// The service left events out; the ones after them follow.
    Gap {
        /// Sequence number of the first event that is missing.
        from: SequenceNumber,
        /// Sequence number of the last one.
        to: SequenceNumber,
    },
    /// Retention removed events before they were received; the first that is left follows.
    Trimmed {
        /// Sequence number of the first event that is gone.
        from: SequenceNumber,
        /// Sequence number of the last one.
        to: SequenceNumber,
    },
    /// The handler of a listener failed.
    Handler,
    /// The hub was closed by this program.
    Closed,
    /// One end broke the protocol, or said something this library does not know.
    Protocol,
}

/// What went wrong: a kind, what was being done, to which entity, and the cause.
///
/// ```
/// use eventhubs_client::{ErrorKind, Hub, Operation};
///
/// let text = "Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKeyName=send;SharedAccessKey=k";
/// let error = Hub::from_connection_string(text).expect_err("it names no hub");
/// assert_eq!(error.kind(), ErrorKind::InvalidInput);
/// assert_eq!(error.operation(), Operation::Configure);
/// assert!(!error.is_retryable());
/// ```
#[derive(Clone)]
pub struct Error {
    inner: Arc<Inner>,
}

#[derive(Clone, Debug)]
struct Inner {
    kind: ErrorKind,
    operation: Operation,
    entity: String,
    detail: String,
    verdict: Verdict,
    may_have_been_sent: bool,
    /// Time the service asked to be left alone.
    stated_wait: Option<Duration>,
    /// Tries that were made of the call, this one included.
    attempts: u32,
    /// Time from the start of the call to this error; zero when nothing was measured.
    elapsed: Duration,
    /// Whether somebody has paid for trying again what this fault struck.
    paid: Arc<AtomicBool>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(
        kind: ErrorKind,
        operation: Operation,
        entity: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        let (entity, detail) = (entity.into(), detail.into());
        let inner = Inner {
            kind,
            operation,
            entity,
            detail,
            verdict: verdict_of(kind),
            may_have_been_sent: false,
            stated_wait: None,
            attempts: 1,
            elapsed: Duration::ZERO,
            paid: Arc::default(),
            source: None,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Changes this error, and none of its clones.
    fn map(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.inner));
        self
    }

    pub(crate) fn with_source(self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.map(|inner| inner.source = Some(Arc::from(source.into())))
    }

    pub(crate) fn of_verdict(
        verdict: Verdict,
        operation: Operation,
        entity: &str,
        detail: String,
    ) -> Self {
        let sent = operation == Operation::Send && verdict.outcome == Outcome::Unknown;
        Self::new(kind_of(verdict.meaning), operation, entity, detail).map(|inner| {
            inner.verdict = verdict;
            inner.may_have_been_sent = sent;
        })
    }

    /// What the peer said of a delivery, a link, a session or the connection.
    pub(crate) fn of_peer(
        error: &AmqpError,
        place: Place,
        operation: Operation,
        entity: &str,
    ) -> Self {
        let description = error.description.as_deref().unwrap_or_default();
        let end = match operation {
            Operation::Receive | Operation::AttachConsumer => End::Receiver,
            _ => End::Sender,
        };
        let verdict = condition::classify(error.condition.as_str(), description, place, end);
        Self::of_verdict(verdict, operation, entity, error.to_string())
            .with_stated_wait(description)
    }

    /// Keeps the time that a throttling service asks for.
    fn with_stated_wait(self, text: &str) -> Self {
        self.map(|inner| {
            if inner.verdict.meaning == Meaning::ServerBusy {
                inner.stated_wait = condition::busy_wait(text);
            }
        })
    }

    /// A link that is gone. One that this end has left is lost like any other: whether the hub was
    /// closed is for those to say who know the hub.
    pub(crate) fn of_link(closed: &LinkClosed, operation: Operation, entity: &str) -> Self {
        match closed {
            LinkClosed::Remote(Some(error)) => {
                Self::of_peer(error, Place::Detach, operation, entity)
            }
            LinkClosed::Connection(reason) => Self::of_close(reason, operation, entity),
            LinkClosed::Violation(_) => {
                // Only the link has to be made anew, as the peer speaks well otherwise.
                let verdict = Verdict { recovery: Recovery::Link, ..condition::local::BAD_FRAME };
                Self::of_verdict(verdict, operation, entity, closed.to_string())
            }
            _ => {
                Self::of_verdict(condition::local::LINK_LOST, operation, entity, closed.to_string())
            }
        }
    }

    pub(crate) fn of_close(reason: &CloseReason, operation: Operation, entity: &str) -> Self {
        match reason {
            CloseReason::Remote(Some(error)) => {
                Self::of_peer(error, Place::Close, operation, entity)
            }
            CloseReason::ProtocolHeader(_) => Self::of_verdict(
                condition::local::BAD_PROTOCOL_HEADER,
                operation,
                entity,
                reason.to_string(),
            ),
            CloseReason::Violation(_) => {
                Self::of_verdict(condition::local::BAD_FRAME, operation, entity, reason.to_string())
            }
            CloseReason::Sasl(_) => {
                Self::new(ErrorKind::Unauthorized, operation, entity, reason.to_string())
            }
            CloseReason::OpenTimeout => {
                Self::new(ErrorKind::Timeout, operation, entity, reason.to_string())
            }
            reason => Self::of_verdict(
                condition::local::CONNECTION_LOST,
                operation,
                entity,
                reason.to_string(),
            ),
        }
    }

    pub(crate) fn of_net(error: &net::Error, operation: Operation, entity: &str) -> Self {
        match error.kind() {
            net::ErrorKind::Detached(LinkClosed::Remote(Some(remote))) => {
                Self::of_peer(remote, Place::Attach, operation, entity)
            }
            net::ErrorKind::Detached(closed) => Self::of_link(closed, operation, entity),
            net::ErrorKind::Closed(reason) => Self::of_close(reason, operation, entity),
            net::ErrorKind::Timeout(_) => {
                Self::new(ErrorKind::Timeout, operation, entity, error.to_string())
            }
            net::ErrorKind::Tls(_) => {
                Self::of_verdict(condition::local::UNTRUSTED, operation, entity, error.to_string())
            }
            _ => Self::new(ErrorKind::Disconnected, operation, entity, error.to_string()),
        }
        .with_source(error.clone())
    }

    pub(crate) fn of_send(failure: &SendFailure, entity: &str) -> Self {
        let operation = Operation::Send;
        let detail = failure.to_string();
        let error = match failure {
            SendFailure::TooLarge { size, limit } => {
                return Self::too_large(*size, *limit, entity);
            }
            SendFailure::NotSent(closed) | SendFailure::Unknown(closed) => {
                Self::of_link(closed, operation, entity)
            }
            // The queue is full, which is no fault of the link.
            SendFailure::NotSentInTime(wait) if wait.is_zero() => {
                let verdict = Verdict { recovery: Recovery::None, ..condition::local::NO_CREDIT };
                Self::of_verdict(verdict, operation, entity, detail)
            }
            SendFailure::NotSentInTime(_) => {
                Self::of_verdict(condition::local::NO_CREDIT, operation, entity, detail)
            }
            _ => Self::of_verdict(condition::local::NO_OUTCOME, operation, entity, detail),
        };
        error.map(|inner| inner.may_have_been_sent = failure.may_have_been_sent())
    }

    /// A request that was not answered because it was not delivered.
    pub(crate) fn of_request(failure: &SendFailure, operation: Operation, entity: &str) -> Self {
        match failure {
            SendFailure::NotSent(closed) | SendFailure::Unknown(closed) => {
                Self::of_link(closed, operation, entity)
            }
            SendFailure::NotSentInTime(_) | SendFailure::UnknownInTime(_) => {
                Self::new(ErrorKind::Timeout, operation, entity, failure.to_string())
            }
            _ => Self::new(ErrorKind::Rejected, operation, entity, failure.to_string()),
        }
    }

    pub(crate) fn too_large(size: usize, limit: u64, entity: &str) -> Self {
        let detail = format!("it takes {size} bytes, the link takes {limit}");
        Self::new(ErrorKind::TooLarge { size, limit }, Operation::Send, entity, detail)
    }

    /// Says whether it may be stored all the same, where this end knows better than the table.
    pub(crate) fn with_unknown(self, is_unknown: bool) -> Self {
        self.map(|inner| inner.may_have_been_sent = is_unknown)
    }

    /// Completes what the service said of a message that is too large: this end knows its size and
    /// what the link was said to take.
    pub(crate) fn with_sizes(self, size: usize, limit: u64) -> Self {
        self.map(|inner| {
            if let ErrorKind::TooLarge { size: 0, .. } = inner.kind {
                inner.kind = ErrorKind::TooLarge { size, limit };
            }
        })
    }

    /// Trying again would not help.
    pub(crate) fn for_good(self) -> Self {
        self.map(|inner| inner.verdict.retry = Retry::No)
    }

    /// Trying again before this has passed would not help.
    pub(crate) fn with_wait(self, wait: Option<Duration>) -> Self {
        self.map(|inner| inner.stated_wait = wait)
    }

    /// Adds what may be behind it.
    pub(crate) fn with_hint(self, hint: impl fmt::Display) -> Self {
        self.map(|inner| inner.detail = format!("{} ({hint})", inner.detail))
    }

    pub(crate) fn of_answer(error: AnswerError, operation: Operation, entity: &str) -> Self {
        match &error {
            AnswerError::Refused(refusal) => {
                let (condition, text) = (&refusal.condition, &refusal.description);
                let verdict = condition::classify(condition, text, Place::Answer, End::Sender);
                Self::of_verdict(verdict, operation, entity, error.to_string())
                    .with_stated_wait(text)
            }
            _ => Self::new(ErrorKind::Protocol, operation, entity, error.to_string()),
        }
        .with_source(error)
    }

    pub(crate) fn of_token(error: eventhubs_auth::Error, entity: &str) -> Self {
        let retry = match error.is_retryable() {
            true => Retry::Yes,
            false => Retry::No,
        };
        Self::new(ErrorKind::Unauthorized, Operation::Authorize, entity, error.to_string())
            .map(|inner| inner.verdict.retry = retry)
            .with_source(error)
    }

    pub(crate) fn closed(operation: Operation, entity: &str) -> Self {
        Self::new(ErrorKind::Closed, operation, entity, "the hub was closed by this program")
    }

    pub(crate) fn invalid(entity: &str, source: impl StdError + Send + Sync + 'static) -> Self {
        let detail = source.to_string();
        Self::new(ErrorKind::InvalidInput, Operation::Configure, entity, detail).with_source(source)
    }

    /// What it means.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// What was being done.
    #[must_use]
    pub fn operation(&self) -> Operation {
        self.inner.operation
    }

    /// To which hub, partition, consumer group or host.
    #[must_use]
    pub fn entity(&self) -> &str {
        &self.inner.entity
    }

    /// Whether the same call may succeed later without any change by the caller.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.inner.verdict.retry != Retry::No
    }

    /// Tries that were made before the call gave up: 1 when nothing was tried again, 0 when the
    /// service had asked for a rest that is longer than the call may take.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.inner.attempts
    }

    /// Time from the start of the call until it gave up; zero for errors that no time was spent on.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.inner.elapsed
    }

    /// Whether this is the last item of a stream. An event that cannot be decoded, a gap, and
    /// events that retention removed are items like others: what comes after them follows.
    #[must_use]
    pub fn ends_stream(&self) -> bool {
        !matches!(
            self.inner.kind,
            ErrorKind::Undecodable | ErrorKind::Gap { .. } | ErrorKind::Trimmed { .. }
        )
    }

    /// The call ends with this error, after `ended.attempts` tries.
    pub(crate) fn gave_up(self, ended: &Ended) -> Self {
        self.map(|inner| {
            inner.attempts = ended.attempts;
            inner.elapsed = ended.elapsed;
            inner.may_have_been_sent = ended.may_have_been_sent;
            if ended.is_worth_telling() {
                inner.detail = format!("{ended}: {}", inner.detail);
            }
        })
    }

    /// Marks it as one of the errors of a single fault, such as the loss of a link: its retries are
    /// paid for once.
    pub(crate) fn with_fault(self, paid: &Arc<AtomicBool>) -> Self {
        self.map(|inner| inner.paid = Arc::clone(paid))
    }

    /// Whether nobody has paid yet for trying again what this fault struck.
    pub(crate) fn is_first_to_pay(&self) -> bool {
        !self.inner.paid.swap(true, Ordering::Relaxed)
    }

    /// What to make of it: whether to try again, and what to rebuild first.
    pub(crate) fn verdict(&self) -> Verdict {
        self.inner.verdict
    }

    /// Time the service asked to be left alone, when it throttles.
    pub(crate) fn stated_wait(&self) -> Option<Duration> {
        self.inner.stated_wait
    }

    /// Whether the service may have stored the event or batch all the same: its outcome is unknown,
    /// and sending it again may double it. False for everything that is known not to be stored.
    #[must_use]
    pub fn may_have_been_sent(&self) -> bool {
        self.inner.may_have_been_sent
    }
}

/// What to make of an error that this library made itself.
fn verdict_of(kind: ErrorKind) -> Verdict {
    use condition::local;
    match kind {
        ErrorKind::Timeout => local::NO_ANSWER,
        ErrorKind::Disconnected => local::CONNECTION_LOST,
        ErrorKind::ServerBusy => Verdict { recovery: Recovery::None, ..local::RELEASED },
        // Correcting the call, or nothing at all, is what helps.
        _ => Verdict {
            meaning: Meaning::InvalidArgument,
            retry: Retry::No,
            recovery: Recovery::Fatal,
            outcome: Outcome::NotStored,
            at_once: false,
        },
    }
}

/// The caller's word for what the service means.
fn kind_of(meaning: Meaning) -> ErrorKind {
    match meaning {
        Meaning::ServerBusy => ErrorKind::ServerBusy,
        Meaning::Timeout | Meaning::NoCredit => ErrorKind::Timeout,
        Meaning::ServiceFault
        | Meaning::ConnectionLost
        | Meaning::SessionLost
        | Meaning::LinkLost
        | Meaning::Moved => ErrorKind::Disconnected,
        Meaning::Stolen => ErrorKind::Stolen,
        // The service's text names no sizes that could be relied on: see `Error::with_sizes`.
        Meaning::TooLarge => ErrorKind::TooLarge { size: 0, limit: 0 },
        Meaning::Unauthorized | Meaning::Untrusted => ErrorKind::Unauthorized,
        Meaning::QuotaExceeded => ErrorKind::QuotaExceeded,
        Meaning::NotFound | Meaning::Disabled => ErrorKind::NotFound,
        Meaning::InvalidPosition => ErrorKind::InvalidPosition,
        Meaning::NotAllowed
        | Meaning::InvalidArgument
        | Meaning::PreconditionFailed
        | Meaning::OutOfOrder
        | Meaning::Released
        | Meaning::Rejected => ErrorKind::Rejected,
        _ => ErrorKind::Protocol,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { operation, entity, detail, may_have_been_sent, .. } = &*self.inner;
        write!(f, "{operation} {entity} failed: {detail}")?;
        if *may_have_been_sent {
            f.write_str(" (it may have been stored all the same)")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.inner.kind)
            .field("operation", &self.inner.operation)
            .field("entity", &self.inner.entity)
            .field("detail", &self.inner.detail)
            .field("retry", &self.inner.verdict.retry)
            .field("may_have_been_sent", &self.inner.may_have_been_sent)
            .field("attempts", &self.inner.attempts)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
