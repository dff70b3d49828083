//! Options of a hub and of a receiver.

use std::sync::Arc;
use std::time::Duration;

use eventhubs_amqp::net::{Connector, Resolver, TcpOptions, TlsOptions};
use eventhubs_protocol::{ConsumerGroup, OwnerLevel, StartPosition};

use crate::pacing::Pacing;
use crate::retry::RetryOptions;

/// Options of a [`Hub`](crate::Hub). What is out of the range that a field states is refused when the
/// hub is made, by an error of kind [`InvalidInput`](crate::ErrorKind::InvalidInput) that names it.
///
/// ```
/// use std::time::Duration;
///
/// use eventhubs_client::HubOptions;
///
/// let options = HubOptions::default()
///     .with_identifier("meter-7")
///     .with_send_timeout(Duration::from_secs(10));
/// assert_eq!(options.pending_sends_max, 4096);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HubOptions {
    /// Name of this client in the service's diagnostics: 1 to 128 characters, none of them a control
    /// character. Default: `eventhubs-` and a random UUID.
    pub identifier: Option<String>,
    /// Time for name resolution, TCP and TLS together. 1 ms to 24 h. Default 20 s.
    pub connect_timeout: Duration,
    /// Time for the AMQP and SASL handshake. 1 ms to 24 h. Default 30 s.
    pub open_timeout: Duration,
    /// Time for a link to attach. 1 ms to 24 h. Default 15 s.
    pub attach_timeout: Duration,
    /// Time for a send to get its outcome, from the moment it is queued. 1 ms to 24 h. Default 30 s.
    pub send_timeout: Duration,
    /// Time for an answer to put-token and runtime information. 1 ms to 24 h. Default 20 s.
    pub request_timeout: Duration,
    /// Time for the service to answer a close. 1 ms to 24 h. Default 5 s.
    pub close_timeout: Duration,
    /// Silence after which the connection counts as lost, at twice this. 1 s to 24 h. Default 60 s.
    pub idle_timeout: Duration,
    /// Sends without an outcome, per link, above which [`Hub::send`](crate::Hub::send) waits.
    /// 1 to 1 000 000. Default 4 096.
    pub pending_sends_max: usize,
    /// Bytes of such sends, per link, above which it waits. 1 byte to 1 GiB. Default 16 MiB.
    pub pending_bytes_max: usize,
    /// Whether sends to the same destination are stored in the order of the calls, retries included:
    /// each begins when the one before has its outcome, so that there is one on its way at a time.
    /// Otherwise many are, and one that is tried again may be stored after those that followed it.
    ///
    /// The order is that of [`send`](crate::Producer::send) and [`enqueue`](crate::Producer::enqueue)
    /// calls of all clones of a hub to one partition, or to the hub itself, with keys or without.
    /// Time that a send waits for those before it counts as its own. What has not begun when the
    /// hub is closed is not sent, and a send whose future is dropped before it began is withdrawn.
    /// Default false.
    pub ordered: bool,
    /// Deliveries after which a link is made anew, before its 32-bit counters wrap. 1 to
    /// 2 147 483 648. Default 2 147 483 648.
    pub link_deliveries_max: u64,
    /// How sends and questions that failed are tried again. Default [`RetryOptions::default`].
    pub retry: RetryOptions,
    /// What this hub shares with others of its namespace to go easy on it. Default: one of its own.
    pub pacing: Option<Pacing>,
    /// Whom to trust and who to be. Default: the platform's roots, no client certificate.
    pub tls: TlsOptions,
    /// Makes the stream below TLS and AMQP. Default: TCP.
    pub connector: Option<Arc<dyn Connector>>,
    /// Turns the host's name into addresses, anew for every connection; a connector resolves by
    /// itself. Default: the runtime's.
    pub resolver: Option<Arc<dyn Resolver>>,
    /// Keep-alives and time-outs of the socket. Default [`TcpOptions::default`].
    pub tcp: TcpOptions,
}

impl Default for HubOptions {
    fn default() -> Self {
        Self {
            identifier: None,
            connect_timeout: Duration::from_secs(20),
            open_timeout: Duration::from_secs(30),
            attach_timeout: Duration::from_secs(15),
            send_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(20),
            close_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(60),
            pending_sends_max: 4096,
            pending_bytes_max: 16 << 20,
            ordered: false,
            link_deliveries_max: 1 << 31,
            retry: RetryOptions::default(),
            pacing: None,
            tls: TlsOptions::default(),
            connector: None,
            resolver: None,
            tcp: TcpOptions::default(),
        }
    }
}

impl HubOptions {
    /// Names this client in the service's diagnostics.
    #[must_use]
    pub fn with_identifier(mut self, identifier: impl Into<String>) -> Self {
        self.identifier = Some(identifier.into());
        self
    }

    /// Changes the time for a send to get its outcome.
    #[must_use]
    pub fn with_send_timeout(mut self, timeout: Duration) -> Self {
        self.send_timeout = timeout;
        self
    }

    /// Keeps sends to the same destination in the order of the calls, one at a time.
    #[must_use]
    pub fn with_ordered_sends(mut self) -> Self {
        self.ordered = true;
        self
    }

    /// Changes how sends and questions that failed are tried again.
    #[must_use]
    pub fn with_retry(mut self, retry: RetryOptions) -> Self {
        self.retry = retry;
        self
    }

    /// Shares the retry budget and the rests that the service asks for with other hubs.
    #[must_use]
    pub fn with_pacing(mut self, pacing: Pacing) -> Self {
        self.pacing = Some(pacing);
        self
    }

    /// Changes whom to trust and who to be.
    #[must_use]
    pub fn with_tls(mut self, tls: TlsOptions) -> Self {
        self.tls = tls;
        self
    }

    /// Connects over another transport than TCP, such as a pipe to an emulator in the same process.
    #[must_use]
    pub fn with_connector(mut self, connector: Arc<dyn Connector>) -> Self {
        self.connector = Some(connector);
        self
    }

    /// Resolves the host's name in another way than the runtime does.
    #[must_use]
    pub fn with_resolver(mut self, resolver: Arc<dyn Resolver>) -> Self {
        self.resolver = Some(resolver);
        self
    }

    /// Changes keep-alives and time-outs of the socket.
    #[must_use]
    pub fn with_tcp(mut self, options: TcpOptions) -> Self {
        self.tcp = options;
        self
    }
}

/// Options of receiving from one partition. What is out of the range that a field states is refused
/// before the network, by an error of kind [`InvalidInput`](crate::ErrorKind::InvalidInput) that
/// names it.
///
/// ```
/// use eventhubs_client::{ConsumerGroup, OwnerLevel, ReceiveOptions, SequenceNumber, StartPosition};
///
/// let last_seen = SequenceNumber::from(41);
/// let options = ReceiveOptions::default()
///     .with_consumer_group(ConsumerGroup::new("billing")?)
///     .with_start(StartPosition::sequence_number(last_seen)?)
///     .with_owner_level(OwnerLevel::new(1)?);
/// assert_eq!(options.prefetch, 300);
/// # Ok::<(), eventhubs_client::InvalidValue>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReceiveOptions {
    /// The consumer group. Default `$Default`.
    pub consumer_group: ConsumerGroup,
    /// Where to begin. Default [`StartPosition::earliest`].
    pub start: StartPosition,
    /// Events that may wait here or be on their way. 1 to 100 000. Default 300.
    pub prefetch: u32,
    /// Bytes that may wait here before the service is granted no more; an event that is larger still
    /// gets through. 1 byte to 1 GiB. Default 64 MiB.
    pub prefetch_bytes: usize,
    /// Makes this receiver the only one of its group: a receiver with a lower level, or without one,
    /// is disconnected. Default `None`.
    pub owner_level: Option<OwnerLevel>,
    /// Asks for the partition's last position with each event. Default false.
    pub track_last_enqueued: bool,
    /// Silence after which the service is asked whether events should have come; when two answers say
    /// so and nothing comes, the receiver is attached again. `None` never asks. 1 s to 24 h. Default
    /// 60 s.
    pub watchdog: Option<Duration>,
    /// How often and for how long a lost receiver is attached again before the stream ends with the
    /// error. Default [`RetryOptions::unlimited`].
    pub retry: RetryOptions,
}

impl Default for ReceiveOptions {
    fn default() -> Self {
        Self {
            consumer_group: ConsumerGroup::default(),
            start: StartPosition::earliest(),
            prefetch: 300,
            prefetch_bytes: 64 << 20,
            owner_level: None,
            track_last_enqueued: false,
            watchdog: Some(Duration::from_secs(60)),
            retry: RetryOptions::unlimited(),
        }
    }
}

impl ReceiveOptions {
    /// Begins elsewhere.
    #[must_use]
    pub fn with_start(mut self, start: StartPosition) -> Self {
        self.start = start;
        self
    }

    /// Reads as a member of another consumer group.
    #[must_use]
    pub fn with_consumer_group(mut self, group: ConsumerGroup) -> Self {
        self.consumer_group = group;
        self
    }

    /// Changes how many events may wait here or be on their way.
    #[must_use]
    pub fn with_prefetch(mut self, events: u32) -> Self {
        self.prefetch = events;
        self
    }

    /// Makes this receiver the only one of its group.
    #[must_use]
    pub fn with_owner_level(mut self, level: OwnerLevel) -> Self {
        self.owner_level = Some(level);
        self
    }

    /// Asks for the partition's last position with each event.
    #[must_use]
    pub fn with_last_enqueued_tracking(mut self) -> Self {
        self.track_last_enqueued = true;
        self
    }

    /// Changes the silence that is suspicious; `None` never is.
    #[must_use]
    pub fn with_watchdog(mut self, silence: Option<Duration>) -> Self {
        self.watchdog = silence;
        self
    }

    /// Changes how a lost receiver is attached again.
    #[must_use]
    pub fn with_retry(mut self, retry: RetryOptions) -> Self {
        self.retry = retry;
        self
    }
}
