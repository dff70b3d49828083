//! Bytes made to hurt: each is refused, with little memory, little stack and little work.

use bytes::{Bytes, BytesMut};
use eventhubs_amqp::codec::frame::{FrameError, Header, ProtocolHeader};
use eventhubs_amqp::codec::message::{Body, Message, sections};
use eventhubs_amqp::codec::performative::Performative;
use eventhubs_amqp::codec::{
    DecodeErrorKind, Described, EXPANSION_ALLOWANCE, MAX_DEPTH, Map, MapView, Value, ValueRef,
    sasl, scan, transfer,
};

/// Smaller than any thread has by default, in a build whose frames are large.
const SMALL_STACK: usize = 256 * 1024;

fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(SMALL_STACK).spawn(test);
    thread.expect("a thread can be started").join().expect("the test passes");
}

/// `levels` of one compound inside the other. `head` makes the front of a level from the number of bytes behind it.
fn nested(levels: usize, head_len: usize, head: impl Fn(&mut BytesMut, u32)) -> Vec<u8> {
    let mut out = BytesMut::new();
    for level in (0..levels).rev() {
        head(&mut out, u32::try_from(level * head_len + 1).expect("small"));
    }
    out.extend_from_slice(&[0x40]);
    out.to_vec()
}

fn lists(levels: usize) -> Vec<u8> {
    nested(levels, 9, |out, rest| {
        out.extend_from_slice(&[0xd0]);
        out.extend_from_slice(&(rest + 4).to_be_bytes());
        out.extend_from_slice(&1_u32.to_be_bytes());
    })
}

fn maps(levels: usize) -> Vec<u8> {
    nested(levels, 10, |out, rest| {
        out.extend_from_slice(&[0xd1]);
        out.extend_from_slice(&(rest + 5).to_be_bytes());
        out.extend_from_slice(&2_u32.to_be_bytes());
        out.extend_from_slice(&[0x40]);
    })
}

/// The constructor of each level belongs to the array around it, so the last one is that of the elements.
fn arrays(levels: usize) -> Vec<u8> {
    let inner = nested(levels, 9, |out, rest| {
        out.extend_from_slice(&(rest + 5).to_be_bytes());
        out.extend_from_slice(&1_u32.to_be_bytes());
        out.extend_from_slice(&[if rest == 1 { 0x50 } else { 0xf0 }]);
    });
    let mut out = vec![0xf0];
    out.extend(inner);
    out
}

fn described_values(levels: usize) -> Vec<u8> {
    nested(levels, 3, |out, _| out.extend_from_slice(&[0x00, 0x53, 0x01]))
}

fn described_descriptors(levels: usize) -> Vec<u8> {
    let mut out = vec![0x00; levels];
    out.extend(vec![0x40; levels + 1]);
    out
}

/// An array whose elements are described over and over by the one constructor.
fn described_elements(levels: usize) -> Vec<u8> {
    let mut body = 1_u32.to_be_bytes().to_vec();
    for _ in 0..levels {
        body.extend([0x00, 0x53, 0x01]);
    }
    body.extend([0x50, 7]);
    let mut out = vec![0xf0];
    out.extend(u32::try_from(body.len()).expect("small").to_be_bytes());
    out.extend(body);
    out
}

fn towers(levels: usize) -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("lists", lists(levels)),
        ("maps", maps(levels)),
        ("arrays", arrays(levels)),
        ("described values", described_values(levels)),
        ("described descriptors", described_descriptors(levels)),
        ("described elements", described_elements(levels - 1)),
    ]
}

fn kind(result: Result<impl Sized, eventhubs_amqp::codec::DecodeError>) -> DecodeErrorKind {
    match result {
        Ok(_) => panic!("it was decoded"),
        Err(error) => error.kind,
    }
}

#[test]
fn nesting_up_to_the_limit_is_read() {
    on_a_small_stack(|| {
        for (name, bytes) in towers(MAX_DEPTH) {
            assert_eq!(scan::validate(&bytes, 0), Ok(bytes.len()), "{name}");
            let (value, used) = Value::decode(&bytes).expect(name);
            assert_eq!(used, bytes.len(), "{name}");
            let mut out = BytesMut::new();
            value.encode(&mut out);
            assert_eq!(Value::decode(&out).expect(name).0, value, "{name}");
            assert_eq!(value.clone(), value, "{name}");
        }
    });
}

/// In an array an empty list is written as a longer one, which must not be deeper than what was read.
#[test]
fn an_empty_list_at_the_limit_counts_as_a_list() {
    for (depth, fits) in [(MAX_DEPTH - 1, true), (MAX_DEPTH, false)] {
        let mut bytes = lists(depth);
        *bytes.last_mut().unwrap() = 0x45;
        assert_eq!(Value::decode(&bytes).is_ok(), fits);
        assert_eq!(scan::validate(&bytes, 0).is_ok(), fits);
    }
}

#[test]
fn nesting_beyond_the_limit_is_refused() {
    on_a_small_stack(|| {
        for levels in [MAX_DEPTH + 1, 1_000, 100_000] {
            for (name, bytes) in towers(levels) {
                assert_eq!(kind(Value::decode(&bytes)), DecodeErrorKind::Depth, "{name}");
                assert_eq!(kind(scan::validate(&bytes, 0)), DecodeErrorKind::Depth, "{name}");
                if let Ok(value) = ValueRef::decode(&bytes) {
                    assert_eq!(kind(value.to_value()), DecodeErrorKind::Depth, "{name}");
                    let _ = (value.as_list(), value.as_map(), value.as_described());
                }
            }
        }
    });
}

/// Measuring an array asks each element for its size; asking twice would double the work at every level.
#[test]
fn nested_arrays_are_measured_in_no_time() {
    on_a_small_stack(|| {
        let mut value = Value::Array(vec![Value::Uint(1)]);
        for level in 0..MAX_DEPTH - 1 {
            let more =
                if level % 2 == 0 { Value::List(vec![value]) } else { Value::Array(vec![value]) };
            value = more;
        }
        let mut out = BytesMut::new();
        value.encode(&mut out);
        assert_eq!(out.len(), value.encoded_len());
        assert_eq!(Value::decode(&out).unwrap().0, value);
        let (tower, _) = Value::decode(&arrays(MAX_DEPTH)).unwrap();
        assert_eq!(tower.encoded_len(), MAX_DEPTH * 3 + 2, "three bytes a level");
    });
}

/// A list of `count` fields, most of them null, with `value` at `index`.
fn list_with(descriptor: u8, count: u8, index: u8, value: &[u8]) -> Vec<u8> {
    let mut fields = Vec::new();
    for field in 0..count {
        if field == index {
            fields.extend(value);
        } else {
            fields.push(0x40);
        }
    }
    let mut out = vec![0x00, 0x53, descriptor, 0xd0];
    out.extend(u32::try_from(fields.len() + 4).expect("small").to_be_bytes());
    out.extend(u32::from(count).to_be_bytes());
    out.extend(fields);
    out
}

#[test]
fn nesting_is_refused_wherever_a_value_may_be() {
    on_a_small_stack(|| {
        for (name, tower) in towers(100_000) {
            let error = list_with(0x1d, 3, 2, &tower);
            let source = list_with(0x28, 11, 7, &tower);
            for bytes in [
                list_with(0x10, 10, 9, &tower),
                list_with(0x12, 14, 5, &source),
                list_with(0x12, 14, 13, &tower),
                list_with(0x13, 11, 10, &tower),
                list_with(0x14, 11, 7, &tower),
                list_with(0x15, 6, 4, &list_with(0x25, 1, 0, &error)),
                list_with(0x16, 3, 2, &error),
                list_with(0x18, 1, 0, &error),
            ] {
                // Mandatory fields are missing, too, but no field is one that breaks the stack.
                assert!(Performative::decode(&bytes).is_err(), "{name}");
                assert!(sasl::Frame::decode(&bytes).is_err(), "{name}");
                let _ = transfer::decode(&bytes, 0);
            }
            for section in 0x70..=0x78_u8 {
                let mut message = vec![0x00, 0x53, section];
                message.extend(&tower);
                let message = Bytes::from(message);
                assert!(Message::decode(&message).is_err(), "{name} {section:x}");
                if let Ok(found) = sections(&message, 0) {
                    let _ = found.body_sections(&message).count();
                    assert!(Value::decode(found.body.first.of(&message)).is_err(), "{name}");
                    let annotations = MapView::found(&message, found.message_annotations);
                    assert!(annotations.is_empty() || annotations.to_map().is_err(), "{name}");
                }
            }
        }
    });
}

#[test]
fn counts_that_cannot_be_true_are_refused() {
    let wide = |constructor: u8, size: u32, count: u32, rest: &[u8]| {
        let mut out = vec![constructor];
        out.extend(size.to_be_bytes());
        out.extend(count.to_be_bytes());
        out.extend(rest);
        out
    };
    let many = u32::MAX;
    for (name, bytes) in [
        ("list8", vec![0xc0, 3, 255, 0x40, 0x40]),
        ("list8 of too few", vec![0xc0, 3, 1, 0x40, 0x40]),
        ("list32", wide(0xd0, 6, many, &[0x40, 0x40])),
        ("map8 of three items", vec![0xc1, 4, 3, 0x40, 0x40, 0x40]),
        ("map32 of three items", wide(0xd1, 7, 3, &[0x40, 0x40, 0x40])),
        ("map32", wide(0xd1, 6, many - 1, &[0x40, 0x40])),
        ("array8 of nulls", vec![0xe0, 2, 255, 0x40]),
        ("array32 of nulls", wide(0xf0, 5, many, &[0x40])),
        ("array32 of empty lists", wide(0xf0, 5, many, &[0x45])),
        ("array32 of described nulls", wide(0xf0, 8, many, &[0x00, 0x53, 1, 0x40])),
        ("array32 of bytes", wide(0xf0, 7, many, &[0x50, 1, 2])),
        ("array32 of ulongs", wide(0xf0, 13, 2, &[0x80, 1, 2, 3, 4, 5, 6, 7, 8])),
        ("array32 of strings", wide(0xf0, 6, many, &[0xa1, 0])),
        ("array8 without constructor", vec![0xe0, 1, 1]),
        ("array8 with something left", vec![0xe0, 4, 1, 0x50, 1, 2]),
        ("size without room for the count", vec![0xc0, 0, 0]),
        ("map size without room for the count", vec![0xc1, 0]),
        ("array size without room for the count", vec![0xe0, 0]),
        ("list32 without room for the count", wide(0xd0, 3, 0, &[])),
        ("map32 without room for the count", wide(0xd1, 0, 0, &[])),
        ("size beyond the end", wide(0xd0, many, 1, &[0x40])),
        ("string beyond the end", vec![0xb1, 0xff, 0xff, 0xff, 0xff, b'a']),
        ("binary beyond the end", vec![0xb0, 0x7f, 0xff, 0xff, 0xff]),
    ] {
        assert!(Value::decode(&bytes).is_err(), "{name}");
        assert!(scan::validate(&bytes, 0).is_err(), "{name}");
        let mut section = vec![0x00, 0x53, 0x72];
        section.extend(&bytes);
        assert!(sections(&section, 0).is_err(), "{name}");
        assert!(MapView::decode(&bytes).is_err(), "{name}");
    }
    // The same without a constructor is what some write for an empty array.
    assert_eq!(Value::decode(&[0xe0, 1, 0]), Ok((Value::Array(vec![]), 3)));
}

#[test]
fn an_array_of_a_few_nulls_is_read() {
    let count = u8::try_from(EXPANSION_ALLOWANCE).unwrap();
    let bytes = [0xe0, 2, count, 0x40];
    assert_eq!(Value::decode(&bytes).unwrap().0, Value::Array(vec![Value::Null; 64]));
    assert_eq!(scan::validate(&bytes, 0), Ok(4));
}

/// Bytes on the heap a value needs at least.
fn heap(value: &Value) -> usize {
    let all = |values: &[Value]| size_of_val(values) + values.iter().map(heap).sum::<usize>();
    match value {
        Value::Binary(bytes) => bytes.len(),
        Value::String(text) => text.len(),
        Value::Symbol(name) => name.len(),
        Value::List(items) | Value::Array(items) => all(items),
        Value::Map(map) => {
            map.iter().map(|(k, v)| 2 * size_of::<Value>() + heap(k) + heap(v)).sum()
        }
        Value::Described(both) => {
            size_of::<Described>() + heap(&both.descriptor) + heap(&both.value)
        }
        _ => 0,
    }
}

/// The most a byte of input can become: two values, each with its box.
const PER_BYTE: usize = 2 * (size_of::<Value>() + size_of::<Described>());

#[test]
fn little_memory_is_used_for_little_input() {
    // A thousand small arrays of as many nulls as go into one each.
    let mut many = vec![0xd0];
    many.extend(4004_u32.to_be_bytes());
    many.extend(1000_u32.to_be_bytes());
    for _ in 0..1000 {
        many.extend([0xe0, 2, 60, 0x40]);
    }
    assert_eq!(kind(Value::decode(&many)), DecodeErrorKind::Count);

    // A long descriptor that is repeated for every one of many short elements.
    let mut copies = Vec::new();
    copies.extend(20_000_u32.to_be_bytes());
    copies.extend([0x00, 0xb1]);
    copies.extend(20_000_u32.to_be_bytes());
    copies.extend(vec![b'd'; 20_000]);
    copies.push(0x50);
    copies.extend(vec![1; 20_000]);
    let mut array = vec![0xf0];
    array.extend(u32::try_from(copies.len()).unwrap().to_be_bytes());
    array.extend(copies);
    assert_eq!(kind(Value::decode(&array)), DecodeErrorKind::Count);

    // The same with a descriptor that is short but full of values, behind one descriptor after the other.
    let mut full = vec![0_u8, 0, 0, 60];
    for _ in 0..8 {
        full.extend([0x00, 0xe0, 2, 60, 0x40]);
    }
    full.extend([0x50; 61]);
    let mut array = vec![0xf0];
    array.extend(u32::try_from(full.len()).unwrap().to_be_bytes());
    array.extend(full);
    assert_eq!(kind(Value::decode(&array)), DecodeErrorKind::Count);

    // The densest values that are read.
    let mut nulls = vec![0xd0];
    nulls.extend(50_004_u32.to_be_bytes());
    nulls.extend(50_000_u32.to_be_bytes());
    nulls.extend(vec![0x40; 50_000]);
    for bytes in [nulls, vec![0xe0, 2, 64, 0x40]] {
        let (value, _) = Value::decode(&bytes).unwrap();
        let limit = bytes.len() * PER_BYTE + EXPANSION_ALLOWANCE * PER_BYTE;
        assert!(heap(&value) <= limit, "{} bytes became {}", bytes.len(), heap(&value));
    }
}

#[test]
fn a_claimed_count_reserves_nothing_on_its_own() {
    // Each level claims as many items as there are bytes left and has one: the next level.
    let levels = MAX_DEPTH - 1;
    let filler = 1 << 20;
    let mut bytes = Vec::new();
    for level in (0..levels).rev() {
        let rest = u32::try_from(level * 9 + filler).unwrap();
        bytes.push(0xd0);
        bytes.extend((rest + 4).to_be_bytes());
        bytes.extend(rest.to_be_bytes());
    }
    bytes.extend(vec![0xff; filler]);
    // Room for all the items that are claimed would be more than a gigabyte.
    assert_eq!(kind(Value::decode(&bytes)), DecodeErrorKind::UnknownConstructor(0xff));
}

#[test]
fn constructors_nobody_defined_are_refused() {
    let defined = [
        0x00, 0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x60,
        0x61, 0x70, 0x71, 0x72, 0x73, 0x74, 0x80, 0x81, 0x82, 0x83, 0x84, 0x94, 0x98, 0xa0, 0xa1,
        0xa3, 0xb0, 0xb1, 0xb3, 0xc0, 0xc1, 0xd0, 0xd1, 0xe0, 0xf0,
    ];
    for constructor in 0..=255_u8 {
        let mut bytes = [0; 64];
        bytes[0] = constructor;
        let is = scan::skip(&bytes, 0).map_err(|error| error.kind);
        let must = match defined.contains(&constructor) {
            true => continue,
            false => Err(DecodeErrorKind::UnknownConstructor(constructor)),
        };
        assert_eq!(is, must);
        assert_eq!(kind(Value::decode(&bytes)), DecodeErrorKind::UnknownConstructor(constructor));
        assert_eq!(
            kind(scan::validate(&bytes, 0)),
            DecodeErrorKind::UnknownConstructor(constructor)
        );
        let array = [0xe0, 3, 1, constructor, 0];
        assert_eq!(kind(Value::decode(&array)), DecodeErrorKind::UnknownConstructor(constructor));
    }
}

#[test]
fn text_that_is_not_utf8_is_refused_when_it_is_read() {
    let bytes = [0xa1, 2, 0xc3, 0x28];
    assert_eq!(kind(Value::decode(&bytes)), DecodeErrorKind::Utf8);
    assert_eq!(scan::validate(&bytes, 0), Ok(4));
    let value = ValueRef::decode(&bytes).unwrap();
    assert_eq!(value.as_str(), None);
    assert_eq!(value.content(), Some(&[0xc3, 0x28][..]));
    assert_eq!(kind(Value::decode(&[0xa3, 1, 0xff])), DecodeErrorKind::Utf8);
    assert_eq!(kind(Value::decode(&[0x73, 0, 0, 0xd8, 0])), DecodeErrorKind::InvalidValue);
    assert_eq!(kind(Value::decode(&[0x56, 2])), DecodeErrorKind::InvalidValue);
}

#[test]
fn frames_that_cannot_be_are_refused() {
    let header = |size: u32, doff: u8, kind: u8| {
        let mut out = size.to_be_bytes().to_vec();
        out.extend([doff, kind, 0, 0]);
        Header::decode(&out)
    };
    for size in 0..8 {
        assert_eq!(header(size, 2, 0), Err(FrameError::TooSmall(size)));
    }
    assert_eq!(header(8, 1, 0), Err(FrameError::DataOffset(1)));
    assert_eq!(header(8, 3, 0), Err(FrameError::DataOffset(3)));
    assert_eq!(header(1019, 255, 0), Err(FrameError::DataOffset(255)));
    assert_eq!(header(1020, 255, 0).unwrap().unwrap().body_start(), 1020);
    assert_eq!(header(8, 2, 2), Err(FrameError::UnknownKind(2)));
    let large = header(u32::MAX, 2, 1).unwrap().unwrap();
    assert_eq!(large.within(512), Err(FrameError::TooLarge { size: u32::MAX, limit: 512 }));
    assert_eq!(large.within(u32::MAX), Ok(()));
    for len in 0..8 {
        assert_eq!(Header::decode(&[0; 8][..len]), Ok(None));
    }
    assert_eq!(ProtocolHeader::decode(b"AMQP\0\x01\0\0rest"), Ok(Some(ProtocolHeader::AMQP)));
    assert_eq!(ProtocolHeader::decode(b"AMQP\0\x01\0"), Ok(None));
    assert_eq!(ProtocolHeader::decode(b"AM"), Ok(None));
    assert_eq!(ProtocolHeader::decode(b"HT"), Err(FrameError::NotAmqp));
    assert_eq!(ProtocolHeader::decode(b"AMQX\0\x01\0\0"), Err(FrameError::NotAmqp));
}

#[test]
fn a_tag_longer_than_allowed_is_refused() {
    for (len, head) in [(33, vec![0xa0, 33]), (33, vec![0xb0, 0, 0, 0, 33])] {
        let mut fields = vec![0x43, 0x43];
        fields.extend(head);
        fields.extend(vec![1; len]);
        fields.extend([0x43, 0x41, 0x42]);
        let mut body = vec![0x00, 0x53, 0x14, 0xc0, u8::try_from(fields.len() + 1).unwrap(), 6];
        body.extend(fields);
        assert_eq!(kind(Performative::decode(&body)), DecodeErrorKind::Length);
        assert_eq!(kind(transfer::decode(&body, 0)), DecodeErrorKind::Length);
    }
}

#[test]
fn debug_of_the_security_layer_tells_lengths_only() {
    let init = sasl::Init {
        mechanism: "PLAIN".into(),
        initial_response: Some(Bytes::from_static(b"\0user\0hunter2")),
        hostname: None,
    };
    let challenge = sasl::Challenge { challenge: Bytes::from_static(b"hunter2") };
    let response = sasl::Response { response: Bytes::from_static(b"hunter2") };
    let shown = format!("{init:?} {challenge:?} {response:?}");
    let frames = format!("{:?}", sasl::Frame::Init(init));
    for text in [shown, frames] {
        assert!(!text.contains("hunter2") && !text.contains("104, 117"), "{text}");
    }
}

#[test]
fn debug_of_a_message_shows_no_token() {
    let mut message = Message { body: Body::Value(Value::from("hunter2")), ..Message::default() };
    message.application_properties.insert("security_token", "hunter2");
    let data = Body::from(&b"hunter2"[..]);
    let sequence = Body::Sequence(vec![vec![Value::from("hunter2")]]);
    let shown = format!("{message:?} {data:?} {sequence:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("104, 117"), "{shown}");
    assert!(shown.contains("security_token"), "{shown}");
}

#[test]
fn an_error_names_the_field() {
    // An open whose max-frame-size is a string.
    let body = [0x00, 0x53, 0x10, 0xc0, 8, 3, 0xa1, 1, b'c', 0x40, 0xa1, 1, b'x'];
    let error = Performative::decode(&body).unwrap_err();
    assert_eq!(error.kind, DecodeErrorKind::WrongType);
    assert_eq!(error.field, "open.max-frame-size");
    let error = Performative::decode(&[0x00, 0x53, 0x10, 0x45]).unwrap_err();
    assert_eq!((error.kind, error.field), (DecodeErrorKind::MissingField, "open.container-id"));
    let error = Performative::decode(&[0x00, 0x53, 0x19, 0x45]).unwrap_err();
    assert_eq!(error.kind, DecodeErrorKind::UnknownDescriptor(0x19));
    let error = Performative::decode(&[0x00, 0xa3, 2, b'n', b'o', 0x45]).unwrap_err();
    assert_eq!(error.kind, DecodeErrorKind::ForeignDescriptor);
}

#[test]
fn a_user_s_own_map_may_be_as_deep_as_it_likes_until_it_is_read() {
    let mut value = Value::Null;
    for _ in 0..MAX_DEPTH + 1 {
        let map: Map = [("k", value)].into_iter().collect();
        value = Value::Map(map);
    }
    let mut out = BytesMut::new();
    value.encode(&mut out);
    assert_eq!(kind(Value::decode(&out)), DecodeErrorKind::Depth);
}
