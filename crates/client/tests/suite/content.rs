//! What an event can carry, and that it arrives as it was sent.

use bytes::Bytes;
use eventhubs_client::message::{Body, BodyKind, Message, MessageId, Properties};
use eventhubs_client::{EventData, HubOptions, Map, PartitionId, ReceivedEvent, Symbol, Value};
use eventhubs_emulator::Config;

use crate::support::{BOTH, Fixture, Transport, within};

/// Sends one event to a partition of its own and reads it back.
pub(crate) async fn round_trip(fixture: &Fixture, event: EventData) -> ReceivedEvent {
    let producer = fixture.hub.producer(PartitionId::from(0));
    within(producer.send(event)).await.expect("accepted");
    fixture.stored_in(0).await.pop().expect("it was stored")
}

/// The same in a batch of one.
pub(crate) async fn round_trip_in_batch(fixture: &Fixture, event: EventData) -> ReceivedEvent {
    let producer = fixture.hub.producer(PartitionId::from(1));
    let mut batch = within(producer.create_batch()).await.expect("attached");
    batch.try_add(event).expect("it fits");
    within(producer.send_batch(batch)).await.expect("accepted");
    fixture.stored_in(1).await.pop().expect("it was stored")
}

/// A value of every type there is, each with an extreme.
pub(crate) fn values() -> Vec<(&'static str, Value)> {
    let symbol = || Value::Symbol(Symbol::from_static("a-symbol"));
    let inner: Map = [("k", Value::Int(1)), ("l", Value::List(vec![Value::Null]))]
        .into_iter()
        .map(|(key, value)| (Value::from(key), value))
        .collect();
    vec![
        ("null", Value::Null),
        ("true", Value::Bool(true)),
        ("false", Value::Bool(false)),
        ("ubyte", Value::Ubyte(u8::MAX)),
        ("ushort", Value::Ushort(u16::MAX)),
        ("uint", Value::Uint(u32::MAX)),
        ("uint 0", Value::Uint(0)),
        ("ulong", Value::Ulong(u64::MAX)),
        ("ulong 1", Value::Ulong(1)),
        ("byte", Value::Byte(i8::MIN)),
        ("short", Value::Short(i16::MIN)),
        ("int", Value::Int(i32::MIN)),
        ("int -1", Value::Int(-1)),
        ("long", Value::Long(i64::MIN)),
        ("float", Value::Float(-0.5)),
        ("double", Value::Double(f64::INFINITY)),
        ("decimal32", Value::Decimal32([1, 2, 3, 4])),
        ("decimal64", Value::Decimal64([5; 8])),
        ("decimal128", Value::Decimal128([6; 16])),
        ("char", Value::Char('\u{1F980}')),
        ("timestamp", Value::Timestamp(-1)),
        ("uuid", Value::Uuid([0xAB; 16])),
        ("binary", Value::Binary(Bytes::from_static(&[0, 255, 10]))),
        ("empty binary", Value::Binary(Bytes::new())),
        ("string", Value::String("grüße 🦀".to_owned())),
        ("empty string", Value::String(String::new())),
        ("long string", Value::String("x".repeat(70_000))),
        ("symbol", symbol()),
        ("list", Value::List(vec![Value::Int(1), Value::from("two"), Value::Null])),
        ("empty list", Value::List(Vec::new())),
        ("map", Value::Map(inner)),
        ("array", Value::Array(vec![Value::Long(1), Value::Long(2)])),
        ("array of symbols", Value::Array(vec![symbol(), symbol()])),
        ("described", Value::described(Value::Ulong(7), Value::from("described"))),
    ]
}

#[tokio::test]
async fn application_properties_of_every_type_arrive_as_they_were() {
    for transport in BOTH {
        // One of them is larger than the service takes.
        let config = Config::default().with_lenient(true);
        let fixture = Fixture::with(transport, config, HubOptions::default()).await;
        let mut event = EventData::new("body");
        for (name, value) in values() {
            event = event.with_property(name, value);
        }
        for received in [
            round_trip(&fixture, event.clone()).await,
            round_trip_in_batch(&fixture, event.clone()).await,
        ] {
            let all = received.application_properties().expect("sound");
            assert_eq!(all.len(), values().len());
            for (name, value) in values() {
                assert_eq!(received.property(name).expect("sound"), Some(value), "{name}");
            }
            assert_eq!(received.property_str("string"), Some("grüße 🦀"));
            assert_eq!(received.property("missing").expect("sound"), None);
            assert_eq!(received.body(), b"body");
        }
    }
}

#[tokio::test]
async fn ids_of_every_type_arrive_as_they_were() {
    let fixture = Fixture::memory().await;
    let ids = [
        MessageId::Ulong(u64::MAX),
        MessageId::Uuid([7; 16]),
        MessageId::Binary(Bytes::from_static(b"\x00\xff")),
        MessageId::String("an id".to_owned()),
    ];
    for id in ids {
        let event = EventData::new("x").with_message_id(id.clone()).with_correlation_id(id.clone());
        let received = round_trip(&fixture, event).await;
        assert_eq!(received.message_id().expect("sound"), Some(id.clone()));
        assert_eq!(received.correlation_id().expect("sound"), Some(id));
    }
}

#[tokio::test]
async fn all_standard_properties_arrive_as_they_were() {
    let fixture = Fixture::memory().await;
    let properties = Properties {
        message_id: Some("id".into()),
        user_id: Some(Bytes::from_static(b"user")),
        to: Some("to".to_owned()),
        subject: Some("subject".to_owned()),
        reply_to: Some("reply-to".to_owned()),
        correlation_id: Some(9.into()),
        content_type: Some(Symbol::from_static("application/json")),
        content_encoding: Some(Symbol::from_static("gzip")),
        absolute_expiry_time: Some(4_102_444_800_000),
        creation_time: Some(1),
        group_id: Some("group".to_owned()),
        group_sequence: Some(u32::MAX),
        reply_to_group_id: Some("reply-group".to_owned()),
    };
    let event = EventData::new("{}").with_properties(properties.clone());
    let received = round_trip(&fixture, event).await;
    assert_eq!(received.properties().expect("sound"), Some(properties));
    assert_eq!(received.content_type(), Some("application/json"));

    let plain = round_trip(&fixture, EventData::new("x").with_content_type("text/plain")).await;
    assert_eq!(plain.content_type(), Some("text/plain"));
    let none = round_trip(&fixture, EventData::new("x")).await;
    assert_eq!((none.properties().expect("sound"), none.content_type()), (None, None));
}

#[tokio::test]
async fn bodies_of_every_kind_arrive_as_they_were() {
    let fixture = Fixture::memory().await;
    let data = |bytes: &'static [u8]| Bytes::from_static(bytes);
    let bodies = [
        (Body::Data(vec![data(b"one")]), BodyKind::Data),
        (Body::Data(vec![data(b"one"), data(b""), data(b"three")]), BodyKind::Data),
        (Body::Sequence(vec![vec![Value::Int(1), Value::from("two")]]), BodyKind::Sequence),
        (Body::Sequence(vec![vec![Value::Null], Vec::new()]), BodyKind::Sequence),
        (Body::Value(Value::from("a text")), BodyKind::Value),
        (Body::Value(Value::Null), BodyKind::Value),
        (Body::Value(Value::List(vec![Value::Double(1.5)])), BodyKind::Value),
    ];
    for (body, kind) in bodies {
        let event = EventData::from_body(body.clone()).with_property("n", 1_i32);
        for received in
            [round_trip(&fixture, event.clone()).await, round_trip_in_batch(&fixture, event).await]
        {
            assert_eq!(received.body_kind(), kind, "{body:?}");
            assert_eq!(received.to_body().expect("sound"), body);
            assert_eq!(received.property("n").expect("sound"), Some(Value::Int(1)));
        }
    }
    let sections = Body::Data(vec![data(b"one"), data(b"two")]);
    let received = round_trip(&fixture, EventData::from_body(sections)).await;
    assert_eq!(received.body(), b"one", "the first section");
    assert_eq!(received.data().as_ref(), b"onetwo");
}

#[tokio::test]
async fn large_and_empty_bodies_arrive_as_they_were() {
    for transport in BOTH {
        let fixture = Fixture::on(transport).await;
        for size in [0, 1, 255, 256, 200 * 1024, 1_000_000] {
            let body: Vec<u8> = (0..size).map(|at: u32| (at % 251) as u8).collect();
            let received = round_trip(&fixture, EventData::new(body.clone())).await;
            assert!(received.body() == body, "{size} bytes by {transport:?}");
            let received = round_trip_in_batch(&fixture, EventData::new(body.clone())).await;
            assert!(received.body_bytes() == body, "{size} bytes in a batch by {transport:?}");
        }
    }
}

#[tokio::test]
async fn annotations_of_the_sender_arrive_beside_those_of_the_service() {
    let fixture = Fixture::memory().await;
    let event = EventData::new("x")
        .with_annotation("x-opt-mine", 5_i64)
        .with_annotation("x-opt-sequence-number", 999_i64)
        .with_annotation("x-opt-partition-key", "not settable here");
    let received = round_trip(&fixture, event).await;
    assert_eq!(received.annotation("x-opt-mine").expect("sound"), Some(Value::Long(5)));
    let own = received.system_properties().expect("sound");
    assert_eq!(own.get("x-opt-mine"), Some(&Value::Long(5)));
    assert_eq!(received.sequence_number().as_i64(), 0, "the service's, not the sender's");
    assert_eq!(received.partition_key(), None);
}

#[tokio::test]
async fn a_whole_message_arrives_with_its_sections() {
    let fixture = Fixture::memory().await;
    let message = Message {
        properties: Some(Properties { subject: Some("s".to_owned()), ..Properties::default() }),
        application_properties: [("a", 1_i32)].into_iter().collect(),
        body: Body::from(&b"body"[..]),
        footer: [(Symbol::from_static("checksum"), Value::Int(3))].into_iter().collect(),
        ..Message::default()
    };
    let received = round_trip(&fixture, EventData::from_message(message.clone())).await;
    let raw = received.raw_message().expect("sound");
    assert_eq!(raw.properties, message.properties);
    assert_eq!(raw.application_properties, message.application_properties);
    assert_eq!(raw.body, message.body);
    assert_eq!(raw.footer, message.footer);
}

#[tokio::test]
async fn a_received_event_can_be_sent_on() {
    let fixture = Fixture::on(Transport::Memory).await;
    let event = EventData::new("body")
        .with_message_id("id")
        .with_content_type("text/plain")
        .with_property("a", 1_i32);
    let first = round_trip(&fixture, event).await;
    let second = round_trip(&fixture, first.to_event_data().expect("sound")).await;
    assert_eq!(second.body(), b"body");
    assert_eq!(second.message_id().expect("sound"), Some("id".into()));
    assert_eq!(
        second.application_properties().expect("sound"),
        first.application_properties().expect("sound")
    );
    assert_eq!(second.sequence_number().as_i64(), 1, "its place is its own");
}
