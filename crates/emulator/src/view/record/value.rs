//! AMQP values as JSON that keeps their types: each is an object with one member, the type's name.

use eventhubs_amqp::codec::{Described, Value};
use serde_json::{Map, Value as Json, json};

use super::composite::{self, Composite};
use crate::names::request;

/// Bytes of a text that are shown; longer ones are told by their length.
const TEXT_BYTES_MAX: usize = 4096;
/// Bytes of binary data that are shown, in hexadecimal.
const BINARY_BYTES_MAX: usize = 64;

/// How much may be shown of what may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Show {
    /// Everything that is short.
    Values,
    /// The same, but of binary data the length.
    Texts,
    /// Types, and lengths of texts and binary data.
    Lengths,
}

/// A value with its type.
pub(super) fn typed(value: &Value, show: Show) -> Json {
    let (name, content) = match value {
        Value::Null => ("null", Json::Null),
        Value::Bool(it) => ("boolean", json!(it)),
        Value::Ubyte(it) => ("ubyte", json!(it)),
        Value::Ushort(it) => ("ushort", json!(it)),
        Value::Uint(it) => ("uint", json!(it)),
        Value::Ulong(it) => ("ulong", json!(it)),
        Value::Byte(it) => ("byte", json!(it)),
        Value::Short(it) => ("short", json!(it)),
        Value::Int(it) => ("int", json!(it)),
        Value::Long(it) => ("long", json!(it)),
        Value::Float(it) => ("float", json!(it)),
        Value::Double(it) => ("double", json!(it)),
        Value::Decimal32(it) => ("decimal32", json!(hex(it))),
        Value::Decimal64(it) => ("decimal64", json!(hex(it))),
        Value::Decimal128(it) => ("decimal128", json!(hex(it))),
        Value::Char(it) => ("char", json!(it)),
        Value::Timestamp(it) => ("timestamp", json!(it)),
        Value::Uuid(it) => ("uuid", json!(hex(it))),
        Value::Binary(it) if show == Show::Values && it.len() <= BINARY_BYTES_MAX => {
            ("binary", json!(hex(it)))
        }
        Value::Binary(it) => ("binary", json!({ "bytes": it.len() })),
        Value::String(it) => ("string", text(it, show)),
        Value::Symbol(it) => ("symbol", text(it.as_str(), Show::Values)),
        Value::List(items) => ("list", items.iter().map(|it| typed(it, show)).collect()),
        Value::Array(items) => ("array", items.iter().map(|it| typed(it, show)).collect()),
        Value::Map(_) => ("map", entries(value, show)),
        Value::Described(described) => return describe(described, show),
    };
    json!({ name: content })
}

fn text(text: &str, show: Show) -> Json {
    match show != Show::Lengths && text.len() <= TEXT_BYTES_MAX {
        true => json!(text),
        false => json!({ "bytes": text.len() }),
    }
}

/// The entries of a map as pairs; the value of a token's key is not shown.
pub(super) fn entries(value: &Value, show: Show) -> Json {
    let entry = |(key, value): &(Value, Value)| {
        let is_token = key.as_str() == Some(request::SECURITY_TOKEN);
        let show = if is_token { Show::Lengths } else { show };
        json!([typed(key, Show::Values), typed(value, show)])
    };
    value.as_map().into_iter().flatten().map(entry).collect()
}

/// A composite of AMQP by its name, with its fields; or a descriptor and a value.
fn describe(described: &Described, show: Show) -> Json {
    match (composite_of(described), &described.value) {
        (Some(composite), Value::List(items)) => {
            json!({ composite.name: fields(composite, items, show) })
        }
        _ => json!({ "described": {
            "descriptor": typed(&described.descriptor, Show::Values),
            "value": typed(&described.value, show),
        } }),
    }
}

/// The type of AMQP that a descriptor means.
pub(super) fn composite_of(described: &Described) -> Option<&'static Composite> {
    match &described.descriptor {
        Value::Symbol(name) => composite::by_symbol(name.as_str()),
        code => composite::by_code(code.as_u64()?),
    }
}

/// Fields by their names; those that are null are left out.
pub(super) fn fields(composite: &Composite, items: &[Value], show: Show) -> Json {
    let name = |index: usize| match composite.fields.get(index) {
        Some(name) => (*name).to_owned(),
        None => format!("field-{index}"),
    };
    let present = items.iter().enumerate().filter(|(_, item)| !item.is_null());
    let fields: Map<_, _> = present.map(|(index, item)| (name(index), typed(item, show))).collect();
    Json::Object(fields)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
