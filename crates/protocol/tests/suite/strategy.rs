//! Random events, and the stamps a service puts on them.

use bytes::{Bytes, BytesMut};
use eventhubs_amqp::codec::message::{Body, Message};
use eventhubs_amqp::codec::{Map, Symbol, Value};
use eventhubs_protocol::{EventData, PartitionKey};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

/// Any value that equals itself, a few levels deep.
pub(crate) fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<u8>().prop_map(Value::Ubyte),
        any::<u16>().prop_map(Value::Ushort),
        any::<u32>().prop_map(Value::Uint),
        any::<u64>().prop_map(Value::Ulong),
        any::<i8>().prop_map(Value::Byte),
        any::<i16>().prop_map(Value::Short),
        any::<i32>().prop_map(Value::Int),
        any::<i64>().prop_map(Value::Long),
        (-1e30_f32..1e30).prop_map(Value::Float),
        (-1e300_f64..1e300).prop_map(Value::Double),
        any::<[u8; 4]>().prop_map(Value::Decimal32),
        any::<[u8; 8]>().prop_map(Value::Decimal64),
        any::<[u8; 16]>().prop_map(Value::Decimal128),
        any::<char>().prop_map(Value::Char),
        any::<i64>().prop_map(Value::Timestamp),
        any::<[u8; 16]>().prop_map(Value::Uuid),
        vec(any::<u8>(), 0..300).prop_map(|bytes| Value::Binary(bytes.into())),
        ".{0,40}".prop_map(Value::String),
        "[a-z:-]{0,20}".prop_map(|name| Value::Symbol(Symbol::new(name))),
        vec(any::<i32>(), 1..5)
            .prop_map(|items| Value::Array(items.into_iter().map(Value::Int).collect())),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::List),
            btree_map("[a-z]{1,6}", inner.clone(), 0..4)
                .prop_map(|map| Value::Map(map.into_iter().collect::<Map>())),
            inner.prop_map(|value| Value::described(7_u64, value)),
        ]
    })
}

pub(crate) fn body() -> impl Strategy<Value = Body> {
    let bytes = || vec(any::<u8>(), 0..600).prop_map(Bytes::from);
    prop_oneof![
        4 => bytes().prop_map(|data| Body::Data(vec![data])),
        1 => vec(bytes(), 2..4).prop_map(Body::Data),
        1 => value().prop_map(Body::Value),
        1 => vec(vec(value(), 0..3), 1..3).prop_map(Body::Sequence),
    ]
}

pub(crate) fn partition_key() -> impl Strategy<Value = PartitionKey> {
    prop_oneof![".{1,12}", "[a-zé日]{120,128}"]
        .prop_filter_map("a key", |text| PartitionKey::new(&text).ok())
}

/// An event without a partition key.
pub(crate) fn event() -> impl Strategy<Value = EventData> {
    (
        body(),
        option::of(".{0,20}"),
        option::of(any::<u64>()),
        btree_map(".{0,30}", value(), 0..4),
        btree_map("x-[a-z]{1,8}", value(), 0..3),
        any::<bool>(),
    )
        .prop_map(|(body, subject, id, properties, annotations, plain)| {
            let mut event = EventData::from_body(body);
            if plain {
                return event;
            }
            if let Some(subject) = subject {
                event = event.with_subject(subject).with_content_type("text/plain");
            }
            if let Some(id) = id {
                event = event.with_message_id(id);
            }
            for (name, value) in properties {
                event = event.with_property(name, value);
            }
            for (name, value) in annotations {
                event = event.with_annotation(name, value);
            }
            event
        })
}

/// The message with a service's annotations on it.
pub(crate) fn stamped(payload: &Bytes, number: i64) -> Bytes {
    let mut message = Message::decode(payload).expect("a message");
    let annotations = &mut message.message_annotations;
    annotations.push(Symbol::from_static("x-opt-sequence-number"), Value::Long(number));
    annotations.push(Symbol::from_static("x-opt-offset"), (number * 8).to_string());
    annotations
        .push(Symbol::from_static("x-opt-enqueued-time"), Value::Timestamp(1_700_000_000_000));
    let mut out = BytesMut::new();
    message.encode(&mut out);
    out.freeze()
}
