#![no_main]
//! Message payloads: sections found in place, and the message decoded whole.

use bytes::{Bytes, BytesMut};
use eventhubs_amqp::codec::message::{Body, BodyKind, Header, Message, Properties, sections};
use eventhubs_amqp::codec::{DecodeErrorKind, ListView, Map, MapView, Value};
use eventhubs_fuzz::frugal;
use libfuzzer_sys::fuzz_target;

fn encoded(message: &Message) -> BytesMut {
    let mut out = BytesMut::new();
    message.encode(&mut out);
    assert_eq!(out.len(), message.encoded_len());
    out
}

fn same(found: MapView<'_>, owned: &Map) {
    assert_eq!(found.len(), owned.len());
    assert_eq!(found.iter().count(), owned.len());
    for ((key, value), (owned_key, owned_value)) in found.iter().zip(owned) {
        assert_eq!(key.as_str(), owned_key.as_str());
        assert_eq!(value.as_i64(), owned_value.as_i64());
        assert_eq!(value.as_str(), owned_value.as_str());
    }
}

fuzz_target!(|data: &[u8]| {
    let found = frugal(data, || sections(data, 0));
    if let Ok(found) = &found {
        let parts: Vec<_> = found.body_sections(data).collect();
        assert_eq!(parts.len(), found.body.count as usize);
        assert_eq!(parts.first().map(|(kind, span)| (*kind, *span)).unwrap_or_default(), {
            (found.body.kind, found.body.first)
        });
        for span in [
            found.delivery_annotations,
            found.message_annotations,
            found.application_properties,
            found.footer,
        ] {
            let map = MapView::found(data, span);
            assert_eq!(map.len(), map.iter().count());
            for (key, value) in map {
                assert_eq!(key.span().of(data), key.raw());
                let _ = (value.to_value(), value.as_map(), value.as_list());
            }
        }
        for span in [found.header, found.properties] {
            let list = ListView::found(data, span);
            assert_eq!(list.len(), list.iter().count());
        }
        let _ = Header::decode(found.header.of(data));
        let _ = Properties::decode(found.properties.of(data));
    }
    let shared = Bytes::copy_from_slice(data);
    let Ok(message) = frugal(data, || Message::decode(&shared)) else {
        return;
    };
    let found = found.expect("the owned message has sections");
    same(MapView::found(data, found.delivery_annotations), &message.delivery_annotations);
    same(MapView::found(data, found.message_annotations), &message.message_annotations);
    same(MapView::found(data, found.application_properties), &message.application_properties);
    same(MapView::found(data, found.footer), &message.footer);
    assert_eq!(message.header.is_some(), !found.header.is_empty());
    assert_eq!(message.properties.is_some(), !found.properties.is_empty());
    let kind = match &message.body {
        Body::Data(sections) => {
            let parts = found.body_sections(data).map(|(_, span)| span.of(data));
            assert!(parts.eq(sections.iter().map(|section| &section[..])));
            BodyKind::Data
        }
        Body::Sequence(_) => BodyKind::Sequence,
        Body::Value(value) => {
            match Value::decode(found.body.first.of(data)) {
                Ok((first, _)) => assert_eq!(first.encoded_len(), value.encoded_len()),
                // On its own it is allowed fewer values than in a long message.
                Err(error) => assert_eq!(error.kind, DecodeErrorKind::Count),
            }
            BodyKind::Value
        }
        Body::Empty => BodyKind::None,
    };
    assert_eq!(kind, found.body.kind);
    let bytes = encoded(&message).freeze();
    match Message::decode(&bytes) {
        // By their bytes, since a NaN somewhere inside would not equal itself.
        Ok(again) => assert_eq!(encoded(&again), bytes),
        // Shorter bytes are allowed fewer values.
        Err(error) => assert_eq!(error.kind, DecodeErrorKind::Count),
    }
});
