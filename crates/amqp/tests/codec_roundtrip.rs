//! What is written is read back the same, and its size is known before.

mod codec_strategies;

use bytes::{Bytes, BytesMut};
use codec_strategies as any;
use eventhubs_amqp::codec::frame::{self, Header, Kind};
use eventhubs_amqp::codec::message::{BodyKind, Message, sections};
use eventhubs_amqp::codec::performative::{Performative, Transfer};
use eventhubs_amqp::codec::sasl::{self, Challenge, Code, Init, Mechanisms, Outcome, Response};
use eventhubs_amqp::codec::{
    FieldList, ListView, Map, MapView, Symbol, Value, ValueRef, scan, transfer,
};
use proptest::prelude::*;

fn encoded(value: &Value) -> BytesMut {
    let mut out = BytesMut::new();
    value.encode(&mut out);
    out
}

/// Every prefix is an error, and so is every changed byte or it is some value; neither is a panic.
fn damage<T>(bytes: &[u8], decode: impl Fn(&[u8]) -> Option<T>) {
    for end in 0..bytes.len() {
        assert!(decode(&bytes[..end]).is_none(), "{end} of {} bytes decoded", bytes.len());
    }
    let mut changed = bytes.to_vec();
    for (at, original) in bytes.iter().enumerate().take(300) {
        for byte in
            [0x00, 0x40, 0x45, 0xc0, 0xd0, 0xe0, 0xff, original ^ 1, original.wrapping_add(1)]
        {
            changed[at] = byte;
            decode(&changed);
        }
        changed[at] = *original;
    }
}

proptest! {
    #[test]
    fn a_value_is_read_back(value in any::value()) {
        let bytes = encoded(&value);
        prop_assert_eq!(bytes.len(), value.encoded_len());
        prop_assert_eq!(scan::skip(&bytes, 0), Ok(bytes.len()));
        prop_assert_eq!(scan::validate(&bytes, 0), Ok(bytes.len()));
        let (decoded, used) = Value::decode(&bytes).unwrap();
        prop_assert_eq!(used, bytes.len());
        prop_assert_eq!(&decoded, &value);
        prop_assert_eq!(ValueRef::decode(&bytes).unwrap().to_value().unwrap(), value);
    }

    #[test]
    fn a_value_is_written_one_way_only(value in any::value()) {
        let first = encoded(&value);
        let second = encoded(&Value::decode(&first).unwrap().0);
        prop_assert_eq!(first, second);
    }

    #[test]
    fn a_damaged_value_is_an_error(value in any::value()) {
        let bytes = encoded(&value);
        damage(&bytes, |bytes| scan::skip(bytes, 0).ok());
        damage(&bytes, |bytes| scan::validate(bytes, 0).ok());
        damage(&bytes, |bytes| Value::decode(bytes).ok());
    }

    #[test]
    fn arbitrary_bytes_are_judged_alike(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let decoded = Value::decode(&bytes);
        let valid = scan::validate(&bytes, 0);
        if let Ok((value, used)) = decoded {
            prop_assert_eq!(scan::skip(&bytes, 0), Ok(used));
            prop_assert_eq!(value.encoded_len(), encoded(&value).len());
            // More elements of no width than a validation takes can be read when there are bytes besides.
            if let Ok(end) = valid {
                prop_assert_eq!(end, used);
            }
        }
        let _ = Performative::decode(&bytes);
        let _ = sasl::Frame::decode(&bytes);
        let _ = sections(&bytes, 0);
        let _ = Message::decode(&Bytes::from(bytes.clone()));
        let _ = transfer::decode(&bytes, 0);
        let _ = Header::decode(&bytes);
    }

    #[test]
    fn a_performative_is_read_back(performative in any::performative(), fields in any::fields()) {
        let mut bytes = BytesMut::new();
        performative.encode(fields, &mut bytes);
        let len = bytes.len();
        bytes.extend_from_slice(b"payload");
        let (decoded, used) = Performative::decode(&bytes).unwrap();
        prop_assert_eq!(used, len);
        prop_assert_eq!(&decoded, &performative);
        let again = decoded.clone();
        prop_assert_eq!(decoded, again);
        damage(&bytes[..len], |bytes| Performative::decode(bytes).ok());
    }

    #[test]
    fn full_has_every_field(performative in any::performative()) {
        let mut bytes = BytesMut::new();
        performative.encode(FieldList::Full, &mut bytes);
        let count = match performative.name() {
            "open" => 10,
            "begin" => 8,
            "attach" => 14,
            "flow" | "transfer" => 11,
            "disposition" => 6,
            "detach" => 3,
            _ => 1,
        };
        // One byte for the number in the descriptor.
        prop_assert_eq!(bytes[1], 0x53);
        prop_assert_eq!(ListView::decode(&bytes[3..]).unwrap().len(), count);
        prop_assert_ne!(bytes[3], 0x45);
    }

    #[test]
    fn a_transfer_is_seen_like_it_is_read(whole in any::transfer(), fields in any::fields()) {
        let mut bytes = BytesMut::new();
        frame::write(&mut bytes, Kind::Amqp, 7, |out| {
            whole.encode(fields, out);
            out.extend_from_slice(b"payload");
        });
        let view = transfer::decode(&bytes, 8).unwrap();
        prop_assert_eq!(same(&view, &bytes), Transfer { state: None, batchable: false, ..whole.clone() });
        prop_assert_eq!(view.has_state, whole.state.is_some());
        prop_assert_eq!(&bytes[view.payload as usize..], b"payload");
        let payload = view.payload as usize;
        damage(&bytes[..payload], |bytes| transfer::decode(bytes, 8).ok());
        for at in 8..payload {
            // Both decoders agree about damaged ones, too, except for what only one of them looks into.
            let mut changed = bytes.clone();
            changed[at] ^= 0x11;
            if let Ok((Performative::Transfer(whole), used)) = Performative::decode(&changed[8..]) {
                let view = transfer::decode(&changed, 8).unwrap();
                prop_assert_eq!(view.payload as usize, used + 8);
                prop_assert_eq!(view.handle, whole.handle);
                prop_assert_eq!(view.more, whole.more);
            }
        }
    }

    #[test]
    fn a_transfer_head_is_read_back(whole in any::transfer(), fields in any::fields(), channel: u16) {
        let tag = whole.delivery_tag.clone().unwrap_or_default();
        let head = transfer::Head {
            handle: whole.handle,
            delivery_id: whole.delivery_id,
            tag: &tag,
            message_format: whole.message_format,
            settled: whole.settled,
            more: whole.more,
            aborted: whole.aborted,
        };
        let mut bytes = BytesMut::new();
        transfer::write_head(&mut bytes, channel, &head, fields, 5);
        prop_assert_eq!(bytes.len(), transfer::head_len(&head, fields));
        bytes.extend_from_slice(b"12345");
        let header = Header::decode(&bytes).unwrap().unwrap();
        prop_assert_eq!(header.size as usize, bytes.len());
        prop_assert_eq!(header.channel, channel);
        let view = transfer::decode(&bytes, header.body_start()).unwrap();
        prop_assert_eq!(&bytes[view.payload as usize..], b"12345");
        let delivery_tag = (whole.delivery_id.is_some() || !tag.is_empty()).then_some(tag.clone());
        let expected = Transfer {
            delivery_tag,
            rcv_settle_mode: None,
            state: None,
            resume: false,
            batchable: false,
            ..whole.clone()
        };
        prop_assert_eq!(same(&view, &bytes), expected.clone());
        let (cold, _) = Performative::decode(&bytes[8..]).unwrap();
        prop_assert_eq!(cold, Performative::from(expected));
    }

    #[test]
    fn a_message_is_read_back(message in any::message()) {
        let mut bytes = BytesMut::new();
        message.encode(&mut bytes);
        prop_assert_eq!(bytes.len(), message.encoded_len());
        let bytes = bytes.freeze();
        prop_assert_eq!(&Message::decode(&bytes).unwrap(), &message);
    }

    #[test]
    fn sections_are_found_where_they_are(message in any::message(), offset in 0..20_usize) {
        let mut bytes = BytesMut::zeroed(offset);
        message.encode(&mut bytes);
        let found = sections(&bytes, offset).unwrap();
        let map = |span| MapView::found(&bytes, span).to_map().unwrap();
        prop_assert_eq!(map(found.delivery_annotations), message.delivery_annotations.clone());
        prop_assert_eq!(map(found.message_annotations), message.message_annotations.clone());
        prop_assert_eq!(map(found.application_properties), message.application_properties.clone());
        prop_assert_eq!(map(found.footer), message.footer.clone());
        prop_assert_eq!(found.header.is_empty(), message.header.is_none());
        prop_assert_eq!(found.properties.is_empty(), message.properties.is_none());
        let entries = MapView::found(&bytes, found.message_annotations);
        prop_assert_eq!(entries.len(), entries.iter().count());
        let mut at = Vec::new();
        for (key, value) in entries {
            prop_assert_eq!(key.span().of(&bytes), key.raw());
            prop_assert_eq!(value.span().of(&bytes), value.raw());
            if let Some(content) = key.content() {
                prop_assert_eq!(key.content_span().unwrap().of(&bytes), content);
            }
            at.push(key.span().start);
        }
        prop_assert!(at.is_sorted());
        let parts: Vec<_> = found.body_sections(&bytes).collect();
        prop_assert_eq!(parts.len(), found.body.count as usize);
        let body = parts.iter().map(|(kind, span)| match kind {
            BodyKind::Data => Value::from(span.of(&bytes)),
            _ => Value::decode(span.of(&bytes)).unwrap().0,
        });
        prop_assert_eq!(body.collect::<Vec<_>>(), body_values(&message));
    }

    #[test]
    fn a_damaged_message_is_an_error_or_another(message in any::message()) {
        let mut bytes = BytesMut::new();
        message.encode(&mut bytes);
        // Cut between two sections a message is a shorter message, so only the absence of panics is looked at.
        for end in 0..bytes.len() {
            let _ = sections(&bytes[..end], 0);
            let _ = Message::decode(&Bytes::copy_from_slice(&bytes[..end]));
        }
        for at in 0..bytes.len().min(200) {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            let changed = changed.freeze();
            if let Ok(found) = sections(&changed, 0) {
                let parts = found.body_sections(&changed).count();
                prop_assert_eq!(parts, found.body.count as usize);
            }
            if Message::decode(&changed).is_ok() {
                prop_assert!(sections(&changed, 0).is_ok());
            }
        }
    }

    #[test]
    fn a_sasl_frame_is_read_back(
        names in proptest::collection::vec(any::symbol(), 0..4),
        data in any::<Option<Vec<u8>>>(),
        hostname in any::<Option<String>>(),
        fields in any::fields(),
    ) {
        let data = data.map(Bytes::from);
        let frames = [
            sasl::Frame::Mechanisms(Mechanisms { mechanisms: names.clone() }),
            sasl::Frame::Init(Init {
                mechanism: names.first().cloned().unwrap_or_default(),
                initial_response: data.clone(),
                hostname,
            }),
            sasl::Frame::Challenge(Challenge { challenge: data.clone().unwrap_or_default() }),
            sasl::Frame::Response(Response { response: data.clone().unwrap_or_default() }),
            sasl::Frame::Outcome(Outcome { code: Code::SysTemp, additional_data: data }),
        ];
        for frame in frames {
            let mut bytes = BytesMut::new();
            frame.encode(fields, &mut bytes);
            prop_assert_eq!(&sasl::Frame::decode(&bytes).unwrap(), &frame);
            damage(&bytes, |bytes| sasl::Frame::decode(bytes).ok());
            bytes.extend_from_slice(b"x");
            prop_assert!(sasl::Frame::decode(&bytes).is_err());
        }
    }

    #[test]
    fn a_frame_header_is_read_back(channel: u16, sasl: bool, body in 0..2000_usize) {
        let kind = if sasl { Kind::Sasl } else { Kind::Amqp };
        let mut bytes = BytesMut::from(&b"before"[..]);
        frame::write(&mut bytes, kind, channel, |out| out.resize(out.len() + body, 1));
        let header = Header::decode(&bytes[6..]).unwrap().unwrap();
        prop_assert_eq!(header, Header { size: 8 + body as u32, doff: 2, kind, channel });
    }

    #[test]
    fn a_map_finds_what_was_put_in(map in any::map()) {
        let bytes = encoded(&Value::Map(map.clone()));
        let view = MapView::decode(&bytes).unwrap();
        prop_assert_eq!(view.to_map().unwrap(), map.clone());
        prop_assert_eq!(map.encoded_len(), bytes.len());
        for (key, _) in &map {
            let key = key.as_str().unwrap();
            prop_assert_eq!(&view.get(key).unwrap().to_value().unwrap(), map.get(key).unwrap());
        }
    }
}

/// The view as the whole thing.
fn same(view: &transfer::View, frame: &[u8]) -> Transfer {
    let (start, len) = (view.tag.0 as usize, usize::from(view.tag.1));
    Transfer {
        handle: view.handle,
        delivery_id: view.delivery_id,
        delivery_tag: (start > 0).then(|| Bytes::copy_from_slice(&frame[start..start + len])),
        message_format: view.message_format,
        settled: view.settled,
        more: view.more,
        rcv_settle_mode: view.rcv_settle_mode,
        state: None,
        resume: view.resume,
        aborted: view.aborted,
        batchable: false,
    }
}

fn body_values(message: &Message) -> Vec<Value> {
    use eventhubs_amqp::codec::message::Body;
    match &message.body {
        Body::Data(sections) => sections.iter().cloned().map(Value::Binary).collect(),
        Body::Sequence(sections) => sections.iter().cloned().map(Value::List).collect(),
        Body::Value(value) => vec![value.clone()],
        Body::Empty => Vec::new(),
    }
}

#[test]
fn an_array_of_differing_types_is_written_as_a_list() {
    let items = vec![Value::Uint(1), Value::Int(1)];
    let bytes = encoded(&Value::Array(items.clone()));
    assert_eq!(Value::decode(&bytes).unwrap().0, Value::List(items.clone()));
    assert_eq!(bytes.len(), Value::Array(items.clone()).encoded_len());
    let nested = Value::Array(vec![Value::Array(items.clone()), Value::List(vec![])]);
    let bytes = encoded(&nested);
    assert_eq!(bytes.len(), nested.encoded_len());
    let read = Value::Array(vec![Value::List(items), Value::List(vec![])]);
    assert_eq!(Value::decode(&bytes).unwrap().0, read);
}

#[test]
fn a_wide_compound_keeps_its_size() {
    // One element forces the four-byte form on all of them.
    for len in [253, 254, 255, 256, 300] {
        let long = Value::List(vec![Value::Binary(vec![7; len].into())]);
        let array = Value::Array(vec![Value::List(vec![]), long]);
        let map: Map = [(Symbol::from_static("k"), vec![7_u8; len])].into_iter().collect();
        for value in [array, Value::Map(map.clone()), Value::Array(vec![Value::Map(map)])] {
            let bytes = encoded(&value);
            assert_eq!(bytes.len(), value.encoded_len(), "{len}");
            assert_eq!(Value::decode(&bytes).unwrap(), (value, bytes.len()));
        }
    }
}
