//! The head of a message as JSON: its sections, but of the body only kind and size.

use eventhubs_amqp::codec::Value;
use serde_json::{Map, Value as Json, json};

use super::composite::Composite;
use super::value::{Show, composite_of, entries, fields, typed};
use crate::names::BATCH_FORMAT;

/// Messages of a batch that are told.
const BATCH_EVENTS_MAX: usize = 16;
/// Sections of a message that are told.
const SECTIONS_MAX: usize = 64;

/// Tells a message. With [`Show::Lengths`] no value of a text is told at all.
pub(super) fn describe(payload: &[u8], format: u32, show: Show) -> Json {
    let mut told = Map::new();
    let mut sections = Vec::new();
    let mut events = Vec::new();
    let mut rest = payload;
    while !rest.is_empty() && sections.len() < SECTIONS_MAX {
        let Ok((value, len)) = Value::decode(rest) else {
            told.insert("undecodable-bytes".to_owned(), json!(rest.len()));
            break;
        };
        rest = rest.get(len..).unwrap_or_default();
        let section = value.as_described().and_then(|it| Some((composite_of(it)?, &it.value)));
        let Some((composite, content)) = section else {
            sections.push(typed(&value, Show::Lengths));
            continue;
        };
        sections.push(json!(composite.name));
        if format == BATCH_FORMAT
            && events.len() < BATCH_EVENTS_MAX
            && let Value::Binary(event) = content
        {
            events.push(describe(event, 0, show));
        }
        told.insert(composite.name.to_owned(), content_of(composite, content, show));
    }
    told.insert("sections".to_owned(), Json::Array(sections));
    if format == BATCH_FORMAT {
        told.insert("events".to_owned(), Json::Array(events));
    }
    Json::Object(told)
}

/// What is told of a section.
fn content_of(composite: &Composite, content: &Value, show: Show) -> Json {
    match (composite.name, content) {
        ("data" | "amqp-sequence" | "amqp-value", content) => typed(content, Show::Lengths),
        (_, Value::List(items)) => fields(composite, items, show),
        (_, Value::Map(_)) => entries(content, show),
        (_, content) => typed(content, show),
    }
}
