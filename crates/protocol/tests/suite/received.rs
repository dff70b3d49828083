//! Events as they arrive: what is read, what is refused, and that nothing panics.

use crate::strategy;
use bytes::{Bytes, BytesMut};
use eventhubs_amqp::codec::message::{Body, BodyKind, Header, Message, MessageId, Properties};
use eventhubs_amqp::codec::{DecodeErrorKind, Map, Symbol, Value};
use eventhubs_protocol::{
    EventData, PartitionKey, ReceivedEvent, SequenceNumber, Timestamp, names,
};
use proptest::prelude::*;

fn stamps() -> Map {
    let mut map = Map::new();
    map.push(Symbol::from_static(names::SEQUENCE_NUMBER), Value::Long(42));
    map.push(Symbol::from_static(names::OFFSET), "4294967296:17");
    map.push(Symbol::from_static(names::ENQUEUED_TIME), Value::Timestamp(1_700_000_000_123));
    map
}

fn wire(message: &Message) -> Bytes {
    let mut out = BytesMut::new();
    message.encode(&mut out);
    out.freeze()
}

fn message(body: Body) -> Message {
    Message { message_annotations: stamps(), body, ..Message::default() }
}

fn decode(payload: Bytes) -> ReceivedEvent {
    ReceivedEvent::decode(payload, 0).expect("an event")
}

#[test]
fn every_part_by_hand() {
    // Annotations with short and long forms, properties, application properties, data.
    let payload = Bytes::from_static(
        b"\x00\x53\x72\xd1\x00\x00\x00\x73\x00\x00\x00\x08\
          \xa3\x15x-opt-sequence-number\x81\x00\x00\x00\x00\x00\x00\x00\x2a\
          \xa3\x0cx-opt-offset\xb1\x00\x00\x00\x03abc\
          \xa3\x13x-opt-enqueued-time\x83\x00\x00\x01\x8b\xcf\xe5\x68\x7b\
          \xa3\x13x-opt-partition-key\xa1\x04k\xc3\xa9y\
          \x00\x53\x73\xc0\x1a\x07\xa1\x02id\x40\x40\x40\x40\x80\x00\x00\x00\x00\x00\x00\x00\x09\
          \xa3\x06text/x\
          \x00\x80\x00\x00\x00\x00\x00\x00\x00\x74\xc1\x06\x02\xa1\x01n\x54\x05\
          \x00\x53\x75\xb0\x00\x00\x00\x05hello",
    );
    let event = decode(payload);
    assert_eq!(event.sequence_number(), SequenceNumber::from(42));
    assert_eq!(event.offset(), "abc");
    assert_eq!(event.to_offset().as_str(), "abc");
    assert_eq!(event.enqueued_time(), Timestamp::from_millis(1_700_000_000_123));
    assert_eq!(event.partition_key(), Some("kéy"));
    assert_eq!(event.message_id(), Ok(Some(MessageId::String("id".to_owned()))));
    assert_eq!(event.correlation_id(), Ok(Some(MessageId::Ulong(9))));
    assert_eq!(event.content_type(), Some("text/x"));
    assert_eq!(event.property("n"), Ok(Some(Value::Int(5))));
    assert_eq!(event.property("m"), Ok(None));
    assert_eq!(event.property_str("n"), None);
    assert_eq!(event.body(), b"hello");
    assert_eq!(event.body_bytes(), b"hello"[..]);
    assert_eq!(event.data(), &b"hello"[..]);
    assert!(event.last_enqueued().is_none());
    assert!(event.iot_hub().is_none());
}

#[test]
fn a_payload_may_start_inside_its_frame() {
    let payload = wire(&message(Body::from(&b"hello"[..])));
    let mut frame = BytesMut::from(&[0xff; 40][..]);
    frame.extend_from_slice(&payload);
    let event = ReceivedEvent::decode(frame.freeze(), 40).expect("an event");
    assert_eq!(event.body(), b"hello");
    assert_eq!(event.raw(), &payload[..]);
    assert_eq!(event.raw_message().expect("sound").body, Body::from(&b"hello"[..]));
    let compact = event.to_compact();
    assert_eq!((compact.body(), compact.offset()), (event.body(), event.offset()));
}

#[test]
fn all_kinds_of_body() {
    let many = Body::Data(vec![Bytes::from_static(b"ab"), Bytes::new(), Bytes::from_static(b"cd")]);
    let event = decode(wire(&message(many.clone())));
    assert_eq!(event.body_kind(), BodyKind::Data);
    assert_eq!(event.body(), b"ab");
    assert_eq!(event.data(), &b"abcd"[..]);
    assert_eq!(event.to_body(), Ok(many));

    let value = Body::Value(Value::from("text"));
    let event = decode(wire(&message(value.clone())));
    assert_eq!((event.body_kind(), event.body()), (BodyKind::Value, &b""[..]));
    assert_eq!(event.body_bytes(), Bytes::new());
    assert_eq!(event.data(), &b""[..]);
    assert_eq!(event.to_body(), Ok(value));

    let sequence = Body::Sequence(vec![vec![Value::Int(1)], vec![]]);
    let event = decode(wire(&message(sequence.clone())));
    assert_eq!(event.body_kind(), BodyKind::Sequence);
    assert_eq!(event.to_body(), Ok(sequence));

    let event = decode(wire(&message(Body::Empty)));
    assert_eq!((event.body_kind(), event.body()), (BodyKind::None, &b""[..]));

    let event = decode(wire(&message(Body::from(&b""[..]))));
    assert_eq!((event.body_kind(), event.body_bytes()), (BodyKind::Data, Bytes::new()));
}

#[test]
fn what_the_service_adds_on_request() {
    let mut message = message(Body::from(&b"x"[..]));
    let added = &mut message.delivery_annotations;
    added.push(Symbol::from_static("last_enqueued_sequence_number"), Value::Long(99));
    added.push(Symbol::from_static("last_enqueued_offset"), "5000");
    added.push(Symbol::from_static("last_enqueued_time_utc"), Value::Timestamp(7));
    added.push(Symbol::from_static("runtime_info_retrieval_time_utc"), Value::Timestamp(8));
    let last = decode(wire(&message)).last_enqueued().expect("it was asked for");
    assert_eq!(last.sequence_number, SequenceNumber::from(99));
    assert_eq!(last.offset.as_deref(), Some("5000"));
    assert_eq!(last.enqueued_time, Some(Timestamp::from_millis(7)));
    assert_eq!(last.retrieval_time, Some(Timestamp::from_millis(8)));
}

#[test]
fn iot_hub_and_other_annotations() {
    let mut message = message(Body::from(&b"x"[..]));
    let added = &mut message.message_annotations;
    added.push(Symbol::from_static("iothub-connection-device-id"), "device");
    added.push(Symbol::from_static("iothub-connection-module-id"), "module");
    added.push(Symbol::from_static("iothub-connection-auth-generation-id"), "1");
    added.push(Symbol::from_static("iothub-connection-auth-method"), "{}");
    added.push(Symbol::from_static("iothub-enqueuedtime"), Value::Timestamp(5));
    added.push(Symbol::from_static("iothub-message-source"), "Telemetry");
    added.push(Symbol::from_static("x-opt-publisher"), "me");
    let event = decode(wire(&message));
    let iot = event.iot_hub().expect("from IoT Hub");
    assert_eq!(iot.device_id.as_deref(), Some("device"));
    assert_eq!(iot.module_id.as_deref(), Some("module"));
    assert_eq!(iot.auth_generation_id.as_deref(), Some("1"));
    assert_eq!(iot.auth_method.as_deref(), Some("{}"));
    assert_eq!(iot.enqueued_time, Some(Timestamp::from_millis(5)));
    assert_eq!(iot.message_source.as_deref(), Some("Telemetry"));
    assert_eq!(event.annotation("x-opt-publisher"), Ok(Some(Value::from("me"))));
    let others = event.system_properties().expect("sound");
    assert_eq!(others.len(), 7);
    assert!(!others.contains_key(names::OFFSET));
}

#[test]
fn sending_on_leaves_the_services_stamps_behind() {
    let mut original = message(Body::from(&b"x"[..]));
    original.header = Some(Header::default());
    original.properties =
        Some(Properties { subject: Some("s".to_owned()), ..Properties::default() });
    original.application_properties.push("a", 1_u8);
    let event = decode(wire(&original)).to_event_data().expect("sound");
    let sent = Message::decode(&event.to_payload()).expect("a message");
    assert!(sent.message_annotations.is_empty() && sent.header.is_none());
    assert_eq!(sent.properties, original.properties);
    assert_eq!(sent.application_properties, original.application_properties);
    assert_eq!(sent.body, original.body);
}

/// What is wrong, and whether the sequence number could still be read.
#[test]
fn broken_events_are_values() {
    let stamped = |name: &'static str, value: Value| {
        let mut message = message(Body::from(&b"x"[..]));
        message.message_annotations.remove(name);
        message.message_annotations.push(Symbol::from_static(name), value);
        wire(&message)
    };
    // Text of the same length, overwritten where it lies.
    let raw = |name, bytes: &[u8]| {
        let mut wire = stamped(name, Value::from("?".repeat(bytes.len()))).to_vec();
        let at = wire.iter().rposition(|b| *b == b'?').expect("it is there") + 1 - bytes.len();
        wire[at..at + bytes.len()].copy_from_slice(bytes);
        Bytes::from(wire)
    };
    let without = |name: &str| {
        let mut message = message(Body::from(&b"x"[..]));
        message.message_annotations.remove(name);
        wire(&message)
    };
    let mut truncated = wire(&message(Body::from(&b"hello"[..])));
    truncated.truncate(truncated.len() - 1);
    let cases = [
        (Bytes::new(), DecodeErrorKind::MissingField, None),
        (without(names::SEQUENCE_NUMBER), DecodeErrorKind::MissingField, None),
        (without(names::OFFSET), DecodeErrorKind::MissingField, Some(42)),
        (stamped(names::SEQUENCE_NUMBER, Value::from("42")), DecodeErrorKind::WrongType, None),
        (stamped(names::OFFSET, Value::Long(7)), DecodeErrorKind::WrongType, Some(42)),
        (stamped(names::OFFSET, Value::from("")), DecodeErrorKind::MissingField, Some(42)),
        (stamped(names::OFFSET, Value::from("9".repeat(1025))), DecodeErrorKind::Length, Some(42)),
        (raw(names::OFFSET, b"\xff\xfe"), DecodeErrorKind::Utf8, Some(42)),
        (raw(names::PARTITION_KEY, b"\xc3"), DecodeErrorKind::Utf8, Some(42)),
        (stamped(names::ENQUEUED_TIME, Value::from("now")), DecodeErrorKind::WrongType, Some(42)),
        (truncated, DecodeErrorKind::Truncated, Some(42)),
    ];
    for (index, (payload, kind, number)) in cases.into_iter().enumerate() {
        let error = ReceivedEvent::decode(payload.clone(), 0).expect_err("broken");
        assert_eq!(error.cause().kind, kind, "case {index}");
        assert_eq!(error.sequence_number(), number.map(SequenceNumber::from), "case {index}");
        assert_eq!(error.raw(), &payload, "case {index}");
    }
}

#[test]
fn a_start_beyond_the_frame_is_a_broken_event() {
    let error = ReceivedEvent::decode(Bytes::from_static(b"ab"), 7).expect_err("broken");
    assert!(error.raw().is_empty());
}

#[test]
fn broken_text_in_properties_harms_only_who_asks() {
    let mut message = message(Body::from(&b"x"[..]));
    message.application_properties.push("good", 1_u8);
    message.application_properties.push("bad", Value::from("abc"));
    let mut bytes = wire(&message).to_vec();
    let at = bytes.windows(3).position(|window| window == b"abc").expect("it is there");
    bytes[at] = 0xff;
    let event = decode(bytes.into());
    assert_eq!(event.property("good"), Ok(Some(Value::Ubyte(1))));
    assert_eq!(event.property("bad").expect_err("no text").kind, DecodeErrorKind::Utf8);
    assert_eq!(event.property_str("bad"), None);
    assert!(event.application_properties().is_err());
    assert_eq!(event.body(), b"x");
}

#[test]
fn missing_time_is_never() {
    let mut message = message(Body::Empty);
    message.message_annotations.remove(names::ENQUEUED_TIME);
    assert_eq!(decode(wire(&message)).enqueued_time(), Timestamp::NEVER);
}

#[test]
fn special_numbers_pass_through() {
    let values = [
        Value::Float(f32::NAN),
        Value::Double(f64::NAN),
        Value::Double(f64::NEG_INFINITY),
        Value::Timestamp(-62_135_596_800_000),
        Value::Timestamp(8_640_000_000_000_000),
        Value::Decimal128([0xff; 16]),
    ];
    for value in values {
        let sent = EventData::new("x").with_property("v", value.clone()).to_payload();
        let event = decode(strategy::stamped(&sent, 1));
        let found = event.property("v").expect("sound").expect("it is there");
        assert_eq!(format!("{found:?}"), format!("{value:?}"));
    }
}

#[test]
fn debug_shows_no_content() {
    let event = decode(wire(&message(Body::from(&b"private"[..]))));
    assert!(!format!("{event:?}").contains("private"));
    let error = ReceivedEvent::decode(Bytes::from_static(b"private"), 0).expect_err("broken");
    assert!(!format!("{error:?} {error}").contains("private"));
}

/// Everything an event offers, so that a broken one can panic in no accessor.
fn touch(event: &ReceivedEvent) -> usize {
    let _ = (event.properties(), event.application_properties(), event.system_properties());
    let _ = (event.message_id(), event.correlation_id(), event.content_type(), event.to_body());
    let _ = (event.property("a"), event.annotation("a"), event.iot_hub(), event.last_enqueued());
    let _ = (event.to_event_data(), event.partition_key(), event.to_offset(), event.to_compact());
    event.data().len() + event.body_bytes().len() + format!("{event:?}").len()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn events_come_back_as_they_were_sent(
        event in strategy::event(),
        key in strategy::partition_key(),
        number in 0..i64::MAX / 8,
    ) {
        let sent = event.clone().with_partition_key(key.clone()).to_payload();
        let original = Message::decode(&sent).expect("a message");
        let received = decode(strategy::stamped(&sent, number));
        prop_assert_eq!(received.sequence_number(), SequenceNumber::from(number));
        prop_assert_eq!(received.offset(), (number * 8).to_string());
        prop_assert_eq!(received.partition_key(), Some(key.as_str()));
        prop_assert_eq!(received.to_body(), Ok(original.body));
        prop_assert_eq!(received.properties(), Ok(original.properties));
        prop_assert_eq!(
            received.application_properties(),
            Ok(original.application_properties.clone())
        );
        for (name, value) in &original.application_properties {
            let name = name.as_str().expect("names are text");
            prop_assert_eq!(received.property(name), Ok(Some(value.clone())));
        }
        if let Some(body) = event.body() {
            prop_assert_eq!(received.body(), body);
            prop_assert_eq!(received.data(), body);
        }
        touch(&received);
    }

    #[test]
    fn cut_anywhere_is_an_error_or_a_shorter_message(event in strategy::event()) {
        let whole = strategy::stamped(&event.to_payload(), 3);
        for len in 0..whole.len() {
            if let Ok(event) = ReceivedEvent::decode(whole.slice(..len), 0) {
                touch(&event);
            }
        }
    }

    #[test]
    fn one_wrong_byte_never_panics(
        event in strategy::event(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = strategy::stamped(&event.to_payload(), 3).to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(event) = ReceivedEvent::decode(bytes.into(), 0) {
            touch(&event);
        }
    }

    #[test]
    fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), start in 0_u32..64) {
        if let Ok(event) = ReceivedEvent::decode(bytes.into(), start) {
            touch(&event);
        }
    }
}

#[test]
fn a_key_that_is_no_key_of_ours_is_still_shown() {
    // Longer than this library would send: another sender's business.
    let long = "k".repeat(300);
    assert!(PartitionKey::new(&long).is_err());
    let mut message = message(Body::Empty);
    message.message_annotations.push(Symbol::from_static(names::PARTITION_KEY), long.as_str());
    assert_eq!(decode(wire(&message)).partition_key(), Some(long.as_str()));
}
