//! Where a link goes, and what a token is for.

use crate::error::{Field, InvalidValue, Problem};
use crate::names;
use crate::types::{ConsumerGroup, HubName, PartitionId};
use std::net::Ipv6Addr;

/// Longest host name, in bytes (RFC 1035, 2.3.4).
pub const MAX_HOST: usize = 253;

/// Address of a sender: the hub, or one of its partitions.
///
/// # Examples
///
/// ```
/// use eventhubs_protocol::{address, HubName};
///
/// let hub = HubName::new("telemetry")?;
/// assert_eq!(address::producer(&hub, None), "telemetry");
/// assert_eq!(address::producer(&hub, Some(3.into())), "telemetry/Partitions/3");
/// # Ok::<(), eventhubs_protocol::InvalidValue>(())
/// ```
#[must_use]
pub fn producer(hub: &HubName, partition: Option<PartitionId>) -> String {
    match partition {
        None => hub.as_str().to_owned(),
        Some(partition) => format!("{hub}/{}/{partition}", names::PARTITIONS),
    }
}

/// Address of a receiver: one partition, seen through one consumer group.
///
/// # Examples
///
/// ```
/// use eventhubs_protocol::{address, ConsumerGroup, HubName};
///
/// let hub = HubName::new("telemetry")?;
/// assert_eq!(
///     address::consumer(&hub, &ConsumerGroup::default(), 0.into()),
///     "telemetry/ConsumerGroups/$Default/Partitions/0",
/// );
/// # Ok::<(), eventhubs_protocol::InvalidValue>(())
/// ```
#[must_use]
pub fn consumer(hub: &HubName, group: &ConsumerGroup, partition: PartitionId) -> String {
    format!("{hub}/{}/{group}/{}/{partition}", names::CONSUMER_GROUPS, names::PARTITIONS)
}

/// What a token for a whole hub is made for: `amqps://{host}/{hub}` in lower case.
///
/// One token of this audience covers the hub's senders, receivers and management, so that many
/// partitions on one connection need one put-token request.
///
/// # Examples
///
/// ```
/// use eventhubs_protocol::{address, HubName};
///
/// let hub = HubName::new("Telemetry")?;
/// let audience = address::audience("NS.servicebus.windows.net", &hub);
/// assert_eq!(audience, "amqps://ns.servicebus.windows.net/telemetry");
/// # Ok::<(), eventhubs_protocol::InvalidValue>(())
/// ```
#[must_use]
pub fn audience(host: &str, hub: &HubName) -> String {
    let mut audience = format!("{}://{host}/{hub}", names::AUDIENCE_SCHEME);
    audience.make_ascii_lowercase();
    audience
}

/// Checks a host name, IPv4 address or bracketed IPv6 address and brings it to its plain form:
/// lower case, without the dot that ends an absolute name.
///
/// # Errors
///
/// The host is empty, too long or holds anything but letters, digits, `.`, `-` and `_`. A name in
/// another script has to be given in its ASCII form.
///
/// # Examples
///
/// ```
/// use eventhubs_protocol::address::normalize_host;
///
/// assert_eq!(normalize_host("NS.Servicebus.Windows.Net.")?, "ns.servicebus.windows.net");
/// assert_eq!(normalize_host("[::1]")?, "[::1]");
/// assert!(normalize_host("ns/hub").is_err());
/// # Ok::<(), eventhubs_protocol::InvalidValue>(())
/// ```
pub fn normalize_host(host: &str) -> Result<String, InvalidValue> {
    let refuse = |problem| Err(InvalidValue::new(Field::Host, problem));
    if host.len() > MAX_HOST + 1 {
        return refuse(Problem::TooLong { limit: MAX_HOST });
    }
    if let Some(inner) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return match inner.parse::<Ipv6Addr>() {
            Ok(address) => Ok(format!("[{address}]")),
            Err(_) => refuse(Problem::Character),
        };
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.is_empty() {
        return refuse(Problem::Empty);
    }
    if !host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_')) {
        return refuse(Problem::Character);
    }
    if host.split('.').any(str::is_empty) {
        return refuse(Problem::Edge);
    }
    Ok(host.to_ascii_lowercase())
}
