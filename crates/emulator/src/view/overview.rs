//! What the emulator holds at one moment, for people and tests who look at it.

use std::net::SocketAddr;
use std::time::Duration;

use super::snapshot::HubSnapshot;
use crate::fault::Role;

/// What an emulator holds, taken by [`Emulator::snapshot`](crate::Emulator::snapshot).
///
/// Each hub and each connection is told as of one moment, but not all of them as of the same one.
///
/// ```
/// use eventhubs_emulator::{Config, Emulator};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
/// # runtime.block_on(async {
/// let emulator = Emulator::start(Config::default().with_hub("orders", 2)).await?;
/// let snapshot = emulator.snapshot().await;
/// assert_eq!(snapshot.hubs[0].partitions.len(), 2);
/// assert!(snapshot.connections.is_empty());
/// # Ok::<(), eventhubs_emulator::StartError>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The service's time, in milliseconds since 1970.
    pub taken: i64,
    /// By name in lower case.
    pub hubs: Vec<HubSnapshot>,
    /// By number, the order in which they were accepted.
    pub connections: Vec<ConnectionSnapshot>,
    /// Connections that did not answer in time; they are not in `connections`.
    pub silent: usize,
    /// The latest refusals, detaches and ends with an error, oldest first; at most 100.
    pub incidents: Vec<Incident>,
}

/// One AMQP connection of a [`Snapshot`].
///
/// ```
/// use eventhubs_emulator::ConnectionSnapshot;
///
/// fn who(connection: &ConnectionSnapshot) -> String {
///     format!("{} {:?}", connection.number, connection.container_id)
/// }
/// # let _ = who;
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct ConnectionSnapshot {
    /// Its number, counted from 1 since the start.
    pub number: u64,
    /// How it came in, such as `amqp` or `in memory`.
    pub transport: String,
    /// The address of the client, unless it came in memory.
    pub peer: Option<SocketAddr>,
    /// The name the client gave itself; `None` before its open.
    pub container_id: Option<String>,
    /// What the client says it is, in its open.
    pub user_agent: Option<String>,
    /// The SASL mechanism, if there was one.
    pub mechanism: Option<String>,
    /// Since it was accepted, by the runtime's clock.
    pub age: Duration,
    /// What it put tokens for. The tokens themselves are not kept.
    pub audiences: Vec<AudienceSnapshot>,
    /// By the order in which they were attached.
    pub links: Vec<LinkSnapshot>,
}

/// What a connection holds a token for.
///
/// ```
/// use eventhubs_emulator::AudienceSnapshot;
///
/// fn is_live(audience: &AudienceSnapshot, now: i64) -> bool {
///     audience.expires.is_none_or(|expires| expires > now)
/// }
/// # let _ = is_live;
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AudienceSnapshot {
    /// Host and path in lower case; empty for the whole namespace.
    pub audience: String,
    /// When the token lapses, in milliseconds since 1970; `None` for a right that does not.
    pub expires: Option<i64>,
}

/// One link of a [`ConnectionSnapshot`].
///
/// ```
/// use eventhubs_emulator::LinkSnapshot;
///
/// fn is_behind(link: &LinkSnapshot) -> bool {
///     link.lag.is_some_and(|lag| lag > 0)
/// }
/// # let _ = is_behind;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LinkSnapshot {
    /// The name the client gave it.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// Whether the client sends on it; a node of requests has a link each way.
    pub incoming: bool,
    /// The entity, as a path: `orders`, `orders/Partitions/0`, `$cbs`.
    pub address: String,
    /// The hub of a producer or consumer.
    pub hub: Option<String>,
    /// The partition of a consumer, or of a producer that is bound to one.
    pub partition: Option<String>,
    /// The group of a consumer.
    pub consumer_group: Option<String>,
    /// The owner level of a consumer that has one.
    pub epoch: Option<i64>,
    /// Messages that may still be sent on it, by whoever sends.
    pub credit: u32,
    /// Sequence number of the next event for a consumer.
    pub position: Option<i64>,
    /// Events in the partition that the consumer has not been sent.
    pub lag: Option<u64>,
    /// Messages that came or went on it, batches counted as one; not counted on `$cbs` and
    /// `$management`.
    pub messages: Option<u64>,
}

/// Something that went wrong between a client and the emulator, or was made to.
///
/// ```
/// use eventhubs_emulator::Incident;
///
/// fn line(incident: &Incident) -> String {
///     format!("{} connection {}: {}", incident.at, incident.connection, incident.what)
/// }
/// # let _ = line;
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Incident {
    /// The service's time, in milliseconds since 1970.
    pub at: i64,
    /// The connection's number.
    pub connection: u64,
    /// What happened, with condition and text; at most 500 bytes.
    pub what: String,
}
