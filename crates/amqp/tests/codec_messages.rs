//! Messages written down by hand: orderly ones, those that tolerance is for, and those that contradict themselves.

mod codec_notation;

use bytes::{Bytes, BytesMut};
use codec_notation::bytes;
use eventhubs_amqp::codec::message::{Body, BodyKind, Message, MessageId, Properties, sections};
use eventhubs_amqp::codec::{ListView, MapView, Value};

/// An answer to put-token as the emulator gives it and every client takes it.
#[test]
fn message_of_the_token_node() {
    let mut message = Message {
        properties: Some(Properties {
            correlation_id: Some(MessageId::Ulong(0)),
            ..Properties::default()
        }),
        body: Body::Value(Value::Null),
        ..Message::default()
    };
    message.application_properties.insert("status-code", 202);
    message.application_properties.insert("status-description", "Accepted");
    let expected = bytes(
        "00 53 73 c0 07 06 40 40 40 40 40 44 \
         00 53 74 c1 [04 a1 ['status-code'] 71 00 00 00 ca a1 ['status-description'] a1 ['Accepted']] \
         00 53 77 40",
    );
    let mut out = BytesMut::new();
    message.encode(&mut out);
    assert_eq!(out, expected);
    assert_eq!(Message::decode(&out.freeze()), Ok(message));
}

#[test]
fn sections_in_any_order() {
    let event = bytes(
        "00 53 75 a0 04 'body' \
         00 53 78 c1 04 02 a3 00 40 \
         00 53 72 c1 [02 a3 ['x-opt-offset'] a1 02 '42'] \
         00 53 74 c1 01 00 \
         00 53 70 45 \
         00 80 00 00 00 00 00 00 00 73 c0 05 03 40 40 a1 00 \
         00 a3 ['amqp:delivery-annotations:map'] c1 01 00",
    );
    let found = sections(&event, 0).unwrap();
    assert_eq!((found.body.kind, found.body.count), (BodyKind::Data, 1));
    assert_eq!(found.body.first.of(&event), b"body");
    let offset = MapView::found(&event, found.message_annotations).get("x-opt-offset").unwrap();
    assert_eq!(offset.as_str(), Some("42"));
    assert_eq!(offset.content_span().unwrap().of(&event), b"42");
    assert_eq!(found.header.of(&event), [0x45]);
    assert_eq!(found.application_properties.len(), 3);
    assert_eq!(ListView::found(&event, found.properties).len(), 3);
    assert_eq!(ListView::found(&event, found.properties).get(2).unwrap().as_str(), Some(""));
    assert!(ListView::found(&event, found.properties).get(1).is_none());
    assert_eq!(found.footer.len(), 6);
    assert!(!found.delivery_annotations.is_empty());
    let message = Message::decode(&Bytes::from(event)).unwrap();
    assert_eq!(message.message_annotations.get("x-opt-offset"), Some(&Value::from("42")));
}

#[test]
fn bodies_of_several_sections() {
    let data =
        bytes("00 53 75 a0 01 'a' 00 53 72 c1 01 00 00 53 75 b0 00 00 00 01 'b' 00 53 75 a0 00");
    let found = sections(&data, 0).unwrap();
    let parts: Vec<_> = found.body_sections(&data).map(|(_, span)| span.of(&data)).collect();
    assert_eq!(parts, [&b"a"[..], b"b", b""]);
    assert_eq!(found.body.count, 3);
    let sequences = bytes("00 53 76 45 00 53 76 c0 02 01 40");
    let found = sections(&sequences, 0).unwrap();
    assert_eq!((found.body.kind, found.body.count), (BodyKind::Sequence, 2));
    let parts: Vec<_> =
        found.body_sections(&sequences).map(|(_, span)| span.of(&sequences)).collect();
    assert_eq!(parts, [&[0x45][..], &[0xc0, 2, 1, 0x40]]);
    assert_eq!(sections(&[], 0).unwrap().body.kind, BodyKind::None);
    assert_eq!(Message::decode(&Bytes::new()), Ok(Message::default()));
}

#[test]
fn messages_that_contradict_themselves() {
    for (name, text) in [
        ("two values", "00 53 77 40 00 53 77 40"),
        ("data and value", "00 53 75 a0 00 00 53 77 40"),
        ("value and data", "00 53 77 40 00 53 75 a0 00"),
        ("data and sequence", "00 53 75 a0 00 00 53 76 45"),
        ("two sets of annotations", "00 53 72 c1 01 00 00 53 72 c1 01 00"),
        ("two headers", "00 53 70 45 00 53 70 45"),
        ("data of text", "00 53 75 a1 00"),
        ("a map of a list", "00 53 72 45"),
        ("a list of a map", "00 53 73 c1 01 00"),
        ("an unknown section", "00 53 79 45"),
        ("a performative", "00 53 14 45"),
        ("no section", "40"),
        ("half a descriptor", "00 53"),
    ] {
        let message = bytes(text);
        assert!(sections(&message, 0).is_err(), "{name}");
        assert!(Message::decode(&Bytes::from(message)).is_err(), "{name}");
    }
}
