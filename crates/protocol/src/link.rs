//! What a link of each kind says of itself when it attaches.

use crate::filter;
use crate::names;
use crate::position::StartPosition;
use crate::types::OwnerLevel;
use eventhubs_amqp::codec::{Map, Source, Symbol, Target, Value};

/// Source, target, properties and capabilities of one end of a link, ready for an attach
/// (AMQP 1.0, 2.7.3). Name, modes and credit are the client's business.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Terms {
    /// Where deliveries come from.
    pub source: Source,
    /// Where deliveries go.
    pub target: Target,
    /// Link properties.
    pub properties: Map,
    /// What the service is asked to do beyond the ordinary.
    pub desired_capabilities: Vec<Symbol>,
}

/// Terms of a sender to a hub or a partition, see [`address::producer`](crate::address::producer).
#[must_use]
pub fn producer(address: &str, identifier: &str) -> Terms {
    Terms {
        source: Source { address: Some(identifier.to_owned()), ..Source::default() },
        target: Target { address: Some(address.to_owned()), ..Target::default() },
        properties: Map::new(),
        desired_capabilities: vec![names::GEOREPLICATION],
    }
}

/// What a receiver asks for beyond its address and position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerTerms<'a> {
    /// Name of the receiver, which the service quotes in its error texts.
    pub identifier: &'a str,
    /// Makes the receiver the only one of its group, unless a higher level comes.
    pub owner_level: Option<OwnerLevel>,
    /// Asks for the partition's last position with each event.
    pub track_last_enqueued: bool,
}

/// Terms of a receiver, see [`address::consumer`](crate::address::consumer).
#[must_use]
pub fn consumer(address: &str, position: &StartPosition, terms: &ConsumerTerms<'_>) -> Terms {
    let mut properties = Map::with_capacity(2);
    properties.push(names::RECEIVER_NAME, terms.identifier);
    if let Some(level) = terms.owner_level {
        properties.push(names::EPOCH, Value::Long(level.as_i64()));
    }
    let mut desired_capabilities = vec![names::GEOREPLICATION];
    if terms.track_last_enqueued {
        desired_capabilities.push(names::RUNTIME_METRIC);
    }
    Terms {
        source: Source {
            address: Some(address.to_owned()),
            filter: filter::source_filter(position),
            ..Source::default()
        },
        target: Target { address: Some(terms.identifier.to_owned()), ..Target::default() },
        properties,
        desired_capabilities,
    }
}

/// Terms of the pair of links of a node that answers requests: the sender's, then the receiver's.
/// Answers go to `reply_to`, which has to be unlike that of any other pair on the connection.
#[must_use]
pub fn request_response(node: &str, reply_to: &str) -> (Terms, Terms) {
    let terms = |source: &str, target: &str| Terms {
        source: Source { address: Some(source.to_owned()), ..Source::default() },
        target: Target { address: Some(target.to_owned()), ..Target::default() },
        properties: Map::new(),
        desired_capabilities: vec![names::GEOREPLICATION],
    };
    (terms(reply_to, node), terms(node, reply_to))
}
