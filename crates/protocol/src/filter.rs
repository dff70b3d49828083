//! A start position as the service reads it: a selector in the filter of a receiver's source.

use crate::names;
use crate::position::{Anchor, StartPosition};
use eventhubs_amqp::codec::{Described, Map, Symbol, Value};

/// The selector of a position, for example `amqp.annotation.x-opt-offset > '-1'`.
///
/// The value always stands in quotes, which text offsets need. A quote inside it is doubled, so
/// that no offset can end the text early and add a condition of its own.
///
/// # Examples
///
/// ```
/// use eventhubs_protocol::{filter, StartPosition};
///
/// assert_eq!(
///     filter::selector(&StartPosition::latest()),
///     "amqp.annotation.x-opt-offset > '@latest'",
/// );
/// ```
#[must_use]
pub fn selector(position: &StartPosition) -> String {
    let operator = if position.is_inclusive() { ">=" } else { ">" };
    let (name, value) = match position.anchor() {
        Anchor::Earliest => (names::SELECTOR_OFFSET, names::OFFSET_EARLIEST.to_owned()),
        Anchor::Latest => (names::SELECTOR_OFFSET, names::OFFSET_LATEST.to_owned()),
        Anchor::Offset(offset) => (names::SELECTOR_OFFSET, offset.as_str().replace('\'', "''")),
        Anchor::SequenceNumber(number) => (names::SELECTOR_SEQUENCE_NUMBER, number.to_string()),
        Anchor::EnqueuedTime(time) => (names::SELECTOR_ENQUEUED_TIME, time.as_millis().to_string()),
    };
    format!("{name} {operator} '{value}'")
}

/// The filter set of a receiver's source: the selector under its registered name, described by its
/// registered code (AMQP 1.0, 3.5.8).
#[must_use]
pub fn source_filter(position: &StartPosition) -> Map {
    let mut filter = Map::new();
    filter.insert(
        Symbol::from_static(names::SELECTOR_FILTER),
        Value::Described(Box::new(Described {
            descriptor: Value::Ulong(names::SELECTOR_FILTER_CODE),
            value: Value::String(selector(position)),
        })),
    );
    filter
}
